"""Inputs into the stream and outputs out of it, over one NATS connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RawStreamMsg
from nats.js.client import JetStreamContext
from nats.nuid import NUID

from .encoding import Encoding, decode, encode
from .errors import InvalidMessage, NotStored

log = logging.getLogger("retune")

PULL = 5.0  # seconds that one request for a message waits
PAUSE = 0.3  # seconds between attempts
LAST = "last"  # where a feed begins: the newest message of each subject
NEW = "new"  # the messages to come


def content(msg: Msg | RawStreamMsg) -> dict[str, Any]:
    return decode(msg.data or b"", (msg.headers or {}).get("Content-Type"))


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks until they have ended: before Python 3.12 wait_for may swallow a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)


class Bus:
    """The subjects of one prefix on one connection."""

    def __init__(self, connection: Connection, prefix: str, encoding: Encoding) -> None:
        self.connection = connection
        self.js: JetStreamContext = connection.jetstream()
        self.prefix = prefix
        self.encoding: Encoding = encoding
        self.bucket = prefix.replace(".", "_")
        self.outputs = f"KV_{self.bucket}"
        self.inputs = f"{self.bucket.upper()}_METRICS"
        self._ids = NUID()

    def new_id(self) -> str:
        return self._ids.next().decode()

    async def publish(self, subject: str, document: Mapping[str, Any], message_id: str, timeout: float | None) -> int:
        """Sends an input until the stream has stored it, once, and returns its sequence. None waits for ever."""
        body = encode(document, self.encoding)
        if len(body) > self.connection.max_payload > 0:
            raise InvalidMessage(
                f"{subject}: {len(body)} bytes, the server takes {self.connection.max_payload}: send less at once"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            headers = {"Content-Type": f"application/{self.encoding}", "Nats-Msg-Id": message_id}
            try:
                left = PULL if deadline is None else max(0.05, min(PULL, deadline - time.monotonic()))
                return (await self.js.publish(subject, body, timeout=left, headers=headers)).seq
            except (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError):
                raise
            except (nats.errors.Error, asyncio.TimeoutError) as e:
                if deadline is not None and time.monotonic() >= deadline:
                    raise NotStored(
                        f"{subject}: not stored within {timeout} s ({type(e).__name__}): is NATS reachable, has "
                        f"a worker ever run there with the prefix {self.prefix}, and may this user publish?"
                    ) from e
            await asyncio.sleep(PAUSE)

    async def last(self, subject: str) -> RawStreamMsg | None:
        """The newest output or state on the subject."""
        try:
            stored = await self.js.get_msg(self.outputs, subject=subject)
            return stored if stored.data else None
        except nats.js.errors.NotFoundError:
            return None

    async def feed(self, filters: Sequence[str], start: str | int | datetime) -> Feed:
        """Outputs from now on, which nothing escapes once this has returned."""
        feed = Feed(self, filters, start)
        await feed.open()
        return feed

    async def queue(self, consumer: str) -> JetStreamContext.PullSubscription | None:
        """Joins a durable consumer; None if there is none."""
        try:
            await self.js.consumer_info(self.outputs, consumer)
        except nats.js.errors.NotFoundError:
            return None
        return await self.js.pull_subscribe_bind(consumer, stream=self.outputs)


class Feed:
    """Outputs in the order of the stream, each once. It outlives the consumer that it reads from."""

    def __init__(self, bus: Bus, filters: Sequence[str], start: str | int | datetime) -> None:
        self._bus = bus
        self._filters = list(filters)
        self._start = start
        self._seen = 0
        self._name = ""
        self._pull: JetStreamContext.PullSubscription | None = None

    async def open(self) -> None:
        await self.close()
        self._name = f"retune-python-{self._bus.new_id()}"
        config = ConsumerConfig(
            name=self._name,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=120,
            mem_storage=True,
            num_replicas=1,
            deliver_policy=DeliverPolicy.NEW,
        )
        if len(self._filters) == 1:
            config.filter_subject = self._filters[0]
        else:
            config.filter_subjects = self._filters
        start = self._seen + 1 if self._seen else self._start
        if isinstance(start, int):
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, start
        elif isinstance(start, datetime):
            config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, start
        elif start == LAST:
            config.deliver_policy = DeliverPolicy.LAST_PER_SUBJECT
        info = await self._bus.js.add_consumer(self._bus.outputs, config)
        if start == NEW and info.delivered is not None:
            self._start = (info.delivered.stream_seq or 0) + 1  # a later consumer begins where this one did
        self._pull = await self._bus.js.pull_subscribe_bind(self._name, stream=self._bus.outputs)

    async def next(self) -> Msg:
        while True:
            msg = await self._try()
            if msg is not None and msg.metadata.sequence.stream > self._seen:
                self._seen = msg.metadata.sequence.stream
                if msg.data:  # else it marks what was deleted or has expired
                    return msg

    async def _try(self) -> Msg | None:
        try:
            if self._pull is None:
                await self.open()
            assert self._pull is not None
            return (await self._pull.fetch(1, timeout=PULL))[0]
        except nats.errors.ConnectionClosedError:
            raise
        except (nats.errors.Error, asyncio.TimeoutError) as e:
            await self._check(e)
            return None

    async def _check(self, why: Exception) -> None:
        """Nothing came: that is usual while the consumer lives."""
        try:
            await self._bus.js.consumer_info(self._bus.outputs, self._name)
            if isinstance(why, asyncio.TimeoutError):
                return
        except nats.js.errors.NotFoundError:
            await self.close()
        except (nats.errors.Error, asyncio.TimeoutError):
            log.debug("no answer about %s", self._name)
        await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        pull, self._pull = self._pull, None
        if pull is None:
            return
        with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
            await pull.unsubscribe()
            await self._bus.js.delete_consumer(self._bus.outputs, self._name)
