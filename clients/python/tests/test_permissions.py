"""Each call as the user of deploy/auth.conf whom the README says it is for, and as others."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import retune
from retune import sync
from retune.permissions import Refusals

Guarded = Callable[[str], str]

MODEL = "fraud-eu"


def study(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "objective": {"metric": "loss", "goal": "minimize"},
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
        "strategy": "random",
        "max_trials": 4,
        **more,
    }


async def objective(trial: retune.Trial) -> dict[str, float]:
    await trial.report(0, loss=0.5)
    return {"loss": trial.config["x"]}


@pytest.mark.parametrize("user", ["fraud-trainer", "fraud-agent", "fraud-scientist"])
async def test_who_trains_reports_and_hears_the_answers(guarded: Guarded, user: str) -> None:
    async with retune.connect(guarded(user)) as client:
        before = await client.live_config(MODEL)
        seen = -1 if before is None else before.number
        await client.report(MODEL, {"loss": 0.5}, config={"rate": 0.1})
        async with aclosing(client.configs(MODEL)) as configs:
            async for config in configs:
                if config.number > seen:
                    break
            await client.report(MODEL, {"loss": 0.5}, config={"rate": 0.1})
            assert (await anext(configs)).number == config.number + 1
        newest = await client.live_config(MODEL)
        assert newest is not None and newest.number == config.number + 1
    async with retune.connect(guarded("operator")) as client:
        assert (await client.live_config(MODEL)) == newest
        assert (await anext(client.configs(MODEL))) == newest


@pytest.mark.parametrize("user", ["fraud-trainer", "fraud-agent"])
async def test_who_trains_evaluates_what_an_operator_starts(guarded: Guarded, user: str) -> None:
    name = f"shared-{user}"
    async with retune.connect(guarded("operator")) as operator, retune.connect(guarded(user)) as client:
        running = await operator.start_study(MODEL, study(name))
        with pytest.raises(retune.Refused, match="another definition"):
            await operator.start_study(MODEL, study(name, max_trials=5))
        await running.enqueue({"x": 0.125})
        work = asyncio.create_task(client.work(MODEL, objective))
        try:
            summary = await running.wait(timeout=50)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert summary.counts == {"complete": 4} and await running.summary() == summary
        assert 0.125 in [trial["config"]["x"] for trial in summary.trials]


async def test_a_trainer_heeds_stops(guarded: Guarded) -> None:
    trainer, operator = retune.connect(guarded("fraud-trainer")), retune.connect(guarded("operator"))
    async with trainer as client, operator as starter, aclosing(client.trials(MODEL)) as trials:
        running = await starter.start_study(MODEL, study("stopped", parallelism=2))
        trial = await anext(trials)
        await running.stop()
        for _ in range(100):
            if trial.should_stop:
                break
            await asyncio.sleep(0.05)
        assert trial.stop_reason == "study_ended"
        with pytest.raises(asyncio.TimeoutError):  # the other one was stopped before anybody took it
            await asyncio.wait_for(anext(trials), 1)
        assert (await client.study(MODEL, "stopped").summary()) is not None


async def test_a_scientist_does_all_of_a_study(guarded: Guarded) -> None:
    async with retune.connect(guarded("fraud-scientist")) as client:
        summary = await client.optimize(MODEL, study("own"), objective)
        assert summary.counts == {"complete": 4}
        with pytest.raises(retune.Refused, match="objective"):
            await client.start_study(MODEL, {"name": "wrong", "space": {}, "max_trials": 1})
        running = await client.start_study(MODEL, study("more"))
        await running.enqueue({"x": 0.25})
        await running.stop()
        assert (await running.wait(timeout=20)).reason == "stopped"


def test_a_scientist_searches(guarded: Guarded) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.tree import DecisionTreeClassifier

    from retune.integrations.sklearn import SearchCV

    x, y = datasets.load_iris(return_X_y=True)
    space = {"max_depth": {"type": "int", "low": 1, "high": 5}}
    with sync.connect(guarded("fraud-scientist")) as client:
        search = SearchCV(client, "fraud-us", DecisionTreeClassifier(), space, cv=3, max_trials=3).fit(x, y)
    assert search.summary_.counts == {"complete": 3}


HOOK = b"""{"stream_name": "KV_retune", "config": {"durable_name": "retune-hook-pipeline",
  "filter_subject": "retune.retrain.*.*", "deliver_policy": "new", "ack_policy": "explicit",
  "ack_wait": 30000000000, "max_ack_pending": 1000}}"""


async def make_hook(operator: retune.Client) -> None:
    """As docs/security.md says."""
    subject = "$JS.API.CONSUMER.CREATE.KV_retune.retune-hook-pipeline.retune.retrain.*.*"
    await operator.bus.connection.request(subject, HOOK, timeout=5)


async def test_a_subscriber_has_events(guarded: Guarded) -> None:
    heard: list[str] = []
    handled: list[str] = []
    trainer, operator = retune.connect(guarded("fraud-trainer")), retune.connect(guarded("operator"))
    async with retune.connect(guarded("pipeline")) as client, trainer as reporter, operator as maker:
        with pytest.raises(retune.Forbidden, match="for an operator to make"):
            await client.on_retrain(lambda event: None, name="pipeline")
        await make_hook(maker)
        calls = [
            client.on_retrain(lambda event: heard.append(event.id)),
            client.on_retrain(lambda event: handled.append(event.id), name="pipeline"),
        ]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.5)
        since = datetime.now(timezone.utc)
        for loss in (0.5, 5):
            await reporter.report("fraud-us", {"loss": loss})
        event = await anext(maker.retrains(since=since))
        async with aclosing(maker.retrains(since=since, model="fraud-us")) as events:
            assert (await anext(events)).id == event.id
        for _ in range(200):
            if heard and handled:
                break
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert heard == handled == [event.id]
        info = await maker.bus.js.consumer_info("KV_retune", "retune-hook-pipeline")
        assert (info.num_ack_pending, info.num_pending) == (0, 0)


NOW = datetime.now(timezone.utc)

Call = Callable[[retune.Client], Awaitable[Any] | AsyncGenerator[Any, None]]

REFUSED: list[tuple[str, str, Call]] = [
    ("pipeline", "trainer", lambda c: c.report(MODEL, {"loss": 1})),
    ("operator", "trainer", lambda c: c.report(MODEL, {"loss": 1})),
    ("fraud-trainer", "trainer of the model", lambda c: c.report("shop", {"loss": 1})),
    ("pipeline", "trainer", lambda c: c.live_config(MODEL)),
    ("fraud-trainer", "retune.config.shop.live: .* trainer of the model", lambda c: c.live_config("shop")),
    ("pipeline", "trainer", lambda c: c.configs(MODEL)),
    ("fraud-trainer", "trainer of the model", lambda c: c.configs("shop")),
    ("pipeline", "trainer", lambda c: c.trials(MODEL)),
    ("fraud-trainer", "trainer of the model", lambda c: c.trials("shop")),
    ("fraud-trainer", "subscriber or an operator", lambda c: c.retrains()),
    ("fraud-trainer", "subscriber or an operator", lambda c: c.on_retrain(print)),
    ("pipeline", "which an operator may make", lambda c: c.retrains(since=NOW)),
    ("fraud-trainer", "subscriber of that name", lambda c: c.on_retrain(print, name="pipeline")),
    ("pipeline", "subscriber of that name", lambda c: c.on_retrain(print, name="other")),
    ("fraud-trainer", "operator, or by a scientist", lambda c: c.start_study(MODEL, study("t"))),
    ("fraud-agent", "retune.study.fraud-eu: .* scientist", lambda c: c.start_study(MODEL, study("a"))),
    ("fraud-agent", "retune.study.fraud-eu: .* scientist", lambda c: c.study(MODEL, "a").stop()),
    ("pipeline", "scientist", lambda c: c.study(MODEL, "a").enqueue({"x": 1})),
    ("fraud-trainer", "scientist", lambda c: c.study(MODEL, "a").wait()),
    ("pipeline", "scientist", lambda c: c.study(MODEL, "a").summary()),
    ("fraud-scientist", "scientist of the model", lambda c: c.start_study("shop", study("s"))),
    ("operator", "trainer of the model", lambda c: c.optimize("shop", study("o"), objective)),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
async def test_what_is_refused_says_who_may(guarded: Guarded, number: int) -> None:
    user, who, call = REFUSED[number]
    async with retune.connect(guarded(user)) as client:
        made = call(client)
        begin = asyncio.get_running_loop().time()
        with pytest.raises(retune.Forbidden, match=who):
            await asyncio.wait_for(made if inspect.isawaitable(made) else anext(made), 20)
        assert asyncio.get_running_loop().time() - begin < 4  # and not after a time-out
        await client.bus.connection.rtt(5)  # what else goes on there does so
        if user.startswith("fraud"):
            await client.report(MODEL, {"loss": 0.5})


@pytest.mark.parametrize("user", ["operator", "fraud-agent"])
async def test_what_is_refused_to_one_call_is_not_to_another(guarded: Guarded, user: str) -> None:
    """Neither may get a config by the subject of the request, which ends with what the other call listens to."""
    async with retune.connect(guarded("fraud-trainer")) as trainer:
        await trainer.report(MODEL, {"loss": 0.5}, config={"rate": 0.1})
        while await trainer.live_config(MODEL) is None:
            await asyncio.sleep(0.05)
    for _ in range(5):
        async with retune.connect(guarded(user)) as client:
            assert all(await asyncio.gather(anext(client.configs(MODEL)), client.live_config(MODEL)))


@pytest.mark.parametrize(
    ("kind", "asked", "refused", "same"),
    [
        ("publish", "retune.metrics.M", 'Publish to "retune.metrics.m"', True),
        ("publish", "retune.metrics.m", 'Subscription to "retune.metrics.m"', False),
        ("publish", "metrics.m", 'Publish to "a.metrics.m"', False),
        ("subscription", "m.config", 'Subscription to "m.config"', True),
        ("subscription", "m.config", 'Publish to "$JS.API.DIRECT.GET.KV_m.m.config"', False),
        ("publish", "$JS.API.CONSUMER.INFO.S.c", 'Publish to "$JS.API.CONSUMER.INFO.S.c"', True),
        ("publish", "$JS.API.CONSUMER.INFO.S.c", 'Publish to "api.CONSUMER.INFO.S.c"', True),
        ("publish", "$JS.API.CONSUMER.INFO.S.c", 'Publish to "api.CONSUMER.INFO.S.c.c"', False),
    ],
)
async def test_a_refusal_is_of_a_kind_and_a_subject(kind: Any, asked: str, refused: str, same: bool) -> None:
    refusals = Refusals()
    call = asyncio.ensure_future(refusals.unless(asked, "", asyncio.sleep(0.1), kind))
    await asyncio.sleep(0)
    assert refusals.note(Exception(f"nats: permissions violation for {refused}")) == same
    assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], retune.Forbidden) == same


# The rows of the README's table. A call that goes on for ever is allowed when it has not been refused for a while.
CALLS: dict[str, Callable[[retune.Client, str], Any]] = {
    "`report`": lambda c, m: c.report(m, {"loss": 0.5}),
    "`live_config`, `configs`": lambda c, m: c.configs(m),
    "`trials`, `work`": lambda c, m: c.work(m, objective),
    "`start_study`, `Study.stop`, `Study.enqueue`": lambda c, m: c.study(m, "own").stop(),
    "`Study.wait`": lambda c, m: c.study(m, "none").wait(),
    "`Study.summary`": lambda c, m: c.study(m, "none").summary(),
    "`optimize`, `SearchCV`": lambda c, m: c.optimize(m, study(f"table-{m}"), objective),
    "`retrains`, `on_retrain`": lambda c, m: c.retrains(model=m),
    "the same with `since`": lambda c, m: c.retrains(model=m, since=NOW),
    "`on_retrain` with a name": lambda c, m: c.on_retrain(print, name="pipeline"),
}


async def test_the_table_of_the_readme(guarded: Guarded) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    lines = readme.split("## Permissions")[1].split("##")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    users = [cell.strip("`") for cell in table[0][1:]]
    assert [row[0] for row in table[2:]] == list(CALLS)

    async def allowed(user: str, call: str) -> bool:
        model = f"table-{user}" if user == "operator" else "fraud-us"
        async with retune.connect(guarded(user)) as client:
            made = CALLS[call](client, model)
            try:
                await asyncio.wait_for(made if inspect.isawaitable(made) else anext(made), 2)
            except retune.Forbidden:
                return False
            except (asyncio.TimeoutError, retune.Refused):
                return True
            return True

    async with retune.connect(guarded("operator")) as operator:  # so that whoever may not report has something to
        await operator.start_study("table-operator", study("own", max_trials=100))
        await make_hook(operator)
    for row in table[2:]:
        could = await asyncio.gather(*(allowed(user, row[0]) for user in users))
        tried = [(can, cell != "") for can, cell in zip(could, row[1:], strict=True) if cell != "makes it"]
        assert [can for can, _ in tried] == [should for _, should in tried], row[0]


async def test_refusals_that_no_call_waits_for_are_told(guarded: Guarded) -> None:
    told: list[str] = []

    async def tell(error: Exception) -> None:
        if "violation" in str(error):
            told.append(str(error))

    async with retune.connect(guarded("pipeline"), error_cb=tell) as client:
        with pytest.raises(retune.Forbidden):
            await client.live_config(MODEL)
        assert told == []
        await client.bus.connection.publish("else", b"")
        for _ in range(100):
            if told:
                break
            await asyncio.sleep(0.05)
        assert len(told) == 1 and "else" in told[0]
