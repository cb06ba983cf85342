"""What a bundle came to, in words: for the command line and the window alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.language import tr
from app.core.quantity import bytes_text, plural


def size_line(data: Mapping[str, Any]) -> str:
    """``1.2 MB, 19 files, 24 rows to train on and 8 held out``."""
    rows = tr("{rows} to train on and {valid:,} held out", rows=plural(data["train"], "row"), valid=data["valid"])
    return f"{bytes_text(data['bytes'])}, {plural(data['files'], 'file')}, {rows}"


def model_line(data: Mapping[str, Any]) -> str:
    """Where the base model comes from there, how large it is, and what its licence is."""
    model = data["model"]
    name = f"{model['id']}@{model['revision']}" if model["revision"] else model["id"]
    where = tr("its files are in the bundle") if model["folder"] else tr("{name} is downloaded there", name=name)
    size = f" ({bytes_text(model['bytes'])})" if model["bytes"] else ""
    four_bit = tr(", loaded in 4 bit") if model["four_bit"] else ""
    licence = model["licence"] or tr("not told here; read its page before you use it")
    return tr(
        "Base model: {where}{size}{four_bit}. Licence: {licence}.",
        where=where,
        size=size,
        four_bit=four_bit,
        licence=licence,
    )
