"""Trials as they are shared out among clients, and the stops that end them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from .bus import PAUSE, Bus, Queue, content, sequence
from .errors import InvalidMessage
from .permissions import TRIALS
from .trial import Trial

log = logging.getLogger("retune")


class Agents:
    """The trials of one model that this client has in hand."""

    def __init__(self, bus: Bus, model: str) -> None:
        self.bus = bus
        self.model = model
        self._running: dict[tuple[str, int, int, int], Trial] = {}
        self._stops: Subscription | None = None
        self._opening = asyncio.Lock()

    async def take(self) -> AsyncGenerator[Trial, None]:
        """One trial after the other. The former is settled when the next is asked for."""
        queue, ack_wait = await self._join()
        try:
            while True:
                trial = await self._next(queue, ack_wait)
                if trial is None:
                    await queue.close()
                    queue, ack_wait = await self._join()
                    continue
                try:
                    yield trial
                except BaseException:
                    await trial.hand_back()
                    raise
                await trial.leave(None)
        finally:
            await queue.close()

    async def close(self) -> None:
        for trial in list(self._running.values()):
            await trial.hand_back()
        if self._stops is not None:
            with suppress(nats.errors.Error):
                await self._stops.unsubscribe()

    def forget(self, trial: Trial) -> None:
        self._running.pop(_identity(trial), None)

    async def over(self, trial: Trial) -> str | None:
        """Why the study does not want the attempt any more, as far as outputs tell."""
        stop = await self.bus.last(f"{self.bus.prefix}.stop.{trial.model}.{trial.study}.{trial.number}", TRIALS)
        if stop is not None and sequence(stop) > trial.sequence:
            fields = content(stop)
            if fields.get("attempt", trial.attempt) >= trial.attempt:
                return str(fields.get("reason", "stopped"))
        summary = await self.bus.last(f"{self.bus.prefix}.summary.{trial.model}.{trial.study}", TRIALS)
        if summary is not None and sequence(summary) > trial.sequence:
            return "study_ended"
        return None

    async def _join(self) -> tuple[Queue, float]:
        told = False
        while True:
            try:
                await self._heed_stops()
                queue = await self.bus.queue(f"retune-agents-{self.model}", TRIALS)
                if queue is not None:
                    info = await queue.info()
                    return queue, (info.config and info.config.ack_wait) or 30.0
            except nats.errors.ConnectionClosedError:
                raise
            except (nats.errors.Error, asyncio.TimeoutError) as e:
                log.debug("cannot join the clients of %s yet: %s", self.model, e)
            if not told:
                log.info("waiting for the first study of model %s", self.model)
                told = True
            await asyncio.sleep(PAUSE)

    async def _next(self, queue: Queue, ack_wait: float) -> Trial | None:
        """Waits for a trial. None: join anew."""
        while True:
            try:
                msg = await queue.fetch()
            except nats.errors.ConnectionClosedError:
                raise
            except asyncio.TimeoutError:
                with suppress(asyncio.TimeoutError):
                    try:
                        await queue.info()
                    except nats.errors.Error:
                        return None
                continue
            except nats.errors.Error:
                await asyncio.sleep(PAUSE)
                return None
            trial = await self._begin(msg, ack_wait)
            if trial is not None:
                return trial

    async def _begin(self, msg: Msg, ack_wait: float) -> Trial | None:
        if not msg.data:  # it marks what was deleted or has expired
            await msg.term()
            return None
        try:
            fields = content(msg)
            identity = (str(fields["study"]), int(fields["trial"]), int(fields.get("attempt", 1)))
        except (InvalidMessage, KeyError, ValueError) as e:
            log.error("%s: not the config of a trial, it is left out: %s", msg.subject, e)
            await msg.term()
            return None
        if (*identity, msg.metadata.sequence.stream) in self._running:
            return None  # it came again after an outage, while its first turn goes on: that one settles it
        return await self._wanted(msg, fields, ack_wait)

    async def _wanted(self, msg: Msg, fields: Mapping[str, Any], ack_wait: float) -> Trial | None:
        trial = Trial(self, msg, fields, ack_wait)
        self._running[_identity(trial)] = trial
        try:
            trial.stop_reason = trial.stop_reason or await self.over(trial)
        except (nats.errors.Error, asyncio.TimeoutError) as e:
            log.debug("cannot look whether %r is wanted: %s", trial, e)
        except BaseException:
            await trial.hand_back()
            raise
        if trial.should_stop:
            await trial.leave(None)
            return None
        trial.start()
        return trial

    async def _heed_stops(self) -> None:
        """What is missed while the connection is lost, trials see for themselves."""
        async with self._opening:
            if self._stops is None:
                self._stops = await self.bus.hear(f"{self.bus.prefix}.stop.{self.model}.*.*", TRIALS, self._heed)

    async def _heed(self, msg: Msg) -> None:
        try:
            fields = content(msg)
        except InvalidMessage as e:
            log.error("%s: %s", msg.subject, e)
            return
        for (study, number, attempt, begun), trial in list(self._running.items()):
            stopped = (fields.get("study"), fields.get("trial"), fields.get("attempt"))
            if stopped == (study, number, attempt) and begun < sequence(msg):
                trial.stop_reason = trial.stop_reason or str(fields.get("reason", "stopped"))


def _identity(trial: Trial) -> tuple[str, int, int, int]:
    return trial.study, trial.number, trial.attempt, trial.sequence
