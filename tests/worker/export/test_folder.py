"""Folders of exports: what is brought along, how weights are divided, and what stands in a certificate's file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

from app.core.export.format import EXPORT_FORMATS, KEPT_BITS
from app.core.problem import Problem, TaskError, UnusableError
from app.worker.export import certifying, fused, model_folder, peft
from app.worker.export import task as task_module
from app.worker.export.fusing import fused_module
from app.worker.export.hf import hf_config
from app.worker.export.model_folder import bring_files, plain_config, write_weights
from app.worker.export.naming import NAMINGS
from app.worker.export.peft import PeftAdapter, adaptable, known_base
from app.worker.export.plan import ExportPlan
from app.worker.export.task import staged
from app.worker.packing.gain import HeldOutGain


def plan(base: Path, to: str = "fused", model_type: str = "llama", **values: Any) -> ExportPlan:
    """What is known of an export before any work."""
    base.mkdir(exist_ok=True)
    (base / "config.json").write_text(json.dumps({"model_type": model_type}))
    source: Any = SimpleNamespace(label="a run", base="org/base", run=None)
    return ExportPlan(EXPORT_FORMATS[to], source, base, base / "out", values)


def test_a_base_brings_its_words_and_licence_and_no_weights_code_or_configs_of_its_own(tmp_path: Path) -> None:
    brought = [
        "LICENSE", "LICENSE.md", "NOTICE", "additional_chat_templates/tool.jinja", "chat_template.jinja",
        "generation_config.json", "merges.txt", "qwen.tiktoken", "tokenizer.json", "tokenizer.model",
    ]  # fmt: skip
    left = [
        "config.json", "model.safetensors.index.json", "adapter_config.json", "hf_quant_config.json",
        "quantize_config.json", "._tokenizer.json", "model.safetensors", "modeling.py", "README.md", "x/a.json",
    ]  # fmt: skip
    base, out = tmp_path / "base", tmp_path / "out"
    for name in (*brought, *left):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    out.mkdir()
    (base / "folder.json").mkdir()
    bring_files(base, out)
    found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert found == {name: name for name in brought}


def test_weights_are_divided_where_a_file_would_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "FILE_BYTES", 80)
    load: Any = mx.load
    tensors = [(name, mx.zeros(count)) for name, count in (("d", 30), ("c", 10), ("b", 10), ("a", 1))]
    told: list[tuple[int, int]] = []
    write_weights(tmp_path, tensors, lambda done, total: told.append((done, total)), "pt")
    assert tensors == [], "what is written leaves the memory"
    assert told == [(0, 204), (120, 204), (200, 204), (204, 204)]
    assert json.loads((tmp_path / "model.safetensors.index.json").read_text()) == {
        "metadata": {"total_size": 204},
        "weight_map": {
            "a": "model-00003-of-00003.safetensors", "b": "model-00002-of-00003.safetensors",
            "c": "model-00002-of-00003.safetensors", "d": "model-00001-of-00003.safetensors",
        },
    }  # fmt: skip
    arrays, about = load(str(tmp_path / "model-00002-of-00003.safetensors"), return_metadata=True)
    assert (sorted(arrays), about) == (["b", "c"], {"format": "pt"})
    write_weights(tmp_path, [("x", mx.zeros(20))], lambda _done, _total: None)
    assert load(str(tmp_path / "model.safetensors"), return_metadata=True)[1] == {"format": "mlx"}
    config = {"quantization": 1, "quantization_config": 2, "quantize_activations": 3, "bits": 4}
    assert plain_config(config) == {"bits": 4}


def test_a_folder_has_its_name_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(task_module, "flush_to_disk", flushed.append)
    place = tmp_path / "deep" / "place"
    place.mkdir(parents=True)
    pid = os.getpid()
    names = [f".a-{pid}.unfinished-export", ".a-x.unfinished-export", f".a-{10**30}.unfinished-export"]
    for name in (*names, ".b-999999999.unfinished-export"):  # the last one's process is no more
        (place / name).mkdir()
    monkeypatch.setattr(os, "kill", kill_only_known)
    with staged(place / "out") as folder:
        assert folder == place / f".out-{pid}.unfinished-export"
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
    assert len(flushed) == 1
    assert sorted(path.name for path in place.iterdir()) == sorted([*names, "out"])
    assert (place / "out" / "inner" / "file").read_text() == "x"
    with pytest.raises(PermissionError), staged(place / "other"):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(TaskError) as caught, staged(place / "other"):
        raise OSError(errno.ENOSPC, "full")
    assert "The disk became full (" in caught.value.message
    assert caught.value.hint == "Free some space, or choose another disk."
    assert sorted(path.name for path in place.iterdir()) == sorted([*names, "out"])


def kill_only_known(number: int, signal: int) -> None:
    """As the system answers: no signal is sent, and only this process and the first are there."""
    assert signal == 0
    if number > 2**31:
        raise OverflowError
    if number not in (1, os.getpid()):
        raise ProcessLookupError
    if number == 1:
        raise PermissionError


# -- certificates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "values", "lossy"), [
    ("adapter", {"bits": "4bit"}, False), ("peft", {}, False), ("hf", {}, False),
    ("gguf-adapter", {"type": "Q8_0"}, False),
    ("fused", {"bits": "16bit"}, False), ("fused", {"bits": "4bit"}, True),
    ("gguf", {"type": "BF16"}, False), ("gguf", {"type": "F16"}, False), ("gguf", {"type": "Q8_0"}, True),
    ("ollama", {"type": "Q4_K_M"}, True), ("hub", {"content": "peft", "bits": "16bit"}, False),
    ("hub", {"content": "fused", "bits": "4bit"}, True), ("lmstudio", {}, False),
])  # fmt: skip
def test_what_has_fewer_bits_than_floats(to: str, values: dict[str, Any], lossy: bool, tmp_path: Path) -> None:
    assert certifying.is_lossy(plan(tmp_path, to, **values)) == lossy


def test_floats_are_those_that_all_tensors_have(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert certifying.float_bytes(made) == 2, "nothing is there to say otherwise"
    for kinds, size in (([mx.float32] * 2, 4), ([mx.float32, mx.bfloat16], 2), ([mx.float16], 2)):
        mx.save_safetensors(
            str(tmp_path / "model.safetensors"), {str(n): mx.zeros(2, kind) for n, kind in enumerate(kinds)}
        )
        assert certifying.float_bytes(made) == size


def test_a_certificate_says_of_what_export_it_is(tmp_path: Path) -> None:
    certificate: Any = SimpleNamespace(as_dict=lambda: {"agrees": True, "sentence": "é"})
    certifying.write_certificate(tmp_path, plan(tmp_path, "hub", content="peft"), certificate)
    text = (tmp_path / "certificate.json").read_text(encoding="utf-8")
    assert "é" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "format": "hub", "options": {"content": "peft"}, "base": "org/base", "source": "a run", "agrees": True,
        "sentence": "é",
    }  # fmt: skip


def test_what_nothing_opens_again_has_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certifying, "has_llama_cpp", lambda: False)
    told: list[tuple[int, int]] = []

    def progress(phase: str, in_bytes: bool = False) -> Any:
        assert (phase, in_bytes) == ("Opening the export again", False)
        return lambda done, total: told.append((done, total))

    evidence: Any = None
    assert certifying.certified(plan(tmp_path, "gguf"), tmp_path, evidence, progress) is None
    assert told == [(0, 1)]
    assert certifying.certified(plan(tmp_path, "hub", content="none"), tmp_path, evidence, progress) is None
    assert len(told) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json"]


# -- fused models ---------------------------------------------------------------------------------------------


def test_few_bits_that_lose_what_was_learned_are_refused_or_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(phase: str, in_bytes: bool = False) -> Any:
        return lambda done, total: told.append((phase, done, total + in_bytes))

    for share in (0.95, 1.2):
        fused._weigh(share, plan(tmp_path, bits="4bit"), progress)
    assert told == []
    with pytest.raises(TaskError) as caught:
        fused._weigh(0.5, plan(tmp_path, bits="4bit"), progress)
    assert caught.value.message == "Only 50\xa0% of what was learned stays in weights of 4bit; nothing was written."
    assert caught.value.hint == (
        "Choose 16-bit, or 4.8-bit, tuned, or “Write it even if learning is lost” (--set lossy=yes) to have it all "
        "the same."
    )
    with pytest.raises(TaskError, match=r"Only 0\s% of what") as caught:
        fused._weigh(-3.0, plan(tmp_path, bits=KEPT_BITS.value), progress)
    assert caught.value.hint.startswith("Choose 16-bit, or “Write it even"), "it is no other choice than itself"
    fused._weigh(0.5, plan(tmp_path, bits="4bit", lossy=True), progress)
    said = "Only 50\xa0% of what was learned stays in weights of 4bit"
    assert told == [(said, 0, 1)]
    assert capsys.readouterr().err == f"{said}\n"
    with pytest.raises(TaskError, match="examples are not there any more"):
        fused._keep(nn.Module(), None, progress)
    assert (HeldOutGain(3.0, 1.0).kept(2.0), HeldOutGain(3.0, 1.0).kept(1.0)) == (0.5, 1.0)


def test_a_gain_counts_from_a_hundredth_on() -> None:
    def gain(base: float, tuned: float) -> HeldOutGain | None:
        losses = {"base": base, "tuned": tuned}
        model: Any = SimpleNamespace(use_base=lambda: "base", use_tuned=lambda: "tuned")
        examples: Any = SimpleNamespace(loss=lambda model, _progress: losses[model])
        return fused._gain(examples, model, lambda _done, _total: None)

    assert gain(1.0, 0.5) == HeldOutGain(1.0, 0.5)
    assert gain(0.01, 0.0) == HeldOutGain(0.01, 0.0)
    assert gain(1.0, 0.995) is None
    assert gain(1.0, 1.5) is None


def test_a_model_in_a_form_that_is_not_undone_here_is_refused(tmp_path: Path) -> None:
    class BitLinear(nn.Module):
        """As mlx-lm's of BitNet."""

    made = plan(tmp_path, bits=KEPT_BITS.value)
    model = nn.Module()
    model.layers = [nn.Linear(2, 2)]
    made.__dict__["architecture"] = model
    (problem,) = fused.FusedWriter().problems(made)
    assert (problem.path, problem.hint) == ("bits", "Choose other weights.")
    model.layers = [nn.Linear(2, 2), BitLinear()]
    strange, _ = fused.FusedWriter().problems(made)
    assert strange == Problem(
        "format", "The base model is stored in a way that cannot be fused here (BitLinear).",
        hint="Export the adapter alone.",
    )  # fmt: skip
    with pytest.raises(UnusableError, match="a is a Linear, which cannot be fused here"):
        fused_module("a", nn.Linear(2, 2))


def test_a_model_for_transformers_says_its_class_and_floats(tmp_path: Path) -> None:
    made = plan(tmp_path, "hf", "qwen2")
    assert hf_config(made, "bfloat16") == {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "dtype": "bfloat16",
    }  # fmt: skip
    made.__dict__["base_config"] = {
        "model_type": "qwen2",
        "torch_dtype": "float32",
        "architectures": ["Own"],
        "quantization": {},
    }
    own = {"model_type": "qwen2", "architectures": ["Own"]}
    assert hf_config(made, "float16") == own | {"torch_dtype": "float16", "dtype": "float16"}
    assert hf_config(made, "") == own | {"torch_dtype": "float32"}


def test_names_and_matrices_of_gpt_are_put_back() -> None:
    matrix = mx.arange(6).reshape(2, 3)
    name = "model.h.1.attn.c_attn"
    gpt2 = {k: a.tolist() for leaf, array in (("weight", matrix), ("bias", matrix[0]))
            for k, a in NAMINGS["gpt2"].tensors(f"{name}.{leaf}", array)}  # fmt: skip
    assert gpt2 == {"h.1.attn.c_attn.weight": [[0, 3], [1, 4], [2, 5]], "h.1.attn.c_attn.bias": [0, 1, 2]}
    (found,) = NAMINGS["gpt2"].tensors("model.wte.weight", matrix)
    assert (found[0], found[1].tolist()) == ("wte.weight", matrix.tolist())
    neox = NAMINGS["gpt_neox"]
    paths = ("model.embed_out", "model.h.0.mlp", "model.embed_in", "other")
    assert [neox.module(path) for path in paths] == [
        "embed_out",
        "gpt_neox.layers.0.mlp",
        "gpt_neox.embed_in",
        "other",
    ]


# -- adapters for PEFT ----------------------------------------------------------------------------------------


def test_what_peft_adapts_otherwise_is_said() -> None:
    linear, embedding = LoRALinear(4, 4, r=2), LoRAEmbedding(4, 4, r=2)
    dora, switch = DoRALinear(4, 4, r=2), LoRASwitchLinear(4, 4, 2, r=2)
    head = "it is also the head of this model, and PEFT adapts its input side only"
    for kind, module, part, tied, said in [
        ("llama", "model.embed", embedding, True, head), ("llama", "model.embed", embedding, False, ""),
        ("llama", "a.q_proj", linear, True, ""), ("llama", "a.mlp.gate", dora, False, ""),
        ("llama", "a.up_proj", switch, False, "PEFT's form of a LoRASwitchLinear is not known here"),
        ("qwen3_moe", "a.mlp.gate", linear, False, ""),
        ("qwen3_moe", "a.mlp.gate", dora, False, "PEFT has no DoRA for routers"),
        ("qwen3_moe", "a.q_proj", dora, False, ""),
        ("qwen3_moe", "a.mlp.shared.up_proj", linear, False, "PEFT takes it for a matrix of the experts"),
    ]:  # fmt: skip
        assert peft._unlike(kind, module, part, tied) == said


def test_embeddings_magnitudes_and_parameters_have_their_names() -> None:
    adapter = PeftAdapter()
    embedding, dora = LoRAEmbedding(4, 3, r=2, scale=3.0), DoRALinear(4, 3, r=1, scale=2.0)
    dora.m = mx.ones(3)
    adapter.add("wte", embedding)
    adapter.add("q", dora)
    adapter.add("gate", LoRALinear(4, 3, r=2, scale=1.5), parameter="weight")
    before = "base_model.model."
    assert {name.removeprefix(before): array.shape for name, array in adapter.tensors.items()} == {
        "wte.lora_embedding_A": (2, 4), "wte.lora_embedding_B": (3, 2), "q.lora_A.weight": (1, 4),
        "q.lora_B.weight": (3, 1), "q.lora_magnitude_vector": (3,), "gate.lora_A.weight": (2, 4),
        "gate.lora_B.weight": (3, 2),
    }  # fmt: skip
    assert all(name.startswith(before) for name in adapter.tensors)
    assert adapter.modules == {"wte": (2, 6.0), "q": (1, 2.0)}
    assert adapter.parameters == {"gate.weight": (2, 3.0)}


def test_the_config_for_peft_has_what_most_have_and_exceptions_by_name(tmp_path: Path) -> None:
    model = nn.Module()
    model.layers = [nn.Linear(2, 2) for _ in range(3)]
    model.norm = nn.RMSNorm(2)
    made = plan(tmp_path, "peft")
    made.__dict__.update(architecture=model, adapter_config={"fine_tune_type": "lora"})
    assert adaptable(model) == ["layers.2", "layers.1", "layers.0"]
    rank = 3
    adapter = PeftAdapter(
        modules={"layers.0": (rank, 6.0000000001), "layers.1": (rank, 6.0000000001), "layers.2": (2, 1.5)}
    )
    config = peft.peft_config(made, NAMINGS["llama"], adapter)
    assert config == {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/base",
        "inference_mode": True,
        "r": 3, "lora_alpha": 6, "rank_pattern": {r"layers\.2": 2}, "alpha_pattern": {r"layers\.2": 1.5},
        "use_dora": False, "use_rslora": False, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False,
        "init_lora_weights": True, "modules_to_save": None, "target_parameters": None,
        "target_modules": ["layers.0", "layers.1", "layers.2"], "layers_to_transform": None, "layers_pattern": None,
        "exclude_modules": None,
    }  # fmt: skip
    assert isinstance(config["lora_alpha"], int)
    made.__dict__["adapter_config"] = {"peft_type": "LORA", "use_dora": True}
    config = peft.peft_config(
        made, NAMINGS["gpt2"], PeftAdapter(modules={"h.0.c_attn": (1, 2.0)}, parameters={"x": (1, 2.0)})
    )
    assert (config["use_dora"], config["fan_in_fan_out"], config["target_parameters"]) == (True, True, ["x"])
    assert known_base(made) == "org/base"
