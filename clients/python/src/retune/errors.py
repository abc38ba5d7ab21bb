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


class Forbidden(RetuneError):
    """The permissions of this user of NATS do not allow a call; the text says what is missing and who has it."""


class NotStored(RetuneError):
    """The stream has not acknowledged an input in time. It may be stored all the same."""


class Refused(RetuneError):
    """The worker refused a command; the text says why and what to do."""


class Unanswered(RetuneError):
    """No worker got to a command in time, or none has ever run there; the text says which."""


class TrialStopped(RetuneError):
    """Raise it inside ``with trial:`` to leave a trial that should stop."""
