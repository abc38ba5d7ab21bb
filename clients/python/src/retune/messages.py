"""What retune publishes, as objects. ``fields`` has the message as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .encoding import number, time


@dataclass(frozen=True)
class LiveConfig:
    """The newest config of a model outside studies."""

    model: str
    number: int
    config: dict[str, Any]
    strategy: str
    issued_at: datetime | None
    run_id: str | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> LiveConfig:
        return cls(
            model=fields["model_id"],
            number=fields.get("number", 0),
            config=dict(fields.get("config") or {}),
            strategy=fields.get("strategy", ""),
            issued_at=time(fields.get("issued_at")),
            run_id=fields.get("run_id"),
            fields=fields,
        )


@dataclass(frozen=True)
class BestTrial:
    """The best complete trial of a study."""

    trial: int
    config: dict[str, Any]
    value: float
    duration_ms: int | None

    @classmethod
    def read(cls, fields: Mapping[str, Any] | None) -> BestTrial | None:
        if fields is None:
            return None
        return cls(
            fields["trial"],
            dict(fields.get("config") or {}),
            float(fields["value"]),
            fields.get("duration_ms"),
        )


@dataclass(frozen=True)
class RetrainEvent:
    """A model should be retrained."""

    id: str
    model: str
    trigger: str
    reason: str
    severity: str | None
    metric: str | None
    detector: str | None
    value: float | None
    reference: float | None
    deviations: float | None
    reports: int | None
    since: datetime | None
    config: dict[str, Any] | None
    best_trial: BestTrial | None
    study: str | None
    version: str | None
    run_id: str | None
    time: datetime | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> RetrainEvent:
        return cls(
            id=fields["id"],
            model=fields["model_id"],
            trigger=fields["trigger"],
            reason=fields.get("reason", ""),
            severity=fields.get("severity"),
            metric=fields.get("metric"),
            detector=fields.get("detector"),
            value=number(fields.get("value")),
            reference=number(fields.get("reference")),
            deviations=number(fields.get("deviations")),
            reports=fields.get("reports"),
            since=time(fields.get("since")),
            config=fields.get("config"),
            best_trial=BestTrial.read(fields.get("best_trial")),
            study=fields.get("study"),
            version=fields.get("version"),
            run_id=fields.get("run_id"),
            time=time(fields.get("time")),
            fields=fields,
        )


@dataclass(frozen=True)
class Summary:
    """The outcome of a study. ``trials`` are maps as in the contract."""

    model: str
    study: str
    strategy: str
    reason: str
    best_trial: BestTrial | None
    counts: dict[str, int]
    trials: list[dict[str, Any]] = field(repr=False)
    started_at: datetime | None
    finished_at: datetime | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Summary:
        return cls(
            model=fields["model_id"],
            study=fields["study"],
            strategy=fields.get("strategy", ""),
            reason=fields.get("reason", ""),
            best_trial=BestTrial.read(fields.get("best_trial")),
            counts=dict(fields.get("counts") or {}),
            trials=list(fields.get("trials") or []),
            started_at=time(fields.get("started_at")),
            finished_at=time(fields.get("finished_at")),
            fields=fields,
        )
