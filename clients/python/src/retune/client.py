"""The asynchronous client."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

import nats
from nats.aio.client import Client as Connection

from . import address
from . import study as studies
from .agents import Agents
from .bus import Bus, content
from .encoding import Encoding, check_name, numbers
from .errors import Forbidden, NotConnected
from .messages import LiveConfig, RetrainEvent, Summary
from .permissions import CONFIGS, EVENTS, PAST_EVENTS, REPORTS, Refusals
from .retrain import share
from .study import Study
from .tasks import end
from .trial import Trial

log = logging.getLogger("retune")

FIRST_CONNECT = 5.0  # seconds per server

Objective = Callable[[Trial], Awaitable[Mapping[str, Any] | None]]
Handler = Callable[[RetrainEvent], Awaitable[object] | object]


@asynccontextmanager
async def connect(
    servers: str | list[str] | None = None,
    *,
    prefix: str = "retune",
    encoding: Encoding = "msgpack",
    **options: Any,
) -> AsyncIterator[Client]:
    """A client for the time of the block, by default of NATS_URL, else nats://127.0.0.1:4222.

    The options are those of ``nats.connect``."""
    refusals = Refusals()
    connection = await _connect(servers or os.environ.get("NATS_URL") or "nats://127.0.0.1:4222", options, refusals)
    client = Client(connection, prefix=prefix, encoding=encoding)
    client.bus.refusals = refusals
    try:
        yield client
    finally:
        await client.close()
        await connection.close()


async def _connect(servers: str | list[str], options: dict[str, Any], refusals: Refusals) -> Connection:
    """Reconnects for ever, but does not wait for ever at first."""
    addresses, user = address.read(servers)
    last = ""

    tell = options.get("error_cb")

    async def note(error: Exception) -> None:
        nonlocal last
        if refusals.note(error):
            return  # the call raises Forbidden
        if tell is not None:
            await tell(error)
        elif str(error) != last:
            last = str(error)
            log.warning("NATS: %s", last)

    options = {"name": "retune-python", "max_reconnect_attempts": -1, **user, **options, "error_cb": note}
    limit = FIRST_CONNECT * len(addresses)
    try:
        return await asyncio.wait_for(nats.connect(addresses, **options), limit)
    except asyncio.TimeoutError as e:
        raise NotConnected(
            f"{address.shown(addresses)}: not connected within {limit:g} s ({last}): start a worker there, or name "
            "your NATS by NATS_URL"
        ) from e


class Client:
    """Speaks with retune over a NATS connection of yours. Close it before the connection. What NATS refuses its user
    goes to its ``error_cb`` then, and the call times out; with ``connect`` the call raises Forbidden."""

    def __init__(self, connection: Connection, *, prefix: str = "retune", encoding: Encoding = "msgpack") -> None:
        if encoding not in ("msgpack", "json"):
            raise ValueError(f"encoding {encoding!r}: use msgpack or json")
        for token in prefix.split("."):
            check_name("prefix", token)
        self.bus = Bus(connection, prefix, encoding)
        self._agents: dict[str, Agents] = {}

    async def close(self) -> None:
        """Hands trials back that are not settled. The connection stays open."""
        for agents in self._agents.values():
            await agents.close()

    async def report(
        self,
        model: str,
        metrics: Mapping[str, Any],
        *,
        config: Mapping[str, Any] | None = None,
        step: int | None = None,
        version: str | None = None,
        run_id: str | None = None,
        time: datetime | None = None,
        timeout: float = 10,
    ) -> int:
        """Reports metrics of the live model; returns the sequence once the stream has stored them, else NotStored.

        With ``config``, the hyper-parameters in force, a model that has a tuner is answered with the next."""
        report = {
            "metrics": numbers(metrics),
            "config": None if config is None else dict(config),
            "step": step,
            "state": "complete" if step is None else None,
            "version": version,
            "run_id": run_id,
            "time": time,
        }
        subject = f"{self.bus.prefix}.metrics.{check_name('model', model)}"
        return await self.bus.publish(subject, report, self.bus.new_id(), timeout, REPORTS)

    async def live_config(self, model: str) -> LiveConfig | None:
        """The newest live config; None if the model has none yet."""
        with self.bus.expecting_a_worker():
            stored = await self.bus.last(f"{self.bus.prefix}.config.{check_name('model', model)}.live", CONFIGS)
        return None if stored is None else LiveConfig.read(content(stored))

    async def configs(self, model: str) -> AsyncGenerator[LiveConfig, None]:
        """The newest live config, if there is one, and then each as it comes."""
        subject = f"{self.bus.prefix}.config.{check_name('model', model)}.live"
        with self.bus.expecting_a_worker():
            async with aclosing(self.bus.follow(subject, CONFIGS)) as configs:
                async for config in configs:
                    yield LiveConfig.read(content(config))

    async def on_retrain(
        self,
        handler: Handler,
        *,
        name: str | None = None,
        model: str = "*",
        since: datetime | None = None,
        retries: int = 5,
    ) -> None:
        """Calls the handler with each retrain event, one after the other, until cancelled.

        With a ``name`` the events are shared among all handlers of that name (and `worker hook --name`), wait for
        them while none runs, and come again if one fails: retries times, after 1 s and then twice as long. Without,
        it is called with those that `retrains` gives."""
        if model != "*":
            check_name("model", model)
        call = _asynchronous(handler)
        if name is not None:
            await share(self.bus, call, check_name("hook", name), model, since, retries)
        async with aclosing(self.retrains(model=model, since=since)) as events:
            async for event in events:
                try:
                    await call(event)
                except Exception:
                    log.exception("the handler failed on retrain event %s of %s", event.id, event.model)

    async def retrains(self, *, model: str = "*", since: datetime | None = None) -> AsyncGenerator[RetrainEvent, None]:
        """Retrain events since a time; or from now on, but for those that come while the connection is lost."""
        async with aclosing(self._events(model, since)) as events:
            await anext(events)
            async for event in events:
                assert event is not None
                yield event

    async def _events(self, model: str, since: datetime | None) -> AsyncGenerator[RetrainEvent | None, None]:
        """As retrains, but begins with None, once no event escapes any more."""
        if model != "*":
            check_name("model", model)
        subject = f"{self.bus.prefix}.retrain.{model}.*"
        found = self.bus.heard(subject, EVENTS) if since is None else self.bus.since(subject, since, PAST_EVENTS)
        async with aclosing(found) as events:
            async for event in events:
                yield None if event is None else RetrainEvent.read(content(event))

    async def start_study(self, model: str, definition: Mapping[str, Any], *, timeout: float = 10) -> Study:
        """Starts a study, the fields of which are those of the contract. Refused if the worker does not."""
        return await studies.start(self.bus, model, definition, timeout)

    def study(self, model: str, name: str) -> Study:
        """A study that was started elsewhere."""
        return Study(self.bus, model, name)

    def trials(self, model: str) -> AsyncGenerator[Trial, None]:
        """Trials of the model's studies, shared among all who ask, for ever. Waits for the first study.

        A trial that is not settled when the next is asked for is complete with what it reported last."""
        return self._agents_of(model).take()

    async def work(self, model: str, objective: Objective, *, parallel: int = 1) -> None:
        """Evaluates trials until cancelled. The objective returns the metrics, or None for those reported last; what
        it raises is the failure of the trial."""
        if parallel < 1:
            raise ValueError(f"parallel {parallel}: use 1 or more")
        tasks = [asyncio.create_task(self._work(model, objective)) for _ in range(parallel)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await end(*tasks)

    async def optimize(
        self, model: str, definition: Mapping[str, Any], objective: Objective, *, parallel: int = 1
    ) -> Summary:
        """Starts a study, evaluates its trials here, and returns the outcome. Others may help."""
        study = await self.start_study(model, definition)
        work = asyncio.create_task(self.work(model, objective, parallel=parallel))
        outcome = asyncio.create_task(study.wait())
        try:
            await asyncio.wait([work, outcome], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            return await outcome
        finally:
            await end(work, outcome)

    async def _work(self, model: str, objective: Objective) -> None:
        async with aclosing(self.trials(model)) as trials:
            async for trial in trials:
                try:
                    async with trial:
                        result = await objective(trial)
                        if result is not None and not trial.settled:
                            await trial.complete(result)
                except Forbidden:
                    raise
                except Exception:
                    log.exception("%r failed", trial)

    def _agents_of(self, model: str) -> Agents:
        check_name("model", model)
        return self._agents.setdefault(model, Agents(self.bus, model))


def _asynchronous(handler: Handler) -> Callable[[RetrainEvent], Awaitable[object]]:
    async def call(event: RetrainEvent) -> object:
        result = handler(event)
        return await result if inspect.isawaitable(result) else result

    return call
