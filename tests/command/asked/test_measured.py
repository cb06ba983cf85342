"""``evaluate``, ``compare``, ``merge`` and ``hosts``: what they ask of a worker, and how figures are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol.command import asked_together
from app.core.protocol.event import Answered, Event, Finished, Ready, Result
from app.core.protocol.job import (
    AskedScores,
    BenchmarkJob,
    EvaluateJob,
    GenerateJob,
    HostsJob,
    MergeJob,
)
from app.core.replica.hostfile import read_hostfile
from tests.command.conftest import Luthier
from tests.command.spoken import SpokenWorker


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("base", "one", "two", "tasks"):
        (tmp_path / name).mkdir()
    (tmp_path / "held.jsonl").write_text("{}\n")
    return tmp_path.resolve()


def column(adapter: str | None, loss: float, **more: Any) -> dict[str, Any]:
    return {"adapter": adapter, "loss": loss, "perplexity": 2 * loss, "tokens": 1234, "difference": None} | more


def test_evaluate(luthier: Luthier, worker: SpokenWorker, files: Path) -> None:
    one, two = str(files / "one"), str(files / "two")
    columns = [column(None, 2.5, forgot=0.0), column(one, 1.25, forgot=0.125)]
    worker.finds(columns=columns, neutral={"tokens": 9}, examples=1, data="held.jsonl")
    words = (
        "evaluate", "--model", "base", "--adapter-path", "one", "--adapter-path", "two", "--data", "held.jsonl",
        "--strength", 0.5, "--strength", 2,
    )  # fmt: skip
    done = luthier(*words, "--mask-prompt", "--max-seq-length", 77)
    assert done.stdout == (
        "1 example of held.jsonl\n\n"
        f"adapter{' ' * (len(one) - 7)}    loss  perplexity  tokens  forgot\n"
        f"base model{' ' * (len(one) - 10)}  2.5000       5.000   1,234  0.0000\n"
        f"{one}  1.2500       2.500   1,234  0.1250\n"
    )
    worker.finds(columns=columns[:1], neutral=None, examples=2, data="held.jsonl")
    assert luthier("evaluate", "--model", "hub/name", "--data", "held.jsonl").stdout == (
        "2 examples of held.jsonl\n\n"
        "adapter       loss  perplexity  tokens\nbase model  2.5000       5.000   1,234\n"
    )
    assert worker.jobs == [
        EvaluateJob(
            model=str(files / "base"), adapters=(None, one, two), strengths=(1.0, 0.5, 2.0),
            data=files / "held.jsonl", config={"mask_prompt": True, "max_seq_length": 77},
        ),
        EvaluateJob(
            model="hub/name", adapters=(None,), strengths=(1.0,), data=files / "held.jsonl",
            config={"mask_prompt": False, "max_seq_length": 1024},
        ),
    ]  # fmt: skip


def test_the_tests_of_a_folder_come_before_its_validation(
    luthier: Luthier, worker: SpokenWorker, files: Path
) -> None:
    worker.finds(columns=[], neutral=None, examples=0, data="")
    (files / "two" / "valid.jsonl").touch()
    luthier("evaluate", "--model", "m", "--data", "two")
    (files / "two" / "test.jsonl").touch()
    luthier("evaluate", "--model", "m", "--data", "two")
    assert [job.data.name for job in worker.jobs if isinstance(job, EvaluateJob)] == ["valid.jsonl", "test.jsonl"]
    assert luthier("evaluate", "--model", "m", "--data", "one", code=2).stderr == (
        f"error: --data: {files / 'one'} has neither test.jsonl nor valid.jsonl.\n  Give the file itself.\n"
    )
    assert luthier("evaluate", "--model", "m", "--data", "gone", code=2).stderr == (
        f"error: --data: {files / 'gone'} does not exist.\n"
    )


def test_tasks_of_lm_eval(
    luthier: Luthier, worker: SpokenWorker, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.run.benchmark.harness_problem", lambda _field: None)
    one = str(files / "one")
    results = {"own": {"acc": {"value": 0.5, "stderr": 0.125}}}
    columns = [
        {"adapter": None, "strength": 1.0, "results": results}, {"adapter": one, "strength": 2.0, "results": {}},
    ]  # fmt: skip
    worker.finds(columns=columns, kept=["/runs/mine"])
    words = ("evaluate", "--model", "base", "--adapter-path", "one", "--tasks", " own , ,arc", "--strength", 2)
    more = ("--include-path", "tasks", "--num-fewshot", 3, "--limit", 7, "--apply-chat-template", "--download")
    assert luthier(*words, *more).stdout == (
        "task  metric  base model       one × 2\nown   acc     0.5000 ± 0.1250        –\n\nKept in /runs/mine\n"
    )
    luthier("evaluate", "--model", "base", "--tasks", "own", "--json")
    assert worker.jobs == [
        BenchmarkJob(
            model=str(files / "base"), adapters=(None, one), strengths=(1.0, 2.0), tasks=("own", "arc"),
            include_path=files / "tasks", shots=3, limit=7, chat=True, download=True,
        ),
        BenchmarkJob(model=str(files / "base"), adapters=(None,), strengths=(1.0,), tasks=("own",)),
    ]  # fmt: skip


def test_compare(luthier: Luthier, worker: SpokenWorker, files: Path, place: Path) -> None:
    (files / "asked.jsonl").write_text('" abc\\n"\n"def"\n')
    adapter = str(place / "adapter")
    difference = {
        "difference": -1.25, "low": -1.5, "high": -1.0, "better": 2, "worse": 0, "same": 0,
        "lower_is_better": True,
    }  # fmt: skip
    figures = Result(
        name="evaluate",
        data={
            "columns": [column(None, 2.5), column(adapter, 1.25, difference=difference)], "examples": 2,
            "data": "held.jsonl", "scored": None, "neutral": None,
        },
    )  # fmt: skip
    answers = [
        Answered(request=0, column=0, text="a\n"), Answered(request=1, column=1, text="d", done=True),
        Answered(request=0, column=0, text="b", done=True), Answered(request=0, column=1, text="c ", done=True),
        Answered(request=1, column=0, text="e", done=True), Answered(request=1, column=0, text="too late"),
    ]  # fmt: skip
    worker.says = [figures, Ready(), *answers]
    words = ("compare", "--model", "base", "--adapter-path", adapter, "--data", "held.jsonl", "--strength", 0.5)
    more = ("--reward-function", "short", "--limit", 3, "--mask-prompt", "--max-seq-length", 99)
    done = luthier(*words, *more, "--prompts", "asked.jsonl", "-m", 5)
    assert done.stdout.startswith("2 examples of held.jsonl\n\n")
    assert done.stdout.endswith(
        "\n\n> abc\n\nbase model:\n  a\n  b\n\nadapter × 0.5:\n  c\n"
        "\n> def\n\nbase model:\n  e\n\nadapter × 0.5:\n  d\n"
    )
    evaluated, generated = worker.jobs
    assert evaluated == EvaluateJob(
        model=str(files / "base"), adapters=(None, adapter),
        strengths=(1.0, 0.5), data=files / "held.jsonl", config={"mask_prompt": True, "max_seq_length": 99},
        scores=AskedScores(functions=("short",), limit=3, max_tokens=5),
    )  # fmt: skip
    assert generated == GenerateJob(model=evaluated.model, adapters=evaluated.adapters, strengths=(1.0, 0.5))
    assert worker.sent == [
        asked_together([[{"role": "user", "content": " abc\n"}], [{"role": "user", "content": "def"}]],
                       max_tokens=5, seed=0)
    ]  # fmt: skip


STOPPED: list[tuple[Event, str]] = [
    (
        Answered(request=0, column=0, finish_reason="stopped", done=True),
        "Stopped before all prompts were answered.",
    ),
    (Answered(request=0, column=0, finish_reason="error", message="No memory.", done=True), "No memory."),
    (Answered(request=0, column=0, finish_reason="unusable", message="No judges.", done=True), "No judges."),
]


@pytest.mark.parametrize(("last", "said"), STOPPED)
def test_prompts_that_are_not_answered_are_no_comparison(
    last: Event, said: str, luthier: Luthier, worker: SpokenWorker, files: Path
) -> None:
    (files / "asked.jsonl").write_text('"abc"\n')
    data = {"columns": [column(None, 2.5)], "examples": 2, "data": "held.jsonl", "scored": None, "neutral": None}
    worker.says = [Result(name="evaluate", data=data), Ready(), last]
    words = ("compare", "--model", "base", "--data", "held.jsonl", "--prompts", "asked.jsonl")
    assert luthier(*words, code=1).stderr == f"error: {said}\n"
    worker.says = [Result(name="evaluate", data=data), Finished()]
    worker.interrupt.pressed = 1
    assert luthier(*words, code=1).stderr == "Interrupted.\n"


def test_merge(luthier: Luthier, worker: SpokenWorker, files: Path, place: Path) -> None:
    adapter = place / "adapter"
    columns = [
        {"name": "base model", "weight": None, "rank": None, "loss": 2.5},
        {"name": "a", "weight": 0.75, "rank": 1024, "loss": None},
    ]
    worker.finds(columns=columns, data="held.jsonl", examples=1, path=None)
    words = ("merge", adapter, adapter, "--weights", "0.75, 0.25", "--method", "dare_ties", "--density", 0.25)
    more = ("--rank", 6, "--seed", 9, "--data", "held.jsonl", "--mask-prompt", "--model", "base")
    assert luthier(*words, *more).stdout == (
        "adapter     weight   rank  held-out loss\n"
        "base model       –      –         2.5000\n"
        "a             0.75  1,024              –\n\n"
        "1 example of held.jsonl\n\nNothing was written: give --out.\n"
    )
    worker.finds(columns=columns[:1], data=None, examples=0, path="/out")
    assert luthier("merge", adapter, adapter, "--out", "new").stdout == (
        "adapter     weight  rank  held-out loss\nbase model       –     –         2.5000\n\n"
        "The merged adapter is in /out\n"
    )
    paths = (adapter.resolve(), adapter.resolve())
    assert worker.jobs == [
        MergeJob(
            adapters=paths, weights=(0.75, 0.25), method="dare_ties", density=0.25, rank=6, seed=9,
            model=str(files / "base"), data=files / "held.jsonl", config={"mask_prompt": True},
        ),
        MergeJob(adapters=paths, config={"mask_prompt": False}, out=files / "new"),
    ]  # fmt: skip


def test_hosts(luthier: Luthier, worker: SpokenWorker, files: Path) -> None:
    tree = [{"ssh": "localhost", "ips": ["10.0.0.1"]}, {"ssh": "other", "ips": ["10.0.0.2"]}]
    (files / "hosts.json").write_text(json.dumps(tree))
    rows = [
        {"ok": True, "about": "MLX 0.1", "problems": []}, {"ok": False, "about": "", "problems": ["It is asleep."]},
    ]  # fmt: skip
    worker.finds(joined=False, hosts=rows, problem="")
    words = ("hosts", "hosts.json", "--model", "base")
    assert luthier(*words, code=1).stdout == (
        "ok       0  this machine  MLX 0.1\nNOT OK   1  other\n            It is asleep.\n"
        "They cannot train together yet.\n"
    )
    (job,) = worker.jobs
    assert isinstance(job, HostsJob)
    assert (job.model, job.hostfile) == (str(files / "base"), read_hostfile(files / "hosts.json").tree())
    luthier(*words, "--json", code=1)
    worker.finds(joined=True, hosts=rows[:1], problem="", latency_s=0.002, bytes_per_s=1e9)
    assert luthier(*words).stdout.endswith(
        "They join: a message takes 2.00\u00a0ms, gradients go at 1.00\u00a0GB/s.\n"
    )
    luthier(*words, "--json")
