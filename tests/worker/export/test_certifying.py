"""Certificates: what is planted into an export is found and told, and what is good is not accused."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.export.certificate import Certificate
from app.core.protocol import event
from app.core.protocol.job import ExportJob
from app.worker.export.certifying import Evidence, certified, evidence_of
from app.worker.export.plan import ExportPlan
from app.worker.export.task import plan_of
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Progress
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export import planted
from tests.worker.export.exporting import exported, run_export
from tests.worker.tiny_model import write_data
from tests.worker.training import config_for, start


@dataclass(frozen=True)
class Exported:
    """A good export, with what its run's model makes of the material."""

    plan: ExportPlan
    folder: Path
    evidence: Evidence


def quiet(_phase: str, in_bytes: bool = False) -> Progress:  # noqa: ARG001
    return lambda _done, _total: None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("certificate") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    return make_adapter(base, base.parent / "adapter", layers=3)


def export_of(adapter: Path, to: str) -> Exported:
    folder = exported(adapter.parent, adapter, to, out=adapter.parent / f"good-{to}")
    plan = plan_of(ExportJob(source=adapter, format=to, out=folder))
    return Exported(plan, folder, evidence_of(plan, TunedModel.of(plan), 6, quiet))


@pytest.fixture(scope="module")
def models(adapter: Path) -> dict[str, Exported]:
    return {to: export_of(adapter, to) for to in ("fused", "hf", "peft")}


def verdict(good: Exported, folder: Path, fault: planted.Fault, base: Path) -> Certificate:
    shutil.copytree(good.folder, folder)
    fault(folder, base)
    found = certified(good.plan, folder, good.evidence, quiet)
    assert found is not None
    return found


@pytest.mark.parametrize("name", list(planted.IN_MODELS))
def test_a_planted_fault_is_found_by_mlx_lm(
    models: dict[str, Exported], base: Path, tmp_path: Path, name: str
) -> None:
    fault, finding = planted.IN_MODELS[name]
    found = verdict(models["fused"], tmp_path / "faulty", fault, base)
    assert not found.agrees
    assert finding in [one.name for one in found.findings if not one.agrees]
    assert "differs" in found.sentence()
    assert not json.loads((tmp_path / "faulty" / "certificate.json").read_text())["agrees"]


@pytest.mark.torch
@pytest.mark.parametrize(
    "to, name", [("hf", name) for name in planted.IN_MODELS] + [("peft", name) for name in planted.IN_ADAPTERS]
)
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_planted_fault_is_found_by_transformers(
    models: dict[str, Exported], base: Path, tmp_path: Path, to: str, name: str
) -> None:
    fault, finding = planted.IN_MODELS[name]
    found = verdict(models[to], tmp_path / "faulty", fault, base)
    assert not found.agrees
    assert found.engine.startswith("transformers")
    assert finding in [one.name for one in found.findings if not one.agrees]


def test_a_run_is_held_against_its_own_held_out_rows(base: Path, tmp_path: Path) -> None:
    run, _ = start(config_for(base, write_data(tmp_path / "data")), tmp_path / "run")
    out, events = run_export(tmp_path, run.path, "fused")
    (told,) = [said.data["certificate"] for said in events if isinstance(said, event.Result)]
    assert told["agrees"], told["sentence"]
    assert told["material"] == "8 rows of the run's validation data"
    assert json.loads((out / "certificate.json").read_text())["findings"] == told["findings"]
    assert told["loss"]["low"] <= told["loss"]["difference"] <= told["loss"]["high"]


def test_without_prompts_there_is_no_certificate(adapter: Path, tmp_path: Path) -> None:
    out, events = run_export(tmp_path, adapter, "adapter", prompts=0)
    (told,) = [said.data for said in events if isinstance(said, event.Result)]
    assert told["certificate"] is None
    assert not (out / "certificate.json").exists()


def test_fewer_bits_say_how_much_of_the_gain_they_keep(adapter: Path, tmp_path: Path) -> None:
    _, events = run_export(tmp_path, adapter, "fused", options={"bits": "4bit"}, prompts=4)
    (told,) = [said.data["certificate"] for said in events if isinstance(said, event.Result)]
    assert "of what training gained; held-out loss" in told["findings"][-1]["said"]


@pytest.mark.torch
def test_llama_cpp_opens_a_file_and_finds_what_is_wrong(adapter: Path) -> None:
    good = export_of(adapter, "gguf")
    assert json.loads((good.folder / "certificate.json").read_text())["engine"].startswith("llama.cpp")
    weaker = plan_of(ExportJob(source=adapter, format="gguf", out=good.folder, options={"scale": 0.5}))
    found = certified(weaker, good.folder, evidence_of(weaker, TunedModel.of(weaker), 6, quiet), quiet)
    assert found is not None
    assert [one.name for one in found.findings if not one.agrees] == ["answers", "loss"]


@pytest.mark.parametrize("reason", ["no program", "no room"])
def test_an_adapter_for_llama_cpp_is_read_again_here_where_it_cannot_be_opened(
    adapter: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr("app.worker.export.certifying.has_llama_cpp", lambda: reason == "no room")
    monkeypatch.setattr("app.worker.export.certifying.free_bytes", lambda _: 1000)
    good = export_of(adapter, "gguf-adapter")
    told = Certificate.from_dict(json.loads((good.folder / "certificate.json").read_text()))
    assert told.own_reader
    assert told.sentence() == "Opened again here, by no other program: it agrees with the run's model."
    for name, (fault, finding) in planted.IN_GGUF_ADAPTERS.items():
        found = verdict(good, tmp_path / name.replace("/", ""), fault, base)
        assert finding in [one.name for one in found.findings if not one.agrees], name
    shutil.rmtree(good.folder)


@pytest.mark.torch
@pytest.mark.parametrize("name", list(planted.IN_GGUF_ADAPTERS))
def test_a_fault_planted_into_an_adapter_is_found_by_llama_cpp(
    adapter: Path, base: Path, tmp_path: Path, name: str
) -> None:
    fault, finding = planted.IN_GGUF_ADAPTERS[name]
    good = export_of(adapter, "gguf-adapter")
    found = verdict(good, tmp_path / "faulty", fault, base)
    shutil.rmtree(good.folder)
    assert found.engine.startswith("llama.cpp")
    assert finding in [one.name for one in found.findings if not one.agrees]


@pytest.mark.torch
@pytest.mark.parametrize("quantized", [False, True], ids=["floats", "quantized"])
def test_llama_cpp_puts_an_adapter_on_its_base_and_finds_a_weaker_one(tmp_path: Path, quantized: bool) -> None:
    adapter = make_adapter(make_model(tmp_path / "base", quantized=quantized), tmp_path / "lora", layers=3)
    good = export_of(adapter, "gguf-adapter")
    told = json.loads((good.folder / "certificate.json").read_text())
    assert told["engine"].startswith("llama.cpp")
    assert sorted(path.name for path in good.folder.iterdir()) == ["certificate.json", "lora-adapter.gguf"]
    weaker = plan_of(ExportJob(source=adapter, format="gguf-adapter", out=good.folder, options={"scale": 0.5}))
    found = certified(weaker, good.folder, evidence_of(weaker, TunedModel.of(weaker), 6, quiet), quiet)
    assert found is not None
    assert "loss" in [one.name for one in found.findings if not one.agrees]
