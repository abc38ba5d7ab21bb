"""Retrain events that wait for whoever handles them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from .bus import PAUSE, Bus, Queue, content
from .errors import InvalidMessage, Refused
from .messages import RetrainEvent
from .permissions import HOOKS, NEW_HOOK

log = logging.getLogger("retune")

ACK_WAIT = 30.0  # seconds
IDLE = 30 * 24 * 3600.0  # seconds without a handler, after which its consumer is removed

Handle = Callable[[RetrainEvent], Awaitable[object]]


async def share(bus: Bus, handle: Handle, name: str, model: str, since: datetime | None, retries: int) -> None:
    """Calls handle with each event that waits for the name, until cancelled."""
    queue = await _join(bus, name, model, since)
    try:
        while True:
            try:
                msg = await queue.fetch()
            except nats.errors.ConnectionClosedError:
                raise
            except (nats.errors.Error, asyncio.TimeoutError) as e:
                if not isinstance(e, asyncio.TimeoutError):
                    await asyncio.sleep(PAUSE)
                continue
            await _deal(queue, msg, handle, retries)
    finally:
        await queue.close()


async def _join(bus: Bus, name: str, model: str, since: datetime | None) -> Queue:
    consumer, subject = f"retune-hook-{name}", f"{bus.prefix}.retrain.{model}.*"
    queue = await bus.queue(consumer, HOOKS)
    if queue is None:
        await bus.add_consumer(_consumer(consumer, subject, since), NEW_HOOK)
        queue = Queue(bus, consumer, HOOKS)
        await queue.join()
    found = (await queue.info()).config
    if found is not None and found.filter_subject != subject:
        raise Refused(f"handlers of the name {name} take {found.filter_subject}, here {subject}: give another name")
    return queue


def _consumer(name: str, subject: str, since: datetime | None) -> ConsumerConfig:
    return ConsumerConfig(
        name=name,
        durable_name=name,
        description="retrain events, shared out among hooks",
        filter_subject=subject,
        deliver_policy=DeliverPolicy.NEW if since is None else DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT,
        max_ack_pending=1000,
        inactive_threshold=IDLE,
        metadata={"retune-triggers": ""},
    )


async def _deal(queue: Queue, msg: Msg, handle: Handle, retries: int) -> None:
    if not msg.data:  # it marks what was deleted or has expired
        await msg.term()
        return
    try:
        event = RetrainEvent.read(content(msg))
    except (InvalidMessage, KeyError, ValueError) as e:
        log.error("%s: not a retrain event, it is left out: %s", msg.subject, e)
        await msg.term()
        return
    keep = asyncio.create_task(_keep(msg))
    try:
        await handle(event)
    except Exception:
        await _failed(msg, event, retries)
    except BaseException:
        with suppress(nats.errors.Error):
            await msg.nak()
        raise
    else:
        with suppress(nats.errors.Error, asyncio.TimeoutError):
            await queue.settle(msg, timeout=5)
    finally:
        keep.cancel()


async def _failed(msg: Msg, event: RetrainEvent, retries: int) -> None:
    attempt = msg.metadata.num_delivered
    if attempt > retries:
        log.exception("the handler failed %d times on retrain event %s: it is given up", attempt, event.id)
        await msg.term()
        return
    delay = min(2.0 ** (attempt - 1), 600.0)
    log.exception("the handler failed on retrain event %s: again in %g s", event.id, delay)
    await msg.nak(delay=delay)


async def _keep(msg: Msg) -> None:
    while True:
        await asyncio.sleep(ACK_WAIT / 3)
        with suppress(nats.errors.Error):
            await msg.in_progress()
