"""A canary: a token that is let through a whole run, and then looked for in every file and every word of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command.conftest import Luthier

CANARY = "hf_canaryCanaryCanaryCanaryCanary"


def test_no_file_and_no_word_has_the_token(
    program: Luthier, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    run, config, said = tmp_path / "run", place / "config.yaml", ""
    for words in (
        ["train", config, "--run-dir", run],
        ["runs", "report", run, "--out", tmp_path / "report.html"],
        ["export", run, "--to", "adapter", "--out", tmp_path / "exported"],
        ["bundle", config, "--with-model", "--out", tmp_path / "bundle"],
        ["doctor"],
    ):
        done = program(*words)
        said += done.stdout + done.stderr
    assert CANARY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"events.jsonl", "config.yaml", "report.html", "adapter_config.json"} <= {path.name for path in files}
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
