"""A sweep: values as people type them, every combination once, and the best of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport, SplitReport
from app.core.problem import Problem, Severity, UnusableError
from app.core.queue import sweep
from app.core.queue.queue import QueueEntry
from app.core.queue.sweep import SweepAxis, SweepResult, Variant
from app.core.run.folder import RunDir
from app.core.run.name import run_name
from app.core.run.summary import RunSummary, summarize

BASE = TrainConfig(model="/m", data="/d", adapter_name="friendly")
VALUES = {
    "lora_parameters.rank": st.integers(1, 512),
    "learning_rate": st.floats(1e-7, 1e5),
    "batch_size": st.integers(1, 64),
    "num_layers": st.integers(-1, 300),
    "seed": st.integers(0, 2**32 - 1),
    "targets": st.sampled_from(["full", "attention", "mlp", "minimal", "linear"]),
    "optimizer": st.sampled_from(["adam", "adamw", "muon", "sgd", "lion"]),
    "lora_parameters.dropout": st.floats(0, 0.99),
}


@st.composite
def axes(draw: st.DrawFn) -> list[SweepAxis]:
    paths = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    return [
        SweepAxis(path, tuple(draw(st.lists(VALUES[path], min_size=1, max_size=4, unique=True)))) for path in paths
    ]


@given(axes())
def test_every_combination_comes_once_with_a_name_of_its_own(found: list[SweepAxis]) -> None:
    variants = sweep.expand(BASE, found)
    wanted = list(itertools.product(*(axis.values for axis in found)))
    assert [tuple(v.values.values()) for v in variants] == wanted
    assert len({v.name for v in variants}) == len(wanted)
    for variant in variants:
        assert len(variant.name) <= sweep.VARIANT_NAME_LENGTH
        assert variant.config.adapter_name == variant.name
        assert all(variant.config.value(path) == value for path, value in variant.values.items())
        others = {axis.path: BASE.value(axis.path) for axis in found} | {"adapter_name": BASE.adapter_name}
        if "lora_parameters.rank" in variant.values and "lora_parameters.scale" not in variant.values:
            adapter, base = variant.config.lora_parameters, BASE.lora_parameters
            assert adapter.scale * adapter.rank == pytest.approx(base.scale * base.rank), "alpha stays"
            others["lora_parameters.scale"] = base.scale
        assert variant.config.with_values(others) == BASE, "nothing else is touched"


@given(axes(), st.text(min_size=1, max_size=80).filter(str.strip))
def test_any_name_of_the_base_leaves_names_that_differ(found: list[SweepAxis], base: str) -> None:
    names = [v.name for v in sweep.expand(BASE.with_value("adapter_name", base), found)]
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= sweep.VARIANT_NAME_LENGTH for name in names)


@pytest.mark.parametrize("base", ["friendly", "f" * 80])
def test_values_that_look_alike_have_names_that_differ(base: str) -> None:
    """Of 1e-4 and 1.0000001e-4 six digits are the same; a name that would be too long ends before its number."""
    rates = SweepAxis("learning_rate", (1e-4, 1.0000001e-4, 1.0000002e-4))
    names = [v.name for v in sweep.expand(BASE.with_value("adapter_name", base), [rates])]
    assert [name.rpartition("e-4")[2] for name in names] == ["", "_2", "_3"]
    assert all(len(name) <= sweep.VARIANT_NAME_LENGTH for name in names)


@given(st.lists(st.integers(1, 512), min_size=1, max_size=6))
def test_a_typed_list_reads_back(ranks: list[int]) -> None:
    found = sweep.parse_axis("lora_parameters.rank", " , ".join(map(str, ranks)) + ",")
    assert found.values == tuple(dict.fromkeys(ranks))


@pytest.mark.parametrize("path", sweep.FIELDS)
def test_every_field_exists_and_its_example_is_readable(path: str) -> None:
    found = sweep.parse_axis(path, sweep.example(field_specs()[path]))
    assert len(found.values) >= 2


@pytest.mark.parametrize(
    "path, text, values",
    [
        ("learning_rate", "1e-5, 0.001", (1e-5, 1e-3)),
        ("targets", "full; q_proj, v_proj", ("full", "q_proj, v_proj")),
        ("optimizer", "Adam, AdamW", ("adam", "adamw")),
        ("fine_tune_type", "lora, dora", ("lora", "dora")),
        ("num_layers", "-1, 4, 4", (-1, 4)),
    ],
)
def test_values_are_read_as_the_field_takes_them(path: str, text: str, values: tuple[object, ...]) -> None:
    assert sweep.parse_axis(path, text).values == values


@pytest.mark.parametrize(
    "path, text, words",
    [
        ("lora_parameters.rank", "8, x", "“x” is not a whole number"),
        ("lora_parameters.rank", "0, 9999", "1 to 512"),
        ("learning_rate", "nan", "nan"),
        ("learning_rate", " , ", "No value is given"),
        ("optimizer", "adam, best", "one of adam"),
        ("model", "a, b", "no field that a sweep can vary"),
        ("", "1", "No field is chosen"),
    ],
)
def test_what_cannot_be_read_is_named(path: str, text: str, words: str) -> None:
    with pytest.raises(UnusableError) as found:
        sweep.parse_axis(path, text)
    assert words in " ".join(f"{p.message} {p.hint}" for p in found.value.problems)


def test_all_faults_of_a_list_are_told_at_once() -> None:
    with pytest.raises(UnusableError) as found:
        sweep.parse_axis("lora_parameters.rank", "x, 8, 9999")
    assert len(found.value.problems) == 2


@pytest.mark.parametrize(
    "given_axes, change, words",
    [
        ([], {}, "No field"),
        ([SweepAxis("seed", (1,)), SweepAxis("seed", (2,))], {}, "given twice"),
        ([SweepAxis(p, (1, 2)) for p in ("seed", "batch_size", "num_layers", "iters")], {}, "at most 3"),
        ([SweepAxis("seed", tuple(range(300)))], {}, "300 runs are too many"),
        ([SweepAxis("lora_parameters.rank", (1, 2))], {"fine_tune_type": "full"}, "does nothing"),
        ([SweepAxis("beta", (0.1, 0.2))], {}, "Beta does nothing in this setup: all runs would be alike."),
        ([SweepAxis("iters", (1, 2)), SweepAxis("epochs", (1.0, 2.0))], {}, "vary one of the two"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(
    given_axes: list[SweepAxis], change: dict[str, object], words: str
) -> None:
    with pytest.raises(UnusableError) as found:
        sweep.expand(BASE.with_values(change), given_axes)
    assert words in str(found.value)


def test_two_hundred_runs_are_a_sweep() -> None:
    assert len(sweep.expand(BASE, [SweepAxis("seed", tuple(range(200)))])) == 200
    with pytest.raises(UnusableError, match="201 runs are too many for one sweep: 200 at most"):
        sweep.expand(BASE, [SweepAxis("seed", tuple(range(201)))])


def test_varying_iterations_frees_them_from_the_epochs() -> None:
    variants = sweep.expand(BASE, [SweepAxis("iters", (10, 20))])
    assert [v.config.epochs for v in variants] == [None, None]
    assert sweep.total_iterations(variants, None) == 30
    assert sweep.total_iterations(sweep.expand(BASE, [SweepAxis("seed", (0, 1))]), None) is None


def test_examples_counted_under_the_form_s_length_say_nothing_of_another() -> None:
    data = DataReport(
        True, "chat", "chat", 100, 100, {"train": SplitReport(100, ("a.jsonl",))}, [], [], [], {},
        counted={"train": 60, "valid": 10},
    )  # fmt: skip
    base = BASE.with_values({"epochs": 1.0, "batch_size": 1, "max_seq_length": 64})
    ranks = sweep.expand(base, [SweepAxis("lora_parameters.rank", (8, 16))])
    assert [sweep.variant_iterations(one, data) for one in ranks] == [60, 60]
    lengths = sweep.expand(base, [SweepAxis("max_seq_length", (64, 512))])
    assert [sweep.variant_iterations(one, data) for one in lengths] == [80, 80]


def test_rates_are_not_swept_where_the_file_has_its_own_schedule() -> None:
    rates = {"name": "cosine_decay", "arguments": [1e-3, 20, 0.0]}
    own = BASE.with_values({"schedule": "custom", "lr_schedule": rates})
    assert {"learning_rate", "warmup"} & {spec.path for spec in sweep.sweepable(own)} == set()
    with pytest.raises(UnusableError, match="Learning rate does nothing in this setup"):
        sweep.expand(own, [SweepAxis("learning_rate", (1e-4, 1e-3))])
    both = [SweepAxis("schedule", ("cosine", "linear")), SweepAxis("learning_rate", (1e-4, 1e-3))]
    assert len(sweep.expand(own, both)) == 4


def test_a_decay_that_the_optimizer_does_not_use_is_not_swept() -> None:
    decays = SweepAxis("weight_decay", (0.0, 0.1))
    adam, adamw = BASE.with_value("optimizer", "adam"), BASE.with_value("optimizer", "adamw")
    with pytest.raises(UnusableError, match="Weight decay does nothing in this setup"):
        sweep.expand(adam, [decays])
    assert len(sweep.expand(adam, [decays, SweepAxis("optimizer", ("adamw", "lion"))])) == 4
    assert len(sweep.expand(adamw, [decays])) == 2


def test_only_fields_that_do_something_are_offered() -> None:
    plain = {spec.path for spec in sweep.sweepable(BASE)}
    assert "lora_parameters.rank" in plain
    assert "beta" not in plain
    assert "lora_parameters.rank" not in {
        s.path for s in sweep.sweepable(BASE.with_value("fine_tune_type", "full"))
    }
    assert "beta" in {s.path for s in sweep.sweepable(BASE.with_value("train_mode", "dpo"))}
    sampled = {s.path for s in sweep.sweepable(BASE.with_value("train_mode", "online_dpo"))}
    assert {"beta", "group_size", "temperature"} <= sampled
    assert "simpo_gamma" not in {s.path for s in sweep.sweepable(BASE.with_value("train_mode", "cpo"))}
    simpo = BASE.with_values({"train_mode": "cpo", "dpo_cpo_loss_type": "simpo"})
    assert "simpo_gamma" in {s.path for s in sweep.sweepable(simpo)}


def test_checks_name_the_variants_that_they_are_about() -> None:
    variants = [Variant(str(rank), {"lora_parameters.rank": rank}, BASE) for rank in (8, 16)]
    everywhere, one = Problem("data", "No data."), Problem("targets", "Nothing matches.")
    found = sweep.variant_errors(variants, [[everywhere, one], [everywhere]])
    assert [p.message for p in found] == ["No data.", "rank 8: Nothing matches."]
    assert sweep.check_variant(Variant("x", {}, BASE.with_value("data", "")))[0].path == "data"


def result(values: dict[str, object], loss: float | None) -> SweepResult:
    made = QueueEntry(id=str(values), name="x", config="", values=values, sweep="s", state="done")
    return SweepResult(made, None if loss is None else summary(loss))


def summary(loss: float) -> RunSummary:
    return replace(summarize(RunDir(Path("/nowhere"))), best_val_loss=0.5, trained_val_loss=loss)


def test_the_best_is_the_lowest_finite_loss() -> None:
    found = [result({"seed": 1}, 2.0), result({"seed": 2}, float("nan")), result({"seed": 3}, 1.0)]
    found += [result({"seed": 4}, None), result({"seed": 5}, float("-inf"))]
    assert sweep.best_result(found) is found[2]
    assert sweep.best_result(found[3:]) is None


def test_values_are_ordered_as_people_expect() -> None:
    assert sweep.value_order([16, -1, 8, 16]) == [8, 16, -1]
    assert sweep.value_order(["mlp", "full"]) == ["mlp", "full"]
    assert [sweep.value_word(v) for v in (1e-4, 3.5e-5, 0.001, 0.05, 2.0, 8, "full", 0.0, -1e-5)] == [
        "1e-4", "3.5e-5", "0.001", "0.05", "2", "8", "full", "0", "-1e-5",
    ]  # fmt: skip
    found = [result({"targets": "full", "seed": seed}, 1.0) for seed in (1, 2)]
    assert sweep.sweep_paths(found) == ["seed", "targets"], "a field with one value is no axis"


def test_a_sweep_of_the_kind_of_tuning_may_vary_what_only_adapters_have() -> None:
    axes = [SweepAxis("fine_tune_type", ("full", "lora")), SweepAxis("lora_parameters.rank", (4, 8))]
    assert len(sweep.expand(BASE, axes)) == 4
    assert sweep.sweep_name(BASE, axes) == "friendly over Type × LoRA rank"
    assert sweep.value_words({"lora_parameters.rank": 8, "optimizer": "adam", "seed": 1}) == (
        "rank 8, optimizer adam, seed 1"
    )


def test_every_field_has_a_word_to_be_shown() -> None:
    assert list(sweep.SHOWN_WORDS) == list(sweep.FIELDS)
    assert {name for path, name in sweep.FIELDS.items() if name and sweep.SHOWN_WORDS[path] != name} == set()


def test_errors_of_many_variants_name_three_of_them() -> None:
    variants = [Variant(str(seed), {"seed": seed}, BASE) for seed in range(5)]
    odd, warned = Problem("seed", "It is odd.", hint="Change it."), Problem("seed", "Hm.", Severity.WARNING)
    found = sweep.variant_errors(variants, [[odd, warned]] * 4 + [[]])
    assert found == [Problem("seed", "seed 0; seed 1; seed 2 …: It is odd.", hint="Change it.")]
    found = sweep.variant_errors(variants, [[odd]] * 3 + [[]] * 2)
    assert [one.message for one in found] == ["seed 0; seed 1; seed 2: It is odd."]


def test_a_name_that_was_made_tells_of_its_own_variant() -> None:
    """``r8`` of the form's rank stood in the name of the run with rank 4, and a rate beside another."""
    made = TrainConfig(model="/base", data="/faq", learning_rate=3e-4)
    made = made.with_values({"lora_parameters.rank": 8})
    made = made.with_value("adapter_name", run_name(made))
    assert made.adapter_name == "base · faq · r8 · lr 0.0003"
    ranks, rates = sweep.parse_axis("lora_parameters.rank", "4, 8"), sweep.parse_axis("learning_rate", "1e-4, 1e-3")
    assert [one.name for one in sweep.expand(made, [ranks])] == [
        "base · faq · r4 · lr 0.0003", "base · faq · r8 · lr 0.0003"
    ]  # fmt: skip
    assert [one.name for one in sweep.expand(made, [ranks, rates])] == [
        "base · faq · r4_lr1e-4", "base · faq · r4_lr0.001", "base · faq · r8_lr1e-4", "base · faq · r8_lr0.001"
    ]  # fmt: skip
    full = made.with_value("fine_tune_type", "full")
    kinds = sweep.parse_axis("fine_tune_type", "lora, full")
    full = full.with_value("adapter_name", run_name(full))
    assert [one.name for one in sweep.expand(full, [kinds, rates])][::2] == [
        "base · faq · r8_lora_lr1e-4", "base · faq · full_full_lr1e-4"
    ]  # fmt: skip
    plain = TrainConfig()  # neither model nor data: its name is nobody's making
    assert [one.name for one in sweep.expand(plain, [ranks])] == ["mlx_finetune_rank4", "mlx_finetune_rank8"]
