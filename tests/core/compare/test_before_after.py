"""What is kept of the answers before and after a run, and that it is of the weights that stand there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.compare.before_after import (
    BEFORE_AFTER_FILE,
    BeforeAfter,
    load_before_after,
    save_before_after,
    spoken_before_after,
    tuned_candidate,
    weights_stamp,
)
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.core.run.history import RunHistory

FOUND = BeforeAfter("Who?", "Be brief.", "Nobody.", "Ada \ud83d.", "adapters", 0, 2)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "run")
    found.best.mkdir(parents=True)
    found.config.write_text("model: /m\n")
    for folder in (found.adapters, found.best):
        (folder / "adapters.safetensors").write_bytes(b"weights")
        (folder / "adapter_config.json").write_text("{}")
    return found


def test_it_is_kept_in_the_runs_folder(run: RunDir) -> None:
    assert load_before_after(run) is None
    wanted = replace(FOUND, stamp=weights_stamp(run.adapters))
    save_before_after(run, wanted)
    assert load_before_after(run) == wanted


def test_of_other_weights_it_is_not_told(run: RunDir) -> None:
    save_before_after(run, replace(FOUND, stamp=weights_stamp(run.adapters)))
    os.utime(run.adapters / "adapters.safetensors", ns=(1, 1))
    assert load_before_after(run) is None
    (run.adapters / "adapters.safetensors").unlink()
    assert load_before_after(run) is None
    assert tuned_candidate(run) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"prompt": 1}', '{"prompt": "a", "strange": 2}'])
def test_a_file_that_is_none_is_as_if_it_was_not_there(run: RunDir, text: str) -> None:
    (run.path / BEFORE_AFTER_FILE).write_text(text)
    assert load_before_after(run) is None


def test_it_is_of_the_adapter_that_stands_at_the_end(run: RunDir) -> None:
    found = tuned_candidate(run)
    assert found is not None
    assert found.adapter == run.adapters


def spoken(iteration: int, *answers: str) -> event.Sampled:
    samples = [
        {"prompt": f"{at}?", "answer": "", "completion": text, "cut": False} for at, text in enumerate(answers)
    ]
    return event.Sampled(iteration=iteration, samples=samples)


def test_what_the_run_itself_said_is_of_the_weights_that_it_kept() -> None:
    history = RunHistory()
    for iteration, loss, best, answers in (
        (0, 3.0, True, ("Alike.", "No.")),
        (10, 1.0, True, ("Alike.", "Yes.")),
        (20, 2.0, False, ("Alike.", "Yes yes.")),
    ):
        history.feed(event.Validated(iteration=iteration, val_loss=loss, best=best))
        history.feed(spoken(iteration, *answers))
    found = spoken_before_after(history)
    assert found is not None
    assert (found.prompt, found.before, found.after, found.passed) == ("1?", "No.", "Yes.", 1)


def test_without_an_answer_of_the_base_there_is_no_before() -> None:
    history = RunHistory()
    for iteration in (10, 20):
        history.feed(spoken(iteration, "Yes."))
    assert spoken_before_after(history) is None
    history.feed(event.Sampled(iteration=0, samples=[{"prompt": "?", "completion": "!", "reward": 1.0}]))
    assert spoken_before_after(history) is None


def test_where_nothing_was_validated_the_last_answers_count_and_any_number_of_them() -> None:
    history = RunHistory()
    for iteration, answers in ((0, ("Alike.", "No.")), (10, ("Alike.",)), (5, ("Else.", "Else."))):
        history.feed(spoken(iteration, *answers))
    found = spoken_before_after(history)
    assert found is not None
    assert (found.prompt, found.before, found.after, found.passed) == ("0?", "Alike.", "Alike.", 0)
    history.feed(event.Validated(iteration=0, val_loss=1.0, best=True))
    assert spoken_before_after(history) is None, "the untrained weights were kept"
