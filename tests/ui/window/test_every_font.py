"""Every page fits in every font and language, in two sizes of text; all is named, translated, reached by Tab."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.language import PSEUDO, VARIABLE
from tests import ROOT
from tests.ui.window.every_page import ABSENT

SCRIPT = ROOT / "packaging" / "machine.py"
TEXT_SIZES = {"usual": 96, "larger": 120}  # dots an inch that text is drawn for
# Each font once, the widest of them (one of equal widths) in both sizes: a process takes half a minute.
# Languages likewise: German's longer words in a narrow and in the widest font, and no language at all.
SHOWN = (
    ("Inter", "usual", "en"), ("Inter", "usual", "de"), ("DejaVu Sans", "larger", "en"), ("Hack", "usual", "xx"),
    ("Hack", "larger", "en"),
)  # fmt: skip
ONE_FAMILY = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <selectfont>
    <rejectfont><pattern/></rejectfont>
    <acceptfont><pattern><patelt name="family"><string>{family}</string></patelt></pattern></acceptfont>
  </selectfont>
</fontconfig>
"""


def fonts() -> dict[str, str]:
    """The fonts that the test command brings, each with its package."""
    spec = importlib.util.spec_from_file_location("machine", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    machine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(machine)
    found: dict[str, str] = machine.TEST_FONTS
    return found


def test_each_font_is_shown() -> None:
    assert {family for family, _, _ in SHOWN} == set(fonts())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workers say of model and data, asked once for all fonts."""
    return tmp_path_factory.mktemp("answers")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only fontconfig can show a program one font alone")
@pytest.mark.parametrize("family, text, spoken", SHOWN)
def test_every_page_fits(family: str, text: str, spoken: str, answers: Path, tmp_path: Path) -> None:
    (tmp_path / "fonts.conf").write_text(ONE_FAMILY.format(family=family), encoding="utf-8")
    environment = os.environ | {
        "FONTCONFIG_FILE": str(tmp_path / "fonts.conf"),
        "QT_QPA_PLATFORM": "offscreen",
        "QT_ENABLE_HIGHDPI_SCALING": "0",  # else larger text would be a larger window
        "QT_FONT_DPI": str(TEXT_SIZES[text]),
        VARIABLE: spoken,
    }
    tabs = (
        "tabs" if (family, text, spoken) == SHOWN[0] else "-"
    )  # once: it takes a while, and fonts do not change it
    result = subprocess.run(
        [sys.executable, "-m", "tests.ui.window.every_page", family, str(answers), tabs],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=240,
    )
    if result.returncode == ABSENT:
        pytest.skip(f"{family} is not installed: `sudo apt-get install -y {fonts()[family]}` brings it.")
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert (seen["family"], seen["pixels"]) == (family, round(13 * TEXT_SIZES[text] / 96))
    assert seen["untranslated"] == {}
    assert seen["unusable"] == {}
    if spoken != PSEUDO:  # whose texts are longer than those of any language
        assert seen["unfit"] == {}
    assert seen["pages"] >= 40
