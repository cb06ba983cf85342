"""The programs that services give their users: run with lists of words, with secrets in their environment only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of

_LAST_WORDS = 400


def program_problem(program: str, label: str, how: str) -> list[Problem]:
    """That a program is not here, with how it gets here."""
    if shutil.which(program) is not None:
        return []
    said = tr("{label}'s program `{program}` is not on this machine.", label=label, program=program)
    return [Problem("place", said, hint=how)]


def program_environment(secrets: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with those secrets that are known: they are seen in no list of processes."""
    return dict(os.environ) | {name: value for name, value in secrets.items() if value}


def run_client(
    words: list[str], label: str, secrets: Mapping[str, str] | None = None, given: str = "", at: Path | None = None
) -> str:
    """What a program prints. Raises `UnusableError` with its last words where it fails."""
    try:
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, check=False, cwd=at,
            env=program_environment(secrets or {}), errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise UnusableError(
            [
                Problem(
                    "place", tr("`{words}` cannot be run: {reason_of}.", words=words[0], reason_of=reason_of(error))
                )
            ]
        ) from error
    if done.returncode:
        raise UnusableError([Problem("place", f"{label}: {last_words(done.stdout + chr(10) + done.stderr)}")])
    return done.stdout


def last_words(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else tr("it ended without a word"))[:_LAST_WORDS]
