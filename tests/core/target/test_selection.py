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
from app.core.setup.target_check import check_inspected, check_targets
from app.core.target.key import adapted_by, keys_for
from app.core.target.pattern import available_names, match_pattern, patterns_text, split_patterns
from app.core.target.preset import choose_preset
from app.core.target.selection import group_counts, preset_costs, resolve, selection_to_targets
from tests.core.inspections import ATTENTION, MLP, STATE, hybrid, llama, mixture, model


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
    [problem] = selection.problems
    assert (problem.path, problem.severity) == ("fine_tune_type", Severity.WARNING)
    assert problem.text == (
        "6 modules stay as they are (gate_proj, down_proj): mlx-lm has no DoRA for experts (SwitchLinear). "
        "LoRA adapts them."
    )


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


LISTED = (
    "There is: self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, mlp.gate_proj, mlp.up_proj, "
    "mlp.down_proj, model.embed_tokens, lm_head."
)


@pytest.mark.parametrize(
    ("targets", "severity", "said"),
    [
        ("''", Severity.WARNING, "The empty pattern '' matches everything: all 9 matrices that can be adapted, "
         "embeddings too. This is not recommended: they are too many. Choose 'full', or name the matrices."),
        ("UP_PROJ", Severity.NOTE,
         "'UP_PROJ' matches only if upper and lower case do not count: model.layers.0.mlp.up_proj."),
        ("q_proj, up_porj", Severity.ERROR,
         "'up_porj' matches no module of this model. Did you mean up_proj or mlp.up_proj or v_proj?"),
        ("q_proj, xyz", Severity.ERROR, "'xyz' matches no module of this model. Look at the list of modules."),
        ("q_proj, conv1d", Severity.ERROR,
         "'conv1d' names model.layers.0.conv1d, which cannot be adapted. A convolution."),
        ("layers.0", Severity.NOTE, "'layers.0': only q_proj, k_proj, v_proj, o_proj, gate_proj, down_proj, "
         "up_proj can be adapted, model.layers.0.conv1d cannot. A convolution."),
        ("xyz", Severity.ERROR, f"Targets 'xyz' match nothing that could be trained in this model. {LISTED}"),
        ("up_porj", Severity.ERROR, "Targets 'up_porj' match nothing that could be trained in this model. "
         f"Did you mean up_proj or mlp.up_proj or v_proj? {LISTED}"),
    ],
)  # fmt: skip
def test_what_is_odd_about_targets_is_told_whole(targets: str, severity: Severity, said: str) -> None:
    [problem] = resolve(llama(), config(targets)).problems
    assert (problem.path, problem.severity) == ("targets", severity)
    assert problem.text == said


def test_nothing_that_this_type_of_adapter_can_train_is_told() -> None:
    found = resolve(mixture(), config("switch_mlp", fine_tune_type="dora")).problems
    assert [one.message for one in errors(found)] == [
        "Nothing that targets 'switch_mlp' match can take this type of adapter."
    ]
    empty = Inspection(modules=(llama().by_path["model.layers.0.conv1d"],))
    (problem,) = resolve(empty, config()).problems
    assert problem.text == (
        "No matrix in the layers of this model can be adapted: A convolution. "
        "Choose another model; of some there are versions that are not packed."
    )
    (problem,) = errors(resolve(Inspection(source="header"), config()).problems)
    assert problem.hint == "There is nothing in it that mlx-lm can adapt."


def test_a_list_of_names_that_is_too_long_is_cut() -> None:
    assert available_names(llama(), 2) == "self_attn.q_proj, self_attn.k_proj and 7 more"
    assert available_names(llama(), 9).endswith("model.embed_tokens, lm_head")
    assert [match_pattern(llama(), "proj").examples, match_pattern(llama(), "none").examples] == [
        tuple(f"model.layers.0.self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj")), (),
    ]  # fmt: skip
    assert patterns_text(["a", " ", "b "]) == "a, '', b"


def named(inspection: Inspection, preset: str) -> tuple[list[str], str]:
    choice = choose_preset(inspection, preset)
    return list(dict.fromkeys(module.name for module in choice.modules)), choice.note


def test_presets_say_where_a_model_has_something_else_in_their_place() -> None:
    states = model([STATE | MLP] * 2)
    assert named(states, "attention") == (
        ["in_proj", "out_proj"], "This model has no attention; its state-space projections take that place."
    )  # fmt: skip
    assert named(states, "minimal") == (
        ["in_proj", "out_proj"],
        "This model has no attention; the input and output of its state space take that place.",
    )
    assert named(states, "full")[0] == ["in_proj", "out_proj", "gate_proj", "down_proj", "up_proj"]
    bare = model([MLP] * 2)
    assert [named(bare, preset) for preset in ("attention", "minimal")] == [([], "")] * 2
    fused = model([{"attn.qkv_proj": (192, 64), "attn.o_proj": (64, 64)} | MLP])
    assert named(fused, "minimal") == (
        ["qkv_proj"], "Query, key and value are one matrix here, which is adapted as a whole."
    )  # fmt: skip
    assert named(llama(), "minimal") == (["q_proj", "v_proj"], "")
    assert named(mixture(), "mlp") == (["gate_proj", "down_proj"], "")
    assert named(mixture(), "linear")[0] == [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "down_proj",
        "gate",
    ]
    with pytest.raises(KeyError):
        choose_preset(llama(), "all")


def test_of_headers_alone_names_decide() -> None:
    encoder = model([{"attention.self.query": (64, 64), "attention.self.key": (64, 64),
                      "attention.self.value": (64, 64), "output.dense": (64, 128)}])  # fmt: skip
    of_headers = encoder.model_copy(update={"source": "header"})
    for preset in ("full", "attention"):
        assert named(of_headers, preset) == (["query", "key", "value"], "")
    assert "dense" in named(encoder, "full")[0]
    odd = model([{"one.a": (64, 64), "two.b": (64, 64)}]).model_copy(update={"source": "header"})
    assert named(odd, "full") == (
        ["a", "b"], "The names do not tell attention and MLP apart: all linear layers are taken."
    )  # fmt: skip


def test_an_adapter_s_file_is_its_numbers_and_its_header() -> None:
    for kind, tensors in (("lora", 2), ("dora", 3)):
        found = resolve(llama(1), config("lm_head", fine_tune_type=kind))
        assert found.adapter_bytes == 4 * found.trainable_parameters + tensors * (len("lm_head") + 77)
        percent = 100 * found.trainable_parameters / llama(1).total_parameters
        assert found.trainable_percent == pytest.approx(percent)
    assert resolve(Inspection(), config()).trainable_percent == 0
    full = resolve(llama(), config(fine_tune_type="full", num_layers=3))
    assert (full.num_layers, full.adapter_bytes) == (3, sum(one.unfrozen_bytes for one in llama().layers[1:]))
    assert resolve(llama(), config(fine_tune_type="full", num_layers=4)).num_layers == -1


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
        (("self_attn.q_proj", "self_attn"),
         ["mlx-lm stops at the key 'self_attn': it names something that cannot be adapted."]),
        (("self_attn.q_proj", "conv1d"),
         ["mlx-lm stops at the key 'conv1d': it names something that cannot be adapted."]),
        (("self_attn.q_proj", "model.layers.3.self_attn.q_proj"),
         ["model.layers.3.self_attn.q_proj is named twice, by its key and by its full path; "
          "mlx-lm stops at that."]),
        (("nothing",), ["The key 'nothing' matches no module; mlx-lm passes over it silently.",
                        f"The keys match no module of this model: nothing would be trained. {LISTED}"]),
    ],
)  # fmt: skip
def test_keys_at_which_mlx_lm_stops(keys: tuple[str, ...], says: list[str]) -> None:
    problems = resolve(llama(), config("keys", lora_parameters__keys=keys)).problems
    assert [problem.text for problem in problems] == says
    assert [problem.severity for problem in problems[:-1]] == [Severity.WARNING] * (len(says) - 1)


def test_keys_that_the_type_of_adapter_cannot_do_are_told() -> None:
    keys = ("mlp.switch_mlp.gate_proj",)
    (problem,) = resolve(mixture(1), config("keys", fine_tune_type="dora", lora_parameters__keys=keys)).problems
    assert problem.path == "fine_tune_type"
    assert problem.text == (
        "model.layers.0.mlp.switch_mlp.gate_proj: mlx-lm has no DoRA for experts (SwitchLinear). "
        "Use LoRA, or leave its key out."
    )


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
    wide = mixture().model_copy(update={"hidden_size": 4096})
    (problem,) = check_targets(wide, config("linear", max_seq_length=256))
    assert (problem.path, problem.severity) == ("targets", Severity.NOTE)
    assert problem.text == (
        "3 routers are trained as well (mlp.gate); that can unbalance the experts. Full leaves them out."
    )


def test_what_a_model_lacks_is_an_error_before_the_start_and_a_note_to_look_at_it() -> None:
    odd = llama().model_copy(update={
        "has_weights": False, "untrainable": "It cannot be.", "misread": ("It is misread.",), "hidden_size": 4096,
        "weight_faults": ("A file is missing.",), "tokens_beyond": {900: "<a>"},
    })  # fmt: skip
    chosen = config(max_seq_length=512)
    whole = [
        ("It cannot be. Choose a model that mlx-lm can train.", Severity.ERROR),
        ("There are no weight files beside config.json: the model can be looked at, but not trained. "
         "Download or copy the whole model.", Severity.ERROR),
        ("It is misread. Write it so into config.json, for every program that reads the model.", Severity.ERROR),
        ("A file is missing. Download or copy the model again.", Severity.ERROR),
        ("The tokenizer has tokens that the model's embedding does not know: '<a>' (900). Leave them out of "
         "the data, or choose a model whose embedding was resized for its tokenizer.", Severity.WARNING),
    ]  # fmt: skip
    assert [(one.text, one.severity) for one in check_targets(odd, chosen)] == whole
    looked_at = [(one.text, one.severity) for one in check_inspected(odd, chosen, resolve(odd, chosen))]
    assert looked_at == [
        whole[0], (whole[1][0], Severity.NOTE), *whole[2:4], (whole[4][0], Severity.ERROR),
    ]  # fmt: skip
    assert check_targets(odd, config(max_seq_length=513))[-1].path == "max_seq_length"
    full = config("keys", fine_tune_type="full")
    assert [one.path for one in check_targets(llama(), full) if one.path == "targets"] == []


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
    found = costs["full"].selection
    here = (
        f"Here: 28 modules, {found.trainable_parameters:,} parameters ({found.trainable_percent:.2f}\u00a0%), "
        f"{found.adapter_bytes / 1e6:,.1f}\u00a0MB on disk"
    )
    assert costs["full"].help.endswith(
        f" The best quality; use it unless memory forbids. {here}, 2.1 GB of memory."
    )
    assert preset_costs(llama(), config())[0].help.endswith(f"{here}.")
    assert costs["minimal"].selection.adapted_modules == 8
