"""Config fields: what a value of the config carries besides its type, and the base of the config's models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.core.language import tr
from app.core.quantity import count_text


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a form, the command line and the documentation need to know about one config value."""

    path: str
    label: str
    kind: Literal["int", "float", "bool", "text", "path", "choice"]
    default: Any
    unit: str = ""
    what: str = ""
    higher: str = ""
    lower: str = ""
    recommended: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    choices: tuple[tuple[Any, str], ...] = ()
    optional: bool = False

    @property
    def help(self) -> str:
        """The help text: what it is · higher · lower · recommended."""
        parts = [self.what]
        if self.higher:
            parts.append(tr("Higher: {higher}", higher=self.higher))
        if self.lower:
            parts.append(tr("Lower: {lower}", lower=self.lower))
        if self.recommended:
            parts.append(tr("Recommended: {recommended}", recommended=self.recommended))
        return " · ".join(p for p in parts if p)

    def takes(self, number: float) -> bool:
        """Whether a number is within the allowed range."""
        low, high = self.minimum, self.maximum
        if low is not None and (number < low or (self.exclusive_minimum and number == low)):
            return False
        return high is None or not (number > high or (self.exclusive_maximum and number == high))

    @property
    def range_text(self) -> str:
        """The allowed range in words, e.g. ``1 to 64`` or ``0 or more, less than 1``; empty when unbounded."""
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and not (self.exclusive_minimum or self.exclusive_maximum):
            return tr("{plain} to {plain2}", plain=_plain(low), plain2=_plain(high))
        parts = []
        if low is not None:
            parts.append(
                tr("more than {plain}", plain=_plain(low))
                if self.exclusive_minimum
                else tr("{plain} or more", plain=_plain(low))
            )
        if high is not None:
            parts.append(
                tr("less than {plain}", plain=_plain(high))
                if self.exclusive_maximum
                else tr("at most {plain}", plain=_plain(high))
            )
        return ", ".join(parts)


def _plain(number: float) -> str:
    """A bound as people write it: 1,048,576 and 0.5, never 1.04858e+06."""
    return count_text(int(number)) if number == int(number) else f"{number:g}"


def field(default: Any, label: str, what: str = "", **options: Any) -> Any:
    """A pydantic field that carries its `FieldSpec` texts; ``ge, gt, le, lt`` pass through as the range."""
    bounds = {k: options.pop(k) for k in ("ge", "gt", "le", "lt", "min_length", "max_length") if k in options}
    extra = {"label": label, "what": what, **options}
    if isinstance(default, type) and issubclass(default, BaseModel):
        return Field(default_factory=default, json_schema_extra=extra)
    return Field(default, json_schema_extra=extra, **bounds)


class Part(BaseModel):
    """Base of the config's models: frozen, unknown keys kept, no infinities."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` is no number, though pydantic and Python count it as 1."""
        if isinstance(value, bool):
            wanted = cls.model_fields[str(info.field_name)].annotation
            kinds = get_args(wanted) or (wanted,)
            if bool not in kinds and (int in kinds or float in kinds):
                raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value
