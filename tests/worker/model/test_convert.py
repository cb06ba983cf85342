"""Converting: what comes out loads in mlx-lm and is as small as promised, and a stop leaves nothing behind."""

from __future__ import annotations

import json
import os
import queue
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.core.model.conversion import QUANTIZATIONS, converted_folder, quantization
from app.core.model.folder import find_models
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.client import started_job
from app.core.protocol.command import Command, Stop
from app.core.protocol.event import Event, parse_event
from app.core.protocol.job import ConvertJob
from app.worker.model import convert as convert_module
from app.worker.model.convert import convert
from app.worker.process.channel import Channel
from tests.worker.tiny_model import write_model


class Lines(list[str]):
    """An output that keeps what is written."""

    def write(self, line: str) -> None:
        self.append(line)

    def flush(self) -> None:
        """Nothing is held back."""


def run(commands: list[Command] | None = None, **job: Any) -> list[Event]:
    waiting: queue.Queue[Command] = queue.Queue()
    for command in commands or ():
        waiting.put(command)
    lines = Lines()
    convert(Channel(lines, waiting), Path("unused"), ConvertJob(**job))  # type: ignore[arg-type]
    return [parse_event(line) for line in lines]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("source") / "tiny", hidden_size=128, dtype=mx.bfloat16)


@pytest.mark.parametrize("name", list(QUANTIZATIONS))
def test_what_is_converted_loads_and_is_as_small_as_said(source: Path, tmp_path: Path, name: str) -> None:
    from mlx_lm import generate, load

    chosen = QUANTIZATIONS[name]
    out = converted_folder(str(source), chosen, tmp_path)
    told = next(
        e.data for e in run(model=str(source), out=str(out), quantization=name) if isinstance(e, event.Result)
    )
    config = json.loads((out / "config.json").read_text())
    assert config["quantization"]["bits"] == chosen.bits
    assert config["quantization"]["mode"] == chosen.mode
    # Norms and biases stay as they are, and a tiny model has many of them.
    assert told["bytes"] == pytest.approx(told["source_bytes"] / 16 * chosen.bits_per_weight, rel=0.1)
    model, tokenizer = load(str(out))
    assert isinstance(generate(model, tokenizer, "hi", max_tokens=2), str)
    assert [entry.path for entry in find_models([tmp_path])] == [out]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_worker_converts_and_tells_its_phases(source: Path, tmp_path: Path) -> None:
    job = ConvertJob(model=str(source), out=tmp_path / "deep" / "out", quantization="4bit")
    with started_job(job) as worker:
        events = list(worker.events())
    assert isinstance(events[-1], event.Finished)
    assert next(e.phase for e in events if isinstance(e, event.Progressed)) == convert_module.LOADING_PHASE
    assert (tmp_path / "deep" / "out" / "config.json").is_file()


def test_a_stop_leaves_nothing_behind(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = queue.Queue[None]()

    def endless(*_arguments: object, mlx_path: str, **_options: object) -> None:
        Path(mlx_path).mkdir()
        (Path(mlx_path) / "model.safetensors").write_bytes(b"half")
        waits.get()  # until it is interrupted, as between two of mlx-lm's steps

    monkeypatch.setattr("mlx_lm.convert", endless)
    events = run([Stop()], model=str(source), out=str(tmp_path / "out"))
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_and_every_hindrance_is_told(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(model=str(source), out=str(out), quantization="8bit")
    before = (out / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(UnusableError) as caught:
        run(model=str(out), out=str(out))
    assert {problem.path for problem in caught.value.problems} == {"model", "out"}
    assert "quantized already" in str(caught.value)
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_a_model_that_mlx_lm_does_not_know_is_told_in_words(source: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for path in source.iterdir():
        (odd / path.name).write_bytes(path.read_bytes())
    config = json.loads((odd / "config.json").read_text()) | {"model_type": "nonsuch"}
    (odd / "config.json").write_text(json.dumps(config))
    with pytest.raises(TaskError, match="cannot convert"):
        run(model=str(odd), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_name_of_the_result_is_free_and_unknown_ways_are_refused(tmp_path: Path) -> None:
    chosen = quantization("4bit")
    assert converted_folder("org/model@v1", chosen, tmp_path).name == "model-4bit"
    (tmp_path / "model-4bit").mkdir()
    assert converted_folder("/some/model/", chosen, tmp_path).name == "model-4bit-2"
    with pytest.raises(UnusableError, match="3bit"):
        quantization("3bit")


def test_weights_that_do_not_fit_the_config_are_told_in_words(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    with pytest.raises(UnusableError, match="its files hold 12 weights that a model of its config has not"):
        run(model=str(folder), out=str(tmp_path / "out"), quantization="8bit")
    assert not (tmp_path / "out").exists()


def test_files_that_are_cut_off_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(UnusableError, match="is cut off"):
        run(model=str(folder), out=str(tmp_path / "out"), quantization="8bit")


def test_a_folder_to_write_whose_name_is_no_text_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="bytes that are no UTF-8"):
        run(model=str(source), out=str(tmp_path / os.fsdecode(b"caf\xe9")), quantization="8bit")
