"""Report metrics to retune, receive configs and retrain events, evaluate trials.

``retune`` is asyncio; ``retune.sync`` has the same for programs without it."""

from .client import Client, connect
from .errors import (
    Forbidden,
    InvalidMessage,
    InvalidName,
    NotConnected,
    NotStored,
    Refused,
    RetuneError,
    TrialStopped,
    Unanswered,
)
from .messages import BestTrial, LiveConfig, RetrainEvent, Summary
from .study import Study
from .trial import Trial

__all__ = [
    "BestTrial",
    "Client",
    "Forbidden",
    "InvalidMessage",
    "InvalidName",
    "LiveConfig",
    "NotConnected",
    "NotStored",
    "Refused",
    "RetrainEvent",
    "RetuneError",
    "Study",
    "Summary",
    "Trial",
    "TrialStopped",
    "Unanswered",
    "connect",
]
