"""What libraries raise reaches people as a sentence with cause and remedy, never as Python's names for it."""

from __future__ import annotations

import errno
import json
import re

import pytest

from app.core.problem import Problem, TaskError, UnusableError
from app.worker.process import free_memory
from app.worker.process.failure import told_failure
from app.worker.process.free_memory import check_address_space

RAISED = {
    "memory": (MemoryError(), "The memory is not enough"),
    "metal": (RuntimeError("[METAL] execution failed: Insufficient Memory"), "The memory is not enough"),
    "full": (OSError(errno.ENOSPC, "No space left", "/runs/a"), "disk is full: there was no room to write in"),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "/runs/a"), "/runs/a may not be read or written"),
    "gone": (FileNotFoundError(errno.ENOENT, "No such file", "/model/x"), "/model/x cannot be used: no such file"),
    "deep": (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
    "json": (json.JSONDecodeError("Expecting value", "x", 0), "should hold JSON does not"),
    "text": (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "should hold text does not"),
    "weights": (RuntimeError("[load_safetensors] Invalid json header length"), "A weight file is not whole"),
    "unknown": (KeyError("q_proj"), "in a way that Luthier does not know: 'q_proj'."),
    "silent": (RuntimeError(), "an error without a word"),
}  # fmt: skip


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("task", ["train", "inspect"])
def test_it_is_told_in_words(name: str, task: str) -> None:
    error, told = RAISED[name]
    found = told_failure(error, task)
    assert told in found.message
    assert found.hint
    assert not re.search(r"Traceback|Error\b", found.message + found.hint)
    assert found.unusable == (name in ("deep", "json", "text", "weights"))


def test_what_is_in_words_already_stays() -> None:
    problem = Problem("iters", "is too small.", hint="More.", file="a.yaml", line=3)
    found = told_failure(UnusableError([problem]), "train")
    assert (found.path, found.where, found.hint, found.unusable) == ("iters", "a.yaml:3", "More.", True)
    assert told_failure(TaskError("No.", "Yes.", 7), "train").iteration == 7


def test_too_little_address_space_is_told_before_arithmetic_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_address_space()
    monkeypatch.setattr(free_memory, "ARITHMETIC_BYTES", 1 << 60)
    with pytest.raises(MemoryError) as refused:
        check_address_space()
    assert told_failure(refused.value, "train").message == "The memory is not enough for this."
