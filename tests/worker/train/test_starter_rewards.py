"""On the starter rewards rise beyond doubt; two methods stand for all, `packaging/method_table.py` has them.

A file of its own, so that it runs beside the other methods.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.method.table import METHODS
from tests.worker.train.test_starter_methods import script, train_here

# A trial has 60 iterations of 3e-4: too long for a test. At 1e-3 it is the machine's rounding that decides whether
# Online DPO learns in 12; with these the change is of 4.1 to 7.5 standard errors, over seeds and two libraries.
RATE = 6e-4
ANSWERS = 4  # to each of the problems; their standard error is known


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iters"), [("grpo", 8), ("online_dpo", 16)])
def test_the_reward_rises_on_problems_that_no_run_has_seen(name: str, iters: int, tmp_path: Path) -> None:
    faster = {"iters": iters, "learning_rate": RATE}
    row = script().run_method(METHODS[name], tmp_path / "run", train=train_here, answers=ANSWERS, **faster)
    assert row.after > row.before
    assert row.change_in_errors > 2
