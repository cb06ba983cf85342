"""On the starter rewards rise beyond doubt; two methods stand for all, `packaging/method_table.py` has them.

A file of its own, so that it runs beside the other methods.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.method.table import METHODS
from tests.worker.train.test_starter_methods import script, train_here

FASTER = {"iters": 8, "learning_rate": 1e-3}  # a trial has 60 iterations of 3e-4: too long for a test
ANSWERS = 4  # to each of the problems; their standard error is known


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grpo", "online_dpo"])
def test_the_reward_rises_on_problems_that_no_run_has_seen(name: str, tmp_path: Path) -> None:
    row = script().run_method(METHODS[name], tmp_path / "run", train=train_here, answers=ANSWERS, **FASTER)
    assert row.after > row.before
    assert row.change_in_errors > 2
