"""Answers of mlx-lm's server as OpenAI's protocol has them: a stop word ends one, and a fault ends no later ones.

mlx-lm ends an answer at a stop word only where the model says it in the very tokens that the word alone has. Said
in others, it is taken out of the text, which goes on. And what fails in the thread that generates ends the thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from queue import Queue
from typing import Any
from weakref import WeakSet

from mlx_lm.models.cache import LRUPromptCache
from mlx_lm.server import Response, ResponseGenerator


def until_stop(pieces: Iterable[Response], words: Sequence[str]) -> Iterator[Response]:
    """The pieces of an answer up to the stop word that is whole first; what may become one is held back."""
    held = ""
    for piece in pieces:
        if piece.finish_reason == "stop":  # what this piece says is not taken into the answer
            yield replace(piece, text=held, finish_reason=None) if held else piece
            return
        text = held + piece.text
        found = [(place + len(word), place) for word in words if (place := text.find(word)) >= 0]
        if found:
            yield replace(piece, text=text[: min(found)[1]], finish_reason=None)
            return
        keep = 0 if piece.finish_reason is not None else max((_begun(text, word) for word in words), default=0)
        held = text[len(text) - keep :]
        yield replace(piece, text=text[: len(text) - keep])


def _begun(text: str, word: str) -> int:
    """How many letters at the end of a text are the beginning of a word."""
    return next((size for size in range(min(len(text), len(word) - 1), 0, -1) if text.endswith(word[:size])), 0)


class _Requests(Queue[Any]):
    """Requests, with the queues on which their answers are awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: WeakSet[Queue[Any]] = WeakSet()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self.awaited.add(item[0])
        super().put(item, block, timeout)


class AnswerGenerator(ResponseGenerator):
    """mlx-lm's, which goes on after a fault: who waited for an answer is told, and the next one is answered."""

    def __init__(self, provider: Any, prompts: int) -> None:
        self._prompts = prompts
        super().__init__(provider, LRUPromptCache(prompts))
        self.requests = _Requests()  # nobody has asked yet

    def generate(self, request: Any, generation_args: Any, progress_callback: Any = None) -> Any:
        """Its context and its pieces, which end before a stop word."""
        words = generation_args.stop_words
        args = replace(generation_args, stop_words=[])
        context, pieces = super().generate(request, args, progress_callback)
        return context, until_stop(pieces, words) if words else pieces

    def _generate(self) -> None:
        while not self._stop:
            try:
                super()._generate()
            except Exception as error:
                logging.exception("An answer failed.")
                self.prompt_cache = LRUPromptCache(self._prompts)
                for awaited in list(self.requests.awaited):
                    awaited.put(error)
                self.requests.awaited.clear()
