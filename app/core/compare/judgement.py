"""Judgements: votes for the better of several answers, kept on disk as one JSON line each, and their tally."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from app.core.compare.candidate import Candidate, weights_mark
from app.core.compare.statistic import Interval, sign_test, wilson
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.quantity import plural, rough_share_text
from app.core.system import place
from app.core.system.atomic_file import write_bytes, write_text
from app.core.system.disk import flush_to_disk
from app.core.visible import writable_text

Outcome = Literal["win", "tie", "all_bad"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "all_bad")
RESULTS = {"win": "lost", "tie": "tie", "all_bad": "bad"}  # of a candidate that was not chosen
CERTAIN = 0.05
QUESTION_KEYS = ("model", "messages")  # of a vote's question: what was asked, and of which base

_writing = threading.Lock()


def vote_file() -> Path:
    """Where votes are kept."""
    return place.data_dir() / "votes.jsonl"


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate as it was judged: its name then, and what it was. ``weights`` is the `weights_mark` of what lies
    there now; that of the weights that a vote was given on is in its question."""

    label: str
    adapter: str | None = None
    run: str | None = None
    weights: str = field(default="", compare=False)

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        run = str(candidate.run) if candidate.run else None
        return cls(candidate.title, candidate.identity, run, weights_mark(candidate))


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote. ``answers`` stand in the order of ``candidates``, ``shown[column]`` is the candidate of a column.

    ``question`` has the model, the messages and everything that decides an answer, as plain JSON; ``winner`` is the
    number of a candidate, None unless the outcome is ``win``. ``time`` is seconds since 1970, UTC.
    """

    question: dict[str, Any]
    candidates: tuple[Judged, ...]
    answers: tuple[str, ...]
    outcome: Outcome
    winner: int | None = None
    blind: bool = False
    shown: tuple[int, ...] = ()
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Raises `ValueError` for a vote that contradicts itself."""
        if len(self.answers) != len(self.candidates) or len(self.candidates) < 2:
            raise ValueError(tr("a vote has two or more candidates, and an answer of each"))
        if self.outcome not in OUTCOMES:
            raise ValueError(tr("{outcome!r} is no outcome of a vote", outcome=self.outcome))
        if (self.outcome == "win") != (self.winner is not None):
            raise ValueError(tr("a vote has a winner exactly if somebody won"))
        if self.winner is not None and not 0 <= self.winner < len(self.candidates):
            raise ValueError(tr("the winner is none of the candidates"))

    @property
    def key(self) -> frozenset[str]:
        """What was compared, whatever the order: votes with the same key are counted together."""
        return comparison_key(str(self.question.get("model", "")), [c.adapter for c in self.candidates])

    def judges_same(self, other: Vote) -> bool:
        """Whether both judge the same answers of the same candidates to the same question.

        How tokens were chosen is no part of that: the answers are what was looked at.
        """
        return (
            self.answers == other.answers
            and [one.adapter for one in self.candidates] == [one.adapter for one in other.candidates]
            and [self.question.get(key) for key in QUESTION_KEYS]
            == [other.question.get(key) for key in QUESTION_KEYS]
        )

    def is_of_others(self, weights: dict[str | None, str]) -> bool:
        """Whether an answer was given by other ``weights`` than these, the marks of adapters; False where either
        was not noted."""
        noted = self.question.get("weights")
        then = noted if isinstance(noted, list) and len(noted) == len(self.candidates) else []
        pairs = zip(self.candidates, then, strict=False)
        return any(mark and weights.get(one.adapter, mark) != mark for one, mark in pairs)

    @property
    def prompt(self) -> str:
        """The last message of the conversation."""
        messages = self.question.get("messages")
        last = messages[-1] if isinstance(messages, (list, tuple)) and messages else {}
        return str(last.get("content", "")) if isinstance(last, dict) else ""

    def result(self, candidate: int) -> str:
        """``won``, ``lost``, ``tie`` or ``bad``."""
        return "won" if candidate == self.winner else RESULTS[self.outcome]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` reads it."""
        return {
            "time": self.time,
            "question": self.question,
            "candidates": [{"label": c.label, "adapter": c.adapter, "run": c.run} for c in self.candidates],
            "answers": list(self.answers),
            "outcome": self.outcome,
            "winner": self.winner,
            "blind": self.blind,
            "shown": list(self.shown),
        }

    @classmethod
    def from_dict(cls, tree: Any) -> Self:
        """Raises `ValueError` for what is no vote."""
        try:
            return cls(
                question=dict(tree["question"]),
                candidates=tuple(
                    Judged(str(c["label"]), _path(c["adapter"]), _path(c.get("run"))) for c in tree["candidates"]
                ),
                answers=tuple(str(answer) for answer in tree["answers"]),
                outcome=tree["outcome"],
                winner=None if tree["winner"] is None else int(tree["winner"]),
                blind=bool(tree["blind"]),
                shown=tuple(int(number) for number in tree.get("shown", ())),
                time=float(tree["time"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(tr("this is no vote: {error!r}", error=error)) from error


def _path(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(tr("{value!r} is no path", value=value))


def comparison_key(model: str, adapters: Iterable[str | None]) -> frozenset[str]:
    """What identifies a comparison: the base model and the adapters on it (None is the base itself)."""
    return frozenset([f"model:{model}", *_told_apart(adapters)])


def _told_apart(adapters: Iterable[str | None]) -> list[str]:
    """A name for each of the adapters: one that stands in several columns is its first, its second, ….

    Whoever compares a model with itself, to see what is chance, has votes for one column and for the other.
    """
    seen: Counter[str] = Counter()
    names = []
    for adapter in adapters:
        name = adapter or "base"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}\n{seen[name]}")
    return names


@dataclass(frozen=True, slots=True)
class Votes:
    """What a file of votes holds; ``broken`` counts lines that are no votes."""

    votes: tuple[Vote, ...] = ()
    broken: int = 0

    def of(self, key: frozenset[str]) -> tuple[Vote, ...]:
        """The votes of one comparison, oldest first."""
        return tuple(vote for vote in self.votes if vote.key == key)

    def given_on(self, vote: Vote) -> Vote | None:
        """The vote that was given last on what another one judges."""
        return next((one for one in reversed(self.votes) if one.judges_same(vote)), None)

    def with_last(self, vote: Vote) -> Votes:
        """These with one more, in the place of those on the same answers."""
        return Votes((*(one for one in self.votes if not one.judges_same(vote)), vote), self.broken)


class VoteBook:
    """The file of votes: read whole, appended to, a vote put in another's place, and emptied on request."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else vote_file()

    def read(self) -> Votes:
        """All votes, oldest first; broken lines are left out and counted. Raises `OSError` if it cannot be read."""
        if not self.path.exists():
            return Votes()
        votes: list[Vote] = []
        broken = 0
        for line in self.path.read_bytes().splitlines():
            vote = _parsed(line)
            if vote is not None:
                votes.append(vote)
            elif line.strip():
                broken += 1
        return Votes(tuple(votes), broken)

    def add(self, vote: Vote) -> None:
        """Appends one line in one write, and waits until it is on disk.

        What a crash left of a line before it is closed first, so that it costs nothing but itself.
        """
        line = _line(vote)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _writing, self.path.open("ab+") as file:
            if file.tell() and not _ends_with_newline(self.path):
                line = b"\n" + line
            file.write(line)
            file.flush()
            flush_to_disk(file.fileno())

    def change(self, vote: Vote) -> None:
        """Puts a vote in the place of those on the same answers, which go: the file is written anew, or not at all.

        All other lines stay as they are, broken ones too. Raises `OSError`.
        """
        with _writing:
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
            kept = [line + b"\n" for line in lines if not _is_same(line, vote)]
            write_bytes(self.path, b"".join([*kept, _line(vote)]))

    def forget(self, key: frozenset[str] | None = None) -> int:
        """Takes out the votes of one comparison, or all, broken lines too; gives how many votes went."""
        with _writing:
            before = self.read()
            if key is None:
                self.path.unlink(missing_ok=True)
                return len(before.votes)
            gone = len(before.of(key))
            if gone:
                lines = self.path.read_bytes().splitlines(keepends=True)
                write_bytes(self.path, b"".join(line for line in lines if not _is_of(line, key)))
            return gone


def _parsed(line: bytes) -> Vote | None:
    try:
        return Vote.from_dict(parsed_json(line))
    except ValueError:
        return None


def _line(vote: Vote) -> bytes:
    return json.dumps(vote.as_dict(), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _is_same(line: bytes, vote: Vote) -> bool:
    found = _parsed(line)
    return found is not None and found.judges_same(vote)


def _is_of(line: bytes, key: frozenset[str]) -> bool:
    vote = _parsed(line)
    return vote is not None and vote.key == key


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate did: ``rate`` is its share of all votes won, with Wilson's 95 % interval."""

    candidate: Judged
    wins: int
    rate: Interval


@dataclass(frozen=True, slots=True)
class Tally:
    """The count of the votes of one comparison. ``p_value`` is the sign test's; None unless two are compared.

    ``earlier`` are votes on answers of weights that lay where there are others now.
    """

    standings: tuple[Standing, ...]
    votes: int
    blind: int
    ties: int
    all_bad: int
    p_value: float | None = None
    earlier: int = 0

    def verdict(self) -> str:
        """What the votes say in a sentence; empty where there is none. Votes on other weights are told."""
        said = self._outcome()
        if not self.earlier:
            return said
        return tr(
            "{said} Of these votes {earlier:,} were given on earlier weights in the same place.",
            said=said,
            earlier=self.earlier,
        )

    def _outcome(self) -> str:
        if not self.votes:
            return ""
        leader = max(self.standings, key=lambda one: one.wins)
        if [one.wins for one in self.standings].count(leader.wins) > 1:
            return tr("No candidate is ahead.")
        won = tr(
            "{label} won {wins:,} of {votes}",
            label=leader.candidate.label,
            wins=leader.wins,
            votes=plural(self.votes, "vote"),
        )
        if self.p_value is not None:
            sure = tr("beyond chance") if self.p_value < CERTAIN else tr("could be chance")
            return tr("{won}; {sure} (sign test, p {p_text}).", won=won, sure=sure, p_text=_p_text(self.p_value))
        others = [one.rate.high for one in self.standings if one is not leader]
        return tr(
            "{won}; {value}.",
            won=won,
            value=tr("beyond chance") if leader.rate.low > max(others) else tr("could be chance"),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "votes": self.votes,
            "blind": self.blind,
            "ties": self.ties,
            "all_bad": self.all_bad,
            "earlier_weights": self.earlier,
            "p_value": self.p_value,
            "verdict": self.verdict(),
            "candidates": [
                {
                    "label": one.candidate.label,
                    "adapter": one.candidate.adapter,
                    "wins": one.wins,
                    "win_rate": one.rate.value,
                    "low": one.rate.low,
                    "high": one.rate.high,
                }
                for one in self.standings
            ],
        }


def tally(votes: Sequence[Vote], candidates: Sequence[Judged]) -> Tally:
    """Counts votes on ``candidates`` (all votes of one comparison), in their order."""
    wins = [0] * len(candidates)
    weights = {one.adapter: one.weights for one in candidates if one.weights}
    numbers = {name: number for number, name in enumerate(_told_apart(one.adapter for one in candidates))}
    for vote in votes:
        if vote.winner is not None:
            wins[numbers[_told_apart(one.adapter for one in vote.candidates)[vote.winner]]] += 1
    standings = tuple(
        Standing(candidate, won, wilson(won, len(votes))) for candidate, won in zip(candidates, wins, strict=True)
    )
    return Tally(
        standings,
        votes=len(votes),
        blind=sum(vote.blind for vote in votes),
        ties=sum(vote.outcome == "tie" for vote in votes),
        all_bad=sum(vote.outcome == "all_bad" for vote in votes),
        p_value=sign_test(wins[0], wins[1]) if len(wins) == 2 else None,
        earlier=sum(vote.is_of_others(weights) for vote in votes),
    )


# -- export ---------------------------------------------------------------------------------------------------


def export(votes: Sequence[Vote], candidates: Sequence[Judged], path: Path) -> None:
    """Writes votes and tally as CSV (one row an answer), JSON or Markdown, by the suffix. Raises `ValueError`."""
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ValueError(tr("{name}: votes are exported as {writers}.", name=path.name, writers=", ".join(WRITERS)))
    # Half a character, of a prompt that was typed just now, is no UTF-8.
    write_text(path, writable_text(writer(votes, candidates)))


def as_csv(votes: Sequence[Vote], _candidates: Sequence[Judged]) -> str:
    """One row an answer, with what was asked and how it fared."""
    text = io.StringIO()
    # Every text is quoted: a lone carriage return would be the end of a row to whoever reads it.
    out = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    out.writerow(["vote", "time", "blind", "prompt", "candidate", "adapter", "column", "result", "answer"])
    for number, vote in enumerate(votes, 1):
        for index, (candidate, answer) in enumerate(zip(vote.candidates, vote.answers, strict=True)):
            column = vote.shown.index(index) + 1 if index in vote.shown else index + 1
            start = [number, _moment(vote), "yes" if vote.blind else "no", vote.prompt]
            out.writerow([*start, candidate.label, candidate.adapter or "", column, vote.result(index), answer])
    return text.getvalue()


def as_json(votes: Sequence[Vote], candidates: Sequence[Judged]) -> str:
    """Everything that is known of the votes, and their tally."""
    tree = {"tally": tally(votes, candidates).as_dict(), "votes": [vote.as_dict() for vote in votes]}
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


def votes_markdown(votes: Sequence[Vote], candidates: Sequence[Judged]) -> str:
    """The tally as a table, then each vote with its question and answers."""
    counted = tally(votes, candidates)
    lines = [
        tr("# Votes"),
        "",
        counted.verdict() or tr("No votes."),
        "",
        tr("| candidate | wins | share | 95 % interval |"),
    ]
    lines.append("|---|---:|---:|---:|")
    for one in counted.standings:
        span = tr("{low} to {high}", low=rough_share_text(one.rate.low), high=rough_share_text(one.rate.high))
        lines.append(f"| {_cell(one.candidate.label)} | {one.wins} | {rough_share_text(one.rate.value)} | {span} |")
    lines += [
        "",
        tr(
            "{votes}, {blind:,} blind, {ties}, {all_bad:,} all bad.",
            votes=plural(counted.votes, "vote"),
            blind=counted.blind,
            ties=plural(counted.ties, "tie"),
            all_bad=counted.all_bad,
        ),
    ]
    for number, vote in enumerate(votes, 1):
        lines += [
            "",
            tr(
                "## {number} · {moment}{value}",
                number=number,
                moment=_moment(vote),
                value=tr(" · blind") if vote.blind else "",
            ),
            "",
            _fenced(vote.prompt),
        ]
        for index, answer in enumerate(vote.answers):
            said = f"**{_line_of(vote.candidates[index].label)}** ({vote.result(index)})"
            lines += ["", said, "", _fenced(answer)]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Sequence[Vote], Sequence[Judged]], str]] = {
    ".csv": as_csv,
    ".json": as_json,
    ".md": votes_markdown,
}


def _moment(vote: Vote) -> str:
    try:
        return datetime.fromtimestamp(vote.time).astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # of a line that was damaged
        return ""


def _p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"


def _cell(text: str) -> str:
    return _line_of(text).replace("|", "\\|")


def _line_of(text: str) -> str:
    return " ".join(text.splitlines())


def _fenced(text: str) -> str:
    """As it is, in a fence longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
