"""What a run tells of its data, its record and its memory before it trains; each warning once, in whole words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import (
    CheckpointSaved,
    Event,
    Finished,
    TrainReported,
    Warned,
)
from app.core.protocol.job import TrainJob
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import save_config
from app.core.system.setting import Settings, save_settings
from app.worker.process.control import Control
from app.worker.token.prompt import Prompts
from app.worker.token.rated_answer import LabelledAnswers, Pairs
from app.worker.token.token_set import Example, TokenSet
from app.worker.train import preferred, rewarded, supervised
from app.worker.train import train as train_module
from app.worker.train.best import BestLoss
from app.worker.train.checkpoint import damaged
from app.worker.train.kept_weights import calmer_hint
from app.worker.train.optimizer import concrete_arguments
from app.worker.train.provenance import _shown
from app.worker.train.trade import Weighed, _spread, best_balance
from app.worker.train.training_data import Surroundings, is_measured
from tests.worker.training import Collector

SET = TokenSet.from_examples([Example(np.arange(9, dtype=np.int32), np.arange(9) > 3)] * 2)


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    channel = Collector(tmp_path / "events")
    return Surroundings(
        channel, Control(channel), tmp_path, TrainJob(), lambda _phase: lambda _done, _total: None, None
    )


def warned(around: Surroundings) -> list[tuple[str, str]]:
    assert isinstance(around.channel, Collector)
    found = [(said.message, said.hint) for said in around.channel.of(Warned)]
    around.channel.events.clear()
    return found


def example(length: int, trained: int) -> Example:
    return Example(np.arange(length, dtype=np.int32), np.arange(length) >= length - trained)


# -- the data -------------------------------------------------------------------------------------------------


def test_examples_that_are_cut_left_out_or_too_few_are_told(around: Surroundings) -> None:
    config = TrainConfig(max_seq_length=16, batch_size=3)
    rows = [example(16, 4), example(17, 4), example(40, 40), example(8, 0)]
    found = supervised._examples(around.channel, config, TokenSet.from_examples(rows))
    assert len(found) == 3
    assert warned(around) == [
        ("2 of 4 examples are longer than 16 tokens and are cut.", "Raise the maximum length to keep them whole."),
        ("1 of 4 examples have no token to learn and are left out.", ""),
    ]
    four = config.with_value("batch_size", 4)
    supervised._examples(around.channel, four, TokenSet.from_examples(rows))
    few = "There are fewer examples (3) than a batch holds (4): the batches hold 3."
    assert warned(around)[2:] == [(few, "")]
    supervised._examples(around.channel, config.with_value("batch_size", 5), TokenSet.from_examples(rows))
    assert len(warned(around)) == 2, "that there are not enough rows was told with the config"
    for rows, hint in (
        ([example(40, 4)], "Raise the maximum length, or do not mask the prompt."),
        ([example(9, 0)], "Check that the answers are not empty."),
    ):
        with pytest.raises(UnusableError) as caught:
            supervised._examples(around.channel, config, TokenSet.from_examples(rows))
        (problem,) = caught.value.problems
        assert (problem.path, problem.message, problem.hint) == ("data", "No example has a token to learn.", hint)


def test_what_cannot_be_measured_is_told(around: Surroundings) -> None:
    config = TrainConfig(max_seq_length=16, batch_size=2, val_batches=3)
    nothing = ("There is no validation data: no best adapter, no early stopping.", "")
    for valid, batches in ((None, 3), (TokenSet.from_examples([]), 3), (SET, 0)):
        assert supervised._validation(around.channel, config.with_value("val_batches", batches), valid) is None
        assert warned(around) == [nothing]
    assert supervised._validation(around.channel, config, TokenSet.from_examples([example(9, 0)])) is None
    assert warned(around) == [("No validation example has a token to measure: there is no validation.", "")]
    assert supervised._validation(around.channel, config, SET) is not None
    assert warned(around) == []
    for rated, batches, measured in ((None, 3, False), (Pairs(TokenSet.from_examples([]), 0, 0), 3, False),
                                     (Pairs(SET, 0, 0), 0, False), (Pairs(SET, 0, 0), 1, True)):  # fmt: skip
        assert is_measured(around, rated, config.with_value("val_batches", batches)) == measured
        assert warned(around) == ([] if measured else [nothing])


def test_answers_that_are_cut_or_left_out_are_told(around: Surroundings) -> None:
    config = TrainConfig(max_seq_length=2048)
    hint = "Raise the maximum length to keep them whole."
    preferred._tell_pairs(around, Pairs(SET, 0, 0), config)
    assert warned(around) == []
    preferred._tell_pairs(around, Pairs(SET, 1, 0), config)
    assert warned(around) == [("1 answer ends beyond 2,048 tokens and is cut.", hint)]
    preferred._tell_pairs(around, Pairs(SET, 1200, 3), config)
    assert warned(around) == [
        ("1,200 answers end beyond 2,048 tokens and are cut.", hint),
        ("3 pairs have a prompt that leaves no room for an answer; left out.", hint),
    ]
    both = LabelledAnswers(SET, 0, 2, desirable=np.array([True, False]))
    preferred._tell_pairs(around, both, config)
    assert warned(around) == [("2 answers have a prompt that leaves no room for an answer; left out.", hint)]
    preferred._require_both(both)
    preferred._require_both(Pairs(SET, 0, 0))
    for label, kind in ((True, "good"), (False, "bad")):
        with pytest.raises(UnusableError, match=f"Only {kind} answers fit: KTO needs both good and bad ones"):
            preferred._require_both(LabelledAnswers(SET, 0, 0, desirable=np.array([label, label])))


def test_rows_without_a_learned_token_are_told_with_the_reason(around: Surroundings) -> None:
    data: Any = SimpleNamespace(origins={})
    refused = Problem("data", "The template refuses it.", hint="Repair it.", line=3)
    around.tell_left_out(data, Path("train.jsonl"), [])
    around.tell_left_out(data, Path("train.jsonl"), [refused])
    around.tell_left_out(data, Path("train.jsonl"), [refused, Problem("data", "No token.", line=4)])
    assert warned(around) == [
        ("1 row is left out (train.jsonl:3: The template refuses it.).", "Repair it."),
        ("2 rows are left out (train.jsonl:3: The template refuses it.).", "Repair it."),
    ]


@pytest.mark.parametrize(("form", "said"), [
    ("labelled", "No answer fits."), ("preference", "No pair has answers that fit."),
])  # fmt: skip
def test_pairs_of_which_none_fits_are_refused(
    form: str, said: str, around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preferred, "tokenize_pairs", lambda *_: Pairs(TokenSet.from_examples([]), 0, 3))
    data: Any = SimpleNamespace(train=Path("train.jsonl"), valid=None, format=form, origins={})
    kind: Any = preferred.PreferredData
    with pytest.raises(UnusableError) as caught:
        kind(around, TrainConfig(train_mode="dpo"), data)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == ("data", said)
    assert problem.hint == "Raise the maximum length, or shorten the prompts."


@pytest.mark.parametrize(("skipped", "said"), [
    (0, []), (1, ["1 prompt does not fit into {} and is left out."]),
    (1500, ["1,500 prompts do not fit into {} and are left out."]),
])  # fmt: skip
def test_prompts_that_do_not_fit_are_told(
    skipped: int, said: list[str], around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(train_mode="online_dpo", judge="self", max_seq_length=2048, max_completion_length=1024)
    monkeypatch.setattr(rewarded, "uses_rewards", lambda _config: False)
    monkeypatch.setattr(
        rewarded, "tokenize_prompts", lambda *_: Prompts([[1]], ["a"], ["b"], [None], skipped, ["a"])
    )
    data: Any = SimpleNamespace(train=Path("train.jsonl"), valid=None, origins={})
    made = rewarded.RewardedData(around, config, data)
    hint = "Raise the maximum length, or lower the longest answer."
    room = "2,048 tokens with 1,024 for the answer"
    assert warned(around) == [(one.format(room), hint) for one in said]
    assert (len(made), made.valid_examples()) == (1, 0)
    made.close()
    monkeypatch.setattr(rewarded, "tokenize_prompts", lambda *_: Prompts([], [], [], [], 3, []))
    with pytest.raises(UnusableError) as caught:
        rewarded.RewardedData(around, config, data)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message, problem.hint) == ("max_seq_length", f"No prompt fits into {room}.", hint)


def test_of_each_kind_of_finding_the_first_row_is_told(around: Surroundings) -> None:
    data: Any = SimpleNamespace(origins={"train": SimpleNamespace(
        files=["/own/a.jsonl", "/own/b.jsonl"], file=np.array([0, 1, 1]), line=np.array([7, 8, 9]))})  # fmt: skip
    faults = [
        ("dropped", 2, "The template drops it."), ("dropped", 3, "Again."), ("template_refused", 1, "An error."),
        ("control_token", 3, "A token."),
    ]  # fmt: skip
    around.tell_rows(data, Path("x/train.jsonl"), faults, Counter({"dropped": 1200, "control_token": 1}))
    assert [message for message, _ in warned(around)] == [
        "/own/b.jsonl:8: The template drops it. (1,200 rows)", "/own/b.jsonl:9: A token.",
    ]  # fmt: skip


# -- the record -----------------------------------------------------------------------------------------------


def recorded(run: RunDir, *events: Event) -> None:
    run.events.write_text("".join(event.to_line() + "\n" for event in events))


def reported(iteration: int) -> TrainReported:
    return TrainReported(
        iteration=iteration, train_loss=1, losses=[1], learning_rate=1, iterations_per_second=1,
        tokens_per_second=1, trained_tokens=1, epoch=1, grad_norm=None, padding_share=0, active_memory_gb=0,
        peak_memory_gb=0, cache_memory_gb=0, swap_gb=None, elapsed_s=1, figures={},
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = TrainConfig(model="m", data="d", iters=20)
    made = prepare_run(config, tmp_path / "run")
    save_config(config, made.config)
    return made


def test_a_record_that_ends_before_the_saved_state_is_told(run: RunDir, around: Surroundings) -> None:
    saved: Any = SimpleNamespace(iteration=1200)
    said = (
        "The record of the run ends at iteration {}, and its saved state is of iteration 1,200: what happened "
        "between is in no chart."
    )
    recorded(run)
    train_module._tell_lost_record(around.channel, run, saved)
    assert warned(around) == [(said.format(0), "")]
    recorded(run, reported(1199), Finished(reason="stopped"), Warned(message="x"))
    train_module._tell_lost_record(around.channel, run, saved)
    assert warned(around) == [(said.format("1,199"), "")]
    for last in (reported(1200), CheckpointSaved(iteration=1201, path="a", kind="best"),
                 Finished(reason="paused", iteration=1200)):  # fmt: skip
        recorded(run, last, reported(3))
        train_module._tell_lost_record(around.channel, run, saved)
        assert warned(around) == []


@pytest.mark.parametrize(("end", "job", "refusal"), [
    (None, TrainJob(resume=True), False), (Finished(reason="completed", iteration=20), TrainJob(resume=True), True),
    (Finished(reason="early_stopping", iteration=20), TrainJob(resume=True), True),
    (Finished(reason="stopped", iteration=20), TrainJob(resume=True), False),
    (Finished(reason="completed", iteration=12), TrainJob(resume=True), False),
    (Finished(reason="completed", iteration=20), TrainJob(extend_to=21), False),
    (Finished(reason="completed", iteration=20), TrainJob(extend_to=20), True),
    (None, TrainJob(extend_to=19), True),
])  # fmt: skip
def test_a_run_goes_on_where_there_is_something_left_to_do(
    end: Finished | None, job: TrainJob, refusal: bool, run: RunDir, around: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recorded(run, reported(20), *([end] if end else []))
    saved: Any = SimpleNamespace(iteration=20)
    monkeypatch.setattr(train_module, "load_checkpoint", lambda _folder: saved)
    if not refusal:
        assert train_module._saved_state(around.channel, run, job) is saved
        return
    with pytest.raises(UnusableError) as caught:
        train_module._saved_state(around.channel, run, job)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == ("iters", "The run has done all of its 20 iterations.")
    assert problem.hint == "Extend it by some iterations to go on."


def test_a_run_without_a_state_begins_anew_and_says_so(run: RunDir, around: Surroundings) -> None:
    assert train_module._saved_state(around.channel, run, TrainJob()) is None
    assert warned(around) == []
    assert train_module._saved_state(around.channel, run, TrainJob(resume=True)) is None
    assert warned(around) == [("The run has no saved state yet: it starts from the beginning.", "")]


def test_a_damaged_state_names_the_weights_that_are_left(tmp_path: Path) -> None:
    def told() -> tuple[str, str]:
        (problem,) = damaged(tmp_path / "state" / "0000012", "it is odd").problems
        return problem.message, problem.hint

    said = f"The saved state in {tmp_path / 'state' / '0000012'} is damaged: it is odd."
    assert told() == (said, "Start a new run instead.")
    adapters = tmp_path / "adapters"
    (adapters / "best").mkdir(parents=True)
    for name in ("0000006_adapters.safetensors", "0000012_adapters.safetensors"):
        (adapters / name).touch()
    last, best = adapters / "0000012_adapters.safetensors", adapters / "best" / "adapters.safetensors"
    assert told()[1] == f"Start a new run instead, from the weights of an earlier checkpoint: {last}."
    best.touch()
    assert told()[1] == f"Start a new run instead, from the weights of an earlier checkpoint: {best} or {last}."


# -- small rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "active", "wires", "wired", "limit"), [
    (None, 10**9, True, 0, None), (8_000, 3_201, True, 1, 1000), (8_000, 3_200, True, 0, 1000),
    (8_000, 8_000, False, 0, 1000),
])  # fmt: skip
def test_memory_is_wired_where_a_run_needs_most_of_it_and_reuse_is_bounded(
    told: int | None, active: int, wires: bool, wired: int, limit: int | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    save_settings(Settings(wire_memory=wires))
    calls: list[int] = []
    limits: list[int] = []
    info = {} if told is None else {"max_recommended_working_set_size": told}
    monkeypatch.setattr(mx, "device_info", lambda: info)
    monkeypatch.setattr(mx, "get_active_memory", lambda: active)
    monkeypatch.setattr(mx, "set_cache_limit", limits.append)
    monkeypatch.setattr("mlx_lm.utils.maybe_set_recommended_wired_limit", lambda: calls.append(1))
    train_module.use_memory_well()
    assert (len(calls), limits) == (wired, [] if limit is None else [limit])


def test_what_is_tried_after_a_divergence_is_no_more_than_usual() -> None:
    usual = TrainConfig().learning_rate
    words = "Try a learning rate of {:g}, a warm-up, or gradient clipping at 1."
    assert calmer_hint(TrainConfig(learning_rate=usual * 2)) == words.format(usual / 5)
    assert calmer_hint(TrainConfig(learning_rate=usual * 1000)) == words.format(usual)


def test_a_measurement_improves_by_more_than_the_least() -> None:
    best = BestLoss(min_delta=0.5)
    assert [best.take(n, loss) for n, loss in enumerate((3.0, 2.5, 2.49, float("nan"), 2.0, 1.0))] == [
        True, False, True, False, False, True,
    ]  # fmt: skip
    assert best.state() == {"loss": 1.0, "score": 1.0, "iteration": 5, "without_improvement": 0}
    assert not best.take(6, 0.1, score=0.9)
    assert best.take(7, 9.0, score=0.4)
    assert (best.loss, best.score, best.iteration, best.without_improvement) == (9.0, 0.4, 7, 0)
    again = BestLoss()
    again.restore({"loss": 2.0, "iteration": 3, "without_improvement": 4})  # of an earlier version
    assert (again.loss, again.score, again.iteration, again.without_improvement) == (2.0, 2.0, 3, 4)


def test_the_best_balance_is_the_later_of_equals_and_gives_up_a_hundredth_at_most() -> None:
    def weighed(iteration: int, learned: float | None, forgot: float, strength: float = 1.0) -> Weighed:
        return Weighed(iteration, strength, learned, forgot)

    assert best_balance([]) is None
    assert best_balance([weighed(1, 1.0, 1.0), weighed(2, None, 0.0), weighed(3, float("nan"), 0.0)]) is None
    much, calm, calmer = weighed(4, 1.0, 0.5), weighed(3, 0.99, 0.1), weighed(2, 0.98, 0.0)
    assert best_balance([much, calm, calmer]) == calm
    assert best_balance([weighed(1, 1.0, 0.5), weighed(2, 1.0, 0.5)]) == weighed(2, 1.0, 0.5)
    assert best_balance([weighed(1, 1.0, 0.5), weighed(1, 1.0, 0.5, 0.9)]) == weighed(1, 1.0, 0.5)
    assert weighed(1, 0.5, 0.25).gain == 0.25
    assert weighed(1, None, 0.0).gain == weighed(1, float("nan"), 0.0).gain == float("-inf")
    assert weighed(1, 0.823, 0.031).text() == "learned 0.823, forgot 0.031"
    assert weighed(1, None, 0.031).text() == "forgot 0.031"
    assert _spread(list(range(1, 9))) == list(range(1, 9))
    assert _spread(list(range(1, 16))) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert _spread([10 * n for n in range(1, 10)]) == [10, 20, 30, 40, 60, 70, 80, 90]


def test_long_values_are_cut_where_they_are_shown() -> None:
    assert [_shown(value) for value in (None, "a" * 40, "a" * 41, 3)] == [
        "not there",
        "a" * 40,
        "a" * 39 + "…",
        "3",
    ]


@pytest.mark.parametrize(("optimizer", "decays"), [("adam", False), ("adamw", True), ("sgd", True), ("lion", True)])
def test_weight_decay_reaches_the_optimizers_that_have_it(optimizer: str, decays: bool) -> None:
    config = TrainConfig(weight_decay=0.25).with_value("optimizer", optimizer)
    assert concrete_arguments(config).get("weight_decay") == (0.25 if decays else None)
    if decays:
        own = config.with_value("optimizer_config", {optimizer: {"weight_decay": 0.5}})
        assert concrete_arguments(own)["weight_decay"] == 0.5
