"""Jobs: written and read back as they were, refused in words where they are not understood, old ones still done."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.protocol import event, program
from app.core.protocol.client import WorkerClient
from app.core.protocol.event import parse_event
from app.core.protocol.job import (
    JOB_FILE,
    JOBS,
    AskedScores,
    CheckJob,
    EvaluateJob,
    InspectJob,
    Job,
    TrainJob,
    parse_job,
    read_job,
    write_job,
)
from app.core.protocol.wire import PROTOCOL_VERSION, RefusedError

# Values that a job of each task needs.
NEEDED: dict[str, dict[str, Any]] = {
    "inspect": {"model": "org/name"},
    "tokenize": {"config": "model: here"},
    "preview": {"config": {"model": "here", "lora_parameters": {"rank": 8}}},
    "rows": {"file": Path("/a/rows.jsonl")},
    "generate": {"model": "/base"},
    "evaluate": {"model": "/base", "data": Path("/d.jsonl")},
    "hub_download": {"model": "org/name@main"},
    "convert": {"model": "/base", "out": Path("/out")},
    "export": {"source": Path("/run"), "format": "adapter", "out": Path("/out")},
    "bundle": {"config": {"model": "here"}, "out": Path("/out.zip")},
    "remote_start": {"config": {"model": "here"}, "place": "runpod"},
    "remote": {"action": "offers", "place": "runpod"},
    "serve": {"source": Path("/run")},
    "benchmark": {"model": "/base", "tasks": ("arc_easy",)},
    "replica": {"number": 1, "size": 2, "model": "~/base", "backend": "ring", "addresses": (("127.0.0.1:1",),) * 2},
    "hosts": {"hostfile": {"hosts": [{"ssh": "other", "ips": ["10.0.0.2"]}]}, "model": "/base"},
    "track": {"run": Path("/run")},
    "merge": {"adapters": (Path("/a"), Path("/b"))},
    "reward": {"file": Path("/r.py"), "timeout_s": 2.5},
}


def job_of(task: str, **values: Any) -> Job:
    return JOBS[task](**NEEDED.get(task, {}) | values)


def tree_of(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = job.model_dump(mode="json")
    return found


@pytest.mark.parametrize("task", JOBS)
def test_every_job_is_read_as_it_was_written(task: str, tmp_path: Path) -> None:
    job = job_of(task)
    write_job(tmp_path / "new", job)
    assert read_job(tmp_path / "new") == job
    written = json.loads((tmp_path / "new" / JOB_FILE).read_text())
    assert (written["task"], written["protocol"]) == (task, PROTOCOL_VERSION)


def test_every_task_has_a_job_and_every_job_a_task() -> None:
    from app.worker.process.main import TASKS

    assert set(TASKS) == set(JOBS)
    for place in TASKS.values():  # texts, so that a task is imported when it is asked for: no tool sees them
        module, function = place.split(":")
        assert callable(getattr(importlib.import_module(module), function, None)), place


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.lists(st.text(st.characters(exclude_characters="\x00/")), max_size=3),
)
def test_any_values_and_names_of_files_survive(
    tmp_path_factory: pytest.TempPathFactory, value: Any, names: list[str]
) -> None:
    job = CheckJob(config={"value": value}, files=tuple(Path("/data") / name for name in names))
    folder = tmp_path_factory.mktemp("job")
    write_job(folder, job)
    assert read_job(folder) == job


@pytest.mark.parametrize("task", JOBS)
def test_an_unknown_field_is_refused(task: str) -> None:
    with pytest.raises(RefusedError, match=f"The job `{task}` has no `mood`"):
        parse_job(tree_of(job_of(task)) | {"mood": "good"})
    with pytest.raises(ValidationError):
        job_of(task, mood="good")


def test_a_field_of_a_part_is_told_with_its_place() -> None:
    tree = tree_of(EvaluateJob(model="m", data=Path("d"), scores=AskedScores(functions=("stock",))))
    tree["scores"] |= {"limit": 0, "mood": 1}
    with pytest.raises(RefusedError) as caught:
        parse_job(tree)
    assert "`scores.limit` of the job `evaluate`" in str(caught.value)
    assert "has no `scores.mood`" in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"task": "sing", "protocol": PROTOCOL_VERSION}, "There is no task `sing`"),
        ({"protocol": PROTOCOL_VERSION}, "names no task"),
        ({"task": ["train"]}, "names no task"),
        ({"task": "inspect", "protocol": PROTOCOL_VERSION}, "The job `inspect` lacks `model`"),
        ({"task": "train", "resume": "perhaps"}, "`resume` of the job `train`"),
        ({"task": "train", "protocol": "new"}, "`protocol` of the job `train`"),
        ({"task": "train", "protocol": PROTOCOL_VERSION + 1}, f"version {PROTOCOL_VERSION + 1} of the protocol"),
    ],
)
def test_what_is_no_job_is_refused_in_words(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        parse_job(tree)


def test_a_job_of_an_older_version_loses_what_is_no_more_and_keeps_the_rest() -> None:
    """A run that waits in a queue may have been made by the version before, which wrote no version."""
    assert parse_job({"task": "train", "resume": True, "mood": "good"}) == TrainJob(resume=True, protocol=1)


def test_a_job_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainJob().resume = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            json.dumps({"task": "inspect", "protocol": PROTOCOL_VERSION, "model": "", "mood": 1}),
            "The job `inspect` has no `mood`.",
        ),
        ("{", "It is no JSON"),
        ("[]", "It is no JSON object."),
        (None, "No such file or directory"),
    ],
)
def test_a_worker_says_in_words_that_it_cannot_do_a_job(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / JOB_FILE).write_text(text)
    done = subprocess.run(
        program.worker_command(tmp_path), env=program.worker_environment(), input="", capture_output=True, text=True
    )
    (line,) = done.stdout.splitlines()
    failed = parse_event(line)
    assert isinstance(failed, event.Failed)
    assert failed.unusable
    assert words in failed.message
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_run_that_an_older_version_made_is_begun(tmp_path: Path) -> None:
    write_job(tmp_path, InspectJob(model="/nowhere/at/all"))
    tree = json.loads((tmp_path / JOB_FILE).read_text())
    del tree["protocol"]
    (tmp_path / JOB_FILE).write_text(json.dumps(tree | {"mood": "good"}))
    with WorkerClient(tmp_path) as worker:
        *_, last = list(worker.events())
    assert isinstance(last, event.Failed)
    assert "/nowhere/at/all" in last.message, "it was begun, and the model is not there"
