"""Runs, configs, the queue and settings that an earlier version wrote mean today what they meant then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.problem import errors
from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.queue.queue import RunQueue
from app.core.run.catalog import RunCatalog
from app.core.run.folder import RunDir, run_state
from app.core.run.history import RunHistory
from app.core.run.note import load_note
from app.core.run.reader import RunReader
from app.core.run.report import save_report
from app.core.setup.config_file import load_config
from app.core.system.setting import load_settings
from tests.old_version import VERSIONS, lay_out

RUNS = {
    "chats": "finished", "chats_stopped": "stopped", "pairs": "finished", "pairs_stopped": "stopped",
    "prompts": "finished", "prompts_stopped": "stopped",
}  # fmt: skip
# Where an earlier version misread a file of mlx-lm's alone, what is read since: what mlx-lm makes of it. Numbers in
# lists were texts, and what was left out had Luthier's defaults. Files of Luthier's own have no entry here.
MENDED: dict[tuple[str, str], dict[str, Any]] = {
    ("0.1.0", "mlx_lm"): {
        "lr_schedule": {"name": "cosine_decay", "warmup": 10, "warmup_init": 1e-7, "arguments": [1e-5, 40, 1e-7]},
        "early_stopping": {"enabled": False},
        "final_adapter": "last",
    },
}
METHODS = {"chats": "lora", "pairs": "dpo lora", "prompts": "grpo lora"}


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of an earlier version; its home is this one's."""
    home = lay_out(request.param, tmp_path / "place")
    monkeypatch.setenv("LUTHIER_HOME", str(home))
    return home.parent


def assert_kept(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Every value of ``then`` is the very same; what has come since, in groups too, does not matter."""
    for key, value in then.items():
        if isinstance(value, dict) and isinstance(now[key], dict):
            assert_kept(value, now[key])
        else:
            assert (key, now[key]) == (key, value)


def lines(run: RunDir) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.events.read_text().splitlines()]


def test_every_run_is_listed_as_what_it_was(old: Path) -> None:
    found = {summary.run.name: summary for summary in RunCatalog().refresh()}
    assert {name: summary.state for name, summary in found.items()} == RUNS
    for name, summary in found.items():
        end = lines(summary.run)[-1]
        assert (summary.iteration, summary.best_val_loss) == (end["iteration"], end["best_val_loss"])
        assert summary.method == METHODS[name.removesuffix("_stopped")]
        assert summary.can_resume is name.endswith("_stopped")
        assert (summary.base, summary.message) == (str(old / "model"), "")
    assert (found["chats"].tags, found["chats"].note) == (("good",), "The first one, kept.")
    assert load_note(found["chats"].run).text.strip() == "The first one, kept."


@pytest.mark.parametrize("name", RUNS)
def test_every_event_is_known_and_makes_the_curve(name: str, old: Path) -> None:
    run = RunDir(old / "home" / "data" / "runs" / name)
    kept, events = lines(run), read_events(run.events)
    assert [found.type for found in events] == [line["type"] for line in kept]
    for found, line in zip(events, kept, strict=True):
        assert line.items() <= json.loads(found.to_line()).items()  # newer fields may have joined, none is lost
    history = RunHistory()
    for found in events:
        history.feed(found)
    reported = [loss for line in kept if line["type"] == "train_reported" for loss in line["losses"]]
    assert history.losses.tolist() == reported
    assert [line["val_loss"] for line in kept if line["type"] == "validated"] == history.valid_losses.tolist()
    assert run_state(run, events) == RUNS[name]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", ["html", "md"])
def test_every_run_is_reported(name: str, kind: str, old: Path, tmp_path: Path) -> None:
    reader = RunReader(RunDir(old / "home" / "data" / "runs" / name))
    reader.read()
    save_report(reader, tmp_path / f"report.{kind}")
    text = (tmp_path / f"report.{kind}").read_text()
    hello = next(line for line in lines(reader.run) if line["type"] == "hello")
    assert hello["versions"]["mlx-lm"] in text
    best = lines(reader.run)[-1]["best_val_loss"]
    assert f"{best:.3f}".replace("-", "−") in text


@pytest.mark.parametrize("name", ["chats", "pairs", "prompts", "mlx_lm"])
def test_every_config_has_the_very_values(name: str, old: Path, request: pytest.FixtureRequest) -> None:
    """A value that this version has anew is its default; none means something else, but what is mended."""
    version = request.node.callspec.params["old"]
    loaded = load_config(old / "config" / f"{name}.yaml")
    then = json.loads((old / "config" / f"{name}.json").read_text())
    now = loaded.config.model_dump(mode="json")
    mended = MENDED.get((version, name), {})
    assert_kept({key: value for key, value in then.items() if key not in mended} | mended, now)
    assert not errors(loaded.problems)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_keeps_its_setup_and_its_config(name: str, old: Path) -> None:
    run = RunDir(old / "home" / "data" / "runs" / name)
    asked = json.loads((old / "config" / f"{name.removesuffix('_stopped')}.json").read_text())
    setup = load_config(run.setup).config.model_dump(mode="json")
    assert_kept(asked, setup)
    ran, tree = load_config(run.config).config, yaml.safe_load(run.config.read_text())
    assert (ran.iters, ran.targets) == (tree["iters"], tree["targets"])
    assert list(ran.lora_parameters.keys or ()) == tree["lora_parameters"]["keys"]
    assert (ran.adapter_path, ran.lora_parameters.scale) == (str(run.adapters), 4.0)


def test_the_queue_is_read(old: Path) -> None:
    state = RunQueue().read()
    assert [(one.name, one.state) for one in state.shown] == [
        ("pairs", "waiting"), ("chats_lr1e-4", "waiting"), ("chats_lr0.001", "waiting")
    ]  # fmt: skip
    (sweep,) = state.sweeps().values()
    assert [one.values for one in sweep] == [{"learning_rate": 1e-4}, {"learning_rate": 1e-3}]
    assert [one.load().learning_rate for one in sweep] == [1e-4, 1e-3]
    then = json.loads((old / "config" / "pairs.json").read_text())
    now = state.shown[0].load().model_dump(mode="json")
    assert_kept(then, now)
    claim = RunQueue().claim()
    assert claim is not None
    assert (claim.entry.name, claim.resume) == ("pairs", False)


@pytest.mark.usefixtures("old")
def test_settings_are_read() -> None:
    settings = load_settings()
    assert (settings.theme, settings.alpha_convention, settings.chart_smoothing) == ("dark", "peft", 0.25)
    assert [Path(path).name for path in (*settings.recent_models, *settings.recent_data)] == ["model", "chats"]
    assert len(settings.trusted_reward_files) == 1


def test_a_run_that_was_cut_off_is_told_from_one_that_ended(old: Path) -> None:
    """The last lines gone, as after a power cut: the state says so, and it can be resumed."""
    run = RunDir(old / "home" / "data" / "runs" / "chats_stopped")
    kept = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(kept[:-1]) + kept[-1][:20])
    (summary,) = (found for found in RunCatalog().refresh() if found.run.name == "chats_stopped")
    assert (summary.state, summary.can_resume) == ("crashed", True)
    assert not isinstance(read_events(run.events)[-1], event.Finished)
