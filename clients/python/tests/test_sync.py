"""The same for programs without asyncio, and what is built on it."""

from __future__ import annotations

import re
import runpy
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import retune
from retune import sync
from retune.integrations import keras, lightning

STUDY = {
    "name": "s",
    "objective": {"metric": "loss", "goal": "minimize"},
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "strategy": "random",
    "max_trials": 4,
}


def test_reports_configs_and_events(url: str, model: str) -> None:
    since = datetime.now(timezone.utc) - timedelta(seconds=1)
    with sync.connect(url) as client:
        for loss in (0.5, 0.5, 0.5, 0.5, 0.9):
            client.report(model, {"loss": loss}, config={"rate": 0.1})
        assert next(client.retrains(model=model, since=since)).trigger == "degraded"
        assert next(client.configs(model)).number == 4
        newest = client.live_config(model)
        assert newest is not None and newest.number == 4


def test_events_are_heard_from_the_call_on(url: str, model: str) -> None:
    with sync.connect(url) as client:
        events = client.retrains(model=model)
        for loss in (0.5, 0.5, 0.5, 0.5, 0.9):
            client.report(model, {"loss": loss})
        time.sleep(0.5)
        assert next(events).model == model


def test_a_handler_runs_until_the_client_is_closed(url: str, model: str) -> None:
    called = threading.Event()
    seen: list[retune.RetrainEvent] = []

    def handler(event: retune.RetrainEvent) -> None:
        seen.append(event)
        called.set()

    since = datetime.now(timezone.utc) - timedelta(seconds=1)
    with sync.connect(url) as client:
        for loss in (0.5, 0.5, 0.5, 0.5, 0.9):
            client.report(model, {"loss": loss})
        options: dict[str, Any] = {"name": model, "model": model, "since": since}
        thread = threading.Thread(target=client.on_retrain, args=[handler], kwargs=options)
        thread.start()
        assert called.wait(20)
    thread.join(10)
    assert not thread.is_alive() and seen[0].model == model


def test_a_trial_loop(url: str, model: str) -> None:
    with sync.connect(url) as client:
        study = client.start_study(model, STUDY)
        for trial in client.trials(model):
            with trial:
                if trial.number == 1:
                    raise retune.TrialStopped
                for step in range(3):
                    trial.report(step, loss=trial.config["x"] / (step + 1))
            if trial.number == 3:
                break
        summary = study.wait(timeout=20)
        assert summary.counts == {"complete": 3, "failed": 1}


def test_an_error_fails_the_trial_and_is_raised(url: str, model: str) -> None:
    with sync.connect(url) as client:
        study = client.start_study(model, {**STUDY, "max_trials": 1})
        with pytest.raises(ZeroDivisionError):
            for trial in client.trials(model):
                with trial:
                    trial.complete(loss=1 / 0)
        assert study.wait(timeout=20).counts == {"failed": 1}


def test_optimize_runs_trials_in_threads(url: str, model: str) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def objective(trial: sync.Trial) -> dict[str, float]:
        barrier.wait()
        return {"loss": trial.config["x"]}

    with sync.connect(url) as client:
        summary = client.optimize(model, {**STUDY, "parallelism": 2}, objective, parallel=2)
    assert summary.counts == {"complete": 4}


class Recorder:
    """A trial that should stop after two steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, dict[str, float]]] = []

    def report(self, step: int, metrics: Any = None, /, **more: Any) -> None:
        self.steps.append((step, metrics))

    @property
    def should_stop(self) -> bool:
        return len(self.steps) >= 2


def test_keras_callback() -> None:
    trial, model = Recorder(), SimpleNamespace(stop_training=False)
    callback = keras.callback(trial)
    callback.set_params({"epochs": 3})
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": 0.5, "text": "x"})
    assert not model.stop_training
    callback.on_epoch_end(1, {"loss": 0.4})
    assert model.stop_training and trial.steps == [(0, {"loss": 0.5}), (1, {"loss": 0.4})]


def test_lightning_callback() -> None:
    trial = Recorder()
    trainer = SimpleNamespace(sanity_checking=True, current_epoch=0, callback_metrics={"loss": 0.5}, should_stop=False)
    callback = lightning.callback(trial)
    callback.on_validation_end(trainer, None)
    assert trial.steps == []
    trainer.sanity_checking = False
    callback.on_validation_end(trainer, None)
    assert not trainer.should_stop
    callback.on_validation_end(trainer, None)  # a second time in the epoch: a study ignores a step that it has had
    assert trainer.should_stop and [step for step, _ in trial.steps] == [0, 1]


def test_lightning_itself() -> None:
    torch, pl = pytest.importorskip("torch"), pytest.importorskip("lightning.pytorch")

    class Model(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def validation_step(self, batch: Any, number: int) -> None:
            self.log("val_loss", self.training_step(batch, number))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(64, 4), torch.rand(64, 1)))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trial = Recorder()
    trainer = pl.Trainer(
        max_epochs=5, val_check_interval=0.5, accelerator="cpu", callbacks=[lightning.callback(trial)], **quiet
    )
    trainer.fit(Model(), data, data)
    assert [(step, list(metrics)) for step, metrics in trial.steps] == [(0, ["val_loss"]), (1, ["val_loss"])]
    assert trainer.current_epoch <= 1


def test_keras_itself() -> None:
    pytest.importorskip("keras")
    import keras as framework
    import numpy

    network = framework.Sequential([framework.layers.Dense(1)])
    network.compile(optimizer="sgd", loss="mse")
    trial = Recorder()
    x = numpy.random.rand(64, 4)
    history = network.fit(x, x.sum(axis=1), epochs=5, verbose=0, callbacks=[keras.callback(trial)])
    assert history.epoch == [0, 1] and [(step, list(metrics)) for step, metrics in trial.steps] == [
        (0, ["loss"]),
        (1, ["loss"]),
    ]


def test_scikit_learn(url: str, model: str) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from retune.integrations.sklearn import SearchCV

    x, y = datasets.load_breast_cancer(return_X_y=True)
    x, test_x, y, test_y = train_test_split(x, y, random_state=0)
    with sync.connect(url) as client:
        search = SearchCV(
            client,
            model,
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
            {"logisticregression__C": {"type": "float", "low": 1e-4, "high": 100, "log": True}},
            cv=3,
            max_trials=8,
            strategy="tpe",
            seed=1,
        ).fit(x, y)
    assert sum(search.summary_.counts.values()) == 8 and search.best_score_ > 0.95
    assert set(search.best_params_) == {"logisticregression__C"}
    assert search.score(test_x, test_y) > 0.93 and len(search.predict(test_x)) == len(test_y)


README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_the_readme(url: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPETS[number])
    if library := re.search(r"^(?:import|from) (keras|sklearn|lightning)", SNIPPETS[number], re.MULTILINE):
        pytest.importorskip(library[1])
    monkeypatch.setenv("NATS_URL", url)
    runpy.run_path(str(script), run_name="__main__")
