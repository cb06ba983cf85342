"""Trackers: what a run says arrives as figures, live and afterwards; one that fails is told of and left out."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.setup.check import check_config
from app.core.setup.config_file import dump_config, parse_config
from app.core.tracker.tracker import TRACKERS, installed_text, tracker_names, tracker_problems
from app.core.tracker.tracking import tracked_events
from app.core.tracker.writer import TensorBoardWriter, TrackedRun
from tests.core.tracker.event_file import scalars
from tests.ui import synthetic_run


def asked(*names: str, **values: Any) -> TrainConfig:
    return TrainConfig.model_validate({"report_to": ",".join(names), "adapter_name": "mine"} | values)


def said_events() -> list[Event]:
    return [*synthetic_run.events(100), event.NeutralMeasured(iteration=100, neutral_loss=2.5, base_loss=2.0,
                                                              forgot=0.5, learned=0.75)]  # fmt: skip


def approximately(pairs: Iterable[tuple[int, float]]) -> Any:
    """Event files hold 32 bits of a number."""
    return [(step, pytest.approx(value)) for step, value in pairs]


def test_tensorboards_files_hold_every_figure_of_the_run(tmp_path: Path) -> None:
    events, faults = said_events(), list[str]()
    written = tracked_events(asked("tensorboard"), tmp_path / "run", tmp_path / "out", events, faults.append)
    found = scalars(tmp_path / "out" / "tensorboard")
    reports = [one for one in events if isinstance(one, event.TrainReported)]
    validations = [one for one in events if isinstance(one, event.Validated)]
    assert reports
    assert validations
    assert found["train/loss"] == approximately((one.iteration, one.train_loss) for one in reports)
    assert found["train/learning_rate"] == approximately((one.iteration, one.learning_rate) for one in reports)
    assert found["valid/loss"] == approximately((one.iteration, one.val_loss) for one in validations)
    assert (found["neutral/forgot"], found["neutral/learned"]) == ([(100, 0.5)], [(100, 0.75)])
    assert written == sum(map(len, found.values()))
    assert not faults


def test_tensorboard_shows_the_config_as_it_was_written(tmp_path: Path) -> None:
    """In the file's order and its letters, as a block of code (Markdown's four spaces)."""
    run = TrackedRun(
        "über", "voices", {"model": "Grüße", "data": "d", "adapter_name": "mine"}, tmp_path / "board", "k"
    )
    writer = TensorBoardWriter()
    writer.open(run, 0)
    writer.close(failed=False)
    (file,) = run.folder.glob("*tfevents*")
    assert "    model: Grüße\n    data: d\n    adapter_name: mine\n".encode() in file.read_bytes()


class Recorded:
    """What a package that is not installed here would have been told."""

    def __init__(self) -> None:
        self.begun: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.ended: list[Any] = []

    def init(self, **given: Any) -> Recorded:
        self.begun = given
        return self

    def log(self, figures: dict[str, float], step: int) -> None:
        self.logged.append((step, figures))

    def finish(self, exit_code: int = -1) -> None:
        self.ended.append(exit_code)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """In the place of wandb and of trackio."""
    recorded = Recorded()
    for name in ("wandb", "trackio"):
        module: Any = types.ModuleType(name)
        module.init, module.log, module.finish = recorded.init, recorded.log, recorded.finish
        setattr(module, "__spec__", importlib.machinery.ModuleSpec(name, None))  # noqa: B010  # find_spec asks it
        monkeypatch.setitem(sys.modules, name, module)
    return recorded


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_others_are_given_the_same_under_the_runs_name(tmp_path: Path, stand_in: Recorded, name: str) -> None:
    config, faults = asked(name, project_name="voices"), list[str]()
    tracked_events(config, tmp_path / "run", tmp_path / "out", said_events(), faults.append)
    assert not faults
    assert (stand_in.begun["project"], stand_in.begun["config"]["adapter_name"]) == ("voices", "mine")
    assert stand_in.begun["name"].startswith("mine")
    assert stand_in.begun["resume"] == "allow"
    assert stand_in.logged[-1] == (100, {"neutral/loss": 2.5, "neutral/forgot": 0.5, "neutral/learned": 0.75})
    assert stand_in.ended == ([0] if name == "wandb" else [-1])
    first = dict(stand_in.begun)
    tracked_events(config, tmp_path / "run", tmp_path / "out", said_events(), faults.append)
    assert stand_in.begun == first  # the same run again is the same there


def test_a_tracker_that_fails_is_told_of_once_and_left_out(tmp_path: Path, stand_in: Recorded) -> None:
    def broken(_figures: dict[str, float], **_step: int) -> None:
        raise ConnectionError("no network\nat all")

    sys.modules["wandb"].init = lambda **_: types.SimpleNamespace(log=broken, finish=stand_in.finish)  # type: ignore[attr-defined]
    faults: list[str] = []
    tracked_events(asked("wandb", "tensorboard"), tmp_path / "run", tmp_path / "out", said_events(), faults.append)
    assert faults == ["Weights & Biases takes no more figures of this run: no network at all."]
    assert scalars(tmp_path / "out" / "tensorboard")["neutral/forgot"]


def test_names_are_read_as_mlx_lm_reads_them() -> None:
    assert tracker_names("WandB, tensorboard,wandb") == ("wandb", "tensorboard")
    assert tracker_names("['tensorboard']") == ("tensorboard",)
    assert tracker_names("none") == tracker_names("") == ()


def test_one_that_is_not_there_holds_the_run_back_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "tensorboardX" or None)
    [unknown, missing] = tracker_problems(asked("swanlab", "wandb", "tensorboard"))
    assert "swanlab" in unknown.message
    assert "tensorboard, wandb, trackio" in unknown.hint
    assert "not installed" in missing.message
    assert "pip install wandb" in missing.hint
    assert missing in check_config(asked("wandb"))
    assert installed_text() == "Installed: tensorboard. Not installed: wandb, trackio."


def test_the_keys_are_mlx_lms_and_outlive_a_file() -> None:
    config = parse_config("model: m\nreport_to: wandb\nproject_name: voices\n").config
    assert (config.report_to, config.project_name) == ("wandb", "voices")
    assert parse_config(dump_config(config)).config == config
    assert "report_to" not in dump_config(TrainConfig())
    older = parse_config("model: m\ntrain: true\nwandb: voices\n").config
    assert (older.report_to, older.project_name) == ("wandb", "voices")
    assert set(TRACKERS) == {"tensorboard", "wandb", "trackio"}
