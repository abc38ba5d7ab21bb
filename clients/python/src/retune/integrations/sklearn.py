"""scikit-learn: a search like GridSearchCV whose configs come from a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import Summary
from ..sync import Client, Trial


class SearchCV:
    """Tunes an estimator by cross-validation. After fit, ``best_estimator_`` is trained on all the data.

    The parameters of the space are those of the estimator (``step__name`` in a pipeline). Each fold is reported as
    a step with the mean score so far, so that a pruner can give a config up before the last fold.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        estimator: Any,
        space: Mapping[str, Any],
        *,
        scoring: Any = None,
        cv: Any = None,
        parallel: int = 1,
        **study: Any,
    ) -> None:
        self.client = client
        self.model = model
        self.estimator = estimator
        self.scoring = scoring
        self.cv = cv
        self.parallel = parallel
        self.study = {
            "objective": {"metric": "score", "goal": "maximize"},
            "space": dict(space),
            "parallelism": parallel,
            **study,
        }
        self.summary_: Summary
        self.best_params_: dict[str, Any]
        self.best_score_: float
        self.best_estimator_: Any

    def fit(self, x: Any, y: Any = None) -> SearchCV:
        """Runs the study. ValueError if no trial of it is complete."""
        from sklearn.base import clone, is_classifier
        from sklearn.metrics import check_scoring
        from sklearn.model_selection import check_cv

        score = check_scoring(self.estimator, self.scoring)
        folds = list(check_cv(self.cv, y, classifier=is_classifier(self.estimator)).split(x, y))

        def objective(trial: Trial) -> None:
            total = 0.0
            for step, (train, test) in enumerate(folds):
                estimator = clone(self.estimator).set_params(**trial.config)
                estimator.fit(_rows(x, train), _rows(y, train))
                total += float(score(estimator, _rows(x, test), _rows(y, test)))
                trial.report(step, score=total / (step + 1))
                if trial.should_stop:
                    return

        self.summary_ = self.client.optimize(self.model, self.study, objective, parallel=self.parallel)
        best = self.summary_.best_trial
        if best is None:
            raise ValueError(f"no trial is complete ({self.summary_.counts}): the log says why each failed")
        self.best_params_, self.best_score_ = best.config, best.value
        self.best_estimator_ = clone(self.estimator).set_params(**best.config).fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        """The predictions of the best estimator."""
        return self.best_estimator_.predict(x)

    def score(self, x: Any, y: Any = None) -> float:
        """The score of the best estimator, by its own measure."""
        return float(self.best_estimator_.score(x, y))


def _rows(data: Any, indices: Any) -> Any:
    from sklearn.utils import _safe_indexing

    return None if data is None else _safe_indexing(data, indices)
