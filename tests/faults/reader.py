"""Every reader of a file that can be damaged or bent, with a good one of each: for the fuzz and for flipped bits.

A reader either reads what lies there or refuses in words: `UnusableError`, `TaskError` or `RefusedError` with a
message, and for what a worker reads any error of which `told_failure` knows the cause. Whatever else is raised
would reach a person as a failure of Luthier.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.compare.before_after import BeforeAfter, load_before_after, save_before_after
from app.core.compare.candidate import BASE, candidate_of, is_adapter, run_candidates
from app.core.compare.conversation import opened
from app.core.compare.judgement import Judged, Vote, VoteBook, tally, votes_markdown
from app.core.compare.kept_comparison import ComparisonHead, comparison_lines, kept_comparison, present_candidate
from app.core.compare.prompt_set import Prompt, read_prompts
from app.core.compare.shelf import ComparisonShelf, gone_sentence
from app.core.config.train_config import TrainConfig
from app.core.export.endpoint import Endpoint
from app.core.export.served import ServedAlone, note_served, served_alone
from app.core.model.adapter_base import base_of
from app.core.model.facts import layer_count
from app.core.model.folder import find_models, has_chat_template, read_config
from app.core.model.safetensors_header import read_headers, weight_faults
from app.core.model.vocabulary import tokens_beyond
from app.core.problem import TaskError, UnusableError
from app.core.protocol.command import heard_command
from app.core.protocol.event import Answered, heard_event, read_events
from app.core.protocol.job import read_job
from app.core.protocol.wire import RefusedError
from app.core.queue.queue import RunQueue, make_entry
from app.core.remote.record import RemoteRun, remote_runs
from app.core.run.benchmark import BENCHMARK_FILE, load_benchmarks
from app.core.run.catalog import RunCatalog
from app.core.run.folder import RunDir, runs_dir
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, load_note, save_note
from app.core.run.reader import RunReader
from app.core.run.report import make_report, report_html, report_markdown
from app.core.run.summary import summarize
from app.core.setup.config_file import dump_config, load_config
from app.core.setup.duration import Pace
from app.core.setup.path_kind import sort_path
from app.core.setup.speed import keep_pace, kept_pace
from app.core.system import place as system_place
from app.core.system.setting import Settings, load_settings, save_settings
from app.worker.model.adapter_switch import AdapterSwitch
from app.worker.model.inspect import inspect_model
from app.worker.model.loading import load_model
from app.worker.neutral.text import kept_text
from app.worker.process.failure import told_failure
from app.worker.token.tokenizer import load_tokenizer
from app.worker.train.checkpoint import load_checkpoint
from tests.core.data import fuzz as data_fuzz
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import start

TOLD = (UnusableError, TaskError, RefusedError)
UNTOLD = "in a way that Luthier does not know"  # how a failure begins that nobody foresaw


class UntoldError(AssertionError):
    """A reader failed otherwise than in words."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with all that readers need: a model, data, a finished run, adapters, and a home."""

    root: Path
    switch: AdapterSwitch
    tokenizer: Any

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def run(self) -> RunDir:
        return RunDir(self.root / "home/data/runs/one")


@dataclass(frozen=True, slots=True)
class Reader:
    """``read`` reads ``file`` of a place, whose content was changed; ``seeds`` are other good contents of it.

    ``task`` is the worker's task that reads it; empty where window and command line do.
    """

    file: str
    read: Callable[[Place], object]
    task: str = ""
    seeds: tuple[bytes, ...] = ()

    @property
    def name(self) -> str:
        return self.file.rpartition("/")[2] if "/adapters/" not in self.file else self.file.rpartition("one/")[2]


BENCHMARK = {
    "harness": "0.4", "model": "m", "tasks": ["arc"], "shots": None, "limit": 5, "time": "2026-11-01T10:00",
    "columns": [{"adapter": None, "strength": 1.0, "results": {"arc": {"acc": {"value": 0.5, "stderr": None}}}}],
}  # fmt: skip


def make_place(root: Path) -> Place:
    """Fills a folder. Luthier's home is then ``root / "home"``, for this process."""
    os.environ["LUTHIER_HOME"] = str(root / "home")
    model = write_model(root / "model", layers=1)
    write_data(root / "data", train=12, valid=4)
    run = RunDir(root / "home/data/runs/one")
    run.path.parent.mkdir(parents=True)
    config = TrainConfig.model_validate({
        "model": str(model), "data": str(root / "data"), "batch_size": 4, "iters": 4, "epochs": None,
        "steps_per_report": 1, "steps_per_eval": 2, "save_every": 2, "neutral_tokens": 64,
        "lora_parameters": {"rank": 2, "scale": 4.0, "dropout": 0.0},
    })  # fmt: skip
    start(config, run.path)
    save_note(run, RunNote("A name", ("one", "two"), "Some text.\n"))
    stamp = (run.adapters / "adapters.safetensors").stat().st_mtime_ns
    save_before_after(run, BeforeAfter("a", "", "b", "c", "adapters", stamp))
    (run.path / BENCHMARK_FILE).write_text(json.dumps([BENCHMARK]))
    save_settings(Settings(model_folders=(str(root),), window={"tab": 1}))
    RunQueue().add([make_entry(config.with_value("adapter_name", "queued"))])
    RunCatalog().refresh()
    RemoteRun(runs_dir() / "far", "ssh", {"host": "far", "ssh": ["ssh"]}).save()
    keep_pace("key", Pace(1.0))
    note_served(ServedAlone(Endpoint("http://127.0.0.1:1/v1", "m", "k", "b", "a"), 1, "label"))
    system_place.form_path().write_text(dump_config(config))
    question = {"model": str(model), "messages": [{"role": "user", "content": "a"}]}
    judged = (Judged("Base model", None, None), Judged("one", str(run.adapters), str(run.path)))
    VoteBook().add(Vote(question, judged, ("b", "c"), "win", 1))
    columns = (BASE, candidate_of(run.adapters))
    page = opened(Prompt("a"), columns, "b")
    for column, reply in enumerate(page.last.replies):
        last = Answered(request=1, column=column, done=True, generation_tokens=2, finish_reason="stop")
        reply.text, reply.last = "c", last
    ComparisonShelf().write(kept_comparison(ComparisonHead("one", base=str(model), columns=columns), [page]))
    (root / "prompts.jsonl").write_text('{"prompt": "a"}\n"b"\n{"messages": [{"role": "user", "content": "c"}]}\n')
    (root / "command").write_text('{"command": "stop"}')
    shutil.copytree(model, root / "inspected", symlinks=True)
    _write_peft(root / "peft", model)
    return Place(root, AdapterSwitch(load_model(model)[0]), load_tokenizer(str(model)))


def _write_peft(folder: Path, model: Path) -> None:
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none",
              "base_model_name_or_path": str(model), "rank_pattern": {}, "alpha_pattern": {}, "use_dora": False,
              "use_rslora": False, "init_lora_weights": True, "fan_in_fan_out": False}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    arrays = {name.format("A"): mx.ones((2, 32)), name.format("B"): mx.ones((32, 2))}
    mx.save_safetensors(str(folder / "adapter_model.safetensors"), arrays)


# -- what reads --------------------------------------------------------------------------------------------------


def _events(found: Place) -> None:
    history = RunHistory()
    for one in read_events(found.run.events):
        history.feed(one)
    for line in found.run.events.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            heard_event(line)
    summarize(found.run)
    reader = RunReader(found.run)
    reader.read()
    load_benchmarks(found.run)
    report = make_report(reader)
    report_html(report).encode()
    report_markdown(report).encode()
    _list(found)


def _list(found: Place) -> None:
    listed = RunCatalog(found.run.path.parent).refresh()
    if [one.run.name for one in listed] != ["one"]:
        raise UntoldError("The run is gone from the list.")
    json.dumps(listed[0].name).encode()


def _note(found: Place) -> None:
    load_note(found.run)
    _list(found)


def _speeds(_found: Place) -> None:
    kept_pace("key")
    keep_pace("other", Pace(1.0))


def _config(file: str) -> Callable[[Place], object]:
    def read(found: Place) -> None:
        path = found.root / file
        sort_path(path)
        told = load_config(path)
        told.told().encode("utf-8", "replace")
        dump_config(told.config)

    return read


def _run_config(found: Place) -> None:
    summarize(found.run)
    _list(found)
    candidate_of(found.run.adapters)
    load_config(found.run.config)


def _queue(_found: Place) -> None:
    queue = RunQueue()
    state = queue.read()
    state.sweeps()
    for entry in state.entries:
        with contextlib.suppress(UnusableError):
            entry.load()
    queue.recover()
    queue.set_mode("paused")


def _settings(_found: Place) -> None:
    found = load_settings()
    save_settings(found.with_recent("recent_data", "/one"))


def _inspect(found: Place) -> None:
    folder = found.root / "inspected"
    config = read_config(folder)
    layer_count(config)
    sort_path(folder)
    tokens_beyond(folder)
    inspect_model(folder)
    find_models([found.root])


def _headers(found: Place) -> None:
    folder = found.root / "inspected"
    weight_faults(folder)
    read_headers(folder)


def _tokenizer(found: Place) -> None:
    folder = found.root / "inspected"
    has_chat_template(folder)
    tokenizer = load_tokenizer(str(folder))
    tokenizer.encode("a b é")


def _adapter(folder: str) -> Callable[[Place], object]:
    def read(found: Place) -> None:
        path = found.root / folder
        is_adapter(path)
        base_of(path)
        sort_path(path)
        run_candidates(found.run.path)
        found.switch.use(found.switch.load(path))
        found.switch.keep([])

    return read


def _state(found: Place) -> None:
    if load_checkpoint(found.run.state) is None:
        raise UntoldError("The state is taken for none.")


def _votes(_found: Place) -> None:
    votes = VoteBook().read()
    for vote in votes.votes:
        found = tally([vote], vote.candidates)
        del found
        votes_markdown([vote], vote.candidates).encode("utf-8", "replace")
        json.dumps(vote.as_dict())


def _comparison(_found: Place) -> None:
    shelf = ComparisonShelf()
    assert all(one.title or one.fault for one in shelf.heads())
    (*_, kept) = shelf.read("one")
    assert kept is not None
    for one in kept.head.columns:
        present_candidate(one)
    gone_sentence(kept.head.base, kept.head.columns)
    assert all(line.isascii() for line in comparison_lines(kept))


def _data(found: Place) -> None:
    path, chance = found.root / "mine/data.jsonl", random.Random((found.root / "mine/data.jsonl").read_bytes())
    other = path.with_suffix(chance.choice(data_fuzz.SUFFIXES))
    path.rename(other)
    try:
        with tempfile_folder(found.root) as folder:
            data_fuzz.read(other, folder, data_fuzz.config_of(other, chance), found.tokenizer)
    finally:
        other.unlink()


@contextlib.contextmanager
def tempfile_folder(root: Path) -> Iterator[Path]:
    """A folder that is empty, and goes."""
    folder = root / "out"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


HOME, RUN = "home/", "home/data/runs/one/"
FOREIGN = (
    b"base_model: a\ndatasets:\n  - path: d.jsonl\n    type: chat_template\nadapter: lora\nlora_r: 8\n",
    b"model_name_or_path: a\nstage: sft\nfinetuning_type: lora\ndataset: d\ntemplate: qwen\nlora_rank: 8\n",
    b"&a x: [1, *a]\n<<: {b: 2}\nlora_parameters: {rank: 4, scale: 1e-5}\nlr_schedule: {name: cosine_decay}\n",
)
ROWS = (
    b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' * 3,
    b'{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n',
    b'{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"text": "a"}\n',
    b"prompt,completion\na,b\nc,d\n", b'[{"instruction": "a", "input": "", "output": "b"}]',
    b'{"prompt": "a", "completion": "b", "label": true}\n{"prompt": "a", "answer": "#### 5"}\n',
)  # fmt: skip
READERS = (
    Reader("mine/data.jsonl", _data, "check", ROWS),
    Reader("mine/config.yaml", _config("mine/config.yaml"), "", FOREIGN),
    Reader(f"{HOME}data/form.yaml", _config(f"{HOME}data/form.yaml")),
    Reader(f"{RUN}config.yaml", _run_config),
    Reader(f"{RUN}events.jsonl", _events),
    Reader(f"{RUN}job.json", lambda found: read_job(found.run.path)),
    Reader(f"{RUN}notes.md", _note),
    Reader(f"{RUN}before_after.json", lambda found: load_before_after(found.run)),
    Reader(f"{RUN}{BENCHMARK_FILE}", _events),
    Reader(f"{RUN}neutral.json", lambda found: kept_text(found.run.path), "train"),
    Reader(f"{RUN}state/0000004/state.json", _state, "train"),
    Reader(f"{RUN}state/0000004/digests.json", _state, "train"),
    Reader(f"{RUN}state/0000004/arrays.safetensors", _state, "train"),
    Reader(f"{RUN}adapters/adapter_config.json", _adapter(f"{RUN}adapters"), "generate"),
    Reader(f"{RUN}adapters/adapters.safetensors", _adapter(f"{RUN}adapters"), "generate"),
    Reader("peft/adapter_config.json", _adapter("peft"), "generate"),
    Reader("peft/adapter_model.safetensors", _adapter("peft"), "generate"),
    Reader("inspected/config.json", _inspect, "inspect"),
    Reader("inspected/model.safetensors", _headers, "inspect"),
    Reader("inspected/model.safetensors.index.json", _headers, "inspect",
           (b'{"metadata": {}, "weight_map": {"model.norm.weight": "model.safetensors"}}',)),
    Reader("inspected/tokenizer.json", _tokenizer, "tokenize"),
    Reader("inspected/tokenizer_config.json", _tokenizer, "tokenize"),
    Reader("inspected/chat_template.jinja", _tokenizer, "tokenize"),
    Reader("inspected/generation_config.json", _tokenizer, "tokenize", (b'{"eos_token_id": [1, 2]}',)),
    Reader(f"{HOME}data/queue/queue.json", _queue),
    Reader(f"{HOME}config/settings.yaml", _settings),
    Reader(f"{HOME}data/speeds.json", _speeds),
    Reader(f"{HOME}data/runs/far/remote.json", lambda _found: [(run.host, run.where) for run in remote_runs()]),
    Reader(f"{HOME}data/served.json", lambda _found: served_alone()),
    Reader(f"{HOME}data/votes.jsonl", _votes),
    Reader(f"{HOME}data/comparisons/one.jsonl", _comparison),
    Reader(f"{HOME}cache/runs.jsonl", _list),
    Reader("prompts.jsonl", lambda found: list(read_prompts(found.root / "prompts.jsonl"))),
    Reader("command", lambda found: heard_command((found.root / "command").read_text("utf-8", "replace"))),
)  # fmt: skip


def seeds_of(reader: Reader, place: Place) -> list[bytes]:
    """Good contents of the file: what lies there, and the reader's own."""
    file = place.root / reader.file
    return [*([file.read_bytes()] if file.exists() else []), *reader.seeds]


def fault_of(reader: Reader, place: Place, content: bytes) -> Exception | None:
    """What a reader raises of a content otherwise than in words; the file is put back."""
    file = place.root / reader.file
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    try:
        reader.read(place)
    except TOLD as error:
        return None if str(error).strip() else UntoldError("It is refused without a word.")
    except Exception as error:
        return error if not reader.task or UNTOLD in told_failure(error, reader.task).message else None
    finally:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(before)
    return None
