"""Where Luthier keeps things on each system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.core.system import place


def test_a_shells_xdg_variables_move_nothing_on_a_mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUTHIER_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    library = tmp_path / "Library"
    assert place.data_dir() == library / "Application Support" / "Luthier"
    assert place.settings_path() == library / "Application Support" / "Luthier" / "settings.yaml"
    assert place.cache_dir() == library / "Caches" / "Luthier"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is for Linux")
def test_linux_follows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUTHIER_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert place.data_dir() == Path("/elsewhere/Luthier")


def test_one_variable_moves_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", "/home")
    found = (place.data_dir(), place.settings_path(), place.cache_dir())
    assert found == (Path("/home/data"), Path("/home/config/settings.yaml"), Path("/home/cache"))
