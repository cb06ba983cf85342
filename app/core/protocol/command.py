"""What a running worker is told: one JSON line a command, on its stdin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.protocol.question import Question, chat_of
from app.core.protocol.wire import RefusedError, Strength, WirePart, refusal_text


class Command(WirePart):
    """Base of all commands; ``command`` names which it is."""

    command: str

    def to_line(self) -> bytes:
        """The JSON line with its newline: ASCII, whatever is in it."""
        return json.dumps(self.model_dump(mode="json")).encode("ascii") + b"\n"


class Stop(Command):
    """Ends the task, which saves what it has; of a worker that answers only the answers in progress."""

    command: Literal["stop"] = "stop"


class Pause(Command):
    """Halts a training in place, after the iteration in progress."""

    command: Literal["pause"] = "pause"


class Resume(Command):
    """Ends a pause, or takes back one that has not begun."""

    command: Literal["resume"] = "resume"


class Park(Command):
    """Pauses a training by ending its worker, which frees the memory."""

    command: Literal["park"] = "park"


class Save(Command):
    """Saves a checkpoint after the iteration in progress."""

    command: Literal["save"] = "save"


class Ask(Command):
    """Asks ``columns``, in that order, or all of them; the answers carry the number ``request``."""

    command: Literal["ask"] = "ask"
    request: int = 0
    columns: tuple[int, ...] | None = None
    question: Question


class AskAll(Command):
    """Asks several questions at once, which a column answers together, in batches; `Stop` ends all of them.

    Each may have its own columns: all are asked of the first one of theirs, then of the second one, and so on.
    """

    command: Literal["ask_all"] = "ask_all"
    asks: Annotated[tuple[Ask, ...], Field(min_length=1)]


class LoadAdapters(Command):
    """Changes the columns of a worker that answers: an adapter each, None for the base itself, at its strength."""

    command: Literal["load_adapters"] = "load_adapters"
    adapters: tuple[str | None, ...]
    strengths: tuple[Strength, ...] = ()


class ShowExample(Command):
    """Asks for example ``index`` (from 0) of a split, as the model will see it."""

    command: Literal["show_example"] = "show_example"
    split: str = "train"
    index: int


class SearchExamples(Command):
    """Asks which examples of a split, from ``start`` on, hold a text."""

    command: Literal["search_examples"] = "search_examples"
    split: str = "train"
    text: str
    start: Annotated[int, Field(ge=0)] = 0


class Configure(Command):
    """Changes values of the config that need no new preparation of the data."""

    command: Literal["configure"] = "configure"
    values: dict[str, JsonValue]


class ReadRows(Command):
    """Asks for up to ``count`` rows of a file, from a line on (the first is 1)."""

    command: Literal["read_rows"] = "read_rows"
    line: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=1)] = 50


class SaveRows(Command):
    """Writes a file with edits to ``target``: rows ``changed`` by line, lines ``dropped``, rows ``added``, other
    names for ``roles`` in all of them, and the rows of other files ``appended``."""

    command: Literal["save_rows"] = "save_rows"
    target: Path
    changed: dict[int, dict[str, JsonValue]] = Field(default_factory=dict)
    dropped: tuple[int, ...] = ()
    added: tuple[dict[str, JsonValue], ...] = ()
    roles: dict[str, str] = Field(default_factory=dict)
    appended: tuple[Path, ...] = ()
    drop_bad_rows: bool = False


class SurveyRows(Command):
    """Asks what a file holds, the worker's own or another: roles (by other names), repeats, the format."""

    command: Literal["survey_rows"] = "survey_rows"
    file: Path
    roles: dict[str, str] = Field(default_factory=dict)


class GiveToken(Command):
    """The hub's access token, or the key of a place; it never stands in a job, an event or the log."""

    command: Literal["give_token"] = "give_token"
    token: Annotated[str, Field(repr=False)]


class ScoreAnswers(Command):
    """Asks the reward functions ``names`` for scores; the lists have an item for each answer."""

    command: Literal["score_answers"] = "score_answers"
    names: tuple[str, ...]
    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    answers: tuple[str, ...]
    types: tuple[JsonValue, ...]


class PackedArray(WirePart):
    """An array of a batch: its kind of numbers, its shape, and its bytes (little-endian) in base64."""

    dtype: Literal["int32", "float32"]
    shape: tuple[int, ...]
    data: Annotated[str, Field(repr=False)]


class Share(Command):
    """A replica's part of an iteration's batch: what it computes, with which random numbers; none at all is fine.

    ``update`` says that the gradients of all replicas are exchanged then, and the weights updated.
    """

    command: Literal["share"] = "share"
    iteration: int
    update: bool
    seed: Annotated[int, Field(ge=0)]
    parts: tuple[dict[str, PackedArray], ...]


class Reach(Command):
    """Asks a replica to open a connection to the next one, to see whether there is a way; ``over`` once all have:
    then it no longer listens, or who joins first would be let in at the wrong door."""

    command: Literal["reach"] = "reach"
    over: bool = False


class Join(Command):
    """Asks a replica to join the others in one group; all are asked at the same time."""

    command: Literal["join"] = "join"


class Align(Command):
    """Makes replicas alike: all take the ``state`` (weights and optimizer) of number 0. Or they ``collect`` what
    each has added up since the last update at number 0, which may ``hand_out`` such sums again."""

    command: Literal["align"] = "align"
    what: Literal["state", "collect", "hand_out"]


AnyCommand: TypeAlias = (
    Stop | Pause | Resume | Park | Save | Ask | AskAll | LoadAdapters | ShowExample | SearchExamples | Configure
    | ReadRows | SaveRows | SurveyRows | GiveToken | ScoreAnswers | Share | Reach | Join | Align
)  # fmt: skip


def asked_together(chats: Iterable[Iterable[Mapping[str, str]]], **settings: Any) -> AskAll:
    """Several conversations asked of all columns, numbered from 0; ``settings`` are fields of `Question`."""
    questions = [Question(messages=chat_of(messages), **settings) for messages in chats]
    return AskAll(asks=tuple(Ask(request=number, question=question) for number, question in enumerate(questions)))


@cache
def _adapter() -> TypeAdapter[AnyCommand]:
    """Made when something is first read: the window opens before."""
    return TypeAdapter(Annotated[AnyCommand, Field(discriminator="command")])


COMMANDS: dict[str, type[AnyCommand]] = {
    kind.model_fields["command"].default: kind for kind in get_args(AnyCommand)
}


class EndOfInput(Command):
    """What a worker's own end of the wire says when nothing more can come: its parent has closed it, or is gone."""

    command: Literal["end_of_input"] = "end_of_input"


class Refused(Command):
    """What a worker's own end of the wire makes of a line that is no command: why not, and what it was."""

    command: Literal["refused"] = "refused"
    reason: str
    tree: dict[str, Any]


def parse_command(tree: Any) -> AnyCommand:
    """The command of a JSON value. Raises `RefusedError` in words."""
    name = tree.get("command") if isinstance(tree, dict) else None
    if not isinstance(name, str):
        raise RefusedError(tr("What was told names no command."))
    if name not in COMMANDS:
        raise RefusedError(tr("There is no command `{name}`.", name=name[:100]))
    try:
        return _adapter().validate_python(tree)
    except ValidationError as error:
        raise RefusedError(refusal_text(tr("the command `{name}`", name=name), error)) from error


def heard_command(line: str) -> Command:
    """The command of one line, or a `Refused` that says why it is none."""
    tree = None
    try:
        tree = parsed_json(line)
        return parse_command(tree)
    except RefusedError as error:
        return Refused(reason=str(error), tree=tree if isinstance(tree, dict) else {})
    except ValueError as error:
        return Refused(reason=tr("What was told is no JSON: {error}.", error=error), tree={})
