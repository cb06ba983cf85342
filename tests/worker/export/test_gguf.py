"""Exports for llama.cpp and what stands on it: one file, its adapter, LM Studio's folder, Ollama's Modelfile."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize
from mlx_lm import load
from mlx_lm.utils import load_config
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from app.core.export.destination import free_destination
from app.core.model.folder import read_config
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.job import ExportJob
from app.worker.export.gguf import write_gguf_base
from app.worker.export.task import plan_of
from app.worker.gguf.tensor_type import TensorType
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import exported, run_export, stop_at
from tests.worker.tiny_model import TEMPLATE, write_model
from tests.worker.training import saved_arrays

Q_UP = "blk.2.ffn_up.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf")
    make_model(root / "base")
    for kind in ("lora", "dora", "full"):
        make_adapter(root / "base", root / kind, kind)
    return root


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without LM Studio, a PATH without llama.cpp and Ollama, and no package of llama.cpp either."""
    monkeypatch.setattr("app.worker.export.certifying.has_llama_cpp", lambda: False)
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")


def program(folder: Path, name: str, text: str) -> Path:
    """A program in Python that stands in for another."""
    file = folder / name
    file.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{text}\n")
    file.chmod(0o755)
    return file


def refused(models: Path, folder: Path, to: str, **job: Any) -> str:
    with pytest.raises(UnusableError) as caught:
        run_export(
            folder, job.pop("source", models / "lora"), to, model=str(job.pop("base", models / "base")), **job
        )
    assert not (folder / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_the_file_holds_the_tuned_weights(models: Path, tmp_path: Path, kind: str) -> None:
    out = exported(tmp_path, models / kind, "gguf", model=str(models / "base"), options={"type": "F16"})
    (file,) = out.iterdir()
    assert file.name == f"{kind}-F16.gguf"
    found = {tensor.name: tensor for tensor in GGUFReader(file).tensors}[Q_UP]
    # The tuned weight by its effect: the model's own matrix applied to the unit vectors.
    model, _ = load(str(models / "base"), adapter_path=str(models / kind))
    wanted = np.array(model.layers[2].mlp.up_proj(mx.eye(64))).T
    assert np.abs(dequantize(found.data, found.tensor_type) - wanted).max() < 0.002


@pytest.mark.parametrize("kind", [kind.name for kind in TensorType])
def test_every_type_is_a_choice_and_reaches_the_file(models: Path, tmp_path: Path, kind: str) -> None:
    out = exported(tmp_path, models / "lora", "gguf", model=str(models / "base"), options={"type": kind})
    tensors = {tensor.name: tensor for tensor in GGUFReader(out / f"lora-{kind}.gguf").tensors}
    assert tensors[Q_UP].tensor_type.name == kind


def test_half_the_strength_is_half_the_change(models: Path, tmp_path: Path) -> None:
    def weight(scale: float) -> Any:
        out = exported(
            tmp_path, models / "lora", "gguf", model=str(models / "base"), out=tmp_path / f"at{scale}",
            options={"type": "F16", "scale": scale},
        )  # fmt: skip
        tensors = {tensor.name: tensor for tensor in GGUFReader(out / "lora-F16.gguf").tensors}
        return dequantize(tensors[Q_UP].data, tensors[Q_UP].tensor_type)

    base, half, full = weight(0.0), weight(0.5), weight(1.0)
    assert np.abs((base + full) / 2 - half).max() < 0.002
    assert np.abs(full - base).max() > 0.02


def test_a_stop_leaves_nothing(models: Path, tmp_path: Path) -> None:
    out, events = run_export(
        tmp_path, models / "lora", "gguf", stop_at("Writing the file"), model=str(models / "base")
    )
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"
    assert not out.exists()
    assert not list(tmp_path.glob(".out*"))


def test_what_is_not_written_here_is_refused_by_name(models: Path, tmp_path: Path) -> None:
    assert "Q4_K_M is made by llama.cpp's llama-quantize, which is not found" in refused(
        models, tmp_path, "gguf", options={"type": "Q4_K_M"}
    )
    write_model(tmp_path / "olmo2", "olmo2", layers=3, hidden_size=64)
    make_adapter(tmp_path / "olmo2", tmp_path / "adapter")
    said = refused(models, tmp_path, "gguf", base=tmp_path / "olmo2", source=tmp_path / "adapter")
    assert "Models of the type olmo2 are not written here" in said
    assert "convert_hf_to_gguf.py is not found" in said
    tools = tmp_path / "llama.cpp"
    tools.mkdir()
    program(tools, "convert_hf_to_gguf.py", "")
    said = refused(
        models, tmp_path, "gguf", base=tmp_path / "olmo2", source=tmp_path / "adapter",
        options={"llama_cpp": str(tools), "type": "Q8_0"},
    )  # fmt: skip
    assert said == (
        "type: llama.cpp's converter writes BF16, and llama-quantize, which makes Q8_0 of it, is not found. "
        "Choose BF16, or install the whole of llama.cpp."
    )
    said = refused(models, tmp_path, "gguf-adapter", base=tmp_path / "olmo2", source=tmp_path / "adapter")
    assert "Models of the type olmo2 are not written as GGUF here" in said
    assert "this one is a full fine-tune" in refused(models, tmp_path, "gguf-adapter", source=models / "full")
    assert "this one is DoRA" in refused(models, tmp_path, "gguf-adapter", source=models / "dora")


def test_llama_cpps_quantizer_packs_what_is_written_here(models: Path, tmp_path: Path) -> None:
    build = tmp_path / "llama.cpp" / "build" / "bin"
    build.mkdir(parents=True)
    copies = "source, out, kind = sys.argv[1:]\ndata = pathlib.Path(source).read_bytes() + kind.encode()"
    program(build, "llama-quantize", f"{copies}\npathlib.Path(out).write_bytes(data)")
    options: dict[str, Any] = {"type": "Q4_K_M", "llama_cpp": str(tmp_path / "llama.cpp")}
    out = exported(tmp_path, models / "lora", "gguf", model=str(models / "base"), options=options)
    (file,) = out.iterdir()
    assert file.name == "lora-Q4_K_M.gguf"
    assert file.read_bytes().endswith(b"Q4_K_M")
    assert {tensor.tensor_type.name for tensor in GGUFReader(file).tensors} == {"BF16", "F32"}
    program(build, "llama-quantize", "print('bad magic'); sys.exit(3)")
    with pytest.raises(TaskError, match=r"llama-quantize failed \(3\): bad magic"):
        run_export(
            tmp_path, models / "lora", "gguf", model=str(models / "base"), options=options, out=tmp_path / "x"
        )
    assert not (tmp_path / "x").exists()


def test_llama_cpps_converter_makes_what_is_not_written_here(tmp_path: Path) -> None:
    base, adapter = write_model(tmp_path / "olmo2", "olmo2", layers=3, hidden_size=64), tmp_path / "tuned"
    make_adapter(base, adapter)
    tool = tmp_path / "llama.cpp"
    tool.mkdir()
    keeps = "import json, shutil\nsource = pathlib.Path(sys.argv[1])\nshutil.copytree(source, {kept!r})\n"
    program(
        tool,
        "convert_hf_to_gguf.py",
        keeps.format(kept=str(tmp_path / "kept"))
        + "pathlib.Path(sys.argv[3]).write_text(json.dumps(sys.argv[2:]))",
    )
    copies = "source, out, kind = sys.argv[1:]\npathlib.Path(out).write_text(kind + pathlib.Path(source).name)"
    program(tool, "llama-quantize", copies)
    few: dict[str, Any] = {"type": "Q8_0", "llama_cpp": str(tool)}
    out, _ = run_export(tmp_path, adapter, "gguf", model=str(base), options=few, prompts=0, out=tmp_path / "few")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("tuned-Q8_0.gguf", "Q8_016bit.gguf")]
    shutil.rmtree(tmp_path / "kept")
    options: dict[str, Any] = {"type": "BF16", "llama_cpp": str(tool), "scale": 0.5}
    out, events = run_export(tmp_path, adapter, "gguf", model=str(base), options=options, prompts=0)
    assert isinstance(events[-1], event.Finished)
    (file,) = out.iterdir()  # nothing of what lay between stays
    assert file.name == "tuned-BF16.gguf"
    said = json.loads(file.read_text())
    assert (said[0], said[2:]) == ("--outfile", ["--outtype", "bf16"])
    # What it was given: the model at the strength that was asked for, as transformers has it.
    assert read_config(tmp_path / "kept")["model_type"] == "olmo2"
    name = "model.layers.2.mlp.up_proj.weight"
    (given,) = [found[name] for file in (tmp_path / "kept").glob("*.safetensors") for found in [saved_arrays(file)]]
    plain, tuned = load(str(base))[0], load(str(base), adapter_path=str(adapter))[0]
    whole, none = (np.array(one.layers[2].mlp.up_proj(mx.eye(64))).T for one in (tuned, plain))
    assert np.abs(whole - none).max() > 0.02
    assert np.abs(np.array(given.astype(mx.float32)) - (whole + none) / 2).max() < 0.002
    program(tool, "convert_hf_to_gguf.py", "print('no such architecture'); sys.exit(2)")
    with pytest.raises(TaskError, match="no such architecture"):
        run_export(tmp_path, adapter, "gguf", model=str(base), options=options, out=tmp_path / "x", prompts=0)
    assert not (tmp_path / "x").exists()


def test_ollama_gets_a_modelfile_and_is_run_if_wanted(models: Path, tmp_path: Path) -> None:
    said = refused(models, tmp_path, "ollama", options={"create": True})
    assert "Ollama is not installed" in said
    log = tmp_path / "log"
    program(tmp_path / "bin", "ollama", f"open({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')")
    out = exported(
        tmp_path, models / "lora", "ollama", model=str(models / "base"), options={"create": True, "name": "mine"}
    )
    assert sorted(path.name for path in out.iterdir()) == ["Modelfile", "lora-Q8_0.gguf"]
    text = (out / "Modelfile").read_text()
    assert "FROM ./lora-Q8_0.gguf\n" in text
    assert 'PARAMETER stop "<|end|>"' in text
    assert "PARAMETER num_ctx 512" in text
    listed, created = log.read_text().splitlines()
    assert listed == "list"
    assert created.startswith("create mine -f ")
    program(tmp_path / "bin", "ollama", "sys.exit(sys.argv[1] == 'list')")
    assert "does not run" in refused(models, tmp_path / "second", "ollama", options={"create": True})
    program(tmp_path / "bin", "ollama", "if sys.argv[1] == 'create': sys.exit('no space left')")
    with pytest.raises(TaskError, match="no space left"):
        run_export(
            tmp_path, models / "lora", "ollama", model=str(models / "base"), options={"create": True},
            out=tmp_path / "third",
        )  # fmt: skip


@pytest.mark.parametrize("adds", [True, False])
def test_the_token_that_begins_a_text_is_written_once(models: Path, tmp_path: Path, adds: bool) -> None:
    """Ollama puts it there where the tokenizer does so itself."""
    base = Path(shutil.copytree(models / "base", tmp_path / "base"))
    (base / "chat_template.jinja").write_text("{{ bos_token }}" + TEMPLATE)
    known = json.loads((base / "tokenizer_config.json").read_text()) | {"bos_token": "<pad>"}
    (base / "tokenizer_config.json").write_text(json.dumps(known))
    if adds:
        tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
        tokenizer.post_processor = TemplateProcessing(single="<pad> $A", special_tokens=[("<pad>", 0)])
        tokenizer.save(str(base / "tokenizer.json"))
    out = exported(tmp_path, models / "lora", "ollama", model=str(base), options={"name": "mine"}, prompts=0)
    (template,) = [line for line in (out / "Modelfile").read_text().splitlines() if line.startswith("TEMPLATE")]
    assert "<|user|>" in template
    assert template.count("<pad>") == (0 if adds else 1)


def test_lm_studios_folder_is_found_and_respected(models: Path, tmp_path: Path) -> None:
    assert "LM Studio is not found" in refused(models, tmp_path, "lmstudio")
    home = tmp_path / "home"
    (home / "studio").mkdir()
    (home / ".lmstudio-home-pointer").write_text(f"{home / 'studio'}\n")
    assert free_destination("run", "lmstudio") == home / "studio" / "models" / "luthier" / "run-lmstudio"
    (home / "studio" / "settings.json").write_text(json.dumps({"downloadsFolder": str(tmp_path / "models")}))
    said = refused(models, tmp_path, "lmstudio")
    assert f"LM Studio looks for models in {tmp_path / 'models'}, as publisher/name" in said
    place = free_destination("run", "lmstudio")
    assert place == tmp_path / "models" / "luthier" / "run-lmstudio"
    out = exported(tmp_path, models / "lora", "lmstudio", model=str(models / "base"), out=place)
    assert [path.name for path in out.iterdir()] == ["lora-Q8_0.gguf"]


def test_the_base_of_an_adapters_file_is_the_model_before_the_run(models: Path, tmp_path: Path) -> None:
    job = ExportJob(source=models / "lora", model=str(models / "base"), format="gguf-adapter", out=tmp_path / "out")
    file = write_gguf_base(plan_of(job), tmp_path)
    assert file.parent == tmp_path
    found = {tensor.name: tensor for tensor in GGUFReader(file).tensors}[Q_UP]
    assert found.tensor_type.name == "BF16"
    wanted = np.array(load(str(models / "base"))[0].layers[2].mlp.up_proj.weight.astype(mx.float32))
    assert np.abs(dequantize(found.data, found.tensor_type) - wanted).max() < 0.01


def test_the_base_is_left_as_it_was(models: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (models / "base").iterdir()}
    exported(tmp_path, models / "lora", "gguf-adapter", model=str(models / "base"))
    assert {path: path.stat().st_mtime_ns for path in (models / "base").iterdir()} == before
    assert read_config(models / "base") == load_config(models / "base")


@pytest.mark.torch
def test_llama_cpp_answers_as_the_run_did(models: Path, tmp_path: Path) -> None:
    from tests.worker.gguf.llama_engine import LlamaEngine

    prompt = [2, 40, 50, 60, 1, 3]
    tuned, _ = load(str(models / "base"), adapter_path=str(models / "lora"))
    wanted = [int(np.array(tuned(mx.array([prompt]))[0, -1]).argmax())]
    whole = exported(tmp_path, models / "lora", "gguf", model=str(models / "base"), options={"type": "F16"})
    assert list(LlamaEngine(whole / "lora-F16.gguf").next(prompt, 1)) == wanted
    base = exported(
        tmp_path, models / "lora", "gguf", model=str(models / "base"), out=tmp_path / "base",
        options={"type": "F16", "scale": 0.0},
    )  # fmt: skip
    alone = exported(tmp_path, models / "lora", "gguf-adapter", model=str(models / "base"), out=tmp_path / "alone")
    engine = LlamaEngine(base / "lora-F16.gguf", adapter=alone / "lora-adapter.gguf")
    assert list(engine.next(prompt, 1)) == wanted
