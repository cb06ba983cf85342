"""A kept comparison: a whole Compare session as a file of JSON lines, which outlives the window and a crash.

The first line is the head: who is compared on which base, what was asked and how, and which page was shown. Every
line after it is a page. So a list of comparisons reads one line of each, a window reads pages between two frames,
and what is damaged costs no more than itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core.compare.candidate import BASE, LEAST_COLUMNS, MOST_COLUMNS, Candidate, candidate_of
from app.core.compare.conversation import Conversation, Reply, Turn
from app.core.compare.judgement import Vote
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Answered
from app.core.quantity import plural
from app.core.system.title import path_title

COMPARISON_VERSION = 1
KIND = "comparison"  # what the file says it is
LAST_MOMENT = 32_503_680_000.0  # the year 3000, in seconds since 1970: no clock says later, and calendars end
HIGHEST = 1_000_000_000  # px: what Qt can count
LONGEST_PATH, LONGEST_PART = 1024, 255  # bytes; macOS's own, and longer ones only cause faults elsewhere
LABEL_SHOWN = 48  # characters of a candidate's label in a title
_UNFIT = {"type", "request", "column", "text", "done"}  # of a last piece: said by its place, or by the reply
_FIGURES = frozenset(Answered.model_fields) - _UNFIT


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """What stood in the question's card. ``settings`` are the sampler's numbers under mlx-lm's names, None where
    there was no number. ``prompt_file`` is the prompt set's file; ``held_out`` if the set was the run's own."""

    prompt: str = ""
    system: str = ""
    follows_up: bool = False
    settings: dict[str, float | int | None] = field(default_factory=dict)
    prompt_file: str = ""
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class ComparisonHead:
    """What is known of a kept comparison without its pages.

    ``key`` is its file's name. ``made``, ``answered`` (the last answer) and ``taken`` (this record) are seconds
    since 1970. ``asked`` counts the pages with answers, ``place`` is the one that was shown. ``order`` is that of
    the columns while a blind vote hides their names, else empty. ``scrolls`` are how far the columns' answers were
    scrolled (px). ``fault`` says why the file cannot be read.
    """

    key: str = ""
    made: float = 0.0
    answered: float = 0.0
    taken: float = 0.0
    base: str = ""
    columns: tuple[Candidate | None, ...] = (None, None)
    question: KeptQuestion = field(default_factory=KeptQuestion)
    asked: int = 0
    place: int = -1
    blind: bool = False
    order: tuple[int, ...] = ()
    scrolls: tuple[int, ...] = ()
    version: int = COMPARISON_VERSION
    fault: str = ""

    @property
    def title(self) -> str:
        """``qwen · support-faq r32 against base · 12 prompts``; no base where a name begins with it."""
        if self.fault:
            return self.key
        tuned = [one for one in self.columns if one is not None and not one.is_base]
        names = [_shortened(one.title) for one in tuned]
        has_base = any(one is not None and one.is_base for one in self.columns)
        if has_base and names:
            said = tr("{names} against base", names=", ".join(names))
        elif len(names) > 1:
            said = tr("{first} against {others}", first=names[0], others=", ".join(names[1:]))
        else:
            said = names[0] if names else BASE.label
        base = path_title(self.base)
        if base and not any(name.casefold().startswith(base.casefold()) for name in names):
            said = f"{base} · {said}"
        return f"{said} · {plural(self.asked, 'prompt')}"


@dataclass(frozen=True, slots=True)
class KeptComparison:
    """A comparison as it was at one moment. ``left_out`` counts lines of its file that could not be read."""

    head: ComparisonHead
    pages: tuple[Conversation, ...] = ()
    left_out: int = 0

    @property
    def has_answers(self) -> bool:
        """Whether there is anything that must not be lost."""
        return self.head.asked > 0

    @property
    def is_whole(self) -> bool:
        """False for a file of which this Luthier could not read all: it is left as it is."""
        return not self.left_out and self.head.version <= COMPARISON_VERSION

    @property
    def note(self) -> str:
        """What is to be said of a file that was not read whole; empty for one that was."""
        said = []
        if self.head.version > COMPARISON_VERSION:
            said.append(tr("It was kept by a newer Luthier: what this one does not know is left out."))
        if self.left_out:
            count = plural(self.left_out, "question")
            said.append(tr("Left out, since it cannot be read: {count}.", count=count))
        return " ".join(said)

    def is_same(self, other: KeptComparison) -> bool:
        """Whether it says the same as another one, whenever each was taken and whatever version wrote its file."""
        mine, its = (replace(one.head, key="", made=0, answered=0, taken=0, version=0) for one in (self, other))
        return mine == its and self.pages == other.pages


def kept_comparison(head: ComparisonHead, pages: Iterable[Conversation]) -> KeptComparison:
    """A comparison as it is now: the pages may be answered further, these copies of them are not."""
    copies = tuple(page.copied() for page in pages)
    return KeptComparison(replace(head, asked=_asked(copies)), copies)


def _asked(pages: Iterable[Conversation]) -> int:
    return sum(any(turn.has_begun for turn in page.turns) for page in pages)


def mark_judged(found: KeptComparison, votes: Iterable[Vote]) -> None:
    """Marks the pages on which a vote was kept after the comparison was: nobody judges one twice."""
    late = [vote for vote in votes if vote.time >= found.head.taken]
    for page in found.pages if late else ():
        asked, answers = page.asked(), tuple(page.answers)
        if any(vote.answers == answers and vote.question.get("messages") == asked for vote in late):
            page.last.judged = True


# -- writing --------------------------------------------------------------------------------------------------


def comparison_lines(kept: KeptComparison) -> Iterator[str]:
    """The file's lines, without their ends. ASCII: texts may hold what is no UTF-8."""
    yield json.dumps(_head_tree(kept))
    for page in kept.pages:
        yield json.dumps(_page_tree(page))


def _head_tree(kept: KeptComparison) -> dict[str, Any]:
    head, question = kept.head, kept.head.question
    return {
        "luthier": KIND,
        "version": COMPARISON_VERSION,
        "made": head.made,
        "answered": head.answered,
        "taken": head.taken,
        "base": head.base,
        "columns": [None if one is None else _candidate_tree(one) for one in head.columns],
        "question": {
            "prompt": question.prompt,
            "system": question.system,
            "follows_up": question.follows_up,
            "settings": question.settings,
            "prompt_file": question.prompt_file,
            "held_out": question.held_out,
        },
        "asked": head.asked,
        "place": head.place,
        "blind": head.blind,
        "order": list(head.order),
        "scrolls": list(head.scrolls),
    }


def _candidate_tree(one: Candidate) -> dict[str, Any]:
    adapter, run = (None if path is None else str(path) for path in (one.adapter, one.run))
    return {"label": one.label, "adapter": adapter, "run": run, "strength": one.strength}


def _page_tree(page: Conversation) -> dict[str, Any]:
    return {
        "opening": list(page.opening),
        "brings_system": page.brings_system,
        "turns": [
            {
                "prompt": turn.prompt,
                "judged": turn.judged,
                "settings": turn.settings,
                "weights": turn.weights,
                "replies": [_reply_tree(one) for one in turn.replies],
            }
            for turn in page.turns
        ],
    }


def _reply_tree(reply: Reply) -> dict[str, Any]:
    last = None if reply.last is None else reply.last.model_dump(exclude=_UNFIT, exclude_defaults=True)
    return {"text": reply.text, "last": last}


# -- reading --------------------------------------------------------------------------------------------------


def read_head(line: bytes, path: Path) -> ComparisonHead:
    """The head of a file from its first line. Raises `UnusableError` for what is none."""
    try:
        tree = parsed_json(line)
    except ValueError as error:
        raise _unreadable(path) from error
    if not isinstance(tree, dict) or tree.get("luthier") != KIND:
        raise _unreadable(path)
    columns = tuple(_candidate(one) for one in _list(tree.get("columns")))
    if len(columns) > MOST_COLUMNS:
        said = tr("It compares {count}, and this Luthier at most {most}.", count=len(columns), most=MOST_COLUMNS)
        raise UnusableError([Problem("comparison", said, file=str(path))])
    columns += (None,) * (LEAST_COLUMNS - len(columns))
    order = tuple(one for one in _list(tree.get("order")) if isinstance(one, int))
    scrolls = tuple(min(max(0, _whole(one)), HIGHEST) for one in _list(tree.get("scrolls")))
    return ComparisonHead(
        key=path.stem,
        made=_moment(tree.get("made")),
        answered=_moment(tree.get("answered")),
        taken=_moment(tree.get("taken")),
        base=_path_text(tree.get("base")),
        columns=columns,
        question=_question(tree.get("question")),
        asked=max(0, _whole(tree.get("asked"))),
        place=_whole(tree.get("place")),
        blind=tree.get("blind") is True,
        order=order if sorted(order) == list(range(len(columns))) else (),
        scrolls=scrolls,
        version=_whole(tree.get("version"), COMPARISON_VERSION),
    )


def read_comparison(path: Path) -> Iterator[KeptComparison | None]:
    """Reads a file a page at a time: None after each, the comparison at last.

    An answer that was still coming is read as stopped, and questions to which none had begun are left out, as when
    they are stopped. Raises `UnusableError` if there is no such file, or it does not say what it holds.
    """
    try:
        with path.open("rb") as file:
            head = read_head(file.readline(), path)
            pages: list[Conversation] = []
            left_out = place = 0
            for number, line in enumerate(file):
                try:
                    page = _page(parsed_json(line), head.columns)
                except ValueError:
                    left_out += bool(line.strip())
                    continue
                if page is not None:
                    place = len(pages) if number <= head.place else place
                    pages.append(page)
                yield None
    except OSError as error:
        said = tr("The kept comparison cannot be read: {error}.", error=error.strerror or error)
        raise UnusableError([Problem("comparison", said, file=str(path))]) from error
    yield KeptComparison(replace(head, place=place if pages else -1, asked=_asked(pages)), tuple(pages), left_out)


def present_candidate(kept: Candidate | None) -> Candidate | None:
    """The candidate as it is called today; where it is gone, as it was called."""
    if kept is None or kept.adapter is None:
        return None if kept is None else BASE
    return replace(candidate_of(kept.adapter), strength=kept.strength) if kept.adapter.exists() else kept


def _page(tree: Any, columns: tuple[Candidate | None, ...]) -> Conversation | None:
    """A page, or None for one to which no answer had begun. Raises `ValueError` for what is no page."""
    if not isinstance(tree, dict):
        raise ValueError
    opening = tuple(
        {"role": one["role"], "content": one["content"]}
        for one in _list(tree.get("opening"))
        if isinstance(one, dict) and isinstance(one.get("role"), str) and isinstance(one.get("content"), str)
    )
    turns = [_turn(one, len(columns)) for one in _list(tree.get("turns"))]
    while turns and not turns[-1].has_begun:
        turns.pop()
    # Whose system prompt it is was not always written: then none takes its place.
    brings_system = tree.get("brings_system") is not False and any(one["role"] == "system" for one in opening)
    return Conversation(list(columns), opening, turns, brings_system) if turns else None


def _turn(tree: Any, columns: int) -> Turn:
    if not isinstance(tree, dict) or not isinstance(tree.get("prompt"), str):
        raise ValueError
    if not isinstance(tree.get("replies"), list):
        raise ValueError
    replies = [_reply(one, column) for column, one in enumerate(tree["replies"][:columns])]
    replies += [Reply() for _ in range(columns - len(replies))]
    weights = [_text(one) for one in _list(tree.get("weights"))[:columns]]
    weights += [""] * (columns - len(weights))
    return Turn(tree["prompt"], replies, tree.get("judged") is True, _settings(tree.get("settings")), weights)


def _reply(tree: Any, column: int) -> Reply:
    """One column's answer; an answer that has no end was stopped with the window."""
    if not isinstance(tree, dict):
        raise ValueError
    text, last = _text(tree.get("text")), tree.get("last")
    if not isinstance(last, dict):
        last = {"finish_reason": "stopped"} if text else None
    return Reply(text, None if last is None else _last_piece(last, column))


def _last_piece(tree: dict[str, Any], column: int) -> Answered:
    figures = {name: value for name, value in tree.items() if name in _FIGURES and _is_plain(value)}
    if isinstance(tree.get("told"), dict):
        figures["told"] = tree["told"]
    try:
        return Answered(request=0, column=column, done=True, **figures)
    except ValidationError:
        return Answered(request=0, column=column, done=True, finish_reason=_text(tree.get("finish_reason")))


def _question(tree: Any) -> KeptQuestion:
    if not isinstance(tree, dict):
        return KeptQuestion()
    return KeptQuestion(
        prompt=_text(tree.get("prompt")),
        system=_text(tree.get("system")),
        follows_up=tree.get("follows_up") is True,
        settings=_settings(tree.get("settings")),
        prompt_file=_path_text(tree.get("prompt_file")),
        held_out=tree.get("held_out") is True,
    )


def _settings(tree: Any) -> dict[str, float | int | None]:
    """The sampler's numbers of a tree."""
    return {
        name: value
        for name, value in (tree.items() if isinstance(tree, dict) else ())
        if value is None or (_is_plain(value) and isinstance(value, int | float))
    }


def _candidate(tree: Any) -> Candidate | None:
    if not isinstance(tree, dict):
        return None
    label, adapter, run = _text(tree.get("label")), _path_text(tree.get("adapter")), _path_text(tree.get("run"))
    if not adapter:
        return None if tree.get("adapter") else BASE
    strength = _number(tree.get("strength"), 1.0)
    return Candidate(label or Path(adapter).name, Path(adapter), Path(run) if run else None, strength)


def _is_plain(value: Any) -> bool:
    """Texts, and numbers that can be shown; JSON knows others, too."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return -1e15 < value < 1e15  # not so of what is no number, nor of infinity
    return isinstance(value, str)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _path_text(value: Any) -> str:
    """A text that can be a path: no system takes every one."""
    text = _text(value)
    try:
        name = os.fsencode(text)
    except UnicodeEncodeError:
        return ""
    is_path = (
        b"\0" not in name and len(name) < LONGEST_PATH and all(len(n) <= LONGEST_PART for n in name.split(b"/"))
    )
    return text if is_path else ""


def _number(value: Any, otherwise: float = 0.0) -> float:
    return float(value) if _is_plain(value) and isinstance(value, int | float) else otherwise


def _moment(value: Any) -> float:
    found = _number(value)
    return found if 0 <= found < LAST_MOMENT else 0.0


def _whole(value: Any, otherwise: int = 0) -> int:
    return value if _is_plain(value) and isinstance(value, int) else otherwise


def _shortened(label: str) -> str:
    return label if len(label) <= LABEL_SHOWN else label[: LABEL_SHOWN - 1] + "…"


def _unreadable(path: Path) -> UnusableError:
    said, hint = tr("This is no kept comparison, or it is damaged."), tr("It was left as it is.")
    return UnusableError([Problem("comparison", said, hint=hint, file=str(path))])
