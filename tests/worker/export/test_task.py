"""Exports: whole under their final name or not there at all, refused with every hindrance before any work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.run.folder import RunDir
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import exported, run_export, stop_at
from tests.worker.model.test_peft import write_peft
from tests.worker.tiny_model import write_data
from tests.worker.training import config_for, saved_arrays, start

TOKENS = mx.array([[5, 9, 20, 33, 100, 7]])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    make_model(root / "base")
    for kind in ("lora", "dora", "full"):
        make_adapter(root / "base", root / kind, kind)
    write_peft(root / "lora", root / "peft")
    return root


@pytest.fixture(scope="module")
def run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    root = tmp_path_factory.mktemp("run")
    config = config_for(
        models / "base", write_data(root / "data"), lora_parameters={"rank": 4, "scale": 2.0, "dropout": 0.0}
    )
    return start(config, root / "2026-01-02_03-04-05_friendly")[0]


def logits(base: Path, adapter: Path | None = None) -> mx.array:
    model, _ = load(str(base), adapter_path=str(adapter) if adapter else None)
    return model(TOKENS)


@pytest.mark.parametrize("kind", ["lora", "dora", "full", "peft"])
def test_an_adapter_answers_elsewhere_as_it_did_here(models: Path, tmp_path: Path, kind: str) -> None:
    source = models / kind
    out = exported(tmp_path, source, "adapter", model=str(models / "base"))
    wanted = logits(models / "base", models / "lora" if kind == "peft" else source)
    assert mx.array_equal(logits(models / "base", out), wanted).item()
    assert "data" not in json.loads((out / "adapter_config.json").read_text())


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_an_adapter_that_learned_nothing_is_told(models: Path, tmp_path: Path, kind: str) -> None:
    """Of a run that failed or was stopped early; the certificate agrees, as both are the base."""
    untrained = shutil.copytree(models / kind, tmp_path / "untrained")
    arrays = saved_arrays(untrained / "adapters.safetensors")
    own, _ = load(str(models / "base"))
    base = dict(tree_flatten(own.parameters()))
    for name, array in arrays.items():
        if kind == "full":
            arrays[name] = base[name]
        elif name.endswith("lora_b"):
            arrays[name] = mx.zeros(array.shape)
    mx.save_safetensors(str(untrained / "adapters.safetensors"), arrays)
    said = "The adapter changes nothing: it holds the weights of before the training."
    for source, scale, remark in ((untrained, 1.0, said), (untrained, 0.0, ""), (models / kind, 1.0, "")):
        folder = tmp_path / f"{source.name}-{scale}"
        folder.mkdir()
        _, events = run_export(folder, source, "fused", prompts=0, options={"scale": scale})
        (told,) = [one.data for one in events if isinstance(one, event.Result)]
        assert told["remark"] == remark


@pytest.mark.parametrize("checkpoint, file", [
    ("", "best/adapters.safetensors"), ("best", "best/adapters.safetensors"), ("last", "adapters.safetensors"),
    ("6", "0000006_adapters.safetensors"), ("0000012", "0000012_adapters.safetensors"),
])  # fmt: skip
def test_a_run_is_exported_at_the_checkpoint_that_is_asked_for(
    run: RunDir, tmp_path: Path, checkpoint: str, file: str
) -> None:
    out = exported(tmp_path, run.path, "adapter", checkpoint=checkpoint)
    wanted, found = saved_arrays(run.adapters / file), saved_arrays(out / "adapters.safetensors")
    assert found.keys() == wanted.keys()
    assert all(mx.array_equal(found[name], wanted[name]).item() for name in wanted)


def test_a_checkpoint_that_is_not_there_is_told_with_those_that_are(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"no checkpoint “7”.*best, last, 12, 6"):
        run_export(tmp_path, run.path, "adapter", checkpoint="7")


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_half_the_strength_is_half_of_what_the_adapter_adds(models: Path, tmp_path: Path, kind: str) -> None:
    out = exported(tmp_path, models / kind, "adapter", options={"scale": 0.5})
    if kind == "lora":
        assert json.loads((out / "adapter_config.json").read_text())["lora_parameters"]["scale"] == 5.0
        return
    base = saved_arrays(models / "base" / "model.safetensors")
    own, half = saved_arrays(models / kind / "adapters.safetensors"), saved_arrays(out / "adapters.safetensors")
    for name, array in half.items():
        assert mx.allclose(array, (base[name] + own[name]) / 2, atol=1e-6).item()


def test_every_hindrance_is_told_before_any_work(models: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UnusableError) as caught:
        run_export(tmp_path, models / "dora", "adapter", options={"scale": 2.0})
    assert {problem.path for problem in caught.value.problems} == {"out", "scale"}
    for options, said in ({"mood": "good"}, "no option “mood”"), ({"scale": 9.0}, "no number from 0 to 4"):
        with pytest.raises(UnusableError, match=said):
            run_export(tmp_path, models / "lora", "adapter", options=options, out=tmp_path / "new")
    with pytest.raises(UnusableError, match="no format"):
        run_export(tmp_path, models / "lora", "floppy", out=tmp_path / "new")
    with pytest.raises(UnusableError, match="There is no run or adapter"):
        run_export(tmp_path, tmp_path / "nothing", "adapter", out=tmp_path / "new")


def test_a_disk_without_room_is_told_before_any_work(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.export.destination.free_bytes", lambda _: 1000)
    with pytest.raises(UnusableError, match=r"takes about .* and 1\skB are free"):
        run_export(tmp_path, models / "lora", "adapter")


def test_a_stop_leaves_nothing_behind(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    _, events = run_export(tmp_path, models / "lora", "adapter", stop_at("Writing the adapter"), out=place / "out")
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"
    assert list(place.iterdir()) == []
