"""Targets: presets, patterns, keys, coverage, and the way back from a selection to a config."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.problem import Severity, errors
from app.core.setup.target_check import check_targets
from app.core.target.key import adapted_by, keys_for
from app.core.target.pattern import match_pattern, split_patterns
from app.core.target.selection import group_counts, preset_costs, resolve, selection_to_targets
from tests.core.inspections import ATTENTION, MLP, hybrid, llama, mixture


def config(targets: str = "full", **values: Any) -> TrainConfig:
    keys = {name.replace("__", "."): value for name, value in values.items()}
    return TrainConfig().with_values({"targets": targets, "lora_parameters.rank": 8} | keys)


def test_full_is_the_seven_modules_in_their_usual_order() -> None:
    selection = resolve(llama(), config())
    names = [key.rsplit(".", 1)[-1] for key in selection.keys]
    assert names == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    per_layer = sum(out + inner for out, inner in (ATTENTION | MLP).values())
    assert selection.trainable_parameters == 4 * 8 * per_layer
    assert (selection.adapted_modules, selection.num_layers) == (28, -1)
    assert selection.problems == ()


def test_the_log_names_matrices_as_people_do_whatever_the_order_of_the_model() -> None:
    """Most of mlx-lm's MLPs define down before up."""
    names = [key.rsplit(".", 1)[-1] for key in resolve(llama(), config()).matrices]
    assert names == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    mixed = [key.split(".")[0] for key in resolve(hybrid(), config()).matrices]
    assert mixed == sorted(mixed, key=["self_attn", "mlp", "mamba"].index)


def test_coverage_takes_the_top_layers() -> None:
    selection = resolve(llama(), config("attention", num_layers=1))
    assert {module.layer for module in selection.modules} == {3}
    assert selection.num_layers == 1


def test_routers_are_only_in_everything_linear() -> None:
    groups = {name: {m.group for m in resolve(mixture(), config(name)).modules} for name in ("full", "linear")}
    assert groups["full"] == {Group.ATTENTION, Group.EXPERTS}
    assert groups["linear"] - groups["full"] == {Group.ROUTER}


def test_dora_leaves_experts_out_and_says_so() -> None:
    selection = resolve(mixture(), config(fine_tune_type="dora"))
    assert {module.group for module in selection.modules} == {Group.ATTENTION}
    assert [(p.path, p.severity) for p in selection.problems] == [("fine_tune_type", Severity.WARNING)]


def test_dora_on_experts_alone_is_an_error() -> None:
    selection = resolve(mixture(), config("switch_mlp", fine_tune_type="dora"))
    assert selection.adapted_modules == 0
    assert [p.path for p in errors(selection.problems)] == ["targets"]


@pytest.mark.parametrize(
    ("pattern", "how", "count"),
    [
        ("model.layers.2.mlp.up_proj", "path", 1),
        ("mlp.up_proj", "key", 4),
        ("up_proj", "name", 4),
        ("mlp", "name", 12),
        ("layers.2", "name", 7),
        ("*.mlp.*", "glob", 12),
        ("[qv]_proj", "glob", 0),
        ("*[qv]_proj", "glob", 8),
        ("proj", "contains", 28),
        ("UP_PROJ", "other_case", 4),
        ("lm_head", "path", 1),
    ],
)
def test_pattern_reads(pattern: str, how: str, count: int) -> None:
    match = match_pattern(llama(), pattern)
    assert len(match.modules) == count
    assert match.how == (how if count else "")


def test_pasted_lists_are_read() -> None:
    assert split_patterns("['dense', \"msa\",, dense]") == ("dense", "msa")
    assert split_patterns("*[qv]_proj, mlp") == ("*[qv]_proj", "mlp")
    assert split_patterns("[]") == split_patterns("'") == split_patterns(" , ") == ()


@pytest.mark.parametrize("text", ["''", "['']", '[""]', "q_proj, ''"])
def test_the_empty_pattern_matches_everything_and_warns(text: str) -> None:
    """As a part of every name does in the guide that people copy their targets from."""
    selection = resolve(llama(), config(text))
    assert selection.adapted_modules == 4 * 7 + 2, "seven matrices in four layers, the embedding and the head"
    (problem,) = selection.problems
    assert problem.severity is Severity.WARNING
    assert "everything: all 9 matrices" in problem.message
    assert "not recommended" in problem.hint


def test_target_names_are_told_in_their_usual_order() -> None:
    line = "[LoRA] Target modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']"
    assert resolve(llama(), config()).names_line == line
    assert resolve(hybrid(), config("down_proj, v_proj")).names == ("v_proj", "down_proj")


def test_other_case_is_said() -> None:
    problems = resolve(llama(), config("UP_PROJ")).problems
    assert [p.severity for p in problems] == [Severity.NOTE]
    assert "case" in problems[0].message


def test_pattern_without_a_match_names_near_misses() -> None:
    selection = resolve(llama(), config("q_proj, up_porj"))
    assert selection.unmatched == ("up_porj",)
    (problem,) = errors(selection.problems)
    assert "Did you mean up_proj" in problem.hint
    assert selection.adapted_modules == 4


def test_nothing_matched_lists_what_there_is() -> None:
    (problem,) = errors(resolve(llama(), config("xyz")).problems)
    assert problem.path == "targets"
    for name in ("self_attn.q_proj", "mlp.down_proj", "lm_head"):
        assert name in problem.hint


def test_pattern_of_something_that_takes_no_adapter() -> None:
    (problem,) = errors(resolve(llama(), config("conv1d")).problems)
    assert "conv1d" in problem.message
    mixed = resolve(llama(), config("layers.0"))
    assert mixed.adapted_modules == 7
    assert [p.severity for p in mixed.problems] == [Severity.NOTE]


def test_full_path_holds_whatever_the_coverage() -> None:
    selection = resolve(llama(), config("model.layers.0.mlp.up_proj, q_proj", num_layers=1))
    assert selection.paths == {"model.layers.0.mlp.up_proj", "model.layers.3.self_attn.q_proj"}
    assert selection.keys == ("self_attn.q_proj", "model.layers.0.mlp.up_proj")
    assert selection.num_layers == 1


@pytest.mark.parametrize(
    ("targets", "layers"),
    [("full", 2), ("k_proj, *.layers.[23].mlp.*", -1), ("model.layers.0.mlp.up_proj, q_proj", 1), ("lm_head", 2)],
)
def test_config_that_holds_its_own_keys_still_means_the_same(targets: str, layers: int) -> None:
    """A run writes keys and layers into its config, and a resumed one resolves that config again."""
    inspection = hybrid()
    first = resolve(inspection, config(targets, num_layers=layers))
    held = config(targets, num_layers=first.num_layers, lora_parameters__keys=first.keys)
    again = resolve(inspection, held)
    assert (again.paths, again.keys, again.num_layers) == (first.paths, first.keys, first.num_layers)
    assert resolve(inspection, held.with_value("targets", "keys")).paths == first.paths


def test_head_is_adapted_beside_a_partial_coverage() -> None:
    selection = resolve(llama(), config("q_proj, lm_head", num_layers=2))
    assert adapted_by(llama(), selection.keys, selection.num_layers).modules == selection.modules
    assert selection.adapted_modules == 3


def test_keys_are_read_as_mlx_lm_reads_them() -> None:
    keys = ("self_attn.q_proj", "model.layers.0.mlp.up_proj", "q_proj")
    selection = resolve(llama(), config("keys", num_layers=2, lora_parameters__keys=keys))
    assert selection.adapted_modules == 3
    assert selection.unmatched == ("q_proj",)
    assert errors(selection.problems) == []


def test_missing_keys_mean_everything_in_the_layers() -> None:
    selection = resolve(mixture(), config("keys"))
    assert {module.group for module in selection.modules} == {Group.ATTENTION, Group.EXPERTS, Group.ROUTER}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("self_attn",), "stops at the key 'self_attn'"),
        (("conv1d",), "stops at the key 'conv1d'"),
        (("self_attn.q_proj", "model.layers.3.self_attn.q_proj"), "named twice"),
        (("nothing",), "nothing would be trained"),
    ],
)
def test_keys_at_which_mlx_lm_stops(keys: tuple[str, ...], says: str) -> None:
    problems = errors(resolve(llama(), config("keys", lora_parameters__keys=keys)).problems)
    assert any(says in problem.message for problem in problems)


def test_full_training_counts_the_layers() -> None:
    inspection = llama()
    selection = resolve(inspection, config(fine_tune_type="full", num_layers=2))
    assert selection.trainable_parameters == 2 * inspection.layers[3].unfrozen_parameters
    assert selection.keys == ()


def test_checks_name_their_fields() -> None:
    wrong = config("q_proj", num_layers=9, fine_tune_type="full", max_seq_length=4096)
    inspection = llama().model_copy(update={"quantization": "4 bit, groups of 64", "has_weights": False})
    found = {(p.path, p.severity) for p in check_targets(inspection, wrong)}
    assert found == {
        ("model", Severity.ERROR), ("num_layers", Severity.ERROR), ("fine_tune_type", Severity.ERROR),
        ("targets", Severity.NOTE), ("max_seq_length", Severity.WARNING),
    }  # fmt: skip
    wide = llama().model_copy(update={"hidden_size": 4096})  # which an alpha of 8 is not too little for
    assert check_targets(wide, config(max_seq_length=256)) == []


def test_training_routers_is_mentioned() -> None:
    assert any("router" in p.message for p in check_targets(mixture(), config("linear")))


@pytest.mark.parametrize("name", ["full", "attention", "mlp", "minimal", "linear"])
@pytest.mark.parametrize("layers", [-1, 2])
def test_presets_are_recognized_again(name: str, layers: int) -> None:
    inspection = mixture()
    selection = resolve(inspection, config(name, num_layers=layers))
    targets = selection_to_targets(inspection, selection.paths)
    assert (targets.text, targets.num_layers) == (name, layers)


def test_whole_rows_come_out_as_short_names() -> None:
    inspection = llama()
    selection = resolve(inspection, config("q_proj, up_proj", num_layers=3))
    assert selection_to_targets(inspection, selection.paths).text == "q_proj, up_proj"


def test_hybrid_rows_have_empty_cells() -> None:
    rows = {row.label: row for row in hybrid().rows}
    assert [cell is None for cell in rows["q_proj"].cells] == [False, True] * 3
    assert len(rows["up_proj"].modules) == 6


@given(st.data())
def test_any_selection_is_trained_exactly_by_stock_mlx_lm(data: st.DataObject) -> None:
    """Keys reproduce every set of modules under mlx-lm's rules, and the config text reproduces it here."""
    inspection = data.draw(st.sampled_from(MODELS))
    paths = [module.path for module in inspection.adaptable]
    chosen = data.draw(st.sets(st.sampled_from(paths), min_size=1) | _blocks(inspection))
    keys = keys_for(inspection, chosen)
    adapted = adapted_by(inspection, keys.keys, keys.num_layers)
    assert {module.path for module in adapted.modules} == chosen
    assert (adapted.unmatched, adapted.refused, adapted.twice) == ((), (), ())
    targets = selection_to_targets(inspection, chosen)
    again = resolve(inspection, config(targets.text, num_layers=targets.num_layers))
    assert again.paths == chosen


MODELS = (llama(), hybrid(), mixture())


def _blocks(inspection: Inspection) -> st.SearchStrategy[set[str]]:
    """Some rows over some top layers, and a few cells more: what people click together."""
    rows = st.sets(st.sampled_from(inspection.rows), min_size=1)
    extra = st.sets(st.sampled_from([module.path for module in inspection.adaptable]), max_size=3)

    def combined(rows: set[Any], bottom: int, more: set[str]) -> set[str]:
        block = {m.path for row in rows for m in row.modules if m.layer is not None and m.layer >= bottom}
        return block | more | {next(iter(rows)).modules[-1].path}

    return st.builds(combined, rows, st.integers(0, inspection.num_layers - 1), extra)


def test_key_that_also_names_something_outside_is_spelled_out() -> None:
    """mlx-lm compares keys with full paths of the whole model too."""
    inspection = llama(2)
    twin = inspection.by_path["lm_head"].model_copy(update={"path": "mlp.up_proj", "key": "mlp.up_proj"})
    inspection = inspection.model_copy(update={"modules": (*inspection.modules, twin)})
    inspection = Inspection.model_validate(inspection.model_dump())
    chosen = {"model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"}
    assert set(keys_for(inspection, chosen).keys) == chosen


def test_groups_count_what_the_coverage_includes() -> None:
    inspection = mixture()
    chosen = config("attention", num_layers=2)
    counts = {g.group: g for g in group_counts(inspection, chosen, resolve(inspection, chosen))}
    assert (counts[Group.ATTENTION].count, counts[Group.ATTENTION].selected) == (8, 8)
    assert (counts[Group.EXPERTS].count, counts[Group.EXPERTS].selected) == (4, 0)
    assert counts[Group.EXPERTS].parameters == 2 * 8 * 4 * ((32 + 64) * 2)


def test_a_group_of_which_a_part_is_chosen_costs_that_part() -> None:
    inspection = llama()
    chosen = config("q_proj, gate_proj")
    counts = {g.group: g for g in group_counts(inspection, chosen, resolve(inspection, chosen))}
    selection = resolve(inspection, chosen)
    assert [counts[group].selected for group in (Group.ATTENTION, Group.MLP)] == [4, 4]
    parts = [counts[group].parameters for group in (Group.ATTENTION, Group.MLP)]
    assert sum(parts) == selection.trainable_parameters
    assert parts[0] == sum(8 * sum(m.shape) for m in selection.modules if m.name.endswith("q_proj"))


def test_presets_say_what_they_cost_here() -> None:
    costs = {cost.name: cost for cost in preset_costs(llama(), config(), lambda _: "2.1 GB of memory")}
    assert "28 modules" in costs["full"].help
    assert costs["full"].help.endswith("2.1 GB of memory.")
    assert costs["minimal"].selection.adapted_modules == 8
