"""JSON text of files: what is nested too deeply for Python's reader is no JSON, like all its other faults."""

from __future__ import annotations

import json
import re
from typing import Any

from app.core.language import tr

_SURROGATE = re.compile("[\ud800-\udfff]")


def parsed_json(text: str | bytes) -> Any:
    """What a text says. Raises `ValueError` for what is no JSON, is no text, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(tr("it is nested too deeply")) from error


def has_surrogate(value: Any) -> bool:
    """True if any text in a JSON value cannot be written as UTF-8."""
    if isinstance(value, str):
        return bool(_SURROGATE.search(value))
    if isinstance(value, dict):
        return any(has_surrogate(k) or has_surrogate(v) for k, v in value.items())
    return isinstance(value, list) and any(has_surrogate(item) for item in value)
