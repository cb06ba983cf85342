"""``luthier bench`` through real workers: a table of this machine, and a file of it that tells nobody's names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from app.command.output import FailedError
from app.command.stock.alternation import SpeedCase, TrainerRunner
from app.core.live.training_list import listed
from app.core.protocol.event import Hello
from app.core.run.folder import prepare_run
from app.core.stock.speed_table import Measured
from tests.command.conftest import PROGRAM, Luthier
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, for nothing else."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.mark.slow
def test_the_table_of_ones_own_model_and_data_is_printed_and_shared(
    luthier: Luthier, tmp_path: Path, temporary: Path, home: Path
) -> None:
    model = write_model(tmp_path / "secret-model")
    data = write_data(tmp_path / "secret-data", train=16)
    save = tmp_path / "shared" / "secret-table.json"
    save.parent.mkdir()
    done = luthier("bench", "--model", model, "--data", data, "--minutes", 0.1, "--save", save, "--json")
    tree = json.loads(done.stdout)
    rows = {(row["case"], row["against"]): row for row in tree["rows"]}
    row = rows["batch 4", "stock mlx-lm"]
    assert ("batch 4", "stock, its length sort repaired") in rows
    for name in ("speed", "speed_by_clock", "first_epoch", "first_epoch_by_clock", "memory"):
        assert 0.01 < row[name] < 100
    assert row["loss_other"] < row["loss_before"]
    assert tree["data"].startswith("own rows: 16 of ")
    assert "There was no time for" in " ".join(tree["left_out"])
    written = json.loads(save.read_text())
    assert written == {name: value for name, value in tree.items() if name != "files"}
    text = save.with_suffix(".md").read_text()
    assert "| batch 4 | stock mlx-lm |" in text
    for said in (save.read_text(), text):
        assert "secret" not in said
        assert str(tmp_path) not in said
        assert os.uname().nodename not in said
    assert list(temporary.glob("luthier-*")) == []
    assert not (home / "data").exists()  # no runs, no settings: a cached inspection at most


@pytest.mark.slow
def test_a_model_of_four_bits_is_measured_alike(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", quantized=True)
    data = write_data(tmp_path / "data", train=8)
    runner = TrainerRunner(model, tmp_path / "work", {"lora_parameters": {"rank": 4, "scale": 4.0, "dropout": 0.0}})
    found = runner.alternate(SpeedCase("batch 4", 4), data)
    assert set(found.measured) == set(found.losses) == {"luthier", "stock"}
    assert found.losses["luthier"] == pytest.approx(found.losses["stock"], rel=0.01)
    assert found.losses["stock"] < found.base_loss


def test_a_trainer_that_fails_is_told_and_people_get_each_case_as_lines(
    luthier: Luthier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = {
        "luthier": Measured((4.0, 1.0), (3.0, 1.0), 1.5, 1200),
        "stock": Measured((6.0, 3.0), (6.0, 2.0), 2.0, 1000),
    }

    def measure(self: TrainerRunner, trainer: str, *_: object, **__: object) -> tuple[Measured, Path]:
        self.hello = Hello(task="measure", pid=1, working_set_gb=8.0, versions={"mlx": "0.1"})
        if trainer == "stock_sorted":
            raise FailedError("There is no /secret/place.")
        return took[trainer], tmp_path

    monkeypatch.setattr(TrainerRunner, "measure", measure)
    monkeypatch.setattr(TrainerRunner, "_losses", lambda *_: (5.0, {"luthier": 3.5, "stock": 3.0}))
    done = luthier("bench", "--model", write_model(tmp_path / "model"), "--minutes", 0.1)
    assert "warning: batch 4: stock, its length sort repaired failed. There is no /secret/place.\n" in done.stderr
    parts = done.stdout.split("\n\n")
    lines = parts[0].splitlines()
    assert lines[1:2] == ["mlx 0.1"]
    assert lines[2].startswith("Model: qwen2, 27\u00a0k parameters")
    assert lines[3].endswith("of 1,200 tokens in all")
    assert [part.splitlines()[0] for part in parts[1:-1]] == [
        "batch 4, against stock mlx-lm",
        "batch 4, answers alone trained, against stock mlx-lm",
        "batch 8, against stock mlx-lm",
        "batch 1, against stock mlx-lm",
    ]
    assert parts[1].splitlines()[1:] == [
        "  real tokens/s, processor                     2.00 ×",
        "  real tokens/s, clock                         3.00 ×",
        "  first epoch, processor                       2.00 ×",
        "  first epoch, clock                           1.50 ×",
        "  peak memory                                  0.75 ×",
        "  validation loss: before → theirs, Luthier's  5.000 → 3.000, 3.500",
        "  behind                                       +25.0 %",
        "  their tokens/s                               400",
        "  their GB                                     2.00",
        "  n                                            1",
    ]
    assert parts[-1].startswith("Ratios are medians of n alternations: ")
    assert parts[-1].splitlines()[2:] == [
        "At batch 4 stock, its length sort repaired failed.",
        "At batch 8 stock, its length sort repaired failed.",
    ]


def test_it_is_refused_beside_a_run_that_trains(luthier: Luthier, tmp_path: Path, home: Path) -> None:
    run = prepare_run(config_for(tmp_path, tmp_path), home / "data" / "runs" / "a-run")
    with run.lock(), listed(run):
        done = luthier("bench", code=1)
    assert "a-run is training" in done.stderr
    assert "--beside" in done.stderr


def test_what_cannot_be_is_said_before_anything_is_measured(luthier: Luthier, tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("mine")
    done = luthier("bench", "--save", tmp_path / "there.json", code=2)
    assert "there.md is there already" in done.stderr
    assert (tmp_path / "there.md").read_text() == "mine"
    done = luthier("bench", "--save", tmp_path / "nowhere" / "table", code=2)
    assert "does not exist" in done.stderr
    (tmp_path / "folder").mkdir()
    assert "folder is a folder" in luthier("bench", "--save", tmp_path / "folder", code=2).stderr
    assert not list(tmp_path.glob("folder.*"))
    assert "no-model" in luthier("bench", "--model", tmp_path / "no-model", code=2).stderr
    assert "no-data does not exist" in luthier("bench", "--data", tmp_path / "no-data", code=2).stderr
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "a?", "chosen": "a", "rejected": "b"}\n' * 9)
    done = luthier("bench", "--data", pairs, code=2)
    assert "stock mlx-lm does not train" in done.stderr or "preference" in done.stderr
    few = write_data(tmp_path / "few", train=3)
    assert "the number of them is 3" in luthier("bench", "--data", few, code=2).stderr


def test_stopped_it_says_so_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    write_model(tmp_path / "model")
    command = [*PROGRAM, "bench", "--model", str(tmp_path / "model"), "--minutes", "5"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        said = program.stderr.readline()
        assert "a first try: Luthier" in said
        assert len(list(temporary.glob("luthier-*"))) >= 1
        program.send_signal(signal.SIGINT)
        rest = program.stderr.read()
        assert program.wait() == 1
    assert "Stopped before anything was measured" in rest or "Interrupted" in rest
    assert list(temporary.glob("luthier-*")) == []
