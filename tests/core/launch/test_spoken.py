"""The window speaks the language that was chosen, or the person's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from app.core import language
from app.core.launch.spoken import speak, system_language
from app.core.system.setting import keep_settings


@pytest.mark.parametrize(
    "environment, found",
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "de_AT"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "fr_CH.UTF-8", "LANGUAGE": "fr:de:en"}, "de"),
        ({"LANG": "C", "LANGUAGE": "de"}, "en"),
    ],
)
def test_posix_says_it_by_variables(
    environment: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert system_language(environment) == found


@pytest.mark.parametrize(
    "said, found",
    [('(\n    "de-CH",\n    "en-US"\n)\n', "de"), ('(\n    "fr-FR",\n    "de-DE"\n)\n', "de"), ("", "en")],
)
def test_a_mac_has_a_list(said: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command == ["/usr/bin/defaults", "read", "-g", "AppleLanguages"]
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("app.core.launch.spoken.subprocess.run", run)
    assert system_language({"LANG": "C"}) == found


@pytest.mark.parametrize("chosen, found", [("de", "de"), ("en", "en"), ("system", "de")])
def test_settings_say_it_first(chosen: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_catalogue", None)
    monkeypatch.setenv(language.VARIABLE, "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    keep_settings(language=chosen)
    speak()
    assert language.language() == found


def test_a_variable_says_it_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "en")
    keep_settings(language="de")
    speak()
    assert language.language() == "en"
