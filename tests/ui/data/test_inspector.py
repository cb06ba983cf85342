"""What is known of the data while they are chosen, read, counted and given up, with workers that answer by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from app.core.data.report import SplitReport
from app.core.problem import Problem
from app.core.protocol import event
from app.core.system.setting import keep_settings, load_settings
from app.ui.data.inspector import DataInspector, SplitFigures
from app.ui.form.store import ConfigStore
from app.ui.worker.process import WorkerOutcome
from tests.ui.data.known_data import finding, report, split_tree, tell_rows, tell_split, tell_tokens

READING, COUNTING = "Reading the data", "Counting tokens"


@pytest.fixture
def store(qapp: QApplication) -> ConfigStore:  # noqa: ARG001
    return ConfigStore()


@pytest.fixture
def inspector(store: ConfigStore, by_hand: list[object]) -> Iterator[DataInspector]:  # noqa: ARG001
    store.set("data", "/d/rows.jsonl")
    found = DataInspector(store)
    yield found
    found.stop()


def heard(inspector: DataInspector) -> list[str]:
    """The signals from here on."""
    found: list[str] = []
    inspector.reported.connect(lambda: found.append("reported"))
    inspector.started.connect(lambda: found.append("started"))
    inspector.progressed.connect(lambda: found.append("progressed"))
    return found


def counted(inspector: DataInspector) -> None:
    inspector.set_model("/m")
    tell_rows(inspector, report())
    tell_split(inspector)


def test_data_are_read_then_counted(inspector: DataInspector) -> None:
    said = heard(inspector)
    assert (inspector.has_data, inspector.is_reading, inspector.is_busy) == (True, True, True)
    assert (inspector.phase, inspector.share) == (READING, -1.0)
    inspector._read_worker.emitted.emit(event.Progressed(phase="Reading rows", done=3, total=4))
    assert (inspector.phase, inspector.share) == ("Reading rows", 0.75)
    inspector._read_worker.emitted.emit(event.Progressed(phase="Reading rows"))
    assert (inspector.share, said) == (-1.0, ["progressed"] * 2)
    tell_rows(inspector, report())
    assert inspector.report is inspector.last_report
    assert inspector.report is not None
    assert (inspector.report.examples, inspector.problem, inspector.figures) == (20, None, {})
    assert (inspector.is_busy, inspector.phase, inspector.share) == (False, "", -1.0)
    assert said[2:] == ["progressed", "reported"]
    inspector.set_model("/m")
    assert (inspector.is_reading, inspector.is_busy, inspector.phase) == (False, True, COUNTING)
    assert inspector.report is not None, "it is known while tokens are counted"
    assert not inspector.is_stale
    inspector._token_worker.emitted.emit(event.Progressed(phase="anything", done=1, total=8))
    assert (inspector.phase, inspector.share) == (COUNTING, 0.125)
    inspector._token_worker.emitted.emit(event.Progressed(phase="anything"))
    assert inspector.share == -1.0
    del said[:]
    tell_split(inspector, 16)
    assert (inspector.is_busy, inspector.phase, inspector.is_stale) == (False, "", False)
    assert said == ["progressed", "reported"]
    assert inspector.figures["train"] == SplitFigures(
        kind="examples", examples=16, tokens=2000, kept_tokens=1500, trained_tokens=600, trained_share=0.4,
        over_length=0, cut_tokens=0, untrained_examples=0, shortest=8, longest=300, longest_used=256,
        median_length=90.0, max_seq_length=2048, limit=2048, parts={}, edges=(0, 100, 200, 300), counts=(9, 5, 2),
        padding_share={"bucket": 0.25, "pack": 0.125}, iterations_per_epoch=8,
    )  # fmt: skip
    del said[:]
    inspector.set_model("/m")
    assert (inspector.is_busy, said) == (False, [])
    inspector.set_model("")
    assert (inspector.figures, inspector.phase, said) == ({}, "", ["progressed", "reported"])
    inspector.set_model("/m")
    tell_split(inspector)
    del said[:]
    inspector._store.changed.emit("")  # a config was opened, with the same data
    assert said == []
    inspector.set_model("/n")
    assert (inspector.figures, inspector.is_stale, inspector.is_busy) == ({}, False, True), "another's tokens"
    inspector.set_model("")
    assert not inspector.is_busy


def test_steps_of_a_newer_worker_are_taken_as_far_as_they_are_known() -> None:
    tree = split_tree(steps=[[1, 64, 30, 2]], step_batches=5, of_the_future=1)
    found = SplitFigures.from_dict(tree)
    assert (found.steps, found.step_batches) == (((1, 64, 30, 2),), 5)


# What a change of the config does to the data: read anew and unknown, read anew, counted anew, nothing.
FORGET, READ, COUNT, NOTHING = ("forget", "read", "count", "nothing")


@pytest.mark.parametrize(
    "values, done",
    [
        ({"data": "/d/others.jsonl"}, FORGET),
        ({"valid_data": "/d/valid.jsonl"}, FORGET),
        ({"test_data": "/d/test.jsonl"}, FORGET),
        ({"train_mode": "grpo"}, FORGET),
        ({"data_format": "text"}, READ),
        ({"encoding": "cp1252"}, READ),
        ({"skip_bad_rows": True}, READ),
        ({"seed": 3}, COUNT),
        ({"max_seq_length": 64}, COUNT),
        ({"mask_prompt": True}, COUNT),
        ({"learning_rate": 1e-3}, NOTHING),
    ],
)
def test_what_a_change_does(
    inspector: DataInspector, store: ConfigStore, values: dict[str, Any], done: str
) -> None:
    counted(inspector)
    said = heard(inspector)
    store.set_many(values)
    state = (inspector.report is None, inspector.last_report is None, bool(inspector.figures), inspector.is_stale)
    assert (state, inspector.phase, inspector.is_busy) == {
        FORGET: ((True, True, False, False), READING, True),
        READ: ((True, False, True, True), READING, True),
        COUNT: ((False, False, True, True), COUNTING, True),
        NOTHING: ((False, False, True, False), "", False),
    }[done]
    order = {COUNT: ["progressed", "reported", "started"], NOTHING: []}
    assert said == order.get(done, ["progressed", "started", "reported"])


def test_the_maximum_length_divides_texts_into_other_rows(inspector: DataInspector, store: ConfigStore) -> None:
    tell_rows(inspector, report(format="text", target="text"))
    store.set("max_seq_length", 64)
    assert inspector.is_reading
    tell_rows(inspector, report(format="text", target="text"))
    store.set("seed", 4)
    assert not inspector.is_reading


def test_without_data_nothing_is_known(inspector: DataInspector, store: ConfigStore) -> None:
    counted(inspector)
    for empty in ("", "  "):
        store.set("data", empty)
        assert (inspector.has_data, inspector.is_busy, inspector.phase) == (False, False, "")
        assert (inspector.report, inspector.last_report, inspector.figures) == (None, None, {})


@pytest.mark.parametrize("found", [{"target": ""}, {"examples": 0}])
def test_rows_that_cannot_train_are_not_counted(inspector: DataInspector, found: dict[str, Any]) -> None:
    counted(inspector)
    inspector.read()
    assert (inspector.is_stale, bool(inspector.figures)) == (True, True)
    tell_rows(inspector, report(**found))
    assert (inspector.figures, inspector.is_stale, inspector.is_busy, inspector.phase) == ({}, False, False, "")


def test_what_is_given_up_is_as_if_it_were_not_known(inspector: DataInspector) -> None:
    inspector.cancel()
    assert (inspector.was_cancelled, inspector.is_busy, inspector.phase) == (True, False, "")
    said = heard(inspector)
    inspector.cancel()
    assert not inspector.was_cancelled, "nothing was under way"
    assert said == ["progressed", "reported"]
    inspector.read()
    assert not inspector.was_cancelled
    counted(inspector)
    inspector._store.set("seed", 9)
    assert inspector.is_stale
    inspector.cancel()
    assert (inspector.is_stale, inspector.is_busy, inspector.was_cancelled) == (False, False, True)


def ended(failure: event.Failed | None = None) -> WorkerOutcome:
    finished = None if failure else event.Finished()
    return WorkerOutcome("check", 1 if failure else 0, failure=failure, finished=finished)


@pytest.mark.parametrize(
    "outcome, said",
    [
        (ended(event.Failed(message="It is on fire.", hint="Run.")), "It is on fire."),
        (ended(), "The check ended without a result."),
        (WorkerOutcome("check", -9), "The worker ended without a word (exit code -9)."),
    ],
)
def test_a_check_that_ends_without_an_answer_is_a_problem(
    inspector: DataInspector, outcome: WorkerOutcome, said: str
) -> None:
    heard_of = heard(inspector)
    inspector._read_worker.cancel()
    inspector._read_worker.ended.emit(outcome)
    assert inspector.problem == Problem("data", said, hint="The log tells more.")
    assert (inspector.report, inspector.phase, heard_of) == (None, "", ["progressed", "reported"])
    inspector.read()
    assert inspector.problem is None
    tell_rows(inspector, report())
    assert inspector.problem is None


def test_tokens_that_cannot_be_counted(inspector: DataInspector) -> None:
    counted(inspector)
    del (said := heard(inspector))[:]
    inspector._token_worker.ended.emit(ended())
    assert (bool(inspector.figures), said) == (True, []), "all went well"
    inspector._token_worker.ended.emit(ended(event.Failed(message="No memory.", hint="Close a window.")))
    assert (inspector.token_problem, inspector.figures) == ("No memory. Close a window.", {})
    assert (inspector.is_stale, said) == (False, ["progressed", "reported"])
    inspector._store.set("seed", 2)
    assert inspector.token_problem == ""
    inspector._token_worker.ended.emit(ended(event.Failed(message="No disk.", path="data")))
    assert inspector.token_problem == "No disk."


def test_a_model_without_a_chat_template_is_a_finding(inspector: DataInspector) -> None:
    counted(inspector)
    failure = event.Failed(message="m: It has no chat template: really.", path="model")
    inspector._token_worker.ended.emit(ended(failure))
    assert (inspector.token_problem, inspector.figures) == ("", {})
    assert inspector.report is not None
    [told] = inspector.report.errors
    assert (told.kind, told.file, told.line) == ("no_chat_template", "/d/rows.jsonl", None)
    assert told.reason == "It has no chat template: really."
    assert not inspector.report.usable
    inspector._token_worker.ended.emit(ended(event.Failed(message="It has no tokenizer.", path="model")))
    assert inspector.token_problem == "It has no tokenizer."
    tell_rows(inspector, report(splits={"train": SplitReport(20, ())}))
    inspector._token_worker.ended.emit(ended(failure))
    assert inspector.report.errors[-1].file == ""


def test_what_the_tokenizer_finds_is_added_to_what_the_rows_have(
    inspector: DataInspector, store: ConfigStore
) -> None:
    inspector.set_model("/m")
    tell_rows(inspector, report(finding("duplicate", 3)))
    more = [finding("template_refused", 4), finding("over_length", 5), finding("double_begin")]
    tell_tokens(inspector, {"train": split_tree()}, more, over_length=7)
    assert inspector.report is inspector.last_report
    assert inspector.report is not None
    assert inspector.report.counts == {
        "duplicate": 1, "template_refused": 1, "over_length": 7, "double_begin": 1,
    }  # fmt: skip
    kept = (inspector.report.errors, inspector.report.warnings, inspector.report.notes)
    assert [[one.kind for one in part] for part in kept] == [
        ["template_refused"], ["duplicate", "over_length"], ["double_begin"],
    ]  # fmt: skip
    assert (kept[0][0].file, kept[0][0].line, kept[0][0].reason) == ("/d/rows.jsonl", 4, "It is so.")
    assert not inspector.report.usable
    store.set("skip_bad_rows", True)
    tell_rows(inspector, report())
    tell_tokens(inspector, {"train": split_tree()}, more)
    assert inspector.report.usable, "they are left out"


def test_the_data_that_were_read_last_are_offered_first(inspector: DataInspector, store: ConfigStore) -> None:
    def recent(act: Callable[[], object]) -> tuple[str, ...]:
        act()
        return load_settings().recent_data

    assert recent(lambda: tell_rows(inspector, report())) == ("/d/rows.jsonl",)
    store.set("data", "/d/b.jsonl")
    assert recent(lambda: tell_rows(inspector, report())) == ("/d/b.jsonl", "/d/rows.jsonl")
    keep_settings(recent_data=("/d/b.jsonl", "/d/x.jsonl"))
    assert recent(lambda: tell_rows(inspector, report())) == ("/d/b.jsonl", "/d/x.jsonl"), "it is first already"


def test_jobs_ask_for_what_the_pages_show(inspector: DataInspector, store: ConfigStore) -> None:
    store.set_many({"skip_bad_rows": False, "model": "/chosen"})
    job: Any = inspector._read_worker._job
    assert (job.task, job.config["model"], job.config["skip_bad_rows"]) == ("check", "", False)
    assert job.config["data"] == "/d/rows.jsonl"
    inspector.set_model("/m")
    tell_rows(inspector, report())
    job = inspector._token_worker._job
    assert (job.task, job.config["model"], job.config["skip_bad_rows"]) == ("tokenize", "/m", True)
    assert [worker._timer.interval() for worker in (inspector._read_worker, inspector._token_worker)] == [250] * 2
