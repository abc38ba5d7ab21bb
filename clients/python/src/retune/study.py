"""Studies: starting, steering and awaiting them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import nats.errors
from nats.aio.msg import Msg

from .bus import PAUSE, Bus, content, sequence
from .encoding import check_name
from .errors import Refused, Unanswered
from .messages import Summary
from .permissions import COMMANDS, OUTCOMES

LOOK = 0.5  # seconds between two looks whether a study has ended


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
        stored = await self._bus.last(self._outcome(), OUTCOMES)
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
        key, outcome = f"$KV.{self._bus.bucket}.study.*.{self.model}.{self.name}", self._outcome()
        while True:  # both at once: another server of a cluster may lag
            found = {
                (msg.headers or {})["Nats-Subject"]: msg
                for msg in await _look(self._bus, [key, outcome], OUTCOMES)
                if msg.data
            }
            summary = found.pop(outcome, None)
            if found and summary is not None:
                return Summary.read(content(summary))
            if found:
                raise Unanswered(f"{self!r} ended so long ago that its summary is gone: see `worker study show`")
            await asyncio.sleep(LOOK)

    def _outcome(self) -> str:
        return f"{self._bus.prefix}.summary.{self.model}.{self.name}"


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
    with bus.expecting_a_worker():
        before = await bus.latest([f"$KV.{bus.bucket}.offset.*"], COMMANDS)
    sent = await bus.publish(f"{bus.prefix}.study.{model}", fields, bus.new_id(), timeout, COMMANDS)
    try:
        await asyncio.wait_for(_applied(bus, model, sent, max(map(sequence, before), default=0)), timeout)
    except asyncio.TimeoutError as e:
        raise Unanswered(
            f"no answer within {timeout} s: does a worker run? `worker show` tells. "
            f"The command is stored (sequence {sent}) and will be applied in its turn"
        ) from e
    return sent


async def _applied(bus: Bus, model: str, sent: int, before: int) -> None:
    """Relies on the order in which a worker stores things: a dead letter of an input comes before any state that
    was written after it."""
    partition = await _partition(bus, model)
    keys = f"$KV.{bus.bucket}"
    signs = [f"{keys}.model.{partition}.{model}", f"{keys}.offset.{partition}", f"{bus.prefix}.dead.{partition}.*"]
    while not any(_settles(msg, sent) for msg in await _look(bus, signs, COMMANDS, before)):
        await asyncio.sleep(PAUSE / 3)


async def _partition(bus: Bus, model: str) -> str:
    """Where the stream has put the model's commands, the last of which is there already."""
    pattern = f"{bus.prefix}.study.*.{model}"
    asking = bus.js.stream_info(bus.inputs, subjects_filter=pattern)
    info = await bus.refusals.unless(f"$JS.API.STREAM.INFO.{bus.inputs}", COMMANDS, asking)
    subject = next(iter(info.state.subjects or {}), "")
    return subject.removeprefix(f"{bus.prefix}.study.").partition(".")[0]


async def _look(bus: Bus, subjects: Sequence[str], who: str, after: int = 0) -> list[Msg]:
    """Polls, which takes no consumer. An outage is waited for."""
    while True:
        try:
            return await bus.latest(subjects, who, after)
        except nats.errors.ConnectionClosedError:
            raise
        except (nats.errors.Error, asyncio.TimeoutError):
            await asyncio.sleep(PAUSE)


def _settles(msg: Msg, sent: int) -> bool:
    headers = msg.headers or {}
    if "Retune-Error" in headers:
        if headers.get("Retune-Sequence") == str(sent):
            raise Refused(headers["Retune-Error"])
        return False
    state = msgpack.unpackb(msg.data, timestamp=3, strict_map_key=False) if msg.data else {}
    return int(state.get("seq", 0)) >= sent
