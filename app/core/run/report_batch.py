"""Reports that follow each other in a file of events, read into columns: a long run is hardly anything else.

An event's model costs more than all that a curve needs of it. So what a line says is looked at once for each
*shape* (keys and types of values), and a line of a known shape is taken as it is. Whatever is odd in the least is
left to `app.core.protocol.event`: what comes out is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from app.core.json_text import parsed_json
from app.core.protocol.event import ODD_NUMBER, TrainReported

REPORT_START = b'{"type": "train_reported"'  # as every version has written it
NOT_JSON = (b"NaN", b"Infinity")  # numbers of Python's JSON, which a stricter reader does not know
SHAPES_KEPT = 500
NUMBERS = frozenset((float, int))
# Which types a value may have to be taken as it is, by what the event says that it is.
PLAIN_TYPES: dict[object, frozenset[type]] = {
    int: frozenset((int,)),
    float: NUMBERS,
    float | None: NUMBERS | {type(None)},
    list[float]: frozenset((list,)),
    dict[str, float]: frozenset((dict,)),
}
# The columns of `ReportBatch.columns`. One that was not told is 0, as one that is not known is written.
REPORT_COLUMNS = (
    "epoch", "trained_tokens", "elapsed_s", "learning_rate", "grad_norm", "tokens_per_second", "peak_memory_gb"
)  # fmt: skip

ReportShape = tuple[tuple[str, ...], tuple[type, ...]]


class ReportBatch:
    """Reports one after the other, until somebody takes them all at once."""

    def __init__(self) -> None:
        self._plain: set[ReportShape] = set()
        self.clear()

    def clear(self) -> None:
        """Begins anew; what a line may look like stays known."""
        self.iterations: list[int] = []
        self.losses: list[float] = []
        self.counts: list[int] = []  # of losses, by report
        self.figures: dict[str, tuple[list[int], list[float]]] = {}  # by name: of which reports, and what they say
        self._rows: list[tuple[float, ...]] = []
        self._trees: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.iterations)

    @property
    def columns(self) -> npt.NDArray[np.float64]:
        """What the reports tell (columns, reports), in the order of `REPORT_COLUMNS`."""
        return np.array(self._rows, dtype=float).reshape(-1, len(REPORT_COLUMNS)).T

    def tree(self, index: int) -> dict[str, Any]:
        """All that one report says."""
        return self._trees[index]

    def take(self, line: bytes) -> bool:
        """Takes a line in if it is a report as they all are; False leaves it to whoever asks."""
        if not line.startswith(REPORT_START):
            return False
        tree = _read(line)
        if tree is None:
            return False
        shape = (tuple(tree), tuple(map(type, tree.values())))
        if shape not in self._plain and not self._is_plain(shape):
            return False
        iteration, tokens = tree["iteration"], tree["trained_tokens"]
        losses, figures = tree.get("losses") or [tree["train_loss"]], tree.get("figures")
        if not (-ODD_NUMBER < iteration < ODD_NUMBER and -ODD_NUMBER < tokens < ODD_NUMBER):
            return False
        if not NUMBERS.issuperset(map(type, losses)) or (
            figures and not NUMBERS.issuperset(map(type, figures.values()))
        ):
            return False
        for name, value in figures.items() if figures else ():
            indices, values = self.figures.setdefault(name, ([], []))
            indices.append(len(self._rows))
            values.append(value)
        self.iterations.append(iteration)
        self.losses.extend(losses)
        self.counts.append(len(losses))
        get = tree.get
        self._rows.append(
            (
                get("epoch", 0.0),
                tokens,
                get("elapsed_s", 0.0),
                tree["learning_rate"],
                get("grad_norm") or 0.0,
                tree["tokens_per_second"],
                get("peak_memory_gb", 0.0),
            )
        )
        self._trees.append(tree)
        return True

    def _is_plain(self, shape: ReportShape) -> bool:
        """Whether every field that a report has is there, or may be left out, and is of its own type."""
        types = dict(zip(*shape, strict=True))
        for name, field in TrainReported.model_fields.items():
            if name == "type":
                continue
            if name not in types:
                if field.is_required():
                    return False
            elif types[name] not in PLAIN_TYPES.get(field.annotation, ()):
                return False
        if len(self._plain) >= SHAPES_KEPT:
            self._plain.clear()
        self._plain.add(shape)
        return True


def _read(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for what is left to others: no JSON, or whole numbers that no float may hold."""
    try:
        tree: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        if not any(word in line for word in NOT_JSON):
            return None
        try:
            tree = parsed_json(line)
            for value in (*tree.values(), *tree.get("losses", ()), *tree.get("figures", {}).values()):
                if type(value) is int and abs(value) >= ODD_NUMBER:
                    return None
        except (ValueError, AttributeError, TypeError):
            return None
    return tree if tree.get("type") == "train_reported" else None  # a key may stand twice: the last one counts
