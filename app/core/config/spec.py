"""Every field of a config as a `FieldSpec`: form, command line and reference read what it says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.core.config.field import FieldSpec as FieldSpec
from app.core.config.train_config import TrainConfig


def _bound(info: FieldInfo, low: type, low_open: type) -> tuple[float | None, bool]:
    for meta in info.metadata:
        if isinstance(meta, low):
            return float(getattr(meta, low.__name__.lower())), False
        if isinstance(meta, low_open):
            return float(getattr(meta, low_open.__name__.lower())), True
    return None, False


def _kind(annotation: Any, extra: dict[str, Any]) -> tuple[str, bool]:
    """The editor kind of an annotation, and whether it may be None."""
    args = get_args(annotation)
    optional = type(None) in args
    plain = next((a for a in args if a is not type(None)), annotation) if optional else annotation
    if "kind" in extra:
        return str(extra["kind"]), optional
    if get_origin(plain) is Literal:
        return "choice", optional
    return {bool: "bool", int: "int", float: "float"}.get(plain, "text"), optional


def _specs(model: type[BaseModel], prefix: str) -> Iterator[FieldSpec]:
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _specs(annotation, f"{path}.")
            continue
        extra = info.json_schema_extra
        if not isinstance(extra, dict):
            continue
        kind, optional = _kind(annotation, extra)
        minimum, exclusive_minimum = _bound(info, Ge, Gt)
        maximum, exclusive_maximum = _bound(info, Le, Lt)
        texts = {k: str(extra[k]) for k in ("unit", "what", "higher", "lower", "recommended") if k in extra}
        choices: Any = extra.get("choices")
        yield FieldSpec(
            path=path,
            label=str(extra["label"]),
            kind=kind,  # type: ignore[arg-type]  # one of the literals by construction of _kind
            default=info.get_default(call_default_factory=True),
            minimum=minimum,
            maximum=maximum,
            exclusive_minimum=exclusive_minimum,
            exclusive_maximum=exclusive_maximum,
            choices=tuple(choices.items()) if isinstance(choices, dict) else (),
            optional=optional,
            **texts,
        )


@cache
def field_specs() -> dict[str, FieldSpec]:
    """Every declared field by its dotted path, in the order of declaration."""
    return {spec.path: spec for spec in _specs(TrainConfig, "")}
