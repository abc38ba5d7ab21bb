"""Studies, and trials that are shared among clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing
from typing import Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

import retune


def study(**more: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "objective": {"metric": "loss", "goal": "minimize"},
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
        "strategy": "random",
        "max_trials": 12,
        **more,
    }


async def test_clients_share_the_trials(url: str, model: str) -> None:
    evaluated: dict[int, list[int]] = {0: [], 1: []}

    async def work(client: retune.Client, who: int) -> None:
        async def objective(trial: retune.Trial) -> dict[str, float]:
            evaluated[who].append(trial.number)
            await asyncio.sleep(0.05)
            return {"loss": trial.config["x"]}

        await client.work(model, objective, parallel=2)

    async with retune.connect(url) as one, retune.connect(url, encoding="json") as two:
        workers = [asyncio.create_task(work(one, 0)), asyncio.create_task(work(two, 1))]
        handle = await one.start_study(model, study(parallelism=4))
        summary = await handle.wait(timeout=30)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert summary.counts == {"complete": 12} and summary.reason == "max_trials"
        assert sorted(evaluated[0] + evaluated[1]) == list(range(12)) and all(evaluated.values())
        assert summary.best_trial is not None
        assert summary.best_trial.value == min(trial["value"] for trial in summary.trials)
        info = await one.bus.js.consumer_info("KV_retune", f"retune-agents-{model}")
        assert (info.num_ack_pending, info.num_pending) == (0, 0)
        assert await one.study(model, "s").summary() == summary


async def test_a_pruned_trial_should_stop(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        handle = await client.start_study(
            model, study(max_trials=2, pruner={"type": "threshold", "options": {"upper": 5}})
        )
        steps = []
        async with aclosing(client.trials(model)) as trials:
            async for trial in trials:
                async with trial:
                    for step in range(500):
                        await trial.report(step, loss=9 if trial.number == 0 and step == 3 else 1)
                        if trial.should_stop:
                            break
                        if trial.number == 1 and step == 10:
                            break
                        await asyncio.sleep(0.01)
                    steps.append(step)
                    if trial.number == 0:
                        assert trial.stop_reason == "pruned"
                if trial.number == 1:
                    break
        summary = await handle.wait(timeout=20)
        assert summary.counts == {"complete": 1, "pruned": 1} and 3 <= steps[0] < 400


async def test_a_failed_trial_is_tried_again(url: str, model: str) -> None:
    attempts = []

    async def objective(trial: retune.Trial) -> dict[str, float]:
        attempts.append((trial.number, trial.attempt))
        if trial.attempt == 1:
            raise RuntimeError("out of memory")
        return {"loss": 1}

    async with retune.connect(url) as client:
        summary = await client.optimize(model, study(max_trials=1, retries=1), objective)
        assert summary.counts == {"complete": 1} and attempts == [(0, 1), (0, 2)]


async def test_what_measured_nothing_has_failed(url: str, model: str) -> None:
    async def objective(trial: retune.Trial) -> None:
        assert not trial.should_stop

    async with retune.connect(url) as client:
        summary = await client.optimize(model, study(max_trials=1), objective)
        assert summary.counts == {"failed": 1} and summary.best_trial is None


KILLED = """
import asyncio, sys, retune
async def main(url, model):
    async with retune.connect(url) as client:
        async for trial in client.trials(model):
            await trial.report(0, loss=1)
            print(trial.number, trial.attempt, flush=True)
            await asyncio.sleep(60)
asyncio.run(main(*sys.argv[1:]))
"""


async def keep_for_2_s(client: retune.Client, model: str) -> None:
    """Makes the consumer as the worker does, which gives a trial 30 s."""
    await client.bus.js.add_consumer(
        "KV_retune",
        ConsumerConfig(
            durable_name=f"retune-agents-{model}",
            filter_subject=f"retune.config.{model}.*.*",
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=2,
        ),
    )


async def test_the_trial_of_a_killed_client_comes_again(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        await keep_for_2_s(client, model)
        handle = await client.start_study(model, study(max_trials=1))
        victim = subprocess.Popen([sys.executable, "-c", KILLED, url, model], stdout=subprocess.PIPE, text=True)
        assert victim.stdout is not None
        try:
            assert await asyncio.to_thread(victim.stdout.readline) == "0 1\n"
            with pytest.raises(asyncio.TimeoutError):  # longer than the ack wait: the client keeps its trial
                await asyncio.wait_for(anext(client.trials(model)), 3.5)
        finally:
            victim.kill()
            victim.wait()
        async with aclosing(client.trials(model)) as trials:
            async for trial in trials:
                assert (trial.number, trial.attempt, trial.deliveries) == (0, 1, 2)
                await trial.complete(loss=0.5)
                break
        summary = await handle.wait(timeout=20)
        assert summary.best_trial is not None and summary.best_trial.value == 0.5


async def refused(*_: object) -> None:
    raise retune.Forbidden("as of a user who may not look")


async def late(*_: object) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("look", [refused, late])
async def test_a_trial_is_kept_by_who_cannot_look(
    url: str, model: str, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with retune.connect(url) as client, retune.connect(url) as other:
        await keep_for_2_s(client, model)
        handle = await client.start_study(model, study(max_trials=1))
        async with aclosing(client.trials(model)) as trials:
            trial = await anext(trials)
            monkeypatch.setattr(client.bus, "last", look)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(other.trials(model)), 3.5)
            await trial.complete(loss=1)
        assert (await handle.wait(timeout=20)).counts == {"complete": 1}


@pytest.mark.parametrize(("look", "error"), [(refused, retune.Forbidden), (late, asyncio.TimeoutError)])
async def test_a_trial_that_is_not_begun_goes_to_another_client(
    url: str, model: str, look: Any, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with retune.connect(url) as client, retune.connect(url) as other:
        handle = await client.start_study(model, study(max_trials=1))
        monkeypatch.setattr(client.bus, "last", look)
        with pytest.raises(error):
            await asyncio.wait_for(anext(client.trials(model)), 3)
        async with aclosing(other.trials(model)) as trials:
            trial = await asyncio.wait_for(anext(trials), 10)  # at once, not after 30 s
            assert (trial.number, trial.deliveries) == (0, 2)
            await trial.complete(loss=1)
        assert (await handle.wait(timeout=20)).counts == {"complete": 1}


async def test_an_interrupted_trial_goes_to_another_client(url: str, model: str) -> None:
    taken = asyncio.Event()

    async def sleep(trial: retune.Trial) -> None:
        taken.set()
        await asyncio.sleep(60)

    async with retune.connect(url) as client:
        handle = await client.start_study(model, study(max_trials=1))
        work = asyncio.create_task(client.work(model, sleep))
        await taken.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        async with retune.connect(url) as other, aclosing(other.trials(model)) as trials:
            trial = await asyncio.wait_for(anext(trials), 10)  # at once, not after 30 s
            assert (trial.number, trial.attempt, trial.deliveries) == (0, 1, 2)
            await trial.complete(loss=1)
        assert (await handle.wait(timeout=20)).counts == {"complete": 1}


async def test_a_stopped_study_stops_its_trials(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        handle = await client.start_study(model, study(parallelism=2))
        async with aclosing(client.trials(model)) as trials:
            trial = await anext(trials)
            await handle.stop()
            while not trial.should_stop:
                await asyncio.sleep(0.05)
            await trial.complete(loss=1)
            with pytest.raises(RuntimeError, match="has ended"):
                await trial.report(1, loss=1)
            summary = await handle.wait(timeout=20)
            assert summary.counts == {"stopped": 2} and summary.best_trial is None
            # The second trial was never taken: it is not given out any more.
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(trials), 2)


async def test_a_study_of_a_forgotten_name(url: str, model: str) -> None:
    """What is left of the former study is not taken for the new one's."""

    async def objective(trial: retune.Trial) -> dict[str, float]:
        return {"loss": 1}

    async with retune.connect(url) as client:
        await client.report(model, {"loss": 1}, config={"x": 1})
        await client.optimize(model, study(max_trials=1), objective)
        await retune.study.command(client.bus, model, {"op": "forget"}, 10)
        assert await client.live_config(model) is None
        running = await client.start_study(model, study(max_trials=2))
        with pytest.raises(asyncio.TimeoutError):
            await running.wait(timeout=1)
        work = asyncio.create_task(client.work(model, objective))
        assert (await running.wait(timeout=20)).counts == {"complete": 2}
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_commands_are_refused_with_the_reason(url: str, model: str) -> None:
    async with retune.connect(url) as client:
        with pytest.raises(retune.Refused, match="objective"):
            await client.start_study(model, {"name": "s", "space": {}, "max_trials": 1})
        handle = await client.start_study(model, study())
        assert (await client.start_study(model, study())).name == "s"
        with pytest.raises(retune.Refused, match="another definition"):
            await client.start_study(model, study(max_trials=3))
        await handle.enqueue({"x": 0.125})
        with pytest.raises(retune.Refused):
            await handle.enqueue({"x": 7})
        await handle.stop()
        assert (await handle.wait(timeout=20)).reason == "stopped"
