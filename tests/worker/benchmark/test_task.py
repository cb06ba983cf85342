"""Benchmarks with lm-eval itself, on tasks whose data lies beside them; figures equal those counted by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import generate, load

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import BenchmarkJob
from app.core.run.benchmark import load_benchmarks
from app.core.run.reader import RunReader
from app.core.run.report import make_report
from app.worker.benchmark.task import benchmark
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.benchmark.own_task import ROWS, write_tasks
from tests.worker.tiny_model import write_data
from tests.worker.training import Answer, Collector, config_for, start


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    make_model(root / "base")
    make_adapter(root / "base", root / "tuned")
    write_tasks(root / "tasks")
    return root


def measured(place: Path, folder: Path, answer: Answer = lambda _: None, **job: Any) -> tuple[Any, Collector]:
    channel = Collector(folder / "events.jsonl", answer)
    asked: dict[str, Any] = {"model": str(place / "base"), "include_path": place / "tasks"} | job
    benchmark(channel, folder, BenchmarkJob(**asked))
    found = channel.of(event.Result)
    return (found[0].data if found else None), channel


def log_likelihood(model: Any, context: list[int], continuation: list[int]) -> float:
    logits = np.array(model(mx.array([context + continuation]))[0].astype(mx.float32), np.float64)
    places = range(len(context) - 1, len(context) + len(continuation) - 1)
    return sum(
        float(logits[place, token] - np.log(np.exp(logits[place]).sum()))
        for place, token in zip(places, continuation, strict=True)
    )


def accuracy_by_hand(base: Path, adapter: Path | None) -> float:
    """The share of questions whose right choice is the likeliest."""
    model, tokenizer = load(str(base), adapter_path=str(adapter) if adapter else None)
    right = []
    for row in ROWS:
        context = tokenizer.encode(row["question"])
        sums = []
        for choice in row["choices"]:
            whole = tokenizer.encode(row["question"] + choice)
            sums.append(log_likelihood(model, context, whole[len(context) :]))
        right.append(int(np.argmax(sums)) == row["gold"])
    return sum(right) / len(right)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_choices_texts_and_answers_are_those_counted_by_hand(place: Path, tmp_path: Path) -> None:
    names = ("own_choices", "own_texts", "own_answers")
    found, _ = measured(place, tmp_path, adapters=(None, str(place / "tuned")), tasks=names)
    base, tuned = (column["results"] for column in found["columns"])
    for results, adapter in ((base, None), (tuned, place / "tuned")):
        acc = results["own_choices"]["acc"]
        assert acc["value"] == pytest.approx(accuracy_by_hand(place / "base", adapter))
        # The standard error of a mean: the sample's spread over the root of how many there are.
        share = acc["value"]
        assert acc["stderr"] == pytest.approx(math.sqrt(share * (1 - share) / (len(ROWS) - 1)))
        model, tokenizer = load(str(place / "base"), adapter_path=str(adapter) if adapter else None)
        begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        total = sum(log_likelihood(model, [begin], tokenizer.encode(row["question"])) for row in ROWS)
        words = sum(len(row["question"].split()) for row in ROWS)
        perplexity = results["own_texts"]["word_perplexity"]["value"]
        assert perplexity == pytest.approx(math.exp(-total / words), rel=1e-3)
        said = [generate(model, tokenizer, row["question"], max_tokens=6).split("\n\n")[0] for row in ROWS]
        exact = [text == row["choices"][0] for text, row in zip(said, ROWS, strict=True)]
        assert results["own_answers"]["exact_match"]["value"] == sum(exact) / len(exact)
    assert base["own_texts"] != tuned["own_texts"]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_a_run_keeps_what_was_measured_of_it_and_its_report_shows_it(place: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "data", train=8, valid=4)
    run, _ = start(config_for(place / "base", tmp_path / "data", iters=2), tmp_path / "run")
    found, _ = measured(
        place, tmp_path, adapters=(None, str(run.adapters)), tasks=("own_choices",), limit=3, shots=0
    )
    assert found["kept"] == [str(run.path)]
    [kept] = load_benchmarks(run)
    assert (kept["limit"], kept["columns"]) == (3, found["columns"])
    reader = RunReader(run)
    reader.read()
    [section] = [one for one in make_report(reader).sections if one.title.startswith("Benchmarks")]
    assert section.head == ("Task", "Metric", "base model", "run")
    assert section.rows[0][:2] == ("own_choices", "acc")
    assert "±" in section.rows[0][2]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_what_there_is_not_is_told(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="no task no_such_task"):
        measured(place, tmp_path, tasks=("no_such_task",))
    gone = write_tasks(tmp_path / "gone")
    (gone / "rows.jsonl").unlink()
    with pytest.raises(UnusableError, match=r"not on this machine.*--download"):
        measured(place, tmp_path, tasks=("own_choices",), include_path=gone)
    stop: Answer = lambda said: "stop" if isinstance(said, event.Progressed) and "Choices" in said.phase else None  # noqa: E731
    found, channel = measured(place, tmp_path, stop, tasks=("own_choices",))
    assert found is None
    assert channel.of(event.Finished)[0].reason == "stopped"


def test_without_lm_eval_it_is_refused_with_what_to_install(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnusableError, match=r"lm-eval is not installed.*pip install"):
        measured(place, tmp_path, tasks=("own_choices",))
