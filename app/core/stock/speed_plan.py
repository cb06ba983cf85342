"""The plan of a speed table: which cases fit into the machine's memory, and how many rows into the time."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.model.inspection import Inspection
from app.core.quantity import bytes_text, short_count
from app.core.stock.speed_table import Measured

LEAST_ROWS, MOST_ROWS, MULTIPLE = 16, 128, 8
PILOT_ROWS = 8
# A whole alternation of an epoch in epochs of Luthier's: itself, stock at up to some three times as long, and stock
# sorted; the first epoch, which compiles, like a second one.
EPOCHS_OF_OURS = 2 * (1 + 3 + 1.5)
# Stock holds the logits of a whole batch in float32, with their gradient and what the loss makes of them.
LOGIT_COPIES = 3
ACTIVATION_BYTES = 70  # a position, layer and unit of width, as transformers without recomputation hold them


@dataclass(frozen=True, slots=True)
class Pilot:
    """A first short run of Luthier's: its figures, and seconds by the clock from start to end of its process."""

    measured: Measured
    elapsed_s: float
    rows: int

    @property
    def tokens_per_second(self) -> float:
        return self.measured.tokens / max(self.measured.epoch_s[1], 1e-6)

    @property
    def around_s(self) -> float:
        """What a worker takes besides its epochs."""
        return max(self.elapsed_s - sum(self.measured.wall_s), 0.0)


def rows_for(pilot: Pilot, seconds: float, cases: int, trainers: int = 3) -> int:
    """As many rows as let every case be measured once within the time, a multiple of the largest batch."""
    of_a_case = seconds / max(cases, 1) - (trainers + 1) * pilot.around_s
    tokens = max(of_a_case, 0.0) * pilot.tokens_per_second / EPOCHS_OF_OURS
    rows = int(tokens * pilot.rows / max(pilot.measured.tokens, 1))
    return min(max(rows // MULTIPLE * MULTIPLE, LEAST_ROWS), MOST_ROWS)


def stock_bytes(inspection: Inspection, batch_size: int, longest: int) -> int:
    """About what stock mlx-lm holds at its longest batch, which is padded to its longest row."""
    logits = LOGIT_COPIES * 4 * inspection.vocab_size
    layers = ACTIVATION_BYTES * inspection.hidden_size * max(inspection.num_layers, 1)
    return inspection.weight_bytes + batch_size * longest * (logits + layers)


def too_large(inspection: Inspection, batch_size: int, longest: int, working_set_bytes: float) -> str:
    """Why a case is left out, in a sentence; empty where it fits."""
    needed = stock_bytes(inspection, batch_size, longest)
    if needed <= working_set_bytes:
        return ""
    return (
        f"Batch {batch_size} is left out: stock mlx-lm would need about {bytes_text(needed)} for it, and this "
        f"machine has {bytes_text(working_set_bytes)} for MLX."
    )


def model_words(inspection: Inspection) -> str:
    """A model by its sizes, without its name: nobody's folder is told."""
    packed = f", {inspection.quantization}" if inspection.quantized else f", {inspection.dtype or 'float'}"
    return (
        f"{inspection.model_type or 'unknown'}, {short_count(inspection.total_parameters)} parameters{packed}, "
        f"{inspection.num_layers} layers, {inspection.hidden_size:,} wide, vocabulary of {inspection.vocab_size:,}"
    )


def data_words(origin: str, rows: int, tokens: int) -> str:
    """Data by their sizes."""
    return f"{origin}: {rows} of {tokens:,} tokens in all"
