"""The same for programs without asyncio. A loop in a thread keeps trials alive while the program computes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar, cast

from nats.errors import ConnectionClosedError

from . import client, messages
from . import study as studies
from . import trial as trials_
from .encoding import Encoding
from .tasks import end

T = TypeVar("T")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.closing = False
        self._thread = threading.Thread(target=self.loop.run_forever, name="retune", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def serve(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.run(work)
        except (CancelledError, ConnectionClosedError):
            if not self.closing:
                raise

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            if not self.loop.is_closed():
                self.run(_close(items))

    def stop(self) -> None:
        self.run(_cancel_all())
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_all() -> None:
    """Ends what other threads wait for."""
    this = asyncio.current_task()
    await end(*(task for task in asyncio.all_tasks() if task is not this))


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await items.__anext__()


async def _close(items: AsyncGenerator[Any, None]) -> None:
    with suppress(RuntimeError):  # it runs still, and was cancelled
        await items.aclose()


@contextmanager
def connect(
    servers: str | list[str] | None = None,
    *,
    prefix: str = "retune",
    encoding: Encoding = "msgpack",
    **options: Any,
) -> Iterator[Client]:
    """As retune.connect."""
    loop = _Loop()
    try:
        connection = client.connect(servers, prefix=prefix, encoding=encoding, **options)
        inner = loop.run(_enter(connection))
        try:
            yield Client(inner, loop)
        finally:
            loop.closing = True
            loop.run(connection.__aexit__(None, None, None))
    finally:
        loop.stop()


async def _enter(connection: Any) -> client.Client:
    entered: client.Client = await connection.__aenter__()
    return entered


class Trial:
    """A config to evaluate. Settle it with complete or fail, or by ``with trial:``."""

    def __init__(self, inner: trials_.Trial, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop
        self.model = inner.model
        self.study = inner.study
        self.number = inner.number
        self.attempt = inner.attempt
        self.config = inner.config
        self.strategy = inner.strategy
        self.deliveries = inner.deliveries

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def should_stop(self) -> bool:
        """True once the study has given this attempt up. What is reported later is ignored."""
        return self._inner.should_stop

    @property
    def stop_reason(self) -> str | None:
        """pruned, timed_out or study_ended."""
        return self._inner.stop_reason

    @property
    def settled(self) -> bool:
        """The trial has ended here: nothing more can be reported."""
        return self._inner.settled

    def report(self, step: int, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Reports an intermediate result, such as that of an epoch; step from 0, growing."""
        self._loop.run(self._inner.report(step, metrics, **more))

    def complete(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Reports the result, by default the metrics reported last, and returns when it is stored."""
        self._loop.run(self._inner.complete(metrics, **more))

    def fail(self, error: object) -> None:
        """Reports that the config could not be evaluated. The study may try it again (``retries``)."""
        self._loop.run(self._inner.fail(error))

    def hand_back(self) -> None:
        """Gives the attempt to another client, from its start."""
        self._loop.run(self._inner.hand_back())

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._loop.run(self._inner.leave(error))


class Study:
    """A study of a model, running or not."""

    def __init__(self, inner: studies.Study, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop
        self.model = inner.model
        self.name = inner.name

    def __repr__(self) -> str:
        return repr(self._inner)

    def wait(self, timeout: float | None = None) -> messages.Summary:
        """The outcome, once the study has ended. asyncio.TimeoutError when the time is up before."""
        return self._loop.run(self._inner.wait(timeout))

    def summary(self) -> messages.Summary | None:
        """The outcome of a study that has ended, as long as it is kept (30 days unless set)."""
        return self._loop.run(self._inner.summary())

    def stop(self, timeout: float = 10) -> None:
        """Ends the study and stops its trials. One that has ended stays as it is."""
        self._loop.run(self._inner.stop(timeout))

    def enqueue(self, config: Mapping[str, Any], timeout: float = 10) -> None:
        """Has the study try this config next. Parameters left out are proposed."""
        self._loop.run(self._inner.enqueue(config, timeout))


Objective = Callable[[Trial], Mapping[str, Any] | None]


class Client:
    """As retune.Client. Several threads may use it."""

    def __init__(self, inner: client.Client, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop

    def report(
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
        """Reports metrics of the live model; returns the sequence once the stream has stored them, else NotStored."""
        report = self._inner.report(
            model,
            metrics,
            config=config,
            step=step,
            version=version,
            run_id=run_id,
            time=time,
            timeout=timeout,
        )
        return self._loop.run(report)

    def live_config(self, model: str) -> messages.LiveConfig | None:
        """The newest live config; None if the model has none yet."""
        return self._loop.run(self._inner.live_config(model))

    def configs(self, model: str) -> Generator[messages.LiveConfig, None, None]:
        """The newest live config, if there is one, and then each as it comes."""
        return self._loop.iterate(self._inner.configs(model))

    def retrains(
        self, *, model: str = "*", since: datetime | None = None
    ) -> Generator[messages.RetrainEvent, None, None]:
        """Retrain events since a time; or from now on, but for those that come while the connection is lost."""
        events = self._inner._events(model, since)
        self._loop.run(_next(events))  # so that what the program does next causes no event that escapes
        return cast(Generator[messages.RetrainEvent, None, None], self._loop.iterate(events))

    def on_retrain(
        self,
        handler: Callable[[messages.RetrainEvent], object],
        *,
        name: str | None = None,
        model: str = "*",
        since: datetime | None = None,
        retries: int = 5,
    ) -> None:
        """As retune.Client.on_retrain; returns when the client is closed. The handler runs in another thread."""
        self._loop.serve(
            self._inner.on_retrain(_threaded(handler), name=name, model=model, since=since, retries=retries)
        )

    def start_study(self, model: str, definition: Mapping[str, Any], *, timeout: float = 10) -> Study:
        """Starts a study, the fields of which are those of the contract. Refused if the worker does not."""
        return Study(self._loop.run(self._inner.start_study(model, definition, timeout=timeout)), self._loop)

    def study(self, model: str, name: str) -> Study:
        """A study that was started elsewhere."""
        return Study(self._inner.study(model, name), self._loop)

    def trials(self, model: str) -> Generator[Trial, None, None]:
        """Trials of the model's studies, shared among all who ask, for ever. Waits for the first study."""
        with closing(self._loop.iterate(self._inner.trials(model))) as trials:
            for inner in trials:
                yield Trial(inner, self._loop)

    def work(self, model: str, objective: Objective, *, parallel: int = 1) -> None:
        """Evaluates trials, each in a thread, until the client is closed. What the objective raises fails the trial."""
        self._loop.serve(self._inner.work(model, self._threaded_objective(objective), parallel=parallel))

    def optimize(
        self, model: str, definition: Mapping[str, Any], objective: Objective, *, parallel: int = 1
    ) -> messages.Summary:
        """Starts a study, evaluates its trials here in threads, and returns the outcome. Others may help."""
        inner = self._threaded_objective(objective)
        return self._loop.run(self._inner.optimize(model, definition, inner, parallel=parallel))

    def _threaded_objective(self, objective: Objective) -> client.Objective:
        async def evaluate(inner: trials_.Trial) -> Mapping[str, Any] | None:
            return await asyncio.to_thread(objective, Trial(inner, self._loop))

        return evaluate


def _threaded(handler: Callable[[T], object]) -> Callable[[T], Awaitable[object]]:
    async def call(item: T) -> object:
        return await asyncio.to_thread(handler, item)

    return call
