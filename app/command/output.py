"""What the command line says: people read stdout as text, scripts read it as JSON and the exit code, and complaints
go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from app.core.problem import Problem, Severity, UnusableError
from app.core.system.plain_text import harmless_text

DONE, FAILED, UNUSABLE = 0, 1, 2

EXIT_CODES = {
    DONE: "done, or ended on request with what there is: a run saved, an answer or a table so far",
    FAILED: "failed, interrupted before there was a result, or not done beside a run that trains",
    UNUSABLE: "unusable arguments, config or data",
}


def exit_code_text() -> str:
    """All of them in one sentence."""
    return "Exit codes: " + "; ".join(f"{code} {said}" for code, said in EXIT_CODES.items()) + "."


class FailedError(Exception):
    """What a verb could not do (`FAILED`), told in a sentence."""


class ReaderGoneError(Exception):
    """Nobody reads stdout any more, as in ``luthier … | head``. No `OSError`, which typer takes for a failure.

    ``code`` is what the verb ends with then.
    """

    code = DONE


def say(text: str = "", *, start: str = "", end: str = "\n") -> None:
    """Prints to stdout at once; characters that the terminal's encoding lacks are replaced, never fatal.

    A terminal obeys what is in ``start`` and ``end``, and nothing in the text.
    """
    if sys.stdout is None:  # closed by the shell, as with >&-
        raise ReaderGoneError
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write((start + harmless_text(text) + end).encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGoneError from error


def remark(text: str) -> None:
    """Prints to stderr: what is about the answer, not the answer."""
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "utf-8"
    with suppress(OSError):  # nobody listens any more, as with 2>&-
        sys.stderr.write((harmless_text(text) + "\n").encode(encoding, "replace").decode(encoding))
        sys.stderr.flush()


def say_json(tree: Any) -> None:
    """Prints one JSON value on one line, ASCII only, so that no terminal encoding can break it."""
    say(json.dumps(tree))


def is_live() -> bool:
    """True if a person watches stdout: then lines may be drawn over."""
    return sys.stdout is not None and sys.stdout.isatty()


def complain(problems: Iterable[Problem]) -> None:
    """Every problem on a line of stderr, with its hint below."""
    for problem in problems:
        word = "note" if problem.severity is Severity.NOTE else str(problem.severity.value)
        where = f"{problem.where}: " if problem.where else ""
        # In a file the place is a line, which may hold more than one key.
        field = f"`{problem.path}`: " if problem.file and problem.path and problem.line is not None else ""
        remark(f"{word}: {where}{'' if field in problem.message else field}{problem.message}")
        if problem.hint:
            remark(f"  {problem.hint}")


def problem_tree(problem: Problem) -> dict[str, Any]:
    """A problem as plain JSON."""
    return {
        "path": problem.path,
        "file": problem.file,
        "line": problem.line,
        "severity": problem.severity.value,
        "message": problem.message,
        "hint": problem.hint,
    }


def error_tree(error: UnusableError) -> dict[str, Any]:
    """What a verb with ``--json`` prints instead of its result when it has none."""
    return {"error": str(error), "problems": [problem_tree(p) for p in error.problems]}


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints aligned columns: for a person with colour, and texts folded where the terminal is narrow; plain for a
    pipe. Columns of figures are set right."""
    right = [all(_is_figure(row[i]) for row in rows) for i in range(len(headers))]
    if is_live():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for header, numeric in zip(headers, right, strict=True):
            drawn.add_column(header, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
        for row in rows:
            drawn.add_row(*(Text(harmless_text(cell)) for cell in row))
        Console().print(drawn, soft_wrap=True)
        return
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [c.rjust(w) if numeric else c.ljust(w) for c, w, numeric in zip(row, widths, right, strict=True)]
        say("  ".join(cells).rstrip())


def _is_figure(cell: str) -> bool:
    return cell in ("", "–") or cell.replace(",", "").replace(".", "", 1).removesuffix("%").isdigit()


def near_misses(word: str, known: Iterable[str]) -> str:
    """A sentence that names what may have been meant; empty if nothing is like it."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(found)}?" if found else ""
