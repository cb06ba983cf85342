"""The demo on the real starter model: the style is learned, the facts are kept, and the picture is there."""

import json
import subprocess
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from app.core.protocol.program import own_command


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_teaches_the_style_that_the_base_never_has(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    done = subprocess.run(
        [*own_command(), "demo", "--json", "--run-dir", str(tmp_path / "run"), "--screenshot", str(picture)],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["base_style_share"] == 0
    assert figures["tuned_style_share"] >= 0.9
    assert figures["kept_facts"] >= 0.9 * figures["base_facts"]
    assert figures["base_facts"] >= 0.8 * figures["held_out_prompts"]
    assert (tmp_path / "run" / "adapters" / "adapters.safetensors").is_file()
    assert QImage(str(picture)).width() >= 1100
