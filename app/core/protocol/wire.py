"""The wire between Luthier and a worker: what jobs, commands and events have in common, and their version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.language import Told, capital, retold, tr

PROTOCOL_VERSION = 12
"""The version of jobs, commands and events together.

It grows by one with every change of theirs that the other end can see: a kind or a field that comes, goes or gets
another name, type, default or meaning; a change of words or of code does not count. Both ends refuse what they do
not know, so that no difference is too small. Version 1 were dicts, and its jobs did not say a version.

What lies on disk outlives versions and is read leniently: see `app.core.protocol.event.recorded_event` and
`app.core.protocol.job.read_job`.
"""


# How much of an adapter is put on the base: 0 nothing, 1 as it was trained.
Strength: TypeAlias = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class WirePart(BaseModel):
    """Base of all that is said: it cannot be changed, and has no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True)


class SpokenPart(BaseModel):
    """Base of what has sentences for people: said in one language, read in that of whoever reads.

    ``told`` has, by field, of what the sentence was made (`app.core.language.Told`); a field that it lacks, as
    those of older versions, is read as it was said.
    """

    told: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _keep_told(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and (said := _made_of(fields)):
            # Plain ones: of a text that only behaves as one, pydantic takes no half of a character.
            return fields | {name: fields[name][:] for name in said} | {"told": said}
        return fields

    @model_validator(mode="after")
    def _tell_anew(self) -> Self:
        values = vars(self)
        for name, made_of in self.told.items():
            if name != "told" and isinstance(values.get(name), str):
                values[name] = Told(retold(made_of, values[name]), made_of)
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        changed = dict(update or {})
        told = {name: made_of for name, made_of in self.told.items() if name not in changed} | _made_of(changed)
        return super().model_copy(update=changed | {"told": told}, deep=deep)


def _made_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.made_of for name, value in fields.items() if isinstance(value, Told)}


class RefusedError(ValueError):
    """Something that was said is not part of the protocol; its text tells what, in sentences."""


def refusal_text(what: str, error: ValidationError) -> str:
    """What is wrong with a job, command or event, a sentence a fault; ``what`` names it: "the job `check`"."""
    return " ".join(_fault(what, fault) for fault in error.errors(include_url=False))


def _fault(what: str, fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"][1:])  # the first one says which of the union it is
    whose = capital(what)
    match fault["type"]:
        case "extra_forbidden":
            return tr("{whose} has no `{name}`.", whose=whose, name=name)
        case "missing":
            return tr("{whose} lacks `{name}`.", whose=whose, name=name)
        case _:
            return tr("`{name}` of {what}: {msg}.", name=name, what=what, msg=fault["msg"])
