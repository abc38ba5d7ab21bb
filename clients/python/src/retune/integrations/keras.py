"""Keras: ``model.fit(…, callbacks=[keras.callback(trial)])``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .frameworks import Reports, base, scalars


def callback(trial: Reports) -> Any:
    """Reports the logs of each epoch, and ends the training when the study has given the trial up."""
    parent = base("keras.callbacks", "keras.src.callbacks.callback", "tensorflow.keras.callbacks", "tf_keras.callbacks")

    class RetuneCallback(parent):  # type: ignore[misc, valid-type]
        def set_model(self, model: Any) -> None:
            if hasattr(parent, "set_model"):
                super().set_model(model)
            else:
                self.model = model

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            trial.report(epoch, scalars(logs))
            if trial.should_stop:
                self.model.stop_training = True

    return RetuneCallback()
