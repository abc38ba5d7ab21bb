"""Live reports, live configs and retrain events."""

from __future__ import annotations

import asyncio
import math
import traceback
import uuid
from contextlib import aclosing
from datetime import datetime, timedelta, timezone
from typing import Any

import nats
import numpy
import pytest

import retune


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_a_report_is_answered_with_a_config(url: str, model: str, encoding: Any) -> None:
    async with retune.connect(url, encoding=encoding) as client:
        assert await client.live_config(model) is None
        config = {"rate": 0.1, "layers": numpy.int64(3), "kind": "relu", "bias": True}
        async with aclosing(client.configs(model)) as configs:
            coming = asyncio.ensure_future(anext(configs))
            await asyncio.sleep(0.2)
            first = await client.report(
                model, {"loss": numpy.float32(0.5), "other": math.nan}, config=config, run_id="r"
            )
            answer = await coming
            assert answer.model == model and answer.number == 0 and answer.run_id == "r"
            assert answer.config["rate"] != 0.1 and 0.09 < answer.config["rate"] < 0.11
            assert answer.config["kind"] == "relu" and answer.config["bias"] is True
            assert answer.issued_at is not None and answer.issued_at.tzinfo is not None
            second = await client.report(model, {"loss": 0.5}, config=answer.config, step=7)
            assert second > first
            assert (await anext(configs)).number == 1
        newest = await client.live_config(model)
        assert newest is not None and newest.number == 1


async def test_a_call_that_is_given_up_leaves_nothing_behind(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        await client.report(model, {"loss": 0.5})
        subscriptions = len(client.bus.connection._subs)
        for turns in range(20):  # of the event loop: wherever the call is by then
            call = asyncio.ensure_future(anext(client.configs(model)))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await client.report(model, {"loss": 0.5}, timeout=3)
            assert len(client.bus.connection._subs) == subscriptions, turns


async def degrade(client: retune.Client, model: str) -> None:
    for loss in (0.5, 0.5, 0.5, 0.5, 0.9):
        await client.report(model, {"loss": loss}, config={"rate": 0.1}, version="v1")


async def test_a_retrain_event(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        since = datetime.now(timezone.utc) - timedelta(seconds=1)
        await degrade(client, model)
        event = await anext(client.retrains(model=model, since=since))
        assert (event.model, event.trigger, event.metric, event.severity) == (model, "degraded", "loss", "warning")
        assert event.value == 0.9 and event.reference is not None and event.reference < 0.7
        assert event.version == "v1" and event.config is not None
        assert event.reason.startswith("Loss degraded")


async def test_a_feed_outlives_its_consumer(url: str, model: str) -> None:
    since = datetime.now(timezone.utc) - timedelta(seconds=1)
    async with retune.connect(url) as client, aclosing(client.retrains(model=model, since=since)) as events:
        await degrade(client, model)
        first = await anext(events)
        for consumer in await client.bus.js.consumers_info("KV_retune"):
            if consumer.name.startswith("retune-python-"):
                await client.bus.js.delete_consumer("KV_retune", consumer.name)
        for loss in (0.5, 0.5, 0.5, 0.5, 0.9):
            await client.report(model, {"loss": loss}, version="v2")
        second = await anext(events)
        assert (first.version, second.version) == ("v1", "v2")


async def test_events_as_they_come(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        consumers = await client.bus.js.consumers_info("KV_retune")
        async with aclosing(client.retrains(model=model)) as events:
            coming = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.2)
            await degrade(client, model)
            assert (await coming).version == "v1"
            assert len(await client.bus.js.consumers_info("KV_retune")) == len(consumers)


async def test_a_named_handler_misses_nothing_and_tries_again(url: str, model: str) -> None:
    seen: list[str] = []
    called = asyncio.Event()

    async def handler(event: retune.RetrainEvent) -> None:
        seen.append(event.id)
        called.set()
        if len(seen) == 1:
            raise RuntimeError("the first attempt fails")

    async with retune.connect(url) as client:
        name = f"hook-{model}"
        handling = asyncio.create_task(client.on_retrain(handler, name=name, model=model))
        await asyncio.sleep(0.5)  # a new name begins with what comes next
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)
        await degrade(client, model)
        handling = asyncio.create_task(client.on_retrain(handler, name=name, model=model))
        await called.wait()
        called.clear()
        await called.wait()
        assert len(seen) == 2 and seen[0] == seen[1]
        with pytest.raises(retune.Refused, match="give another name"):
            await client.on_retrain(handler, name=name, model="other")
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)
        info = await client.bus.js.consumer_info("KV_retune", f"retune-hook-{name}")
        assert (info.num_ack_pending, info.num_pending) == (0, 0)


async def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retune.client.FIRST_CONNECT", 0.5)
    with pytest.raises(retune.NotConnected, match="NATS_URL"):
        async with retune.connect("nats://127.0.0.1:1"):
            pass


async def test_an_error_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retune.client.FIRST_CONNECT", 0.3)
    secret = uuid.uuid4().hex
    for servers in (f"nats://worker:{secret}@127.0.0.1:1", f"ws://{secret}@127.0.0.1:1/nats?token={secret}"):
        with pytest.raises(retune.NotConnected, match=r"127\.0\.0\.1:1") as caught:
            async with retune.connect(servers):
                pass
        assert secret not in "".join(traceback.format_exception(caught.value))
    unreadable = f"nats://worker:{secret}/2@127.0.0.1:1"
    with pytest.raises(retune.NotConnected, match=r"cannot be read.*%XX") as caught:
        async with retune.connect(unreadable):
            pass
    assert secret not in "".join(traceback.format_exception(caught.value))


async def test_an_address_is_a_list_with_a_user(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/security.md has NATS_URL. nats-py neither splits it nor decodes the password."""
    made: dict[str, Any] = {}
    connect = nats.connect

    async def noted(servers: list[str], **options: Any) -> Any:
        made.update(options, servers=servers)
        return await connect(servers, **options)

    monkeypatch.setattr("nats.connect", noted)
    host = url.removeprefix("nats://")
    monkeypatch.setenv("NATS_URL", f"nats://a:p%40ss%2Fword@127.0.0.1:1, nats://a:p%40ss%2Fword@{host}")
    async with retune.connect() as client:
        assert client.bus.connection.is_connected
    assert made["servers"] == ["nats://127.0.0.1:1", f"nats://{host}"]
    assert (made["user"], made["password"]) == ("a", "p@ss/word")


async def test_mistakes_name_their_remedy(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        with pytest.raises(retune.InvalidName, match="128"):
            await client.report("my.model", {"loss": 1})
        with pytest.raises(retune.InvalidMessage, match="metric loss"):
            await client.report(model, {"loss": "high"})
        with pytest.raises(retune.InvalidMessage, match="use numbers"):
            await client.report(model, {"loss": 1}, config={"x": object()})
    async with retune.connect(url, prefix="nobody") as client:
        with pytest.raises(retune.NotStored, match="prefix nobody"):
            await client.report(model, {"loss": 1}, timeout=0.5)
