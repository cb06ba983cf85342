"""On the starter rewards rise: they take longer to do so beyond doubt, and two methods stand for all.

`packaging/method_table.py` has them. A file of its own, so that it runs beside the other methods.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.method.table import METHODS
from tests.worker.train.test_starter_methods import script


@pytest.mark.slow
@pytest.mark.parametrize("name, iterations", [("grpo", 32), ("online_dpo", 40)])
def test_the_reward_rises_on_problems_that_no_run_has_seen(name: str, iterations: int, tmp_path: Path) -> None:
    row = script().run_method(METHODS[name], tmp_path / "run", iters=iterations)
    assert row.after > row.before
    assert row.change_in_errors > 2
