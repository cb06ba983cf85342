"""The short form of the fault suite: a few faults of the kinds that need a process, on real runs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults import disk, kill, other, watchdog
from tests.faults.__main__ import config_of
from tests.faults.trained import Outcome, Undisturbed, undisturbed
from tests.worker.tiny_model import write_data, write_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_HOME", str(folder / "home"))
        config = config_of(write_model(folder / "model", layers=1), write_data(folder / "data"))
        return undisturbed(config, folder / "whole")


def as_promised(outcome: Outcome) -> None:
    assert outcome.times
    assert outcome.is_as_promised, outcome.row()


def test_killed_in_the_middle_of_a_state(whole: Undisturbed, tmp_path: Path) -> None:
    as_promised(kill.at_writes(whole, tmp_path, [60, 90]))


def test_killed_at_a_random_moment(whole: Undisturbed, tmp_path: Path) -> None:
    as_promised(kill.at_random(whole, tmp_path, 1, random.Random(2)))


def test_no_room_and_a_folder_that_moves(whole: Undisturbed, tmp_path: Path) -> None:
    for outcome in disk.disks(whole, tmp_path, 120, short=True):
        as_promised(outcome)


def test_ended_by_metals_watchdog(tmp_path: Path) -> None:
    whole = _without_dropout(tmp_path)
    for outcome in watchdog.deaths(whole, 100, tmp_path, 2, random.Random(3)):
        as_promised(outcome)


def test_ended_by_metals_watchdog_without_a_window(tmp_path: Path) -> None:
    whole = _without_dropout(tmp_path)
    for outcome in watchdog.alone(whole, 100, tmp_path, len(watchdog.WAYS), random.Random(3)):
        as_promised(outcome)
        assert outcome.times == 1


def _without_dropout(tmp_path: Path) -> Undisturbed:
    plain = {"rank": 2, "scale": 4.0, "dropout": 0.0}
    config = config_of(
        write_model(tmp_path / "model", layers=1), write_data(tmp_path / "data"), lora_parameters=plain
    )
    return undisturbed(config, tmp_path / "whole")


def test_two_workers_and_a_flood(whole: Undisturbed, tmp_path: Path) -> None:
    for outcome in other.others(whole, tmp_path, random.Random(1), short=True):
        as_promised(outcome)
