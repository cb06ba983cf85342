"""Limits on chat templates: they come with models, and are programs. One that prints for ever, loops, or multiplies
texts to gigabytes ends in a sentence.

jinja's sandbox bounds `range` only. Here its output is counted as it comes, products and powers are bounded, and
the processor time of a rendering is, by a timer of the system (`setitimer`), which also ends a loop that prints
nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from app.core.language import tr
from app.core.problem import Problem, UnusableError

MOST_CHARACTERS_RENDERED = 64_000_000  # of one conversation
MOST_SECONDS = 20.0  # of processor time, for one call of the template
SECONDS_A_CHAT = 0.1
_LARGEST_PRODUCT = 10_000_000  # characters or items
_LARGEST_BITS = 4096  # of a whole number


@contextmanager
def limited_template(chats: int = 1) -> Iterator[None]:
    """Renderings inside end in `UnusableError` when they take more than their time. In the main thread only: the
    system tells no other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _endless()

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS + SECONDS_A_CHAT * chats)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _endless() -> UnusableError:
    said = tr("The model's chat template comes to no end.")
    return UnusableError([Problem("model", said, hint=tr("Use the template of another copy of the model."))])


def _joined(pieces: Iterable[str]) -> str:
    """What jinja makes of the pieces that a template gives, up to the limit."""
    kept, length = [], 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length > MOST_CHARACTERS_RENDERED:
            raise _endless()
    return "".join(kept)


def _bounded(environment: SandboxedEnvironment, context: Any, operator: str, left: Any, right: Any) -> Any:
    """A product or a power, if it is of a size that a text can need."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _LARGEST_BITS:
            raise SecurityError(tr("the template works out a number of thousands of digits"))
    elif operator == "*":
        for one, other in ((left, right), (right, left)):
            is_text = isinstance(one, (str, list, tuple)) and isinstance(other, int)
            if is_text and len(one) * other > _LARGEST_PRODUCT:
                raise SecurityError(tr("the template makes a text of millions of characters"))
    return SandboxedEnvironment.call_binop(environment, context, operator, left, right)


# transformers makes a new environment of this class for each template.
_CLASS: Any = ImmutableSandboxedEnvironment
_CLASS.concat = staticmethod(_joined)
_CLASS.intercepted_binops = frozenset(("*", "**"))
_CLASS.call_binop = _bounded
