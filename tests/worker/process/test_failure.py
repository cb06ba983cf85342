"""What libraries raise reaches people as a sentence with cause and remedy, never as Python's names for it."""

from __future__ import annotations

import errno
import json
import re

import pytest

from app.core.problem import Problem, TaskError, UnusableError
from app.core.system.place import cache_dir
from app.worker.process import free_memory
from app.worker.process.failure import told_failure
from app.worker.process.free_memory import check_address_space

RESUME = " The run's last saved state is whole: resume it then."
SMALLER = "Use a smaller batch or maximum length, or turn on gradient checkpointing."
# What is raised, the message, and what to do (of a run; elsewhere nothing is resumed).
RAISED = {
    "memory": (MemoryError(), "The memory is not enough for this.", SMALLER),
    "metal": (RuntimeError("[METAL] failed: Insufficient Memory"), "The memory is not enough for this.", SMALLER),
    "full": (OSError(errno.ENOSPC, "No space left", "/runs/a"),
             "The disk is full: there was no room to write in /runs/a.", f"Free some space.{RESUME}"),
    "full somewhere": (OSError(errno.EDQUOT, "Quota"),
                       "The disk is full: there was no room to write.", f"Free some space.{RESUME}"),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "/runs/a"),
               "/runs/a may not be read or written by you.", f"Change its permissions.{RESUME}"),
    "gone": (FileNotFoundError(errno.ENOENT, "No such file", "/model/x"),
             "/model/x cannot be used: no such file or directory.", f"Put it back, or choose another.{RESUME}"),
    "odd file": (OSError("it is odd"), "A file or folder cannot be used: it is odd.",
                 f"Put it back, or choose another.{RESUME}"),
    "deep": (RecursionError("maximum recursion depth exceeded"), "A file is nested too deeply to be read.",
             "Look at the file that was chosen last: model, data or config."),
    "json": (json.JSONDecodeError("Expecting value", "x", 0),
             "A file that should hold JSON does not: Expecting value: line 1 column 1 (char 0).",
             "Copy or download the model again."),
    "text": (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
             "A file that should hold text does not: 'utf-8' codec can't decode byte 0xff in position 0: "
             "invalid start byte.", "Copy or download it again."),
    "weights": (RuntimeError("[load_safetensors]  Invalid " + "header " * 20),
                "A weight file is not whole ([load_safetensors] Invalid " + "header " * 13 + "he).",
                "Copy or download it again."),
    "other weights": (ValueError("Error while deserializing header"),
                      "A weight file is not whole (Error while deserializing header).",
                      "Copy or download it again."),
    "unknown": (KeyError("q_proj"), "It failed in a way that Luthier does not know: 'q_proj'.", None),
    "long": (ValueError("so " * 200), f"It failed in a way that Luthier does not know: {'so ' * 100}.", None),
    "silent": (RuntimeError(), "It failed in a way that Luthier does not know: an error without a word.", None),
}  # fmt: skip


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("task", ["train", "inspect"])
def test_it_is_told_in_words(name: str, task: str) -> None:
    error, told, hint = RAISED[name]
    found = told_failure(error, task)
    assert found.message == told
    kept = f"The details are in {cache_dir() / 'last_error.txt'}."
    assert found.hint == (kept if hint is None else hint if task == "train" else hint.replace(RESUME, ""))
    assert not re.search(r"Traceback|Error\b", (found.message + found.hint).replace("Error while", ""))
    assert found.unusable == (name in ("deep", "json", "text", "weights", "other weights"))


def test_what_is_in_words_already_stays() -> None:
    problem = Problem("iters", "is too small.", hint="More.", file="a.yaml", line=3)
    found = told_failure(UnusableError([problem]), "train")
    assert (found.path, found.where, found.hint, found.unusable) == ("iters", "a.yaml:3", "More.", True)
    assert found.message == problem.sentence()
    several = told_failure(UnusableError([Problem("", "One."), problem]), "train")
    assert several.message == f"One.\n{problem.sentence()}"
    ended = told_failure(TaskError("No.", "Yes.", 7), "train")
    assert (ended.message, ended.hint, ended.iteration, ended.unusable) == ("No.", "Yes.", 7, False)


def test_too_little_address_space_is_told_before_arithmetic_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_address_space()
    monkeypatch.setattr(free_memory, "ARITHMETIC_BYTES", 1 << 60)
    with pytest.raises(MemoryError) as refused:
        check_address_space()
    assert told_failure(refused.value, "train").message == "The memory is not enough for this."
