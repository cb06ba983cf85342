"""Alarms sound after some iterations in a row, once, and again when they had gone."""

from __future__ import annotations

import pytest

from app.worker.train.alarm import ALARMS, SIGN_STREAK, Alarms

FINE = {"equal_groups": 0.5, "reward": 0.4, "reward_spread": 0.2, "cut": 0.1, "empty": 0.0, "kl": 0.1}


@pytest.mark.parametrize(
    "bad, said",
    [
        ({"equal_groups": 1.0}, "nothing to learn"),
        ({"reward": 0.0, "reward_spread": 0.0}, "No answer earns"),
        ({"cut": 0.6}, "are cut"),
        ({"empty": 0.5}, "are empty"),
        ({"kl": 9.0}, "far away"),
        ({"ties": 1.0}, "no answer better"),
        ({"inconsistent": 0.5}, "changes its mind"),
    ],
)
def test_each_sounds_once(bad: dict[str, float], said: str) -> None:
    alarms = Alarms()
    heard = [warned for _ in range(3 * SIGN_STREAK) for warned in alarms.judge(FINE | bad)]
    assert [said in warned.message for warned in heard] == [True]
    assert heard[0].hint
    assert not alarms.judge(FINE)
    assert len([w for _ in range(SIGN_STREAK) for w in alarms.judge(FINE | bad)]) == 1


def test_one_bad_iteration_is_an_accident() -> None:
    alarms = Alarms()
    found = [w for n in range(20) for w in alarms.judge(FINE | ({"equal_groups": 1.0} if n % 3 else {}))]
    assert not found


def test_a_streak_begins_anew_after_a_good_iteration() -> None:
    """Bad ones, however many in all, are no streak while good ones stand between them; a whole streak later is."""
    alarms = Alarms()
    for _ in range(3):
        heard = [w for _ in range(SIGN_STREAK - 1) for w in alarms.judge(FINE | {"kl": 99.0})] + alarms.judge(FINE)
        assert not heard
        assert alarms.streaks["kl"] == 0
    heard = [warned for _ in range(SIGN_STREAK) for warned in alarms.judge(FINE | {"kl": 99.0})]
    assert len(heard) == 1


def test_iterations_without_figures_do_not_count() -> None:
    alarms = Alarms()
    for _ in range(SIGN_STREAK - 1):
        assert not alarms.judge(FINE | {"cut": 1.0})
        assert not alarms.judge({})
    assert len(alarms.judge(FINE | {"cut": 1.0})) == 1


def test_every_alarm_says_what_to_try() -> None:
    for alarm in ALARMS.values():
        assert alarm.message.endswith(".")
        assert alarm.hint.endswith(".")
        assert any(word in alarm.hint for word in ("Try", "Raise", "Lower", "Choose"))
