"""Settings that cannot be read cost their owner nothing but a look at the file that was set aside."""

from __future__ import annotations

import pytest

from app.core.system import place
from app.core.system.setting import Settings, keep_settings, load_settings, save_settings


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


def test_what_nobody_chose_is_as_it_was_declared() -> None:
    assert load_settings().model_dump() == {
        "theme": "system", "language": "system", "runs_dir": "", "models_dir": "", "exports_dir": "",
        "last_folder": "", "model_folders": (), "recent_models": (), "recent_data": (), "recent_configs": (),
        "alpha_convention": "peft", "chart_smoothing": 0.6, "chart_x": "iterations", "chart_log": False,
        "chart_without_spike": False, "offline": False, "proxy": "", "default_setup": "", "notifications": True,
        "keep_awake": True, "wire_memory": True, "relax_gpu_limit": False, "spare_worker": True,
        "check_updates": False, "updates_asked": "", "silence_s": 120, "trusted_reward_files": (), "window": {},
    }  # fmt: skip
    for seconds, is_taken in ((5, True), (4, False), (1_000_000, True), (1_000_001, False)):
        place.settings_path().parent.mkdir(parents=True, exist_ok=True)
        place.settings_path().write_text(f"silence_s: {seconds}\n")
        assert load_settings().silence_s == (seconds if is_taken else 120)


def test_the_last_twelve_are_recent_each_once() -> None:
    settings = Settings()
    for number in (*range(14), 5):
        settings = settings.with_recent("recent_models", str(number))
    assert settings.recent_models == tuple(map(str, (5, 13, 12, 11, 10, 9, 8, 7, 6, 4, 3, 2)))
    assert settings.recent_data == ()


def test_what_another_window_kept_meanwhile_stays() -> None:
    """Also what a newer version put there; nobody who looks at settings changes those that are kept for others."""
    place.settings_path().parent.mkdir(parents=True)
    place.settings_path().write_text("newer: {a: 1}\nwindow: {width: 3}\n")
    load_settings().window["width"] = 99
    keep_settings(theme="dark", proxy="http://a:1")
    keep_settings(theme="light")
    found = load_settings()
    assert (found.theme, found.proxy, found.window) == ("light", "http://a:1", {"width": 3})
    assert found.model_extra == {"newer": {"a": 1}}
    save_settings(Settings(last_folder="/Müll"))
    assert load_settings().last_folder == "/Müll"
    assert place.settings_path().read_bytes().isascii()
