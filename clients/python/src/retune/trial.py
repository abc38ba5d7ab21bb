"""One trial in the hands of this process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.aio.msg import Msg

from .bus import PAUSE, Bus
from .encoding import numbers
from .errors import Forbidden, InvalidMessage, RetuneError, TrialStopped
from .permissions import REPORTS

if TYPE_CHECKING:
    from .agents import Agents

log = logging.getLogger("retune")

MAX_UNSENT = 100_000  # reports that wait while NATS is away; more steps are dropped
STORE = 1.0  # seconds that report waits for the stream; then it goes on in the background


class Trial:
    """A config to evaluate. Settle it with complete or fail, or by ``async with trial:``."""

    def __init__(self, agents: Agents, msg: Msg, fields: Mapping[str, Any], ack_wait: float) -> None:
        self.model: str = fields["model_id"]
        self.study: str = fields["study"]
        self.number = int(fields["trial"])
        self.attempt = int(fields.get("attempt", 1))
        self.config: dict[str, Any] = dict(fields.get("config") or {})
        self.strategy: str = fields.get("strategy", "")
        self.sequence = msg.metadata.sequence.stream
        self.deliveries = msg.metadata.num_delivered
        self.stop_reason: str | None = None
        self.settled = False
        self._agents = agents
        self._bus: Bus = agents.bus
        self._msg = msg
        # As of worker agents: the same for all who are given the attempt, and not to be guessed by others. The sequence
        # tells the trials apart of studies of one name, before and after a forget.
        self._id = hashlib.sha256(msg.data + str(self.sequence).encode()).hexdigest()[:32]
        self._last: dict[str, float] | None = None
        self._began = time.monotonic()
        self._unsent: asyncio.Queue[tuple[str, dict[str, Any], asyncio.Future[None]]] = asyncio.Queue()
        self._ack_wait = ack_wait
        self._forbidden: Forbidden | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins with a sign of life, from which the study's trial_timeout runs."""
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(work) for work in (self._send(), self._keep(), self._look())]
        self._add(f"start{self.deliveries}", {"state": "running"})

    def __repr__(self) -> str:
        return f"<trial {self.number} of {self.study} of {self.model}, attempt {self.attempt}: {self.config}>"

    @property
    def should_stop(self) -> bool:
        """True once the study has given this attempt up. What is reported later is ignored."""
        return self.stop_reason is not None

    async def report(self, step: int, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Reports an intermediate result, such as that of an epoch; step from 0, growing."""
        self._check_open()
        self._last = numbers({**(metrics or {}), **more})
        sent = self._add(str(int(step)), {"step": int(step), "metrics": self._last})
        if self._bus.connection.is_connected:
            await asyncio.wait([sent], timeout=STORE)
        self._check_allowed()

    async def complete(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Reports the result, by default the metrics reported last, and returns when it is stored."""
        result = numbers({**(metrics or {}), **more}) or self._last
        if not result:
            return await self.fail("nothing was measured: call report or complete with the objective")
        await self._end({"state": "complete", "metrics": result})

    async def fail(self, error: object) -> None:
        """Reports that the config could not be evaluated. The study may try it again (``retries``)."""
        await self._end({"state": "failed", "error": str(error)[-4000:]})

    async def hand_back(self) -> None:
        """Gives the attempt to another client, from its start."""
        if not self.settled:
            with contextlib.suppress(nats.errors.Error):
                await self._msg.nak()
            self._release()

    def _check_allowed(self) -> None:
        if self._forbidden is not None:
            raise self._forbidden

    async def _end(self, report: dict[str, Any]) -> None:
        self._check_open()
        report["duration_ms"] = int((time.monotonic() - self._began) * 1000)
        try:
            if not self.should_stop:
                await self._add("end", report)
                self._check_allowed()
            await self._settle()
        finally:
            self._release()

    async def _settle(self) -> None:
        """Takes the config away for good. If that fails it comes again, and the study ignores its reports."""
        for _ in range(3):
            try:
                await self._msg.ack_sync(timeout=2)
                return
            except nats.errors.MsgAlreadyAckdError:
                return
            except (nats.errors.Error, asyncio.TimeoutError) as e:
                log.debug("%r not settled: %s", self, e)
            await asyncio.sleep(PAUSE)

    def _release(self) -> None:
        self.settled = True
        self._agents.forget(self)
        for task in self._tasks:
            task.cancel()

    def _check_open(self) -> None:
        if self.settled:
            raise RuntimeError(f"{self!r} has ended: nothing can be reported")

    def _add(self, name: str, report: dict[str, Any]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._unsent.qsize() < MAX_UNSENT or name == "end":
            self._unsent.put_nowait((name, report, done))
        else:
            done.set_result(None)
        return done

    async def _send(self) -> None:
        while True:
            name, report, done = await self._unsent.get()
            report.update(study=self.study, trial=self.number, attempt=self.attempt)
            subject = f"{self._bus.prefix}.metrics.{self.model}"
            try:
                await self._bus.publish(subject, report, f"{self._id}.{name}", None, REPORTS)
            except Forbidden as e:
                self._forbidden = e
            except InvalidMessage as e:
                log.error("%r: report %s is left out: %s", self, name, e)
            except nats.errors.Error as e:
                if name == "end" and not done.done():
                    done.set_exception(e)
                    continue
            if not done.done():
                done.set_result(None)

    async def _keep(self) -> None:
        """Tells the server that the trial is in good hands."""
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            with contextlib.suppress(nats.errors.Error):
                await self._msg.in_progress()

    async def _look(self) -> None:
        """Looks whether the trial is wanted still. That may be refused, or take longer than the trial is kept."""
        while not self.should_stop:
            await asyncio.sleep(self._ack_wait / 3)
            try:
                self.stop_reason = self.stop_reason or await self._agents.over(self)
            except (RetuneError, nats.errors.Error, asyncio.TimeoutError) as e:
                log.debug("cannot look whether %r is wanted: %s", self, e)

    async def __aenter__(self) -> Trial:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await self.leave(error)

    async def leave(self, error: BaseException | None) -> bool:
        """Settles the trial as the end of its block demands; True if the error is dealt with."""
        if self.settled:
            return isinstance(error, TrialStopped)
        if error is None or isinstance(error, TrialStopped):
            await self.complete()
            return True
        if not isinstance(error, Exception) or isinstance(error, Forbidden):
            await self.hand_back()
        else:
            await self.fail(f"{type(error).__name__}: {error}")
        return False
