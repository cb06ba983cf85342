"""The application as a process: opens with files, follows the system, and ends politely when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.setup.config_file import load_config
from tests import ROOT

pytestmark = pytest.mark.slow

CODE = """
import sys
import app.ui.window.application as application
class Telling(application.MainWindow):
    def showEvent(self, shown):
        super().showEvent(shown)
        print(self.store.config.data, flush=True)
application.MainWindow = Telling
sys.exit(application.run_window(sys.argv[1:]))
"""


def test_it_opens_with_a_file_and_ends_on_a_signal_with_the_form_kept(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("Some text.\n")
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LUTHIER_HOME": str(home)},
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().strip() == str(data)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert load_config(home / "data" / "form.yaml").config.data == str(data)


def test_a_second_launch_ends_at_once_and_the_first_window_has_its_file(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("Some text.\n")
    environment = os.environ | {"LUTHIER_HOME": str(home)}
    first = subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert first.stdout is not None
    with first:
        first.stdout.readline()
        second = subprocess.run(
            [sys.executable, "-c", CODE, str(data)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )
        assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    assert load_config(home / "data" / "form.yaml").config.data == str(data)
