"""A terminal for a command that is run in the test's own process."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def typing(typed: str) -> Iterator[None]:
    """Somebody at a terminal who types this."""
    person, terminal = pty.openpty()
    os.write(person, typed.encode())
    with os.fdopen(terminal, encoding="utf-8") as stdin, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        yield
    os.close(person)
