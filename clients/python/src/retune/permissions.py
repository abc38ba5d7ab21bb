"""What a user of NATS may not do, and who may. docs/security.md has the roles."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from .errors import Forbidden
from .tasks import end

T = TypeVar("T")

# Who does what, for errors.
REPORTS = "reports are for a trainer of the model"
CONFIGS = "live configs are for a trainer of the model"
TRIALS = "trials are for a trainer of the model"
COMMANDS = "studies are started and steered by an operator, or by a scientist of the model"
OUTCOMES = "how a study stands is for an operator, or for a scientist of the model"
EVENTS = "retrain events are for a subscriber or an operator"
PAST_EVENTS = "past events take a consumer, which an operator may make: without `since` a subscriber has those to come"
HOOKS = "the events of a name are for the subscriber of that name"
NEW_HOOK = "the consumer of a new name is for an operator to make, once: docs/security.md has the command"

Kind = Literal["publish", "subscription"]

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "(\S+)"', re.IGNORECASE)


class Refusals:
    """NATS answers nothing to what it refuses: it says so beside the answers, by kind and subject alone."""

    def __init__(self) -> None:
        self._watched: dict[asyncio.Future[None], tuple[Kind, str]] = {}

    def note(self, error: Exception) -> bool:
        """Whether the error is a refusal that a call waits for."""
        found = _VIOLATION.search(str(error))
        if found is None:
            return False
        awaited = [
            refused
            for refused, (kind, subject) in self._watched.items()
            if kind == found[1].lower() and _same(subject, found[2])
        ]
        for refused in awaited:
            if not refused.done():
                refused.set_result(None)
        return bool(awaited)

    async def unless(self, subject: str, who: str, work: Coroutine[Any, Any, T], kind: Kind = "publish") -> T:
        """The result of the work, or Forbidden as soon as the server refuses it the subject."""
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watched[refused] = (kind, subject)
        task = asyncio.ensure_future(work)
        try:
            either: set[asyncio.Future[Any]] = {task, refused}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if refused.done():
                raise Forbidden(f"the permissions of this user of NATS do not have {subject}: {who}")
            return task.result()
        finally:
            del self._watched[refused]
            await end(task)


def _same(asked: str, refused: str) -> bool:
    """nats-py has it in lower case, and an account may have $JS.API under another name."""
    asked, refused = asked.lower(), refused.lower()
    if asked.startswith("$js.api."):
        return f".{refused}".endswith(asked.removeprefix("$js.api"))
    return asked == refused
