"""What an earlier version left behind, as it lies on the disk of whoever ran it, for tests of today's code."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import ROOT

SAMPLES = ROOT / "tests" / "samples"
VERSIONS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir() and path.name[0].isdigit())
PLACE = "/home/sample"  # stands in the kept files for the folder that they lay in
TEXT = {".yaml", ".json", ".jsonl", ".txt", ".md"}


def lay_out(version: str, place: Path) -> Path:
    """Copies the samples of a version to ``place``, and puts it for the one in the files; returns the home.

    Their model is not among them: `write_model(place / "model", layers=1)` makes it.
    """
    shutil.copytree(SAMPLES / version, place, dirs_exist_ok=True)
    for path in place.rglob("*"):
        if path.suffix in TEXT:
            path.write_text(path.read_text(encoding="utf-8").replace(PLACE, str(place)), encoding="utf-8")
    return place / "home"
