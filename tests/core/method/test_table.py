"""The table of methods is whole: each row can be found, told from the others, and says what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.method.figure import FIGURES, figure_label
from app.core.method.table import METHODS, MODES, method_for, values_of_their_own


def test_every_mode_is_the_name_of_a_method_that_nothing_else_tells() -> None:
    assert set(MODES) == {method.mode for method in METHODS.values()} <= set(METHODS)
    for method in METHODS.values():
        assert (method.name == method.mode) == (not method.told_by)


@pytest.mark.parametrize("name", METHODS)
def test_a_row_speaks_of_fields_that_there_are(name: str) -> None:
    method = METHODS[name]
    assert set(method.parameters) | set(method.settings) <= set(field_specs())
    assert set(method.told_by) <= set(method.settings)
    assert all((method.label, method.what, method.when, method.cost))


def test_the_config_takes_the_modes_of_the_table_and_no_other() -> None:
    spec = field_specs()["train_mode"]
    assert (spec.kind, dict(spec.choices)) == ("choice", MODES)
    assert MODES["cpo"] == "CPO, SimPO"
    for mode in MODES:
        assert TrainConfig(train_mode=mode).train_mode == mode
    with pytest.raises(ValueError, match="'sft', 'dpo', 'cpo'"):
        TrainConfig(train_mode="simpo")


@pytest.mark.parametrize(
    "values, name",
    [
        ({"train_mode": "cpo", "dpo_cpo_loss_type": "hinge"}, "cpo"),
        ({"train_mode": "cpo", "dpo_cpo_loss_type": "simpo"}, "simpo"),
        ({"train_mode": "dpo", "dpo_cpo_loss_type": "simpo"}, "dpo"),
        ({"train_mode": "grpo", "grpo_loss_type": "bnpo"}, "bnpo"),
        ({"train_mode": "grpo", "grpo_loss_type": "bnpo", "importance_sampling_level": "sequence"}, "gspo"),
        ({"train_mode": "grpo", "grpo_loss_type": "dr_grpo"}, "dr_grpo"),
        ({"train_mode": "online_dpo", "grpo_loss_type": "dapo"}, "online_dpo"),
    ],
)
def test_settings_tell_the_methods_of_a_mode_apart(values: dict[str, Any], name: str) -> None:
    assert method_for(TrainConfig.model_validate(values).value) is METHODS[name]


@pytest.mark.parametrize(
    "name, goals, rows, labelled_rows",
    [
        ("sft", (), 1, 1),
        ("dpo", ("preference",), 2, 1),
        ("kto", ("preference", "labelled"), 2, 1),
        ("gspo", ("prompt",), 6, 6),
        ("online_dpo", ("prompt",), 6, 6),
    ],
)
def test_what_a_method_makes_of_rows(name: str, goals: tuple[str, ...], rows: int, labelled_rows: int) -> None:
    method = METHODS[name]
    assert method.goals == goals
    assert (method.rows_each(6), method.rows_each(6, labelled=True)) == (rows, labelled_rows)
    assert method.is_sampled == (rows == 6)
    assert method.is_group_relative == (name == "gspo")


def test_a_card_says_what_it_compares() -> None:
    assert METHODS["sft"].title == "Supervised, attention only"
    assert METHODS["dr_grpo"].title == METHODS["dr_grpo"].label == "Dr. GRPO"


def test_a_choice_that_is_another_method_is_known() -> None:
    assert values_of_their_own("dpo_cpo_loss_type") == {"simpo"}
    assert values_of_their_own("select_by") == frozenset()


def test_the_figure_that_a_method_raises_is_in_words() -> None:
    raised = {method.figure for method in METHODS.values() if method.figure}
    assert {"margin", "reward"} <= raised
    assert all(FIGURES[name].is_telling and "it should rise" in FIGURES[name].meaning for name in raised)
    assert [figure_label(name) for name in ("kl", "reward/short", "new_one")] == [
        "KL divergence", "Reward: short", "New one",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "beta"),
    [("grpo", 0.04), ("gspo", 0.04), ("bnpo", 0.04), ("dapo", 0.0), ("dr_grpo", 0.0), ("kto", 0.1), ("dpo", 0.1)],
)
def test_methods_begin_with_the_values_of_their_papers(name: str, beta: float) -> None:
    """GRPO 2402.03300, 4.2; DAPO 2503.14476, 2.3 and Dr. GRPO 2503.20783 leave the divergence out."""
    config = TrainConfig().with_values(dict(METHODS[name].settings))
    assert config.beta == beta
    if METHODS[name].is_sampled:
        assert (config.group_size, config.temperature) == (8, 1.0)
    assert config.batch_size == (4 if name == "kto" else 1)
