"""The reference pages say what the code says, and the check names the page that does not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from app.command.verb import VERBS
from app.core.config.train_config import TrainConfig
from app.core.protocol.event import TrainReported
from tests import ROOT


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "packaging" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date() -> None:
    """At any width of the terminal, as whoever commits has it."""
    command = [sys.executable, str(ROOT / "packaging" / "reference.py"), "--check"]
    done = subprocess.run(command, env=os.environ | {"COLUMNS": "50"}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_a_stale_page_is_named(reference: ModuleType, tmp_path: Path) -> None:
    reference.write_pages(tmp_path)
    assert reference.stale_pages(tmp_path) == []
    page = tmp_path / "config.md"
    page.write_text(page.read_text().replace("`learning_rate`", "`rate`"))
    (tmp_path / "event.md").unlink()
    (tmp_path / "older.md").write_text("# Nothing writes this\n")
    assert reference.stale_pages(tmp_path) == ["config.md", "event.md", "older.md"]


def test_the_check_ends_with_1_and_writes_nothing(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise AssertionError("a check writes nothing")

    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    monkeypatch.setattr(reference, "stale_pages", lambda: ["event.md"])
    monkeypatch.setattr(reference, "write_pages", refuse)
    assert reference.main() == 1
    assert "docs/reference/event.md" in capsys.readouterr().out


def test_nothing_is_left_out(reference: ModuleType) -> None:
    """Counted without what the pages are made from: by the models' own fields and the verbs' names."""
    config = reference.config_page()
    for name in TrainConfig.model_fields:
        assert f"`{name}`" in config or f"`{name}." in config or name == "config_version", name
    assert "| `learning_rate` | Learning rate | `0.0001` | more than 0" in config
    methods = reference.method_page()
    assert "| `grpo` |" in methods
    assert "`beta: 0.1`" in methods
    commands = reference.command_page()
    assert all(f"\n## luthier {verb}\n" in commands for verb in VERBS)
    assert "--extend-by" in commands
    assert "luthier queue sweep" in commands
    events = reference.event_page()
    report = events[events.index("## train_reported") :]
    assert all(f"`{name}`" in report for name in TrainReported.__annotations__ if name != "type")
    assert "`float \\| None`" in report
    asked = reference.job_page()
    assert "## Job train\n" in asked
    assert "## Command stop\n" in asked


def test_bars_do_not_break_a_table(reference: ModuleType) -> None:
    """Each row of a table has as many cells as its head."""
    for page in reference.PAGES.values():
        cells = 0
        for line in page().splitlines():
            if not line.startswith("|"):
                cells = 0
                continue
            found = line.replace("\\|", "").count("|")
            assert found == (cells or found), line
            cells = found
