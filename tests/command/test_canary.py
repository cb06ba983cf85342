"""A canary: a token that is let through a whole run, and then looked for in every file and every word of it."""

from __future__ import annotations

from pathlib import Path

from tests.command.conftest import Luthier

CANARY = "hf_canaryCanaryCanaryCanaryCanary"


def test_no_file_and_no_word_has_the_token(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    run, environment = tmp_path / "run", {"HF_TOKEN": CANARY}
    said = []
    for words in (
        ["train", "config.yaml", "--run-dir", str(run)],
        ["runs", "report", str(run), "--out", str(tmp_path / "report.html")],
        ["export", str(run), "--to", "adapter", "--out", str(tmp_path / "exported")],
        ["bundle", "config.yaml", "--out", str(tmp_path / "bundle")],
        ["doctor"],
    ):
        done = luthier(*words, cwd=place, environment=environment)
        assert done.returncode == 0, (words, done.stderr)
        said.append(done.stdout + done.stderr)
    assert CANARY not in "".join(said)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"events.jsonl", "config.yaml", "report.html", "adapter_config.json"} <= {path.name for path in files}
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
