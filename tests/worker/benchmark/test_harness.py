"""What is asked of lm-eval and made of its answers, with modules in its place; and the task with its columns."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import BenchmarkJob
from app.worker.benchmark import task as task_module
from app.worker.benchmark.task import benchmark, longest_read
from tests.worker.training import Answer, Collector

HARNESS = "app.worker.benchmark.harness"


class StandIn(ModuleType):
    """A module that is only there to be imported from."""

    def __init__(self, name: str, **has: Any) -> None:
        super().__init__(name)
        vars(self).update(has)


class TasksOfFolder:
    """lm-eval's manager: it knows two tasks of its own, and one of a folder."""

    def __init__(self, include_path: str | None, include_defaults: bool) -> None:
        self.given = (include_path, include_defaults)
        self.all_tasks = [*(["own"] if include_path else []), *(["arc", "arc_hard"] if include_defaults else [])]

    def match_tasks(self, names: list[str]) -> list[str]:
        found = [one for name in names for one in self.all_tasks if one == name or name == one.split("_")[0] + "*"]
        return sorted(found)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module over stand-ins; ``asked`` is what `simple_evaluate` was given."""
    asked: list[dict[str, Any]] = []

    def simple_evaluate(**options: Any) -> Any:
        asked.append(options | {"folder": Path.cwd()})
        found = made.answers
        if isinstance(found, Exception):
            raise found
        return found

    def windows(token_list: list[int], prefix_token: int, max_seq_len: int, context_len: int) -> list[Any]:
        assert (prefix_token, max_seq_len, context_len) == (9, 3, 1)
        return [([prefix_token], token_list[:2]), (token_list[:2], token_list[2:])]

    modules = {
        "lm_eval": StandIn("lm_eval"), "lm_eval.api": StandIn("lm_eval.api"),
        "lm_eval.api.model": StandIn("lm_eval.api.model", TemplateLM=type("TemplateLM", (), {})),
        "lm_eval.evaluator": StandIn("lm_eval.evaluator", simple_evaluate=simple_evaluate),
        "lm_eval.tasks": StandIn("lm_eval.tasks", TaskManager=TasksOfFolder),
        "lm_eval.utils": StandIn(
            "lm_eval.utils", get_rolling_token_windows=windows, make_disjoint_window=lambda pair: pair
        ),
    }  # fmt: skip
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, HARNESS, raising=False)
    made: Any = importlib.import_module(HARNESS)
    made.asked, made.answers = asked, {"results": {}}
    yield made
    sys.modules.pop(HARNESS, None)


class Words:
    """A tokenizer that gives a token for each letter, and 9 before a text."""

    bos_token_id: int | None = 9
    eos_token_id, bos_token, name_or_path = 8, "<s>", "org/name"

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [*([9] if add_special_tokens else []), *(ord(letter) - 96 for letter in text.removeprefix("<s>"))]

    def apply_chat_template(self, turns: Any, **options: Any) -> str:
        return f"{turns} {sorted(options.items())}"


def model_of(harness: Any, told: list[Any]) -> Any:
    def phases(name: str) -> Any:
        return lambda done, total: told.append((name, done, total))

    made = harness.CandidateModel("model", SimpleNamespace(_tokenizer=Words()), 3, phases)
    made.who = "me"
    return made


def test_tokens_and_conversations_are_those_of_the_tokenizer(harness: Any) -> None:
    lm = model_of(harness, [])
    assert (lm.eot_token_id, lm.prefix_token_id, lm.tokenizer_name, lm.max_length) == (8, 9, "org__name", 3)
    lm.tokenizer.bos_token_id = None
    assert lm.prefix_token_id == 8
    texts = (("ab", None), ("<s>ab", None), ("<s>ab", True), ("ab", False))
    found = [lm.tok_encode(text, special) for text, special in texts]
    assert found == [[9, 1, 2], [1, 2], [9, 1, 2], [1, 2]]
    lm.tokenizer.bos_token = None
    assert lm.tok_encode("ab") == [9, 1, 2]
    asked = [("add_generation_prompt", True), ("continue_final_message", False), ("tokenize", False)]
    assert lm.apply_chat_template(["t"]) == f"['t'] {asked}"
    asked = [("add_generation_prompt", False), ("continue_final_message", True), ("tokenize", False)]
    assert lm.apply_chat_template(["t"], add_generation_prompt=False) == f"['t'] {asked}"
    plain = harness.CandidateModel("model", Words(), 3, lambda _name: None)
    assert (plain.tok_encode("a"), plain.who) == ([9, 1], "")


def test_choices_and_texts_are_given_as_pairs_of_tokens(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def likelihoods(model: Any, pairs: list[Any], longest: int, progress: Any) -> list[tuple[float, bool]]:
        assert (model, longest) == ("model", 3)
        progress(len(pairs), len(pairs))
        return [(-float(sum(rest)), True) for _, rest in pairs]

    monkeypatch.setattr(harness, "likelihoods", likelihoods)
    lm = model_of(harness, told)
    assert lm._loglikelihood_tokens([("x", (9,), (1, 2)), ("y", (9, 1), (4,))]) == [(-3.0, True), (-4.0, True)]
    requests = [SimpleNamespace(args=(text,)) for text in ("<s>abc", "<s>d")]
    assert lm.loglikelihood_rolling(requests) == [-6.0, -4.0]
    assert told == [("Choices of me", 2, 2), ("Texts of me", 4, 4)]


@pytest.mark.parametrize(("asked", "answer", "options"), [
    ({}, "one two\n\nthree four", (256, 0.0, 0.0, [3])),
    ({"until": "\n\n", "max_gen_toks": 2}, "one two", (2, 0.0, 0.0, [3])),
    ({"until": ["four", "", "two"], "max_gen_toks": 1}, "one ", (1, 0.0, 0.0, [2, 3])),
    ({"do_sample": True, "temperature": 0.5, "top_p": 0.75, "max_gen_toks": 1}, "one two\n\nthree four",
     (1, 0.5, 0.75, [2, 3])),
    ({"do_sample": False, "temperature": 0.5, "until": None}, "one two\n\nthree four", (256, 0.0, 0.0, [3])),
])  # fmt: skip
def test_answers_end_where_the_task_says(
    asked: dict[str, Any], answer: str, options: tuple[Any, ...], harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    given: list[Any] = []
    said: list[str] = []

    def stream(model: Any, tokenizer: Any, tokens: list[int], max_tokens: int, sampler: Any) -> Iterator[Any]:
        assert model == "model"
        assert isinstance(tokenizer._tokenizer, Words)
        given.append((max_tokens, *sampler, tokens))
        for text in ("one ", "two", "\n\n", "three ", "four"):
            said.append(text)
            yield SimpleNamespace(text=text)

    monkeypatch.setattr(harness, "make_sampler", lambda temp, top_p: (temp, top_p))
    monkeypatch.setattr(harness, "stream_generate", stream)
    lm = model_of(harness, told)
    request = SimpleNamespace(args=("<s>abc", asked))
    assert lm.generate_until([request, request]) == [answer] * 2
    assert given == [options] * 2
    assert told == [("Answers of me", 1, 2), ("Answers of me", 2, 2)]
    assert len(said) == {"one ": 4, "one two": 6}.get(answer, 10), "nothing is generated behind an end"


def job(**more: Any) -> BenchmarkJob:
    return BenchmarkJob(**{"model": "m", "tasks": ("arc",)} | more)


def test_own_tasks_are_looked_at_before_all_others(harness: Any, tmp_path: Path) -> None:
    assert harness.check_tasks(job()).given == (None, True)
    assert harness.check_tasks(job(tasks=("arc*", "arc_hard"))).given == (None, True)
    assert harness.check_tasks(job(tasks=("own",), include_path=tmp_path)).given == (str(tmp_path), False)
    assert harness.check_tasks(job(tasks=("own", "arc"), include_path=tmp_path)).given == (str(tmp_path), True)
    with pytest.raises(UnusableError) as caught:
        harness.check_tasks(job(tasks=("own", "none", "arc", "nor_this"), include_path=tmp_path))
    hint = "`lm_eval ls tasks` lists them; --include-path names a folder with tasks of your own."
    assert caught.value.problems == [Problem("tasks", "lm-eval has no task none, nor_this.", hint=hint)]


def test_a_task_is_asked_once_and_its_metrics_are_named(harness: Any, tmp_path: Path) -> None:
    harness.answers = {"results": {"arc": {
        "acc,none": 0.5, "acc_stderr,none": 0.1, "acc,strict": 1, "acc_stderr,strict": "N/A", "alias": "arc",
        "name,none": "x", "plain": 3,
    }}}  # fmt: skip
    here = Path.cwd()
    asked = job(tasks=("arc*", "arc"), limit=3, shots=2, chat=True, seed=7)
    assert harness.measured_tasks("lm", asked, TasksOfFolder(None, True)) == {"arc": {
        "acc": {"value": 0.5, "stderr": 0.1}, "acc (strict)": {"value": 1.0, "stderr": None},
    }}  # fmt: skip
    (given,) = harness.asked
    manager = given.pop("task_manager")
    assert isinstance(manager, TasksOfFolder)
    assert given == {
        "model": "lm", "tasks": ["arc", "arc_hard"], "limit": 3, "num_fewshot": 2, "apply_chat_template": True,
        "bootstrap_iters": 1000, "log_samples": False, "random_seed": 7, "numpy_random_seed": 7,
        "torch_random_seed": 7, "fewshot_random_seed": 7, "folder": here,
    }  # fmt: skip
    harness.measured_tasks("lm", job(tasks=("own",), include_path=tmp_path), TasksOfFolder("x", False))
    assert (harness.asked[1]["folder"], Path.cwd()) == (tmp_path, here), "its data are named from there"
    for error in (FileNotFoundError("not\n there"), ConnectionError("x" * 400)):
        harness.answers = error
        with pytest.raises(UnusableError) as caught:
            harness.measured_tasks("lm", job(), TasksOfFolder(None, True))
        (problem,) = caught.value.problems
        told = "not there" if isinstance(error, FileNotFoundError) else "x" * 300
        assert (problem.path, problem.message) == ("tasks", f"The data of a task is not on this machine: {told}.")
        assert problem.hint.startswith("Allow the download (--download), or name tasks whose data lies in")


# -- the task -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "most"), [
    ({"max_position_embeddings": 512}, 512), ({"max_position_embeddings": 40960}, 8192), ({}, 8192),
    ({"text_config": {"max_position_embeddings": 1024}}, 1024), ({"max_position_embeddings": -1}, 8192),
    ({"max_position_embeddings": "512"}, 8192), ({"max_position_embeddings": 1}, 1),
])  # fmt: skip
def test_rows_are_read_as_far_as_the_model_can(
    config: dict[str, Any], most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "read_config", lambda _path: config)
    assert longest_read(tmp_path) == most


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the task asks, with nothing loaded: adapters are named by their path and strength."""
    calls: list[Any] = []

    class Switch:
        def __init__(self, model: Any) -> None:
            self.model = model

        def load(self, path: Path) -> Any:
            return SimpleNamespace(at=lambda strength: f"{path}@{strength}")

        def use(self, adapter: str | None) -> None:
            calls.append(("use", adapter))

    model = SimpleNamespace(eval=lambda: calls.append("eval"))

    def measured_tasks(lm: Any, _job: BenchmarkJob, manager: str) -> dict[str, Any]:
        calls.append((lm.who, manager, lm.longest))
        lm.phases("Choices")(1, 2)
        return {"arc": {"acc": {"value": len(calls), "stderr": None}}}

    def candidate(model: Any, _tokenizer: Any, longest: int, phases: Any) -> Any:
        return SimpleNamespace(model=model, longest=longest, phases=phases, who="")

    stand_in = StandIn(
        HARNESS, CandidateModel=candidate, check_tasks=lambda job: f"manager of {job.tasks}",
        measured_tasks=measured_tasks,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, HARNESS, stand_in)
    monkeypatch.setattr(task_module, "harness_problem", lambda: None)
    monkeypatch.setattr(task_module, "locate_model", lambda model: Path("/base") / model)
    monkeypatch.setattr(task_module, "load_model", lambda _base: (model, "tokenizer"))
    monkeypatch.setattr(task_module, "AdapterSwitch", Switch)
    monkeypatch.setattr(task_module, "base_warning", lambda path, _base: "Of another." if str(path) == "c" else "")
    monkeypatch.setattr(task_module, "longest_read", lambda _base: 77)
    monkeypatch.setattr(task_module, "package_version", lambda name: f"{name} 0.4")
    runs = {"a": Path("/runs/one"), "b": Path("/runs/one"), "c": None}
    monkeypatch.setattr(
        task_module, "candidate_of", lambda path: SimpleNamespace(label=f"run {path}", run=runs[str(path)])
    )
    monkeypatch.setattr(task_module, "keep_benchmark", lambda run, told: calls.append((run, told)))
    return calls


def told_by(folder: Path, answer: Answer = lambda _: None, **more: Any) -> Collector:
    channel = Collector(folder / "events", answer)
    benchmark(channel, folder, job(adapters=(None, "a", "b", "c"), strengths=(1.0, 0.5), **more))
    return channel


def test_each_column_is_asked_and_kept_by_its_run(asked: list[Any], tmp_path: Path) -> None:
    channel = told_by(tmp_path, limit=3, shots=2, chat=True)
    steps = [
        ("use", None), "eval", ("the base model", "manager of ('arc',)", 77), ("use", "a@0.5"), "eval",
        ("run a", "manager of ('arc',)", 77), ("use", "b@1.0"), "eval", ("run b", "manager of ('arc',)", 77),
        ("use", "c@1.0"), "eval", ("run c", "manager of ('arc',)", 77),
    ]  # fmt: skip
    assert asked[:12] == steps
    assert [said.message for said in channel.of(event.Warned)] == ["Of another."]
    (result,) = channel.of(event.Result)
    names = [
        (one["adapter"], one["strength"], one["results"]["arc"]["acc"]["value"]) for one in result.data["columns"]
    ]
    assert names == [(None, 1.0, 3), ("a", 0.5, 6), ("b", 1.0, 9), ("c", 1.0, 12)]
    told = {name: value for name, value in result.data.items() if name not in ("columns", "kept")}
    assert (result.name, told) == ("benchmark", {
        "harness": "lm_eval 0.4", "model": "/base/m", "tasks": ["arc"], "shots": 2, "limit": 3,
        "chat": True,
    })  # fmt: skip
    ((run, kept),) = asked[12:]
    assert (run, result.data["kept"]) == (Path("/runs/one"), ["/runs/one"]), "once, though two are of it"
    assert len(kept.pop("time")) == 19
    assert kept == told | {"columns": result.data["columns"]}
    phases = [said.phase for said in channel.of(event.Progressed)]
    assert phases == ["Looking for the tasks", "Loading the model", "Choices"]
    (last,) = channel.of(event.Finished)
    assert (last.reason, channel.events[-1]) == ("completed", last)
    assert 0 < last.elapsed_s < 60


def test_a_stop_keeps_nothing(asked: list[Any], tmp_path: Path) -> None:
    channel = told_by(
        tmp_path, lambda said: "stop" if isinstance(said, event.Progressed) and said.phase == "Choices" else None
    )
    assert not channel.of(event.Result)
    (last,) = channel.of(event.Finished)
    assert last.reason == "stopped"
    assert 0 < last.elapsed_s < 60
    assert len(asked) == 3
