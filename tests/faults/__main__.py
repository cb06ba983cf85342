"""``python -m tests.faults``: every fault on real runs, and the table of what each cost."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from app.core.config.train_config import TrainConfig
from tests.faults import away, disk, kill, other, watchdog
from tests.faults.trained import HEAD, Outcome, undisturbed, written
from tests.worker.tiny_model import write_data, write_model

KILLS = 200
WINDOWS, DEATHS = 50, 50


def config_of(model: Path, data: Path, **more: object) -> TrainConfig:
    """A run of a few seconds that measures, saves and draws at random on the way."""
    return TrainConfig.model_validate(
        {
            "model": str(model), "data": str(data), "batch_size": 4, "iters": 12, "epochs": None,
            "learning_rate": 1e-3, "steps_per_report": 1, "steps_per_eval": 4, "save_every": 4, "seed": 3,
            "neutral_tokens": 0, "lora_parameters": {"rank": 2, "scale": 4.0, "dropout": 0.1},
        }
        | more
    )  # fmt: skip


def outcomes(folder: Path, kills: int, seed: int, only: str, short: bool) -> Iterator[Outcome]:
    """All faults, one kind after the other."""
    chance = random.Random(seed)
    model, data = write_model(folder / "model", layers=1), write_data(folder / "data")
    whole = undisturbed(config_of(model, data), folder / "whole")
    writes = written(whole.config, folder / "counted")
    # Fewer reports than iterations: each window reads all of them.
    endless = {"iters": 1_000_000, "steps_per_report": 20, "steps_per_eval": 1_000, "save_every": 1_000}
    long = config_of(model, data, early_stopping={"enabled": False}, **endless)
    # Without dropout, whose masks are drawn for each piece.
    plain = {"rank": 2, "scale": 4.0, "dropout": 0.0}
    cut = undisturbed(config_of(model, data, lora_parameters=plain), folder / "cut")
    kinds: tuple[tuple[str, Callable[[], Iterable[Outcome]]], ...] = (
        ("kill", lambda: kill.kills(whole, writes, folder, kills, chance)),
        ("disk", lambda: disk.disks(whole, folder, writes, short=short)),
        ("other", lambda: other.others(whole, folder, chance, short=short)),
        ("away", lambda: [away.left_alone(long, folder / "away", 3 if short else WINDOWS, chance)]),
        ("watchdog", lambda: watchdog.deaths(cut, writes, folder, 2 if short else DEATHS, chance)),
        ("alone", lambda: watchdog.alone(cut, writes, folder, 3 if short else DEATHS, chance)),
    )
    for name, made in kinds:
        if not only or name in only:
            yield from made()


def main() -> int:
    """Prints the table; 1 if a fault cost more than was promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how many in all ({KILLS})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few of some kinds, as the tests have them")
    parser.add_argument("--only", default="", help="only faults of which this is a part of the name")
    arguments = parser.parse_args()
    began, found = time.monotonic(), []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as place:
        os.environ["LUTHIER_HOME"] = f"{place}/home"
        for outcome in outcomes(Path(place), arguments.kills, arguments.seed, arguments.only, arguments.short):
            found.append(outcome)
            print(outcome.row(), flush=True)
    minutes = (time.monotonic() - began) / 60
    wrong = sum(not one.is_as_promised for one in found)
    print(f"\n{sum(one.times for one in found):,} faults in {minutes:.0f} minutes; {wrong} kinds not as promised")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
