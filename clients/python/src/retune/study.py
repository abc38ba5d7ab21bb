"""Studies: starting, steering and awaiting them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgpack
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg

from .bus import LAST, Bus, content
from .encoding import check_name
from .errors import NotStored, Refused, Unanswered
from .messages import Summary


class Study:
    """A study of a model, running or not."""

    def __init__(self, bus: Bus, model: str, name: str) -> None:
        self._bus = bus
        self.model = check_name("model", model)
        self.name = check_name("study", name)

    def __repr__(self) -> str:
        return f"<study {self.name} of {self.model}>"

    async def wait(self, timeout: float | None = None) -> Summary:
        """The outcome, once the study has ended. asyncio.TimeoutError when the time is up before."""
        return await asyncio.wait_for(self._wait(), timeout)

    async def summary(self) -> Summary | None:
        """The outcome of a study that has ended, as long as it is kept (30 days unless set)."""
        stored = await self._bus.last(f"{self._bus.prefix}.summary.{self.model}.{self.name}")
        return None if stored is None else Summary.read(content(stored))

    async def stop(self, timeout: float = 10) -> None:
        """Ends the study and stops its trials. One that has ended stays as it is."""
        await command(self._bus, self.model, {"op": "stop", "name": self.name}, timeout)

    async def enqueue(self, config: Mapping[str, Any], timeout: float = 10) -> None:
        """Has the study try this config next. Parameters left out are proposed."""
        fields = {"op": "enqueue", "name": self.name, "config": dict(config)}
        await command(self._bus, self.model, fields, timeout)

    async def _wait(self) -> Summary:
        """The key of the finished study tells it from one of the name that was forgotten."""
        key = f"$KV.{self._bus.bucket}.study.*.{self.model}.{self.name}"
        feed = await self._bus.feed([key], LAST)
        try:
            await feed.next()
        finally:
            await feed.close()
        summary = await self.summary()
        if summary is None:
            raise Unanswered(f"{self!r} ended so long ago that its summary is gone: see `worker study show`")
        return summary


async def start(bus: Bus, model: str, definition: Mapping[str, Any], timeout: float) -> Study:
    """Starts a study. Refused if the worker does not; the same definition under the same name does nothing."""
    check_name("model", model)
    if "name" in definition:
        check_name("study", definition["name"])
    sequence = await command(bus, model, {"op": "start", "study": dict(definition)}, timeout)
    return Study(bus, model, definition.get("name") or f"study-{sequence}")


async def command(bus: Bus, model: str, fields: Mapping[str, Any], timeout: float) -> int:
    """Publishes a command and waits until a worker has applied or refused it. Its sequence."""
    check_name("model", model)
    try:
        begin = (await bus.js.stream_info(bus.outputs)).state.last_seq + 1
    except nats.js.errors.NotFoundError as e:
        raise NotStored(f"no worker has ever run here with the prefix {bus.prefix}: start one") from e
    sequence = await bus.publish(f"{bus.prefix}.study.{model}", fields, bus.new_id(), timeout)
    stored = await bus.js.get_msg(bus.inputs, seq=sequence)
    partition = (stored.subject or "").removeprefix(f"{bus.prefix}.study.").split(".")[0]
    try:
        await asyncio.wait_for(_applied(bus, model, partition, sequence, begin), timeout)
    except asyncio.TimeoutError as e:
        raise Unanswered(
            f"no answer within {timeout} s: does a worker run? `worker show` tells. "
            f"The command is stored (sequence {sequence}) and will be applied in its turn"
        ) from e
    return sequence


async def _applied(bus: Bus, model: str, partition: str, sequence: int, begin: int) -> None:
    """Relies on the order in which a worker stores things: a dead letter of an input comes before any state that
    was written after it."""
    keys = f"$KV.{bus.bucket}"
    filters = [
        f"{keys}.model.{partition}.{model}",
        f"{keys}.offset.{partition}",
        f"{bus.prefix}.dead.{partition}.*",
    ]
    feed = await bus.feed(filters, begin)
    try:
        while not _settles(await feed.next(), sequence):
            pass
    finally:
        await feed.close()


def _settles(msg: Msg, sequence: int) -> bool:
    headers = msg.headers or {}
    if "Retune-Error" in headers:
        if headers.get("Retune-Sequence") == str(sequence):
            raise Refused(headers["Retune-Error"])
        return False
    state = msgpack.unpackb(msg.data, timestamp=3, strict_map_key=False)
    return int(state.get("seq", 0)) >= sequence
