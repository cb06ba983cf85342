"""Settings that cannot be read cost their owner nothing but a look at the file that was set aside."""

from __future__ import annotations

import pytest

from app.core.system import place
from app.core.system.setting import Settings, load_settings, save_settings


@pytest.mark.parametrize("text", ["theme: [\n", "- a list\n", "[" * 3000, "at: 2020-13-45\n"])
def test_a_file_that_cannot_be_read_is_set_aside(text: str) -> None:
    path = place.settings_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load_settings() == Settings()
    save_settings(Settings(theme="dark"))
    assert load_settings().theme == "dark"
    assert path.with_name("settings.yaml.damaged").read_text() == text


@pytest.mark.parametrize(
    "text", ["1: a\ntheme: dark\n", "theme: dark\nsilence_s: [1]\n", "theme: dark\nsilence_s: 99999999999\n"]
)
def test_one_odd_value_or_key_leaves_the_others(text: str) -> None:
    path = place.settings_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load_settings().theme == "dark"


def test_an_empty_file_is_no_damage() -> None:
    path = place.settings_path()
    path.parent.mkdir(parents=True)
    path.write_text("")
    save_settings(load_settings())
    assert [one.name for one in path.parent.iterdir()] == ["settings.yaml"]
