"""What can go wrong."""

from __future__ import annotations


class RetuneError(Exception):
    """The base of all errors of this package."""


class InvalidName(RetuneError, ValueError):
    """A model, study or hook has a name that NATS or retune cannot take."""


class InvalidMessage(RetuneError, ValueError):
    """A value cannot be sent, or a message cannot be read."""


class NotConnected(RetuneError):
    """No NATS server answers, or none lets this user in."""


class NotStored(RetuneError):
    """The stream has not acknowledged an input in time. It may be stored all the same."""


class Refused(RetuneError):
    """The worker refused a command; the text says why and what to do."""


class Unanswered(RetuneError):
    """No worker got to a command in time. It is stored, and will be applied in its turn."""


class TrialStopped(RetuneError):
    """Raise it inside ``with trial:`` to leave a trial that should stop."""
