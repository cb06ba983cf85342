"""Inspection: exact counts from config.json alone, quantized models, what is refused, and the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.utils import get_total_parameters, quantize_model, save_model

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.problem import Severity, UnusableError, errors
from app.core.setup.target_check import check_targets
from app.core.target.selection import resolve
from app.worker.model.build import build_model
from app.worker.model.inspect import inspect_model
from tests.worker.architectures import SIZES, config_of, giant
from tests.worker.tiny_model import write_model

QWEN = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24,
    "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
    "vocab_size": 151936, "max_position_embeddings": 32768, "rope_theta": 1e6, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


def folder_of(tmp_path: Path, config: dict[str, Any]) -> Path:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_qwen_counts_are_exact_without_weights(tmp_path: Path) -> None:
    before = mx.get_active_memory()
    inspection = inspect_model(folder_of(tmp_path, QWEN))
    assert mx.get_active_memory() - before < 1_000_000
    selection = resolve(inspection, TrainConfig())
    assert inspection.total_parameters == 494_032_768
    assert selection.trainable_parameters == 17_596_416
    assert selection.trainable_percent == pytest.approx(3.562, abs=5e-4)
    assert selection.adapted_modules == 7 * 24
    assert inspection.weight_bytes == 2 * 494_032_768
    assert (inspection.num_layers, inspection.vocab_size, inspection.max_length) == (24, 151_936, 32_768)
    assert not inspection.has_weights


def test_inspection_survives_json(tmp_path: Path) -> None:
    inspection = inspect_model(folder_of(tmp_path, config_of("qwen3_next")))
    again = Inspection.model_validate(json.loads(json.dumps(inspection.model_dump(mode="json"))))
    assert again == inspection
    assert resolve(again, TrainConfig()) == resolve(inspection, TrainConfig())


def test_second_inspection_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, config_of("llama"))
    first = inspect_model(folder)
    monkeypatch.setattr("app.worker.model.inspect._inspect", lambda path: pytest.fail(f"inspected {path} again"))
    assert inspect_model(folder) == first


def test_changed_config_is_inspected_again(tmp_path: Path) -> None:
    first = inspect_model(folder_of(tmp_path, config_of("llama")))
    second = inspect_model(folder_of(tmp_path, config_of("llama") | {"num_hidden_layers": 6}))
    assert (first.num_layers, second.num_layers) == (4, 6)


@pytest.mark.parametrize(
    "quantization",
    [{"group_size": 32, "bits": 4}, {"group_size": 64, "bits": 3}, {"group_size": 32, "bits": 4, "mode": "mxfp4"}],
)
def test_quantized_model_as_mlx_lm_converts_it(tmp_path: Path, quantization: dict[str, Any]) -> None:
    """Config alone and real files give the same; total and bytes are those of the model."""
    plain = config_of("qwen2_moe") | {"torch_dtype": "float32"}
    model, _ = build_model(folder_of(tmp_path, plain))
    model, config = quantize_model(
        model, plain, quantization["group_size"], quantization["bits"],
        quantization.get("mode", "affine"),
    )  # fmt: skip
    folder = folder_of(tmp_path, config)
    alone = inspect_model(folder)
    assert alone.total_parameters == get_total_parameters(model)
    assert alone.quantized
    mx.eval(model.parameters())
    save_model(folder, model)
    with_files = inspect_model(folder)
    assert with_files.modules == alone.modules
    assert with_files.weight_bytes == sum(v.nbytes for _, v in tree_flatten(model.parameters()))


def test_what_cannot_be_adapted_says_why(tmp_path: Path) -> None:
    refused = {m.path: m.refused for m in inspect_model(folder_of(tmp_path, config_of("jamba"))).refused}
    assert "convolution" in refused["model.layers.0.mamba.conv1d"]
    assert "bare parameter" in refused["model.layers.0.mamba.A_log"]


def test_a_vector_that_the_seed_guide_names_says_why_it_takes_no_adapter(tmp_path: Path) -> None:
    """`linear_attn.dt_bias` is one number a head."""
    inspection = inspect_model(folder_of(tmp_path, config_of("qwen3_next")))
    (key, why, count) = next(one for one in inspection.refusals if one[0] == "linear_attn.dt_bias")
    assert "vector" in why
    assert count == len(inspection.by_key[key])
    config = TrainConfig().with_value("targets", "linear_attn.dt_bias, q_proj")
    (note,) = resolve(inspection, config).problems
    assert "dt_bias" in note.message
    assert note.hint == why
    assert not any("norm" in module.path for module in inspection.refused)
    keys = (
        "linear_attn.dt_bias",
        "self_attn.q_proj",
    )  # as the seed guide writes them: mlx-lm passes over the first
    config = config.with_values({"targets": "keys", "lora_parameters.keys": keys})
    (note,) = resolve(inspection, config).problems
    assert (note.severity, note.hint) == (Severity.WARNING, why)


def test_a_model_of_which_nothing_can_be_adapted_says_so(tmp_path: Path) -> None:
    config = {"model_type": "bitnet", "quantization_config": {"quant_method": "bitnet"}} | SIZES
    inspection = inspect_model(folder_of(tmp_path, config))
    for targets in ("full", "minimal", "q_proj"):
        (problem,) = errors(resolve(inspection, TrainConfig().with_value("targets", targets)).problems)
        assert "mlx-lm has no adapter for BitLinear" in problem.message
        assert "another model" in problem.hint


def test_dora_is_refused_where_mlx_lm_refuses_or_breaks(tmp_path: Path) -> None:
    inspection = inspect_model(folder_of(tmp_path, config_of("qwen3_moe 3 bit")))
    expert = next(m for m in inspection.modules if m.group is Group.EXPERTS)
    linear = inspection.by_path["model.layers.0.self_attn.q_proj"]
    assert "no DoRA for experts" in inspection.size(expert, "dora").refused
    assert "3 bit" in inspection.size(linear, "dora").refused
    assert not inspection.size(linear, "lora").refused
    broken = DoRALinear.from_base(nn.QuantizedLinear(64, 32, bits=3), r=2)
    with pytest.raises(ValueError, match="Last dimension"):
        mx.eval(broken(mx.zeros((1, 64))))


def test_full_training_of_a_packed_model_fails_in_mlx() -> None:
    """Why `check_targets` holds it back: mlx has no gradient for packed weights."""
    model = nn.Sequential(nn.QuantizedLinear(64, 64))
    model.unfreeze()
    with pytest.raises(RuntimeError, match="no gradient wrt the quantized weights"):
        mx.eval(nn.value_and_grad(model, lambda x: model(x).sum())(mx.ones((1, 64))))


def test_model_that_mlx_lm_cannot_freeze_is_said_to_be_untrainable(tmp_path: Path) -> None:
    inspection = inspect_model(folder_of(tmp_path, config_of("recurrent_gemma")))
    assert "cannot train it" in inspection.untrainable
    assert inspection.modules


def test_config_that_is_not_whole_is_unusable(tmp_path: Path) -> None:
    config = {key: value for key, value in config_of("llama").items() if key != "vocab_size"}
    with pytest.raises(UnusableError) as caught:
        inspect_model(folder_of(tmp_path, config))
    assert caught.value.problems[0].path == "model"
    assert "vocab_size" in str(caught.value)


def test_unknown_type_without_files_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="no model of type nonesuch"):
        inspect_model(folder_of(tmp_path, {"model_type": "nonesuch"}))


def test_type_whose_import_exits_is_unusable_and_not_the_end(tmp_path: Path) -> None:
    """mlx_lm.models.olmo calls exit() when a package of its own is missing."""
    with pytest.raises(UnusableError, match="no model of type olmo"):
        inspect_model(folder_of(tmp_path, config_of("llama") | {"model_type": "olmo"}))


def test_model_with_code_of_its_own_is_not_run(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, config_of("llama") | {"model_file": "evil.py"})
    (folder / "evil.py").write_text("raise SystemExit('run')", encoding="utf-8")
    with pytest.raises(UnusableError, match=r"evil\.py"):
        inspect_model(folder)


def test_a_giant_is_counted_and_its_targets_resolve(tmp_path: Path) -> None:
    """The shape of a 480-billion-parameter mixture: 61 layers of 256 experts."""
    inspection = inspect_model(folder_of(tmp_path, giant()))
    assert inspection.total_parameters > 480e9
    read = Inspection.model_validate(inspection.model_dump(mode="json"))
    for targets in ("full", "attention", "minimal", "linear", "*proj*", "q_b_proj, o_proj"):
        every, top = (
            resolve(read, TrainConfig().with_values({"targets": targets, "num_layers": n})) for n in (-1, 7)
        )
        assert every.trainable_parameters > top.trainable_parameters > 0
    assert resolve(read, TrainConfig().with_values({"targets": "xyz"})).trainable_parameters == 0


def _in_the_form_of_transformers_5(folder: Path, **rope: object) -> None:
    """Moves the rotary base to where transformers 5 writes it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    theta = config.pop("rope_theta")
    path.write_text(json.dumps(config | {"rope_parameters": {"rope_theta": theta, "rope_type": "default"} | rope}))


def test_a_rotary_base_that_mlx_lm_does_not_see_is_told(tmp_path: Path) -> None:
    """qwen2 takes its default of 1,000,000 then, and answers wrongly without a word."""
    folder = write_model(tmp_path / "model", layers=1)
    assert inspect_model(folder).misread == ()
    _in_the_form_of_transformers_5(folder)
    [said] = inspect_model(folder).misread
    assert "reads a rotary base of 1,000,000 where config.json says 10,000" in said
    assert "`rope_theta`: 10000" in said


def test_a_rotary_scaling_that_mlx_lm_does_not_see_is_told(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", layers=1)
    _in_the_form_of_transformers_5(folder, rope_theta=1_000_000.0, rope_type="yarn", factor=4.0)
    [said] = inspect_model(folder).misread
    assert "rotary scaling “yarn”" in said


def test_what_mlx_lm_reads_as_it_is_said_is_no_fault(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", layers=1)
    _in_the_form_of_transformers_5(folder, rope_theta=1_000_000.0)
    assert inspect_model(folder).misread == ()


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"num_hidden_layers": 1}, "that a model of its config has not, such as model.layers.1."),
        ({"num_hidden_layers": 3}, "that its config asks for, such as model.layers.2."),
        ({"tie_word_embeddings": False}, "that its config asks for, such as lm_head."),
    ],
)
def test_weights_of_another_model_are_told_before_anything_is_trained(
    tmp_path: Path, quantized: bool, change: dict[str, Any], said: str
) -> None:
    folder = write_model(tmp_path / "model", quantized=quantized)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    inspection = inspect_model(folder)
    assert said in inspection.misfit
    assert bool(inspection.misfit) is bool(said)
    told = [p.message for p in errors(check_targets(inspection, TrainConfig()))]
    assert told == ([f"The model cannot be loaded: {inspection.misfit}."] if said else [])


def test_weights_by_a_name_that_mlx_lm_does_not_read_are_told(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    assert inspect_model(folder).misfit == "there are no files called model*.safetensors in it"
