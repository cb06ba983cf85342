"""The list of transformers' modules: what was kept is what transformers finds itself, and never that of another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.worker.process import module_list
from app.worker.process.module_list import LARGE, kept

MADE: Any = {
    frozenset(): {"models.a.config": {"AConfig", "BConfig"}, "models.b": set()},
    frozenset({"torch", "vision"}): {"models.a.model": {"AModel"}},
}
# A process of its own: here transformers was imported long ago.
REAL = """
import sys
from pathlib import Path
from app.worker.process import module_list
kept_at = Path(sys.argv[1])
module_list._file = lambda folder, prefix: kept_at / f"{prefix}.json"
module_list._may_write = lambda: True
module_list.keep_module_list()
import transformers.models
from transformers import AutoTokenizer, LlamaConfig
from transformers.utils.import_utils import define_import_structure as listed
assert sorted(file.name for file in kept_at.iterdir()) == ["None.json", "models.json"], list(kept_at.iterdir())
folder = Path(transformers.models.__file__).parent
listed.__wrapped__.cache_clear()  # transformers adds to what it was given
for prefix in (None, "models"):
    own = listed.__wrapped__(folder, prefix=prefix)
    before = (kept_at / f"{prefix}.json").stat().st_mtime_ns
    assert sum(map(len, own.values())) > 500, sum(map(len, own.values()))
    assert listed(folder, prefix=prefix) == own
    assert (kept_at / f"{prefix}.json").stat().st_mtime_ns == before
"""


class Maker:
    """Counts how often the list is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, module_path: object, prefix: str | None = None) -> Any:  # noqa: ARG002  # as the real one
        self.times += 1
        return {needs: dict(of) for needs, of in MADE.items()}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Maker:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    for number in range(LARGE):
        (tmp_path / "models" / f"m{number}").mkdir(parents=True)
    made = Maker()
    made.__name__ = "define_import_structure"  # type: ignore[attr-defined]
    return made


def test_it_is_made_once_and_read_from_then_on(make: Maker, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert [kept(make)(models, prefix="models") for _ in range(3)] == [MADE] * 3
    assert make.times == 1
    assert kept(make)(models) == MADE  # without the prefix it is another list
    assert kept(make)(models / "__init__.py") == MADE
    assert make.times == 2


def test_another_package_in_its_place_is_read_anew(make: Maker, tmp_path: Path) -> None:
    kept(make)(tmp_path / "models")
    (tmp_path / "models" / "new").mkdir()
    kept(make)(tmp_path / "models")
    (tmp_path / "models" / "m1" / "a.py").touch()
    kept(make)(tmp_path / "models")
    assert make.times == 3


@pytest.mark.parametrize("odd", ["", "[]", "{}", '{"state": 1}', "\0", "[" * 5000])
def test_what_cannot_be_read_is_made_anew(odd: str, make: Maker, tmp_path: Path) -> None:
    models = tmp_path / "models"
    kept(make)(models)
    (file,) = (models / "__pycache__").iterdir()
    file.write_text(odd)
    assert kept(make)(models) == MADE
    state = module_list._state(models)
    file.write_text(f'{{"state": "{state}", "modules": [1]}}')
    assert kept(make)(models) == MADE
    assert make.times == 3
    assert kept(make)(models) == MADE
    assert make.times == 3


def test_nothing_is_written_where_python_may_not(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept(make)(tmp_path / "models")
    assert not (tmp_path / "models" / "__pycache__").exists()
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # an app: not inside of it, but in the person's cache
    assert [kept(make)(tmp_path / "models") for _ in range(2)] == [MADE] * 2
    assert not (tmp_path / "models" / "__pycache__").exists()
    assert make.times == 2


def test_a_folder_that_is_gone_or_small_is_transformers_own_matter(make: Maker, tmp_path: Path) -> None:
    for folder in (tmp_path / "models" / "m1", tmp_path / "none"):
        kept(make)(folder)
        kept(make)(folder)
    assert make.times == 4


def test_it_is_what_transformers_finds(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", REAL, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
