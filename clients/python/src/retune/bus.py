"""Inputs into the stream and outputs out of it, over one NATS connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.nuid import NUID

from .encoding import Encoding, decode, encode
from .errors import Forbidden, InvalidMessage, NotStored, Unanswered
from .permissions import Refusals

log = logging.getLogger("retune")

PULL = 5.0  # seconds that one request for a message waits
ANSWER = 5.0  # seconds that the server has to answer
PAUSE = 0.3  # seconds between attempts


def content(msg: Msg) -> dict[str, Any]:
    return decode(msg.data, (msg.headers or {}).get("Content-Type"))


def sequence(msg: Msg) -> int:
    """Where the stream has what was asked for, or heard."""
    return int((msg.headers or {}).get("Nats-Sequence", 0))


class Bus:
    """The subjects of one prefix on one connection. Whatever NATS refuses the user is Forbidden."""

    def __init__(self, connection: Connection, prefix: str, encoding: Encoding) -> None:
        self.connection = connection
        self.js: JetStreamContext = connection.jetstream()
        self.prefix = prefix
        self.encoding: Encoding = encoding
        self.bucket = prefix.replace(".", "_")
        self.outputs = f"KV_{self.bucket}"
        self.inputs = f"{self.bucket.upper()}_METRICS"
        self.refusals = Refusals()
        self._reads_all = False
        self._ids = NUID()

    def new_id(self) -> str:
        return self._ids.next().decode()

    async def publish(
        self, subject: str, document: Mapping[str, Any], message_id: str, timeout: float | None, who: str
    ) -> int:
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
                sending = self.js.publish(subject, body, timeout=left, headers=headers)
                return (await self.refusals.unless(subject, who, sending)).seq
            except (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError):
                raise
            except (nats.errors.Error, asyncio.TimeoutError) as e:
                if deadline is not None and time.monotonic() >= deadline:
                    raise NotStored(
                        f"{subject}: not stored within {timeout} s ({type(e).__name__}): is NATS reachable, and has "
                        f"a worker ever run there with the prefix {self.prefix}?"
                    ) from e
            await asyncio.sleep(PAUSE)

    @contextlib.contextmanager
    def expecting_a_worker(self) -> Iterator[None]:
        """Says what it means that there is no stream to answer."""
        try:
            yield
        except nats.errors.NoRespondersError as e:
            raise Unanswered(
                f"nobody answers for {self.outputs}: no worker has ever run there with the prefix {self.prefix}, the "
                "account of this user does not import it, or the servers are starting"
            ) from e

    async def last(self, subject: str, who: str) -> Msg | None:
        """The newest output on the subject. A trainer may ask for those of its models, by the subject of the request;
        others for all there are, by its body."""
        if not self._reads_all:
            try:
                return await self._last(subject, who)
            except Forbidden as refused:
                try:
                    await self.latest([subject], who)
                except Forbidden:
                    raise refused from None
                self._reads_all = True
        return next((msg for msg in await self.latest([subject], who) if msg.data), None)

    async def _last(self, subject: str, who: str) -> Msg | None:
        request = f"$JS.API.DIRECT.GET.{self.outputs}.{subject}"
        msg = await self.refusals.unless(request, who, self.connection.request(request, timeout=ANSWER))
        if "Status" in (msg.headers or {}):
            _check_end(msg)
        return msg if msg.data else None  # else it marks what was deleted, or there is none

    async def latest(self, subjects: Sequence[str], who: str, after: int = 0) -> list[Msg]:
        """The newest message of each subject, if it is after that sequence: as of one moment, in their order."""
        request = f"$JS.API.DIRECT.GET.{self.outputs}"
        return await self.refusals.unless(request, who, self._latest(request, subjects, after))

    async def _latest(self, request: str, subjects: Sequence[str], after: int) -> list[Msg]:
        found: list[Msg] = []
        moment, more = 0, True
        inbox = self.connection.new_inbox()
        answers = await self.connection.subscribe(inbox)
        try:
            while more:  # the server may divide a large answer
                body = {"multi_last": list(subjects), "seq": after + 1, "up_to_seq": moment}
                await self.connection.publish(request, json.dumps(body).encode(), reply=inbox)
                while "Status" not in ((msg := await answers.next_msg(timeout=ANSWER)).headers or {}):
                    found.append(msg)
                _check_end(msg)
                headers = msg.headers or {}
                more = int(headers.get("Nats-Num-Pending", 0)) > 0
                after, moment = int(headers.get("Nats-Last-Sequence", 0)), int(headers.get("Nats-UpTo-Sequence", 0))
            return found
        finally:
            with contextlib.suppress(nats.errors.Error):
                await answers.unsubscribe()

    async def hear(self, subject: str, who: str, call: Callable[[Msg], Awaitable[None]] | None = None) -> Subscription:
        """Outputs as they are committed, from now on; those that come while the connection is lost are not heard."""
        heard: Subscription | None = None

        async def subscribe() -> Subscription:
            nonlocal heard
            heard = await self.connection.subscribe(subject, cb=call)
            # A connection that is lost tells the server when it is back.
            await asyncio.wait([asyncio.ensure_future(self._flush())], timeout=ANSWER)
            return heard

        try:
            return await self.refusals.unless(subject, who, subscribe(), "subscription")
        except BaseException:
            if heard is not None:
                with contextlib.suppress(nats.errors.Error):
                    await heard.unsubscribe()
            raise

    async def _flush(self) -> None:
        """Never to be cancelled: nats-py stops reading when a ping is answered that was given up. For as long as that
        takes to find a connection dead, it must not give one up either."""
        dead = self.connection.options["ping_interval"] * (self.connection.options["max_outstanding_pings"] + 2)
        with contextlib.suppress(nats.errors.Error):
            await self.connection.flush(dead)  # nats-py writes its ping at once, perhaps before what it has to send
            await self.connection.flush(dead)

    async def follow(self, subject: str, who: str) -> AsyncGenerator[Msg, None]:
        """The newest output on the subject, if there is one, and then each as it comes. After an outage it begins with
        the newest, if that is another."""
        heard = await self.hear(subject, who)
        newest, looked = 0, -1
        try:
            while True:
                connections = self.connection.stats["reconnects"]
                try:
                    if looked == connections:
                        msg: Msg | None = await heard.next_msg(timeout=PULL)
                    else:
                        msg = await self.last(subject, who)
                        looked = connections
                except nats.errors.ConnectionClosedError:
                    raise
                except (nats.errors.Error, asyncio.TimeoutError):
                    if looked == -1:
                        raise
                    if looked != connections:
                        await asyncio.sleep(PAUSE)  # the streams are not back yet
                    continue
                if msg is not None and msg.data and sequence(msg) > newest:
                    newest = sequence(msg)
                    yield msg
        finally:
            with contextlib.suppress(nats.errors.Error):
                await heard.unsubscribe()

    async def heard(self, subject: str, who: str) -> AsyncGenerator[Msg | None, None]:
        """None once it hears, and then what it hears."""
        heard = await self.hear(subject, who)
        try:
            yield None
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    msg = await heard.next_msg(timeout=PULL)
                    if msg.data:
                        yield msg
        finally:
            with contextlib.suppress(nats.errors.Error):
                await heard.unsubscribe()

    async def since(self, subject: str, time: datetime, who: str) -> AsyncGenerator[Msg | None, None]:
        """None, and then all outputs stored since the time, and those to come: nothing is missed."""
        feed = Feed(self, subject, time, who)
        await feed.open()
        try:
            yield None
            while True:
                yield await feed.next()
        finally:
            await feed.close()

    async def queue(self, consumer: str, who: str) -> Queue | None:
        """Joins a durable consumer; None if there is none."""
        queue = Queue(self, consumer, who)
        try:
            await queue.join()
        except nats.js.errors.NotFoundError:
            return None
        return queue

    async def add_consumer(self, config: ConsumerConfig, who: str) -> None:
        request = f"$JS.API.CONSUMER.CREATE.{self.outputs}.{config.name}.{config.filter_subject}"
        await self.refusals.unless(request, who, self.js.add_consumer(self.outputs, config))


def _check_end(msg: Msg) -> None:
    """What ends the answers to a request is an error, unless it says that there are no more, or none."""
    headers = msg.headers or {}
    if headers["Status"] == "503":
        raise nats.errors.NoRespondersError
    if headers["Status"] not in ("204", "404"):
        raise nats.errors.Error(f"nats: {headers['Status']} {headers.get('Description', '')}")


class Queue:
    """Outputs that are shared out among all who fetch them from a durable consumer."""

    def __init__(self, bus: Bus, consumer: str, who: str) -> None:
        self._bus = bus
        self._consumer = consumer
        self._who = who
        self._pull: JetStreamContext.PullSubscription | None = None

    async def join(self) -> None:
        await self.info()
        self._pull = await self._bus.js.pull_subscribe_bind(self._consumer, stream=self._bus.outputs)

    async def info(self) -> ConsumerInfo:
        request = f"$JS.API.CONSUMER.INFO.{self._bus.outputs}.{self._consumer}"
        asking = self._bus.js.consumer_info(self._bus.outputs, self._consumer)
        return await self._bus.refusals.unless(request, self._who, asking)

    async def fetch(self) -> Msg:
        """The next, to be settled. asyncio.TimeoutError if there is none for a while."""
        assert self._pull is not None
        request = f"$JS.API.CONSUMER.MSG.NEXT.{self._bus.outputs}.{self._consumer}"
        return (await self._bus.refusals.unless(request, self._who, self._pull.fetch(1, timeout=PULL)))[0]

    async def settle(self, msg: Msg, timeout: float) -> None:
        """Returns once the server has it that the message is dealt with."""
        await self._bus.refusals.unless(msg.reply, self._who, msg.ack_sync(timeout=timeout))

    async def close(self) -> None:
        if self._pull is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._pull.unsubscribe()


class Feed:
    """Outputs since a time, in the order of the stream, each once. It outlives the consumer that it reads from, which
    it has to be allowed to make."""

    def __init__(self, bus: Bus, subject: str, since: datetime, who: str) -> None:
        self._bus = bus
        self._subject = subject
        self._since = since
        self._who = who
        self._seen = 0
        self._name = ""
        self._queue: Queue | None = None

    async def open(self) -> None:
        await self.close()
        self._name = f"retune-python-{self._bus.new_id()}"
        config = ConsumerConfig(
            name=self._name,
            filter_subject=self._subject,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=120,
            mem_storage=True,
            num_replicas=1,
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=self._since,
        )
        if self._seen:
            config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_SEQUENCE, None
            config.opt_start_seq = self._seen + 1
        await self._bus.add_consumer(config, self._who)
        self._queue = Queue(self._bus, self._name, self._who)
        await self._queue.join()

    async def next(self) -> Msg:
        while True:
            msg = await self._try()
            if msg is not None and msg.metadata.sequence.stream > self._seen:
                self._seen = msg.metadata.sequence.stream
                if msg.data:  # else it marks what was deleted or has expired
                    return msg

    async def _try(self) -> Msg | None:
        try:
            if self._queue is None:
                await self.open()
            assert self._queue is not None
            return await self._queue.fetch()
        except nats.errors.ConnectionClosedError:
            raise
        except (nats.errors.Error, asyncio.TimeoutError) as e:
            await self._check(e)
            return None

    async def _check(self, why: Exception) -> None:
        """Nothing came: that is usual while the consumer lives."""
        try:
            if self._queue is not None:
                await self._queue.info()
                if isinstance(why, asyncio.TimeoutError):
                    return
        except nats.js.errors.NotFoundError:
            await self.close()
        except (nats.errors.Error, asyncio.TimeoutError):
            log.debug("no answer about %s", self._name)
        await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            return
        await queue.close()
        with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
            await self._bus.js.delete_consumer(self._bus.outputs, self._name)
