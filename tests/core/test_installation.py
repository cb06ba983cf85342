"""What is advised fits the copy that advises it: a frozen app takes no packages, and no text says that it does."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError

import pydantic
import pytest
import yaml

from app.core.config.train_config import TrainConfig
from app.core.installation import is_frozen, package_hint, package_version, program_hint, repair_hint
from app.core.place.colab import ColabPlace
from app.core.place.kaggle import KagglePlace
from app.core.run.benchmark import harness_problem
from app.core.tracker.tracker import TRACKERS, tracker_problems
from tests import ROOT


@pytest.fixture(params=[False, True], ids=["source", "frozen"])
def frozen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(sys, "frozen", request.param, raising=False)
    assert is_frozen() is request.param
    return bool(request.param)


def test_a_package_is_installed_from_source_and_not_into_the_app(frozen: bool) -> None:
    said = package_hint("lm-eval", "'lm_eval>=0.4'")
    assert ("does not contain lm-eval" in said) is frozen
    assert ("checkout of Luthier" in said) is frozen
    assert "pip install 'lm_eval>=0.4'" in said
    assert said.startswith("Install it with") is not frozen


def test_another_programs_client_needs_a_python_of_ones_own(frozen: bool) -> None:
    said = program_hint("kaggle", "kaggle")
    assert "pip install kaggle" in said
    assert ("Python of your own" in said) is frozen


def test_what_is_damaged_is_installed_anew(frozen: bool) -> None:
    assert ("install it anew" in repair_hint()) is frozen
    assert (f"In {ROOT}, run: python3 packaging/dev.py setup" == repair_hint()) is not frozen


def test_each_that_advises_asks_the_seam(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_names: None)
    monkeypatch.setenv("PATH", "/nowhere")
    problem = harness_problem()
    assert problem is not None
    hints = [problem.hint, *(one.hint for one in tracker_problems(TrainConfig(report_to=",".join(TRACKERS))))]
    assert len(hints) == 1 + len(TRACKERS)
    assert all(("checkout of Luthier" in hint) is frozen for hint in hints)
    programs = [one.hint for place in (ColabPlace(), KagglePlace()) for one in place.missing()]
    assert sum("Python of your own" in hint for hint in programs) == 2 * frozen


def test_no_text_elsewhere_says_how_a_package_is_installed() -> None:
    # What is said of other machines, where a bundle trains, is about them.
    elsewhere = {"app/ui/bundle/dialog.py", "app/command/remote/bundle.py", "app/core/bundle/launch.py",
                 "app/core/bundle/script.py", "app/core/remote/control.py"}  # fmt: skip
    advising = re.compile(r"pip3? install|pipx install|dev\.py setup")
    found = {
        str(path.relative_to(ROOT)) for path in (ROOT / "app").rglob("*.py")
        if advising.search(path.read_text(encoding="utf-8"))
    }  # fmt: skip
    # Rosetta's remedy: an app that is for Apple silicon alone is not translated. The doctor's asks the seam itself.
    assert found - elsewhere == {
        "app/core/installation.py",
        "app/core/system/rosetta.py",
        "app/command/health/doctor.py",
    }


def test_the_version_is_the_packages_own() -> None:
    for _ in range(2):  # asked a second time it is known
        assert package_version("pydantic") == pydantic.VERSION
    assert package_version("PyYAML") == yaml.__version__


def test_a_package_that_is_not_there_has_no_version() -> None:
    with pytest.raises(PackageNotFoundError):
        package_version("luthier-of-nobody")
