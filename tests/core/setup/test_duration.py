"""The duration of a run, term by term, against sums by hand; and the paces that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.model.module_group import Group
from app.core.setup.duration import SPARE_TIME, Extent, Pace, WorkCosts, duration, extent_of, work_costs
from app.core.setup.memory_term import StepSize
from app.core.setup.speed import keep_pace, kept_pace, speed_key
from app.core.setup.step_plan import StepPlan
from tests.core.inspections import llama

PACE = Pace(
    piece_s=0.5, unit_s=0.01, shape_s=3.0, start_s=7.0, reference_s=0.25, measure_unit_s=0.002, measure_s=1.0,
    save_s=2.0, token_s=0.1, answers=8,
)  # fmt: skip


def config(**values: Any) -> TrainConfig:
    plain = {"batch_size": 4, "early_stopping.enabled": False, "save_every": 40, "steps_per_eval": 30}
    return TrainConfig().with_values(plain | values)


def test_each_part_of_a_supervised_run() -> None:
    chosen = config()
    # Two pieces a batch: 2 × 50 and 2 × 25 positions, in a head that costs half a position: 100 + 20 and 50 + 10.
    steps = StepPlan.counted(chosen, [(2, 50, 40, 10), (2, 25, 20, 10)], 10)
    found = duration(chosen, PACE, WorkCosts(head=0.5), steps, Extent(100, measured=16, train=40, valid=16))
    assert found.steps == pytest.approx(100 * (2 * 0.5 + 180 * 0.01))
    assert found.compiling == 2 * 3.0
    # Before, at 30, 60 and 90, and at the end; an example is 45 units of work.
    assert found.measuring == pytest.approx(5 * (1.0 + 16 * 45 * 0.002))
    assert found.saving == (2 + 1) * 2.0
    assert (found.start, found.reference, found.sampling) == (7.0, 0.0, 0.0)
    assert found.total == pytest.approx(sum(found.parts.values()))
    assert not found.is_most


def test_a_run_that_may_stop_early_takes_at_most_that() -> None:
    chosen = config(**{"early_stopping.enabled": True})
    found = duration(chosen, PACE, WorkCosts(), StepPlan(chosen), Extent(10, measured=4, train=40, valid=4))
    assert found.is_most
    assert found.total == pytest.approx(SPARE_TIME * sum(found.parts.values()))


def test_a_reference_reads_every_answer_first() -> None:
    pairs = config(train_mode="dpo")
    extent = Extent(10, train=100, valid=20)
    assert duration(pairs, PACE, WorkCosts(), StepPlan(pairs), extent).reference == 2 * 120 * 0.25
    labelled = StepPlan(pairs, labelled=True)
    assert duration(pairs, PACE, WorkCosts(), labelled, extent).reference == 120 * 0.25
    without = config(train_mode="orpo")
    assert duration(without, PACE, WorkCosts(), StepPlan(without), extent).reference == 0


def test_sampled_answers_count_as_long_as_they_may_become() -> None:
    chosen = config(
        train_mode="grpo", group_size=8, batch_size=1, max_completion_length=50, updates_per_generation=2
    )
    found = duration(chosen, PACE, WorkCosts(), StepPlan(chosen), Extent(20, measured=8, train=10, valid=8))
    # 10 generations of 8 answers, as many as were measured together: 50 tokens of 0.1 s each.
    assert found.sampling == pytest.approx(10 * 50 * 0.1)
    # A measurement samples 64 answers, 32 at a time: a token of 32 takes (12 + 32) / (12 + 8) of one of 8.
    assert found.measuring == pytest.approx(2 * (1.0 + 2 * 50 * 0.1 * 44 / 20))
    assert found.is_most
    # A batch holds no more prompts than there are.
    wide = chosen.with_value("batch_size", 64)
    few = duration(wide, PACE, WorkCosts(), StepPlan(wide), Extent(20, train=1))
    assert few.sampling == pytest.approx(10 * 50 * 0.1)


def test_answers_are_sampled_so_many_at_a_time() -> None:
    """A token of n answers takes 12 + n parts, of which 8 were measured: 0.1 s for 20 of them."""
    for answers, parts in ((1, 13), (8, 20), (32, 44), (33, 44 + 13), (64, 88)):
        assert PACE.sampling_s(answers, 10) == pytest.approx(10 * 0.1 * parts / 20)
    assert PACE.sampling_s(0, 10) == 0


def test_what_was_not_measured_is_half_of_a_step_and_a_run_ends_with_a_measurement() -> None:
    chosen = config(batch_size=1)
    steps = StepPlan.counted(chosen, [(1, 100, 10, 1)], 1)
    pace = Pace(unit_s=0.01)
    for iterations, times in ((29, 2), (30, 2), (31, 3), (60, 3)):
        found = duration(chosen, pace, WorkCosts(), steps, Extent(iterations, measured=3))
        assert found.measuring == pytest.approx(times * 3 * 100 * 0.005)
    assert duration(chosen, pace, WorkCosts(), steps, Extent(31)).measuring == 0
    early = config(**{"early_stopping.enabled": True})
    assert not duration(
        early, pace, WorkCosts(), steps, Extent(31)
    ).is_most  # nothing is measured that could end it


def test_attention_makes_wide_rows_dearer() -> None:
    assert WorkCosts(head=2.0, attention_span=100).of(StepSize(2, 50, 10)) == 2 * 50 * 1.5 + 20


def test_what_rows_begin_with_alike_is_trained_once_and_measured_in_each() -> None:
    chosen = config()
    step = StepSize(4, 10, 40, 100)
    costs = WorkCosts(head=0.5, attention_span=1000)
    assert costs.of(step) == pytest.approx(40 * (1 + 110 / 1000) + 100 * (1 + 100 / 1000) + 20)
    steps = StepPlan.counted(chosen, [(4, 10, 40, 5, 100)], 5)
    found = duration(chosen, PACE, costs, steps, Extent(10, measured=4))
    assert found.steps == pytest.approx(10 * (0.5 + 0.01 * costs.of(step)))
    assert found.measuring == pytest.approx(2 * (1.0 + 0.002 * costs.of(StepSize(4, 110, 40))))


def test_the_costs_of_a_model_follow_from_its_sizes() -> None:
    model = llama()
    found = work_costs(model)
    head = model.vocab_size * model.hidden_size
    body = model.total_parameters - head
    assert found.head == pytest.approx(head / body)
    assert found.attention_span == pytest.approx(max(body / (2 * model.hidden_size * model.num_layers), 1))
    headless = [one for one in model.modules if one.group not in (Group.HEAD, Group.EMBEDDINGS)]
    assert work_costs(model.model_copy(update={"modules": tuple(headless)})) == WorkCosts()
    assert work_costs(model.model_copy(update={"layers": ()})) == WorkCosts()


def test_validation_reads_what_the_config_says() -> None:
    assert extent_of(config(val_batches=2), 10, 100, 30).measured == 8
    assert extent_of(config(val_batches=-1), 10, 100, 30).measured == 30
    assert extent_of(config(val_batches=0), 10, 100, 30).measured == 0


def test_the_last_pace_of_a_kind_of_run_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "data" / "speeds.json"
    key = speed_key(llama(), config(), compiled=True)
    assert kept_pace(key, file) is None
    keep_pace(key, Pace(unit_s=1.0), file)
    keep_pace(key, PACE, file)
    assert kept_pace(key, file) == PACE
    assert kept_pace(speed_key(llama(), config(train_mode="dpo"), compiled=True), file) is None
    assert kept_pace(speed_key(llama(), config(grad_checkpoint=True), compiled=True), file) is None
    assert speed_key(llama(), config(learning_rate=1e-3, batch_size=2), compiled=True) == key


def test_a_kind_of_run_is_known_by_all_that_its_pace_depends_on() -> None:
    model = llama().model_copy(update={"dtype": "bfloat16", "quantization": "4 bit"})
    sizes = f"llama/{model.num_layers}x{model.hidden_size}/v{model.vocab_size}/p{model.total_parameters}"
    plain = f"{sizes}/bfloat16/4 bit/sft/lora/top-1/kept/apart/plain"
    assert speed_key(model, config(checkpoint_layers=3), compiled=False) == plain
    again = {"grad_checkpoint": True, "batching": "pack", "fine_tune_type": "dora", "num_layers": 2}
    other = f"{sizes}/bfloat16/4 bit/sft/dora/top2/again/packed/compiled"
    assert speed_key(model, config(**again), compiled=True) == other
    assert speed_key(model, config(**again, checkpoint_layers=3), compiled=True) == other.replace("again", "again3")


def test_the_oldest_paces_go_and_a_full_disk_costs_only_the_next_guess(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    file.write_text(json.dumps({f"k{number}": {"unit_s": 1.0} for number in range(200)}))
    keep_pace("k0", PACE, file)
    assert list(json.loads(file.read_text()))[-2:] == ["k199", "k0"]
    keep_pace("new", PACE, file)
    kept = list(json.loads(file.read_text()))
    assert (len(kept), kept[0], kept[-1]) == (200, "k2", "new")
    keep_pace("k", PACE, file / "below")  # a folder that cannot be made


def test_a_pace_that_no_machine_has_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "speeds.json"
    for number, is_kept in ((9.9e8, True), (1e9, False), (-1e9, False)):
        file.write_text(json.dumps({"k": {"unit_s": number, "newer": "x"}}))
        assert kept_pace("k", file) == (Pace(unit_s=number) if is_kept else None)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"KEY": {"unit_s": "fast"}}', '{"KEY": 3}'])
def test_a_damaged_file_of_paces_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "speeds.json"
    file.write_text(text.replace("KEY", "k"))
    assert kept_pace("k", file) is None
