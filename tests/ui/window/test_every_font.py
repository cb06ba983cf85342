"""Every page fits in every theme, size, language, scale factor and font; all is named, translated, reached by Tab.

All combinations are 48 processes of half a minute: every pair of choices is shown in six of them. What all 48 come
to is told by ``LUTHIER_EVERY_LOOK=1`` before this test.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import pytest

from app.core.language import PSEUDO, VARIABLE
from tests import ROOT
from tests.ui.window.every_page import ABSENT

SCRIPT = ROOT / "packaging" / "machine.py"
SIZES = {"small": ("900x600", 96), "usual": ("1100x700", 96), "larger text": ("1100x700", 120)}  # dots an inch


class Look(NamedTuple):
    """How the window is shown."""

    family: str
    size: str
    language: str
    theme: str
    scale: int


# The narrowest and the widest font that the test command brings.
CHOICES = (("Inter", "Hack"), tuple(SIZES), ("en", "de"), ("light", "dark"), (1, 2))
EVERY = tuple(Look(*chosen) for chosen in product(*CHOICES))
PAIRS = (
    Look("Inter", "usual", "en", "light", 1), Look("Hack", "usual", "de", "dark", 2),
    Look("Hack", "larger text", "de", "light", 1), Look("Inter", "larger text", "en", "dark", 2),
    Look("Inter", "small", "de", "dark", 1), Look("Hack", "small", "en", "light", 2),
)  # fmt: skip
# A third font, and no language at all: its texts are longer than those of any.
BESIDE = (Look("DejaVu Sans", "usual", "en", "dark", 1), Look("Hack", "usual", PSEUDO, "light", 1))
SHOWN = (*(EVERY if os.environ.get("LUTHIER_EVERY_LOOK") else PAIRS), *BESIDE)
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
    assert {look.family for look in SHOWN} == set(fonts())


def test_every_pair_of_choices_is_shown() -> None:
    assert len(EVERY) == 48
    for one, other in combinations(range(len(CHOICES)), 2):
        assert {(look[one], look[other]) for look in PAIRS} == set(product(CHOICES[one], CHOICES[other]))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the workers say of model and data, asked once for all looks."""
    return tmp_path_factory.mktemp("answers")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only fontconfig can show a program one font alone")
@pytest.mark.parametrize("look", SHOWN, ids=lambda look: "-".join(map(str, look)))
def test_every_page_fits(look: Look, answers: Path, tmp_path: Path) -> None:
    (tmp_path / "fonts.conf").write_text(ONE_FAMILY.format(family=look.family), encoding="utf-8")
    size, dots = SIZES[look.size]
    environment = os.environ | {
        "FONTCONFIG_FILE": str(tmp_path / "fonts.conf"),
        "QT_QPA_PLATFORM": "offscreen",
        "QT_ENABLE_HIGHDPI_SCALING": "0",  # else larger text would be a larger window
        "QT_FONT_DPI": str(dots),
        "QT_SCALE_FACTOR": str(look.scale),
        VARIABLE: look.language,
    }
    words = ["--size", size, "--theme", look.theme]
    if look == BESIDE[0]:  # once, and not where the workers are asked: it takes a while, and fonts do not change it
        words.append("--tabs")
    result = subprocess.run(
        [sys.executable, "-m", "tests.ui.window.every_page", look.family, str(answers), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=400,
    )
    if result.returncode == ABSENT:
        pytest.skip(f"{look.family} is not installed: `sudo apt-get install -y {fonts()[look.family]}` brings it.")
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert (seen["family"], seen["pixels"]) == (look.family, round(13 * dots / 96))
    assert (seen["scheme"], seen["scale"]) == (look.theme, look.scale)
    assert seen["untranslated"] == {}
    assert seen["unusable"] == {}
    if look.language != PSEUDO:
        assert seen["unfit"] == {}
    assert seen["pages"] >= 40
