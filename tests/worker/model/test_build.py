"""What of a model's or an adapter's files cannot be used, in whole sentences; and packings as mlx-lm has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRALinear

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Progressed
from app.core.protocol.job import ConvertJob
from app.worker.model import build, convert, inspection, loading, peft
from app.worker.model.adapter import verify
from app.worker.model.adapter_problem import adapter_problem, module_problems, size_problem, some
from app.worker.model.adapter_switch import _read_config, _read_weights, adapter_files
from app.worker.model.build import quantization_of
from app.worker.model.loading import describe, differences
from app.worker.model.peft import PartError, PeftPart
from app.worker.model.soundness import UnsoundWeightsError, check_sound, largest_sound, sizes
from tests.worker.training import Collector

MLX_OLD = {"bits": 4, "group_size": 64}


@pytest.mark.parametrize(("config", "found"), [
    ({}, None), ({"quantization": {"bits": 3}}, {"bits": 3}), ({"quantization": 3}, None),
    ({"quantization_config": "x"}, None), ({"quantization_config": {"quant_method": "bitnet"}}, None),
    ({"quantization_config": MLX_OLD}, MLX_OLD), ({"quantization_config": {"bits": 4}}, None),
    ({"quantization_config": {"group_size": 64}}, None),
    ({"quantization_config": MLX_OLD | {"quant_method": "other"}}, None),
    ({"quantization_config": {"quant_method": "mxfp4", "group_size": 7}},
     {"group_size": 32, "bits": 4, "mode": "mxfp4"}),
    ({"quantization_config": {"quant_method": "mxfp8"}}, {"group_size": 32, "bits": 8, "mode": "mxfp8"}),
    ({"quantization_config": {"quant_method": "modelopt"}}, {"group_size": 16, "bits": 4, "mode": "nvfp4"}),
    ({"quantization_config": {"quant_method": "modelopt", "group_size": 8}},
     {"group_size": 8, "bits": 4, "mode": "nvfp4"}),
    ({"quantization_config": {"quant_method": "awq"}}, {"group_size": 128, "bits": 4}),
    ({"quantization_config": {"quant_method": "gptq"}}, {"group_size": 128, "bits": 4}),
    ({"quantization_config": {"quant_method": "gptq", "group_size": 64}}, {"group_size": 64, "bits": 4}),
    ({"quantization_config": {"quant_method": "fp8", "scale_fmt": "ue8m0", "weight_block_size": [32, 32]}},
     {"group_size": 32, "bits": 8, "mode": "mxfp8"}),
    ({"quantization_config": {"quant_method": "fp8", "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}}, None),
    ({"quantization_config": {"quant_method": "fp8", "scale_fmt": "ue8m0"}}, None),
    ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]}}, None),
])  # fmt: skip
def test_packings_of_other_programs_are_as_mlx_lm_reads_them(config: dict[str, Any], found: Any) -> None:
    assert quantization_of(config) == found
    before = json.dumps(build._FOREIGN, sort_keys=True)
    if isinstance(found, dict) and (made := quantization_of(config)) is not None:
        made["bits"] = made["group_size"] = 0
        assert quantization_of(config) == found, "what is given is the asker's own"
    assert json.dumps(build._FOREIGN, sort_keys=True) == before


def test_a_packing_of_the_model_of_words_counts_unless_there_is_one_outside() -> None:
    inner = {"text_config": {"quantization_config": {"bits": 4}}}
    config: dict[str, Any] = dict(inner)
    build._take_nested_quantization(config)
    assert config == inner | {"quantization_config": {"bits": 4}}
    others: list[dict[str, Any]] = [{"quantization_config": 3} | inner, {"text_config": {}}, {"text_config": 3}, {}]
    for other in others:
        config = dict(other)
        build._take_nested_quantization(config)
        assert config == other
    for foreign, names in ((None, ()), ({}, ()), ({"modules_to_not_convert": ["a", 3]}, ("a", "3")),
                           ({"ignore": ["b"]}, ("b",)),
                           ({"modules_to_not_convert": [], "ignore": ["c"]}, ("c",))):  # fmt: skip
        assert build._left_alone({"quantization_config": foreign}) == names


@pytest.mark.parametrize(("error", "said"), [
    (KeyError("rope"), "it lacks rope"), (KeyError(), "it lacks a key"),
    (TypeError("f() missing 2 required positional arguments: 'a' and 'b'"), "it lacks a and b"),
    (TypeError("f() missing 1 required keyword-only argument: 'a'"), "it lacks a"),
    (TypeError("odd."), "its values do not fit together (odd)"),
    (ValueError(), "its values do not fit together (ValueError)"),
])  # fmt: skip
def test_what_a_config_lacks_is_named(error: Exception, said: str) -> None:
    assert build._lack(error) == said


def test_matrices_are_packed_but_those_that_are_left_alone_or_do_not_fit() -> None:
    def packed(config: dict[str, Any], *left_alone: str) -> list[str]:
        model = nn.Module()
        model.head, model.odd, model.norm = nn.Linear(64, 8), nn.Linear(48, 8), nn.RMSNorm(64)
        model.layers = [nn.Linear(64, 8), nn.Linear(32, 8)]
        build._quantize(model, config, left_alone)
        return sorted(path for path, one in model.named_modules() if isinstance(one, nn.QuantizedLinear))

    assert packed({"bits": 4, "group_size": 32}) == ["head", "layers.0", "layers.1"]
    assert packed({"bits": 4, "group_size": 64}) == ["head", "layers.0"]
    assert packed({"bits": 4, "group_size": 32}, "layers.0") == ["head", "layers.1"]
    assert packed({"bits": 4, "group_size": 32}, "lay*1") == ["head", "layers.0"]
    assert packed({"bits": 4, "group_size": 32, "head": False, "layers.1": {"bits": 8, "group_size": 32}}) == [
        "layers.0", "layers.1",
    ]  # fmt: skip
    with pytest.raises(UnusableError) as caught:
        packed({"bits": 4, "group_size": 32, "mode": "none"})
    (problem,) = caught.value.problems
    assert problem.message.startswith("The quantization in config.json does not fit the model: ")
    assert (problem.path, problem.hint) == ("model", "Copy or download the model again.")


@pytest.mark.parametrize(("config", "text"), [
    ({}, ""), ({"quantization_config": {"quant_method": "bitnet"}}, "1.58 bit (BitNet)"),
    ({"quantization_config": {"quant_method": "fp8"}}, ""), ({"quantization": {}}, "4 bit, groups of 64"),
    ({"quantization": {"bits": 3, "group_size": 32}}, "3 bit, groups of 32"),
    ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mxfp4, 4 bit, groups of 32"),
    ({"quantization": {"bits": 4, "group_size": 32, "a": {"bits": 4}, "b": False, "c": {}}}, "4 bit, groups of 32"),
    ({"quantization": {"bits": 4, "group_size": 32, "a": {"bits": 8}, "b": {"bits": 6}}},
     "4 bit, groups of 32, some 6 and 8 bit"),
])  # fmt: skip
def test_a_packing_is_told_in_words(config: dict[str, Any], text: str) -> None:
    assert inspection._quantization_text(config) == text


# -- loading --------------------------------------------------------------------------------------------------


def test_why_a_model_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"The model in {tmp_path} cannot be loaded: "
    hint = "Choose a folder with config.json, tokenizer files and *.safetensors that mlx-lm supports."
    for error, reason in (
        (FileNotFoundError("No safetensors found"), "there are no files called model*.safetensors in it."),
        (ValueError("Model type x not supported."), "mlx-lm refuses it (Model type x not supported)."),
        (KeyError(), "mlx-lm refuses it (KeyError)."),
        (ValueError("Received 3 parameters not in model: \n a.b, \n c"),
         "its files hold 3 weights that a model of its config has not, such as a.b."),
        (ValueError("Missing 2 parameters: \n a.b."),
         "its files lack 2 weights that its config asks for, such as a.b."),
        (ValueError("Expected shape (2, 3) but received shape (4, 3) for parameter a.b"),
         "a.b is 4 × 3 in its files, and 2 × 3 by its config."),
    ):  # fmt: skip
        assert loading.unloadable(tmp_path, error).problems == [Problem("model", said + reason, hint=hint)]
    monkeypatch.setattr(loading, "weight_faults", lambda _path: ["One.", "Two."])
    again = "Download or copy the model again."
    assert loading.unloadable(tmp_path, ValueError()).problems == [
        Problem("model", fault, hint=again, file=str(tmp_path)) for fault in ("One.", "Two.")
    ]


def test_an_adapter_to_start_from_must_be_there_and_fit(tmp_path: Path) -> None:
    model = nn.Module()
    model.a = nn.Linear(2, 3, bias=False)
    with pytest.raises(UnusableError, match="cannot be read") as caught:
        loading._start_from(model, tmp_path / "none.safetensors")
    assert caught.value.problems[0].path == "resume_adapter_file"
    file = tmp_path / "a.safetensors"
    mx.save_safetensors(str(file), {"a.weight": mx.ones((3, 4))})
    with pytest.raises(UnusableError) as caught:
        loading._start_from(model, file)
    (problem,) = caught.value.problems
    assert problem.message == f"{file} does not fit this run: a.weight is 3 × 4, not 3 × 2."
    assert problem.hint == "Start from an adapter with the same type, rank, targets and layers."
    mx.save_safetensors(str(file), {"a.weight": mx.ones((3, 2))})
    loading._start_from(model, file)
    assert mx.array_equal(model.a.weight, mx.ones((3, 2)))
    one, two = mx.ones((1, 2)), mx.ones((2, 1))
    assert differences({"a": one, "b": one}, {"b": two, "c": one}) == [
        "a is not among the trained weights", "c is missing", "b is 1 × 2, not 2 × 1",
    ]  # fmt: skip


def test_the_log_begins_with_what_is_trained() -> None:
    shape = {"rank": 8, "scale": 2.5, "dropout": 0.1}
    config = TrainConfig.model_validate({"lora_parameters": shape, "num_layers": 4})
    line = "=" * 60
    assert describe(config, 12, ("q_proj", "v_proj")).splitlines() == [
        line, "LoRA Configuration:", "  Rank: 8", "  Alpha: 20.0", "  Scale: 2.5 (alpha ÷ rank)", "  Dropout: 0.1",
        "  Layers: 4 / 12", "  Matrices: q_proj, v_proj", line,
    ]  # fmt: skip
    for layers in (-1, 0, 12, 13):
        assert "  Layers: all" in describe(config.with_value("num_layers", layers), 12, ("q",)).splitlines()
    full = describe(config.with_value("fine_tune_type", "full"), 12, ("all",)).splitlines()
    assert full == [line, "Full Fine-Tuning:", "  Layers: 4 / 12", "  Matrices: all", line]


def test_weights_beyond_measure_are_named() -> None:
    assert sizes({}) == {}
    assert sizes({"a": mx.array([3.0, 4.0])}) == {"a": pytest.approx(12.5**0.5)}
    assert largest_sound({}) == 100.0
    assert largest_sound({"a": mx.array([2.0]), "b": mx.array([1.0])}) == 300.0
    check_sound({"a": mx.array([2.0])}, 2.0)
    for array, largest, said in (
        (mx.array([1.0, float("nan")]), 9.0, "b is no longer finite"),
        (mx.array([float("inf")]), 9.0, "b is no longer finite"),
        (mx.array([1234.5678]), 9.0, "the weights of b have grown to 1.23e+03 on average"),
    ):  # fmt: skip
        with pytest.raises(UnsoundWeightsError) as caught:
            check_sound({"a": mx.array([1.0]), "b": array}, largest)
        assert str(caught.value) == said


# -- adapters -------------------------------------------------------------------------------------------------


def test_an_adapter_that_was_written_is_opened_again(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (found,) = verify(tmp_path, {}, {})
    assert found.startswith("it cannot be opened again (")
    wanted = {"a": mx.ones((2, 2))}
    file = str(tmp_path / "adapters.safetensors")
    mx.save_safetensors(file, wanted)
    assert verify(tmp_path, wanted, {"a": 0.0}) == []
    assert verify(tmp_path, wanted, {"a": 4.0}) == ["it changes nothing: training left the weights as they were"]
    mx.save_safetensors(file, {"a": mx.array([[1.0, float("nan")]]), "b": mx.ones(1)})
    assert verify(tmp_path, wanted, {"a": 4.0}) == [
        "b is not among the trained weights", "a is 1 × 2, not 2 × 2", "a is no longer finite",
    ]  # fmt: skip


def test_the_weights_of_an_adapter_may_lie_below_its_config(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    for name in ("adapter_config.json", "adapters.safetensors", "best/adapters.safetensors"):
        (tmp_path / name).write_text("{}")
    best = tmp_path / "best" / "adapters.safetensors"
    assert adapter_files(best) == (tmp_path, best)
    (tmp_path / "best" / "adapter_config.json").write_text("{}")
    assert adapter_files(best) == (tmp_path / "best", best)
    said = "This is no adapter of mlx-lm or PEFT: {} is not there."
    for gone, name in (("adapters.safetensors", "adapters.safetensors"),
                       ("adapter_config.json", "adapter_config.json and adapters.safetensors")):  # fmt: skip
        (tmp_path / gone).unlink()
        with pytest.raises(UnusableError) as caught:
            adapter_files(tmp_path)
        assert caught.value.problems == [adapter_problem(said.format(name), tmp_path)]
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").touch()
    assert adapter_files(tmp_path)[1] == tmp_path / "adapter_model.safetensors"
    with pytest.raises(UnusableError, match="There is no such adapter"):
        adapter_files(tmp_path / "none")


def test_a_config_or_weights_that_are_none_are_said(tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    for text, said in (
        ("[1]", "The adapter's config is not a JSON object."),
        ("{", "The adapter's config cannot be read: "),
    ):
        file.write_text(text)
        with pytest.raises(UnusableError) as caught:
            _read_config(tmp_path)
        (problem,) = caught.value.problems
        assert problem.message.startswith(said)
        assert (problem.path, problem.file) == ("adapter_path", str(file))
    weights = tmp_path / "adapters.safetensors"
    mx.save_safetensors(str(weights), {})
    with pytest.raises(UnusableError, match=r"The file holds no weights\."):
        _read_weights(weights)


def test_hundreds_of_modules_are_one_problem_for_each_reason(tmp_path: Path) -> None:
    assert [some(list("abc")), some(list("abcde")), some([])] == ["a, b, c", "a, b, c and 2 more", ""]
    faults = [("a", "no"), ("b", "why"), ("c", "no"), ("d", "no"), ("e", "no")]
    assert [one.message for one in module_problems(faults, tmp_path)] == ["a, c, d and 1 more: no.", "b: why."]
    said = "a is 2 × 3 in the adapter and 4 × 5 in the base model{}."
    hint = "Choose the base model that the adapter was trained on."
    for names, more in ((["a"], ""), (["a", "b", "c"], ", and 2 more are of other sizes, too")):
        assert size_problem(names, "2 × 3", "4 × 5", tmp_path) == Problem(
            "adapter_path", said.format(more), hint=hint, file=str(tmp_path)
        )
    assert adapter_problem("Of the base model.", tmp_path, "Own.").hint == "Own."
    assert adapter_problem("Of another.", tmp_path).hint == ""


def test_parts_of_peft_find_their_place_kind_and_size() -> None:
    base: dict[str, nn.Module] = {
        "model.h.0.q": nn.Linear(4, 6), "language_model.model.layers.0.up": nn.Linear(4, 6),
        "x.twice.a": nn.Linear(1, 1),
        "y.twice.a": nn.Linear(1, 1), "model.embed": nn.Embedding(9, 4), "conv": nn.Conv1d(1, 1, 1),
    }  # fmt: skip
    places = {"model.h.0.q": "model.h.0.q", "transformer.h.0.q": "model.h.0.q",
              "gpt_neox.layers.0.q": "model.h.0.q",
              "model.language_model.model.layers.0.up": "language_model.model.layers.0.up",
              "layers.0.up": "language_model.model.layers.0.up", "twice.a": None, "none": None}  # fmt: skip
    assert {name: peft._place(name, base) for name in places} == places
    part = PeftPart(mx.ones((4, 2)), mx.ones((2, 6)), 1.0)
    dora = PeftPart(mx.ones((4, 2)), mx.ones((2, 6)), 1.0, mx.ones(5))
    linear, embedding = base["model.h.0.q"], base["model.embed"]
    headed = base | {"lm_head": nn.Linear(4, 9)}
    assert peft._misfit(linear, part, base) == peft._misfit(embedding, part, headed) == ""
    assert (
        peft._misfit(base["conv"], part, base)
        == "in the base model it is a Conv1d, which cannot be adapted like this"
    )
    tied = "it is also the head of this base model; PEFT adapts its input side only"
    assert peft._misfit(embedding, part, base) == tied
    assert peft._misfit(embedding, dora, headed) == "DoRA on embeddings cannot be used"
    assert peft._sizes(linear, part) is None
    assert peft._sizes(linear, dora) == ("one of 5 magnitudes", "one of 6")
    assert peft._sizes(nn.Linear(6, 4), part) == ("4 × 6", "6 × 4")
    assert peft._sizes(embedding, part) == ("4 × 6", "9 × 4")
    assert peft._sizes(nn.QuantizedLinear(64, 6, bits=4), PeftPart(mx.ones((64, 2)), mx.ones((2, 6)), 1.0)) is None
    assert isinstance(peft._module(linear, part), LoRALinear)
    made: Any = peft._module(linear, PeftPart(mx.ones((4, 2)), mx.ones((2, 6)), 3.0, mx.ones(6)))
    assert (type(made), made.scale, made.m.shape) == (DoRALinear, 3.0, (6,))


def test_ranks_of_peft_are_those_of_the_first_pattern_that_fits() -> None:
    config: dict[str, Any] = {"rank_pattern": {"q": 2, "layers.1.q": 3, "k|v": 4}}
    found = [peft._by_pattern(config, "rank_pattern", name, 8) for name in ("layers.1.q", "v", "layers.1.vq", "o")]
    assert found == [2, 4, 8, 8]
    for config, key, said in (
        ({"rank_pattern": [1]}, "rank_pattern",
         "rank_pattern in adapter_config.json is no table of names and values"),
        ({}, "rank_pattern", "adapter_config.json has no r"),
        ({}, "alpha_pattern", "adapter_config.json has no lora_alpha"),
    ):  # fmt: skip
        with pytest.raises(PartError) as caught:
            peft._by_pattern(config, key, "q", None)
        assert str(caught.value) == said
    kernels = {"lora_A": mx.ones((2, 3, 1)), "lora_B": mx.ones((4, 2))}
    with pytest.raises(PartError, match="only matrices can be used, not the kernels of a convolution"):
        peft._part({"r": 2, "lora_alpha": 4}, "q", kernels)
    plain = peft._part({"r": 4, "lora_alpha": 8}, "q", {"lora_A": mx.ones((4, 3)), "lora_B": mx.ones((5, 4))})
    assert (plain.scale, plain.rank, plain.magnitude) == (2.0, 4, None)
    rs = {"r": 4, "lora_alpha": 8, "use_rslora": True}
    assert peft._part(rs, "q", {"lora_A": mx.ones((4, 3)), "lora_B": mx.ones((5, 4))}).scale == 4.0


# -- converting -----------------------------------------------------------------------------------------------


def test_hindrances_of_a_conversion_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (source / "config.json").write_text('{"quantization_config": {}}')
    monkeypatch.setattr(convert, "free_bytes", lambda _: -1)
    with pytest.raises(UnusableError) as caught:
        convert.convert(Collector(tmp_path / "e"), tmp_path, ConvertJob(model=str(source), out=out))
    assert [(one.path, one.message, one.hint) for one in caught.value.problems] == [
        ("model", "The model is quantized already; quantizing it again would only lose quality.",
         "Choose the original model."),
        ("model", f"There are no safetensors weights in {source}.", "Download it again."),
        ("out", f"{out} exists, and nothing is written over.", "Choose another name, or delete it."),
        ("out", "The result takes about 0\u00a0bytes, and -1\u00a0bytes are free.",
         "Free some space, or choose another disk."),
    ]  # fmt: skip


def test_how_much_is_written_is_told_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = iter([0, 300, 300, 1200])
    monkeypatch.setattr(convert, "_size", lambda _folder: next(grown))
    rounds = iter([False] * 4 + [True])

    class Over:
        def wait(self, seconds: float) -> bool:
            assert seconds == convert.POLL_S
            return next(rounds)

    channel, over = Collector(tmp_path / "events"), Over()
    convert._watch(channel, tmp_path, 1000, over, 0)  # type: ignore[arg-type]
    told = [(one.phase, one.done, one.total, one.in_bytes) for one in channel.of(Progressed)]
    assert told == [("Quantizing and writing", 300, 1000, True), ("Quantizing and writing", 1000, 1000, True)]
