"""Numbers before words: one of a thing is not told as several."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.command.conftest import CONFIG, Luthier

ONE_OF_SEVERAL = re.compile(r"(?<![\d.,-])1 (examples|rows|iterations|modules|layers|epochs|files|messages)\b")


def test_one_of_a_thing_is_told_as_one(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    row = json.dumps({"messages": [{"role": "User", "content": "a"}, {"role": "assistant", "content": "b"}]})
    for name in ("train", "valid", "test"):
        (tmp_path / "data" / f"{name}.jsonl").write_text(row.replace('"b"', f'"{name}"') + "\n")
    own = {"model": str(place / "model"), "data": str(tmp_path / "data"), "iters": 1, "epochs": None}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own))
    model, data = place / "model", tmp_path / "data"
    said = [
        luthier("check", data / "train.jsonl", "--fix", "fixed.jsonl"),
        luthier("train", "config.yaml", "--run-dir", "run"),
        luthier("evaluate", "--model", model, "--data", data, "--adapter-path", "run"),
        luthier("compare", "--model", model, "--data", data, "--adapter-path", "run"),
        luthier("merge", "run", place / "adapter", "--model", model, "--data", data),
        luthier("runs", "show", "run"),
    ]
    assert [found[0] for done in said if (found := ONE_OF_SEVERAL.search(done.stdout + done.stderr))] == []
    assert "1 example of " in said[2].stdout
    assert "1 iteration (" in said[1].stdout
    assert "roles were put right in 1 row." in said[0].stdout
