"""Documents as msgpack or JSON, and the values that may be in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal

import msgpack

from .errors import InvalidMessage, InvalidName

Encoding = Literal["msgpack", "json"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_FRACTION = re.compile(r"\.(\d+)")


def check_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidName(f"{what} {name!r}: use 1 to 128 of the characters A-Z a-z 0-9 _ -")
    return name


def encode(document: Mapping[str, Any], encoding: Encoding) -> bytes:
    """The document without what is None. Infinities and NaN stay."""
    present = {name: value for name, value in document.items() if value is not None}
    try:
        if encoding == "json":
            return json.dumps(present, default=_plain, separators=(",", ":")).encode()
        return bytes(msgpack.packb(present, default=_plain))
    except (TypeError, ValueError, OverflowError) as e:
        raise InvalidMessage(f"{sorted(present)}: {e}") from e


def decode(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The document, by its content type, and without a known one by its first byte."""
    kind = (content_type or "").split(";")[0].strip().lower()
    is_json = kind == "application/json" or ("msgpack" not in kind and body.lstrip()[:1] == b"{")
    try:
        document = json.loads(body) if is_json else msgpack.unpackb(body, timestamp=3, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as e:
        raise InvalidMessage(f"not {'JSON' if is_json else 'msgpack'}: {e}") from e
    if not isinstance(document, dict):
        raise InvalidMessage(f"a map is expected, not {type(document).__name__}")
    return document


def _plain(value: Any) -> Any:
    """Scalars of numpy, PyTorch and others have item(); of arrays it raises."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    raise TypeError(f"{value!r} is a {type(value).__name__}: use numbers, strings and bools")


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as floats. A scalar of any library will do."""
    result = {}
    for name, value in metrics.items():
        try:
            result[str(name)] = float(value)
        except (TypeError, ValueError) as e:
            raise InvalidMessage(f"metric {name}: {value!r} is not a number") from e
    return result


def number(value: Any) -> float | None:
    """A number of an output, which JSON has quoted if it is not finite."""
    return None if value is None else float(value)


def time(value: Any) -> datetime | None:
    """RFC 3339 with any number of digits; what is below a microsecond is cut off."""
    if value is None or isinstance(value, datetime):
        return value
    text = _FRACTION.sub(lambda m: "." + m[1][:6].ljust(6, "0"), str(value).replace("Z", "+00:00"))
    return datetime.fromisoformat(text)
