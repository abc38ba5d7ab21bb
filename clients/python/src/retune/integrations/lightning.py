"""PyTorch Lightning: ``Trainer(callbacks=[lightning.callback(trial)])``."""

from __future__ import annotations

from typing import Any

from .frameworks import Reports, base, scalars


def callback(trial: Reports) -> Any:
    """Reports the logged metrics after each validation, and ends the training when the trial should stop. The steps
    count validations, of which an epoch may have several."""
    parent = base(
        "lightning.pytorch.callbacks", "lightning.pytorch", "pytorch_lightning.callbacks", "pytorch_lightning"
    )

    class RetuneCallback(parent):  # type: ignore[misc, valid-type]
        validations = 0

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            if getattr(trainer, "sanity_checking", False):
                return
            trial.report(self.validations, scalars(trainer.callback_metrics))
            self.validations += 1
            if trial.should_stop:
                trainer.should_stop = True

    return RetuneCallback()
