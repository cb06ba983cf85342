"""Tokenization as a task and on disk: cache, statistics, check with a model, the preview server."""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import prepare_data
from app.core.data.report import DataReport
from app.core.protocol import event, program
from app.core.protocol.command import Command, Configure, SearchExamples, ShowExample, Stop
from app.core.protocol.event import parse_event
from app.core.protocol.job import CheckJob, Job, PreviewJob, TokenizeJob, write_job
from app.worker.data import preview as preview_module
from app.worker.data.check import check, tokenize
from app.worker.data.preview import Preview, text_runs, token_texts
from app.worker.data.statistic import histogram, statistics
from app.worker.process.channel import Channel
from app.worker.token import cache as token_cache
from app.worker.token.token_set import Example, TokenSet
from app.worker.token.tokenize import tokenize_rows
from tests.worker.tiny_tokenizer import CHATML, load, save_tokenizer
from tests.worker.token.token_file import tokenize_file

SHORT = {"messages": [{"role": "user", "content": "Hi 😀"}, {"role": "assistant", "content": "Hello"}]}
LONG = {"messages": [{"role": "user", "content": "word " * 60}, {"role": "assistant", "content": "late"}]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("model"), CHATML)


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    return load(model)


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def config_of(tmp_path: Path, model: Path, rows: list[Any], **values: Any) -> TrainConfig:
    data = write(tmp_path / "data.jsonl", rows)
    options = {"valid_fraction": 0.0, "test_fraction": 0.0, "mask_prompt": True, "max_seq_length": 48} | values
    return TrainConfig(model=str(model), data=str(data), **options)


class Parent(io.StringIO):
    """Reads events as a parent does, and gives its commands when the worker says that it is ready."""

    def __init__(self, commands: tuple[Command, ...], *, at_once: bool) -> None:
        super().__init__()
        self.queue: queue.Queue[Command] = queue.Queue()
        self._commands = commands
        if at_once:
            self._give()

    def _give(self) -> None:
        for command in self._commands:
            self.queue.put(command)

    def write(self, line: str) -> int:
        if '"type": "ready"' in line:
            self._give()
        return super().write(line)


def run_task(task: Any, job_dir: Path, job: Job, *commands: Command, at_once: bool = False) -> list[event.Event]:
    parent = Parent(commands, at_once=at_once)
    task(Channel(parent, parent.queue), job_dir, job)
    return [parse_event(line) for line in parent.getvalue().splitlines()]


def result(events: list[event.Event], name: str) -> dict[str, Any]:
    return next(e.data for e in events if isinstance(e, event.Result) and e.name == name)


# -- the cache ----------------------------------------------------------------------------------------------------


def test_the_cache_is_used_and_follows_what_matters(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    config = config_of(tmp_path, model, [SHORT, LONG])
    path = Path(config.data)
    seen: list[tuple[int, int]] = []
    first = tokenize_file(path, tokenizer, config, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    seen.clear()

    again = tokenize_file(path, tokenizer, config, lambda done, total: seen.append((done, total)))
    assert not seen
    assert np.array_equal(first.tokens, again.tokens)
    assert np.array_equal(first.trained, again.trained)

    key = token_cache.cache_key(path, tokenizer, config)
    assert key == token_cache.cache_key(path, tokenizer, config.with_value("learning_rate", 1e-5))
    assert key == token_cache.cache_key(path, tokenizer, config.with_value("max_seq_length", 12))
    assert key != token_cache.cache_key(path, tokenizer, config.with_value("mask_prompt", False))
    assert key != token_cache.cache_key(path, tokenizer, config.with_value("mask_turns", "all"))
    write(path, [SHORT])
    assert key != token_cache.cache_key(path, tokenizer, config)


def test_a_damaged_entry_is_made_again(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    config = config_of(tmp_path, model, [SHORT])
    path = Path(config.data)
    tokens = tokenize_file(path, tokenizer, config).tokens.tolist()
    entry = token_cache.cache_folder() / token_cache.cache_key(path, tokenizer, config)
    (entry / "tokens.npy").write_bytes(b"")

    assert tokenize_file(path, tokenizer, config).tokens.tolist() == tokens


def test_eviction_removes_the_least_recently_used(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    keys = []
    for number in range(3):
        path = write(tmp_path / f"{number}.jsonl", [SHORT] * (number + 1))
        config = TrainConfig(model=str(model), data=str(path))
        tokenize_file(path, tokenizer, config)
        keys.append(token_cache.cache_key(path, tokenizer, config))
    folders = [token_cache.cache_folder() / key for key in keys]
    for age, folder in zip((300, 100, 200), folders, strict=True):
        stamp = folder.stat().st_mtime - age
        os.utime(folder, (stamp, stamp))
    size = sum(file.stat().st_size for file in folders[0].iterdir())

    token_cache.evict(keep=keys[2], limit_bytes=int(2.5 * size) + 400)

    assert [folder.exists() for folder in folders] == [False, True, True]


def test_writers_do_not_disturb_each_other(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    config = config_of(tmp_path, model, [SHORT, LONG] * 300)
    path = Path(config.data)
    found: list[TokenSet] = []
    threads = [
        threading.Thread(target=lambda: found.append(tokenize_file(path, tokenizer, config))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(np.array_equal(found[0].tokens, other.tokens) for other in found)
    assert [folder.name for folder in token_cache.cache_folder().iterdir()] == [
        token_cache.cache_key(path, tokenizer, config)
    ]


# -- statistics ---------------------------------------------------------------------------------------------------


def test_statistics_by_hand() -> None:
    def example(length: int, trained: int) -> Example:
        return Example(np.arange(length, dtype=np.int32), np.arange(length) >= length - trained)

    token_set = TokenSet.from_examples([example(10, 4), example(40, 10), example(20, 0), example(32, 32)])
    figures = statistics(token_set, TrainConfig(max_seq_length=32, batch_size=2))

    assert (figures["examples"], figures["usable_examples"], figures["untrained_examples"]) == (4, 3, 1)
    assert (figures["tokens"], figures["kept_tokens"], figures["cut_tokens"]) == (102, 94, 8)
    # 4 of the first, 40 − 10 = 30 … 31 → 2 of the cut one, and all but the first token of the last
    assert figures["trained_tokens"] == 4 + 2 + 31
    assert (figures["over_length"], figures["longest"], figures["shortest"]) == (1, 40, 10)
    assert figures["iterations_per_epoch"] == 2
    assert sum(figures["histogram"]["counts"]) == 4
    assert len(figures["histogram"]["edges"]) == len(figures["histogram"]["counts"]) + 1
    json.dumps(figures)


def test_padding_by_length_is_less_than_in_file_order() -> None:
    lengths = [200, 20] * 30
    examples = [Example(np.zeros(n, np.int32), np.ones(n, np.bool_)) for n in lengths]
    shares = statistics(TokenSet.from_examples(examples), TrainConfig(batch_size=2))["padding_share"]
    assert shares["bucket"] < 0.2 < shares["file_order"]
    assert 0 <= shares["pack"] < 1


def test_histogram_of_nothing() -> None:
    assert histogram(np.zeros(0, np.int64)) == ([0, 1], [0])


# -- tasks --------------------------------------------------------------------------------------------------------


def test_the_task_tells_totals_and_findings_in_the_users_file(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, [SHORT, LONG, SHORT | {"note": 1}])
    events = run_task(tokenize, tmp_path / "job", TokenizeJob(config=config.model_dump(mode="json")))

    data = result(events, "tokenize")
    assert isinstance(events[-1], event.Finished)
    assert data["splits"]["train"]["examples"] == 3
    assert data["splits"]["train"]["over_length"] == 1
    assert data["counts"] == {"over_length": 1, "no_trained_token": 1}
    assert {(f["file"], f["line"], f["kind"]) for f in data["warnings"]} == {
        (config.data, 2, "over_length"),
        (config.data, 2, "no_trained_token"),
    }


def test_training_starts_from_the_cache_of_the_task(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    rows = [
        SHORT | {"id": n, "messages": [{"role": "user", "content": f"{n}"}, SHORT["messages"][1]]}
        for n in range(30)
    ]
    config = config_of(tmp_path, model, rows, valid_fraction=0.1, test_fraction=0.1)
    run_task(tokenize, tmp_path / "job", TokenizeJob(config=config.model_dump(mode="json")))
    prepared = prepare_data(config, tmp_path / "run" / "data")
    read: list[int] = []
    for split in ("train", "valid", "test"):
        path = prepared.path(split)
        assert path is not None
        tokenize_file(path, tokenizer, config, lambda done, _: read.append(done))
    assert not read


def test_the_task_can_be_stopped(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, [SHORT] * 20)
    events = run_task(tokenize, tmp_path, TokenizeJob(config=config.model_dump(mode="json")), Stop(), at_once=True)
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"
    assert not token_cache.cache_folder().exists()


def test_check_with_a_model(tmp_path: Path, model: Path) -> None:
    tool = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [3]}]
    }
    data = write(tmp_path / "data.jsonl", [SHORT, tool, LONG])
    job = CheckJob(files=(data,), model=str(model), config={"max_seq_length": 48, "mask_prompt": True})
    report = DataReport.from_dict(result(run_task(check, tmp_path / "job", job), "check"))

    assert not report.usable
    assert [(f.line, f.kind) for f in report.errors] == [(2, "template_refused")]
    assert sorted((f.line, f.kind) for f in report.warnings) == [(3, "no_trained_token"), (3, "over_length")]


def test_check_with_a_base_model(tmp_path: Path) -> None:
    model = save_tokenizer(tmp_path / "base", None)
    job = CheckJob(files=(write(tmp_path / "data.jsonl", [SHORT]),), model=str(model))
    report = DataReport.from_dict(result(run_task(check, tmp_path / "job", job), "check"))
    assert [f.kind for f in report.errors] == ["no_chat_template"]


def test_check_without_a_model_is_the_check_of_core(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{\n", encoding="utf-8")
    report = DataReport.from_dict(result(run_task(check, tmp_path / "job", CheckJob(files=(data,))), "check"))
    assert [(f.line, f.kind) for f in report.errors] == [(1, "broken_json")]


def test_the_worker_process_checks(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", [SHORT])
    write_job(tmp_path / "job", CheckJob(files=(data,)))
    with subprocess.Popen(
        program.worker_command(tmp_path / "job"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env=program.worker_environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        events = [parse_event(line) for line in process.stdout]
    assert process.returncode == 0
    assert result(events, "check")["usable"] is True


# -- the preview --------------------------------------------------------------------------------------------------


def test_token_texts_put_together_are_the_text(tokenizer: Any) -> None:
    text = "Wie heißt 😀 die Straße? 漢字 <|im_start|>x"
    ids = tokenizer.encode(text)
    texts = token_texts(tokenizer, ids)
    assert "".join(texts) == text
    assert not any("�" in part for part in texts)
    assert len(texts) == len(ids) > len([part for part in texts if part])


def test_runs_keep_every_token() -> None:
    tokens = [{"id": 1, "text": "a", "kind": k, "trained": t} for k, t in
              (("masked", False), ("masked", False), ("special", True), ("trained", True))]  # fmt: skip
    assert [(r["kind"], r["text"], r["start"], r["end"]) for r in text_runs(tokens)] == [
        ("masked", "aa", 0, 2), ("special", "a", 2, 3), ("trained", "a", 3, 4)
    ]  # fmt: skip


def test_the_preview_answers(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, [SHORT, LONG, {"broken": 1}])
    events = run_task(
        preview_module.preview, tmp_path / "job", PreviewJob(config=config.model_dump(mode="json")),
        ShowExample(index=0),
        SearchExamples(text="WORD"),
        ShowExample(index=1),
        Configure(values={"max_seq_length": 1024, "learning_rate": 3}),
        ShowExample(index=1),
        ShowExample(index=7),
        ShowExample(split="valid", index=0),
        Stop(),
    )  # fmt: skip
    examples = [e.data for e in events if isinstance(e, event.Result) and e.name == "example"]
    assert result(events, "preview") == {"splits": {"train": 2}, "format": "chat"}
    assert result(events, "search")["indices"] == [1]
    first, cut, whole = examples
    assert "".join(run["text"] for run in first["runs"]) == (
        "<|im_start|>user\nHi 😀<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    )
    assert [run["text"] for run in first["runs"] if run["kind"] == "trained"] == ["Hello", "\n"]
    assert first["runs"][0]["kind"] == "special"
    assert (first["file"], first["line"]) == (config.data, 1)
    assert cut["counts"]["truncated"] > 0
    assert cut["counts"]["trained"] == 0
    assert cut["runs"][-1]["kind"] == "truncated"
    assert whole["counts"]["truncated"] == 0
    assert whole["counts"]["trained"] > 0
    assert len([e for e in events if isinstance(e, event.Warned)]) == 2


def test_preview_of_a_refused_row(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    tool = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [3]}]
    }
    config = config_of(tmp_path, model, [SHORT, tool])
    answers = Preview(prepare_data(config, tmp_path / "p"), tokenizer, config)
    assert answers.example("train", 1)["refused"].startswith("The chat template cannot render the row")


def test_rows_keep_their_lines(tmp_path: Path, model: Path, tokenizer: Any) -> None:
    config = config_of(tmp_path, model, [SHORT, LONG])
    assert tokenize_rows(Path(config.data), tokenizer, config).lines.tolist() == [1, 2]
