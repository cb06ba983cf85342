"""A run that an earlier version stopped goes on with today's, to the losses that a whole one had then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.old_version import VERSIONS, lay_out
from tests.worker.tiny_model import write_model

# Another machine's arithmetic rounds otherwise; a wrong optimizer, batch or random state is off by far more.
CLOSE: dict[str, Any] = {"rel": 2e-4, "abs": 1e-4}
# Today a prompt that several answers share is computed once, so that dropout draws for other rows than it did then.
# Without dropout the losses of pairs are those of then to five digits (compared for dpo, cpo, orpo, kto when it
# changed).
OTHER_DRAWS: dict[str, Any] = {"rel": 0.05, "abs": 0.04}


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs of an earlier version, whose home is this one's."""
    home = lay_out(request.param, tmp_path / "place")
    write_model(home.parent / "model", layers=1)
    monkeypatch.setenv("LUTHIER_HOME", str(home))
    return home / "data" / "runs"


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (run / "events.jsonl").read_text().splitlines())
    return [line for line in lines if line["type"] == kind]


def figure(run: Path, name: str) -> dict[int, float]:
    """The loss by iteration, or a figure of the method's own: answers are sampled at every second one."""
    reports = events(run, "train_reported")
    if name == "loss":
        return {report["iteration"]: report["train_loss"] for report in reports}
    return {report["iteration"]: report["figures"][name] for report in reports if name in report["figures"]}


@pytest.mark.slow
@pytest.mark.parametrize("name, figures", [
    ("chats", ["loss"]), ("pairs", ["loss", "margin"]), ("prompts", ["reward", "answer_tokens"]),
])  # fmt: skip
def test_a_stopped_run_goes_on(
    name: str, figures: list[str], old: Path, luthier: Callable[..., CompletedProcess[str]]
) -> None:
    """With a reward file: it is trusted already, by the settings of then."""
    whole, run = old / name, old / f"{name}_stopped"
    close = CLOSE if name == "chats" else OTHER_DRAWS
    (stopped,) = events(run, "finished")
    luthier("resume", f"{name}_stopped")
    assert events(run, "started")[-1]["iteration"] == stopped["iteration"]
    assert events(run, "finished")[-1]["reason"] == "completed"
    for one in figures:
        assert len(figure(whole, one)) >= 7
        assert figure(run, one) == pytest.approx(figure(whole, one), **close)
    losses = [found["val_loss"] for found in events(run, "validated")]
    assert losses[-1] == pytest.approx(events(whole, "validated")[-1]["val_loss"], **close)


@pytest.mark.slow
def test_a_finished_run_is_extended(old: Path, luthier: Callable[..., CompletedProcess[str]]) -> None:
    luthier("resume", "pairs", "--extend-by", "3")
    assert events(old / "pairs", "started")[-1]["iteration"] == 14
    assert events(old / "pairs", "finished")[-1]["iteration"] == 17


@pytest.mark.slow
def test_an_old_adapter_answers(old: Path, luthier: Callable[..., CompletedProcess[str]]) -> None:
    """It changes what the model says: otherwise it might as well not have been read."""
    ask = ("generate", "--model", old.parents[2] / "model", "--prompt", "abc", "--max-tokens", "8", "--json")
    plain = json.loads(luthier(*ask).stdout)
    tuned = json.loads(luthier(*ask, "--adapter-path", old / "chats" / "adapters").stdout)
    assert tuned["generation_tokens"] > 0
    assert tuned["text"] != plain["text"]


def test_old_runs_are_shown_and_compared(old: Path, luthier: Callable[..., CompletedProcess[str]]) -> None:
    listed = json.loads(luthier("runs", "list", "--json").stdout)["runs"]
    assert len(listed) == len(list(old.iterdir())) == 6
    compared = json.loads(luthier("runs", "compare", "chats", "pairs", "--json").stdout)
    assert {"path": "train_mode", "label": "Method", "values": ["sft", "dpo"]} in compared["differences"]
