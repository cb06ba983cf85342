"""What an export in few bits keeps of a small change by training, on a base of floats and on one of four bits.

``python tests/bench/bench_few_bits.py [--hidden N] [--iterations N]`` trains a base, then adapters that change it
little (`tests.worker.small_delta`), and exports each as `fused` in stock 4 and 8 bits and in tuned few bits. It
prints the bits a weight as mlx-lm counts them, and the share of the gain in held-out loss that is kept. The exit
code is 1 if the tuned ones keep less than 95 % or take more than 4.8 bits a weight, or if stock ones keep 95 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from mlx_lm import load
from mlx_lm.utils import compute_bits_per_weight

from app.core.export.certificate import LEAST_KEPT
from app.core.export.size import KEPT_AVERAGE, KEPT_NAME
from app.worker.export.tuned_model import TunedModel
from app.worker.packing.gain import HeldOutGain, run_examples
from tests.worker.export.exporting import run_export
from tests.worker.small_delta import SmallDelta, delta_share, packed_base, tuned_run, write_base

WAYS = ("4bit", "8bit", KEPT_NAME)


@dataclass(frozen=True, slots=True)
class Row:
    """One export: bits a weight, and the share of the gain that it keeps."""

    base: str
    way: str
    bits: float
    kept: float

    @property
    def passes(self) -> bool:
        if self.way == "4bit":
            return self.kept < LEAST_KEPT
        return self.way != KEPT_NAME or (self.kept >= LEAST_KEPT and self.bits <= KEPT_AVERAGE)


def quiet(_done: int, _total: int) -> None:
    """Tells nobody."""


def rows(name: str, case: SmallDelta, place: Path) -> Iterator[Row]:
    """Exports a run in each way and measures it on what the run did not see."""
    tuned = TunedModel(case.base, case.run.path / "adapters" / "adapters.safetensors")
    examples = run_examples(case.run.path, tuned.tokenizer, lambda *_, **__: quiet)
    assert examples is not None
    gain = HeldOutGain(examples.loss(tuned.use_base(), quiet), examples.loss(tuned.use_tuned(), quiet))
    print(f"{name}: loss {gain.base:.4f} to {gain.tuned:.4f}, at most {delta_share(tuned):.1%} of a matrix changed")
    for way in WAYS:
        options: dict[str, str | bool] = {"bits": way, "lossy": True}
        folder, _ = run_export(
            place, case.run.path, "fused", out=place / way, prompts=0, checkpoint="last", options=options
        )
        model, _ = load(str(folder))
        yield Row(name, way, compute_bits_per_weight(model), gain.kept(examples.loss(model, quiet)))


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=64, help="width of the base, in steps of 64")
    parser.add_argument("--iterations", type=int, default=300, help="of the base's own training")
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        floats = write_base(root, hidden_size=given.hidden, iterations=given.iterations)
        for name, base in (("floats", floats), ("4 bits", packed_base(floats, root / "packed"))):
            place = root / f"on-{name[0]}"
            place.mkdir()
            for row in rows(name, tuned_run(place, base), place):
                failed |= not row.passes
                print(f"  {row.way:8} {row.bits:6.3f} bits a weight {row.kept:8.1%} kept", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
