"""What the callbacks of training frameworks have in common."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol


class Reports(Protocol):
    """A trial of retune.sync."""

    def report(self, step: int, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None: ...

    @property
    def should_stop(self) -> bool: ...


class _Silent:
    """Answers every hook with nothing, for frameworks that call all of them."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("on_", "set_")):
            return lambda *_, **__: None
        raise AttributeError(name)


def base(*modules: str) -> type[Any]:
    """The Callback class of the first module that is loaded."""
    for name in modules:
        callback = getattr(sys.modules.get(name), "Callback", None)
        if isinstance(callback, type):
            return callback
    return _Silent


def scalars(values: Mapping[str, Any] | None) -> dict[str, float]:
    """Those of the values that are numbers."""
    result = {}
    for name, value in (values or {}).items():
        try:
            result[name] = float(value)
        except (TypeError, ValueError):
            continue
    return result
