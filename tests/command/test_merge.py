"""``luthier merge`` through a real worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.command.main import run_command
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.tiny_model import write_data


def test_it_merges_measures_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model(tmp_path / "base")
    names = [
        str(make_adapter(tmp_path / "base", tmp_path / name, rank=rank)) for name, rank in (("a", 2), ("b", 4))
    ]
    write_data(tmp_path / "data", train=2, valid=4)
    out = tmp_path / "out"
    code = run_command(
        ["merge", *names, "--weights", "0.5,0.25", "--data", str(tmp_path / "data"), "--out", str(out), "--json"]
    )
    assert code == 0
    tree = json.loads(capsys.readouterr().out)
    assert (tree["rank"], [one["weight"] for one in tree["columns"]]) == (6, [None, 0.5, 0.25, None])
    assert (out / "adapters.safetensors").is_file()
    assert run_command(["merge", names[0]]) == 2
    assert "nothing to be merged with" in capsys.readouterr().err
    assert run_command(["merge", *names, "--weights", "a"]) == 2
    for odd in ("nan,1", "1,inf"):
        assert run_command(["merge", *names, "--weights", odd]) == 2
        assert "is no list of numbers" in capsys.readouterr().err
    assert run_command(["merge", *names, "--weights", "-1,0"]) == 0
    said = capsys.readouterr()
    assert "warning: The weight -1 takes away what a learned." in said.err
    assert "warning: The weight 0 leaves b out." in said.err
