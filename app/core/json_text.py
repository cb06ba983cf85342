"""JSON text of files: what is nested too deeply for Python's reader is no JSON, like all its other faults."""

from __future__ import annotations

import json
from typing import Any


def parsed_json(text: str | bytes) -> Any:
    """What a text says. Raises `ValueError` for what is no JSON, is no text, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
