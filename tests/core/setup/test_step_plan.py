"""The step plan: averages of a batch as counted, and what another batch or length makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.setup.memory_term import StepSize
from app.core.setup.step_plan import StepPlan


def config(**values: Any) -> TrainConfig:
    return TrainConfig().with_values({"batch_size": 8, "max_seq_length": 513} | values)


def plan(**values: Any) -> StepPlan:
    return StepPlan.counted(config(**values), [(2, 256, 256, 6), (8, 32, 128, 4)], 4)


def test_the_steps_of_a_batch_are_those_counted() -> None:
    assert plan().sizes(config()) == ((StepSize(2, 256, 256), 1.5), (StepSize(8, 32, 128), 1.0))


def test_without_a_count_it_is_the_batch_at_its_longest() -> None:
    assert StepPlan(config(), longest=101).sizes(config()) == ((StepSize(8, 128, 1024), 1.0),)


def test_only_a_step_that_none_covers_can_be_the_peak() -> None:
    found = StepPlan.counted(config(), [(4, 256, 900, 1), (4, 128, 400, 9), (1, 512, 100, 2)], 6)
    # 1 × 512 attends as much as 4 × 256, with fewer positions and targets.
    assert found.largest(config()) == (StepSize(4, 256, 900),)


def test_a_smaller_batch_has_the_same_work_in_more_pieces_of_fewer_rows() -> None:
    ((wide, wide_uses), (narrow, narrow_uses)) = plan().sizes(config(batch_size=4))
    assert (wide, narrow) == (StepSize(2, 256, 256), StepSize(4, 32, 64))
    assert [wide_uses, narrow_uses] == pytest.approx([0.75, 1.0])


def test_a_shorter_length_cuts_the_wide_steps() -> None:
    (wide, _), (narrow, _) = plan().sizes(config(max_seq_length=129))
    assert (wide.width, narrow.width) == (128, 32)


def test_rows_that_go_on_from_a_prefix() -> None:
    """With what they share, as far as length and batch go; then each with all of its own."""
    rows = [[6, 100, 90, 2, 300], [1, 400, 50, 1]]
    found = StepPlan.counted(config(), rows, 2)
    step = StepSize(6, 100, 90, 300)
    assert found.sizes(config())[0] == (step, 1.0)
    assert found.rows == rows
    assert (step.positions, step.attended) == (900, 6 * 100 * 400 + 300 * 300)
    assert step.whole == StepSize(6, 400, 90)
    assert StepSize(2, 10, 25, 5).whole == StepSize(2, 15, 30)  # every position is learned
    assert found.sizes(config(batch_size=4))[0] == (StepSize(4, 100, 70, 300), 0.75)
    assert found.sizes(config(max_seq_length=341))[0] == (StepSize(6, 40, 54, 300), 1.0)
    assert found.sizes(config(max_seq_length=257))[0] == (StepSize(1, 256, 26), 6.0)
    assert found.sizes(config(batch_size=1))[0] == (StepSize(1, 400, 40), 0.75)
    # 600 positions attend over 400 each, and 300 over themselves: more than one row of 400 does.
    assert found.largest(config()) == (step,)


def test_pairs_in_rows_of_their_own_stay_together() -> None:
    found = StepPlan.counted(config(train_mode="dpo"), [(16, 64, 512, 3)], 3)
    assert found.sizes(config(train_mode="dpo", batch_size=2)) == ((StepSize(4, 64, 128), 1.0),)
    assert found.sizes(config(train_mode="dpo", batch_size=1)) == ((StepSize(2, 64, 64), 1.0),)
    assert StepPlan(config(train_mode="dpo"), longest=900).sizes(config(train_mode="dpo"))[0][0].rows == 2
    pairs = config(train_mode="dpo")
    assert StepPlan(pairs, longest=900, labelled=True).sizes(pairs) == ((StepSize(2, 512, 1024), 1.0),)
    assert StepPlan(pairs, longest=900).sizes(pairs, 0.25) == ((StepSize(2, 512, 256), 1.0),)


def test_answers_with_a_label_each_are_rows_of_their_own() -> None:
    found = StepPlan.counted(config(train_mode="kto"), [(4, 64, 128, 8)], 4, labelled=True)
    assert found.sizes(config(train_mode="kto", batch_size=4)) == ((StepSize(4, 64, 128), 1.0),)
    assert found.sizes(config(train_mode="kto", batch_size=3)) == ((StepSize(3, 64, 96), 1.0),)


def test_a_plan_that_is_known_is_taken_before_another() -> None:
    bare = StepPlan(config(), longest=9)
    assert plan().or_else(bare) == plan()
    assert bare.or_else(plan()) == plan()
    assert plan().rows == [[2, 256, 256, 6], [8, 32, 128, 4]]
    assert plan().most_positions(config()) == 512
    assert StepPlan.counted(config(), [(2, 256, 256, 6)], 0).sizes(config())[0][1] == 6.0


def test_pairs_in_one_row_may_be_wider_than_one_answer() -> None:
    found = StepPlan.counted(config(train_mode="dpo"), [(1, 800, 400, 3), (6, 64, 100, 1)], 3)
    assert found.sizes(config(train_mode="dpo", batch_size=4)) == (
        (StepSize(1, 800, 400), 0.5), (StepSize(4, 64, 67), 0.25),
    )  # fmt: skip
    (cut, _), _ = found.sizes(config(train_mode="dpo", max_seq_length=257))
    assert (cut.rows, cut.width) == (1, 512)


def test_packed_rows_may_be_wider_than_the_longest_example() -> None:
    found = StepPlan.counted(config(batching="pack"), [(2, 768, 1000, 2)], 2)
    assert found.sizes(config(batching="pack")) == ((StepSize(2, 768, 1000), 1.0),)
    # Half the length makes rows of half the width, a longer one none wider.
    ((shorter, _),) = found.sizes(config(batching="pack", max_seq_length=257))
    assert shorter == StepSize(2, 385, 501)
    assert found.sizes(config(batching="pack", max_seq_length=4097)) == ((StepSize(2, 768, 1000), 1.0),)
    assert found.sizes(config(batching="pack", batch_size=4)) == ((StepSize(1, 768, 500), 1.0),)


def test_another_way_of_batching_is_not_known() -> None:
    assert plan().sizes(config(batching="file_order")) == ((StepSize(8, 512, 4096), 1.0),)


def test_answers_in_one_row_follow_the_groups_and_their_length() -> None:
    def sampled(**values: Any) -> TrainConfig:
        return config(
            **{"train_mode": "grpo", "batch_size": 2, "group_size": 8, "max_completion_length": 30} | values
        )

    # Two rows a prompt of 100 tokens, with four answers each.
    found = StepPlan.counted(sampled(), [(4, 220, 480, 3)], 3)
    assert found.sizes(sampled()) == ((StepSize(4, 220, 480), 1.0),)
    assert found.sizes(sampled(batch_size=3)) == ((StepSize(6, 220, 720), 1.0),)
    assert found.sizes(sampled(group_size=4)) == ((StepSize(4, 160, 240), 1.0),)
    assert found.sizes(sampled(max_completion_length=20)) == ((StepSize(4, 180, 320), 1.0),)
    apart = StepPlan.counted(sampled(), [(16, 130, 480, 3)], 3)
    assert apart.sizes(sampled(group_size=4)) == ((StepSize(8, 130, 240), 1.0),)
    assert apart.sizes(sampled(max_completion_length=40)) == ((StepSize(16, 140, 640), 1.0),)
