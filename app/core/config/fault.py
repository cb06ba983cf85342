"""Why a value is not what its field takes, in the reader's language: pydantic says it in English alone."""

from __future__ import annotations

from typing import Any

from app.core.language import inside, tr


def fault_reason(fault: Any) -> str:
    """What is wrong with a value, as a part of a sentence: ``it is less than 1``.

    ``fault`` is one of pydantic's ``ValidationError.errors()``. What is not known here stays in pydantic's words.
    """
    limits = {name: _shown(limit) for name, limit in fault.get("ctx", {}).items()}
    match fault["type"]:
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return tr("it is no whole number")
        case "float_type" | "float_parsing":
            return tr("it is no number")
        case "finite_number":
            return tr("it is not finite")
        case "bool_type" | "bool_parsing":
            return tr("it is neither true nor false")
        case "string_type" | "string_unicode":
            return tr("it is no text")
        case "string_too_short" if limits["min_length"] == "1":
            return tr("it is empty")
        case "literal_error":
            return tr("it is none of the choices")
        case "dict_type":
            return tr("it is no mapping of keys to values")
        case "list_type" | "tuple_type":
            return tr("it is no list")
        case "greater_than_equal":
            return tr("it is less than {least}", least=limits["ge"])
        case "greater_than":
            return tr("it is not more than {border}", border=limits["gt"])
        case "less_than_equal":
            return tr("it is more than {most}", most=limits["le"])
        case "less_than":
            return tr("it is not less than {border}", border=limits["lt"])
    return inside(fault["msg"])


def _shown(limit: Any) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)
