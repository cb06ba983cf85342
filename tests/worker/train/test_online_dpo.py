"""Online DPO: a judge's word makes pairs of sampled answers, and the loss on them is DPO's."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import TaskError, UnusableError
from app.core.protocol.event import Sampled, TrainReported, Validated, Warned, read_events
from app.core.run.folder import RunDir
from app.core.setup.config_file import dump_config, load_config, parse_config
from app.core.setup.method_check import check_method
from app.core.system import starter
from app.worker.model.head import NoHead, find_head
from app.worker.model.loading import load_model, make_trainable
from app.worker.objective.dpo import dpo_losses
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.preference_objective import preference
from app.worker.objective.reference import Reference
from app.worker.rollout.judge import NEITHER, ModelJudge, RewardJudge
from app.worker.rollout.online_pair import PairRollouts
from app.worker.rollout.rollout import Speaker
from app.worker.rollout.score import Scored, Scorer
from app.worker.token.prompt import Prompts, tokenize_prompts
from tests.worker.tiny_model import write_model
from tests.worker.training import Collector, config_for, go_on, start

KEYS = ("self_attn.q_proj", "mlp.down_proj")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, another one to judge, and prompts without reference answers."""
    folder = tmp_path_factory.mktemp("inputs")
    write_model(folder / "model")
    write_model(folder / "judge", "llama", layers=1)
    source = random.Random(0)
    (folder / "prompts").mkdir()
    for split, count in (("train", 10), ("valid", 4)):
        words = ["".join(source.choices("abcdefgh", k=source.randint(2, 9))) for _ in range(count)]
        lines = "".join(json.dumps({"prompt": word}) + "\n" for word in words)
        (folder / "prompts" / f"{split}.jsonl").write_text(lines)
    return folder


def online_config(inputs: Path, **values: Any) -> TrainConfig:
    defaults = dict(METHODS["online_dpo"].settings) | {
        "iters": 6, "steps_per_report": 1, "steps_per_eval": 3, "learning_rate": 3e-3, "batch_size": 3,
        "early_stopping": {"enabled": False}, "final_adapter": "last", "targets": "keys", "num_layers": 1,
        "lora_parameters": {"rank": 2, "scale": 4.0, "keys": KEYS}, "temperature": 1.5, "save_every": 100,
        "max_completion_length": 16, "max_seq_length": 64, "reward_functions": ["short"],
    }  # fmt: skip
    return config_for(inputs / "model", inputs / "prompts", **(defaults | values))


def weights(run: RunDir) -> dict[str, Any]:
    arrays = mx.load(str(run.adapters / "adapters.safetensors"))
    assert isinstance(arrays, dict)
    return {name: array.tolist() for name, array in arrays.items()}


def figures(events: Collector) -> list[dict[str, float]]:
    return [event.figures for event in events.of(TrainReported)]


# -- the batch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sigmoid", "hinge", "ipo"])
def test_a_batch_is_dpo_on_the_judged_pairs(kind: str, inputs: Path, tmp_path: Path) -> None:
    """The loss of a batch equals `dpo_losses`, which equal TRL's, on log-probabilities taken answer by answer."""
    config = online_config(inputs, group_size=4, dpo_cpo_loss_type=kind)
    model, tokenizer = load_model(inputs / "model")
    make_trainable(model, config)
    head = find_head(model)
    reference = Reference(model, head, config)
    moved = [(k, v + 0.05) for k, v in tree_flatten(model.trainable_parameters())]
    model.load_weights(moved, strict=False)
    rows = tmp_path / "rows.jsonl"
    turns = [[{"role": "user", "content": word}] for word in ("a", "bc", "defghi")]
    rows.write_text("".join(json.dumps({"prompt": turn, "answer": ""}) + "\n" for turn in turns))
    prompts = tokenize_prompts(rows, tokenizer, config)
    speaker = Speaker(model, head, tokenizer, config, lambda: False)
    rollouts = PairRollouts(prompts, speaker, RewardJudge(_LetterScorer()), reference)  # type: ignore[arg-type]
    batch = rollouts.batch(1)
    total, weight, _ = preference(head, config)(model, batch.arrays)

    state = rollouts.state()
    assert state is not None
    assert set(state["preferred"]) == {NEITHER, 0, 1}
    losses = []
    for pair, better in enumerate(state["preferred"]):
        if better == NEITHER:
            continue
        chosen, rejected = 2 * pair + better, 2 * pair + 1 - better
        ratios, lengths = [], []
        for at in (chosen, rejected):
            arrays = rollouts._arrays([state["numbers"][at]], [state["tokens"][at]])
            own = (answer_log_probabilities(model, head, arrays) * arrays["mask"]).sum(axis=1)
            ratios.append(own - (reference.log_probabilities(arrays) * arrays["mask"]).sum(axis=1))
            lengths.append(mx.array([len(state["tokens"][at])]))
        losses.append(dpo_losses(*ratios, *lengths, beta=config.beta, kind=kind).item())  # type: ignore[arg-type]
    assert weight.item() == len(losses)
    assert total.item() / weight.item() == pytest.approx(np.mean(losses), rel=1e-4)


class _LetterScorer:
    """Three rewards, spread evenly over noise: a third of the pairs are ties."""

    def score(self, _prompts: list[str], completions: list[str], *_: Any) -> Scored:
        values = np.array([float(sum(map(ord, text)) % 3) for text in completions])
        return Scored({"letter": values}, values)


def test_rewards_judge_by_their_weighted_sum(inputs: Path) -> None:
    config = online_config(inputs, reward_functions=["exact_match", "short"], reward_weights=[2, 1])
    prompts = Prompts([[1]], ["?"], ["yes"], [None], 0, ["?"])
    judged = RewardJudge(Scorer(config)).judged(prompts, [0] * 6, ["no", "yes", "yes", "yes", "x" * 400, ""])
    assert judged.preferred == [1, NEITHER, 0]
    assert judged.rewards == [1.0, 3.0, 3.0, 3.0, 0.5, 0.0]
    assert judged.scores["exact_match"] == [0, 1, 1, 1, 0, 0]


# -- a model that judges -------------------------------------------------------------------------------------------


class Reader(nn.Module):
    """Replies by the lengths of the two answers; says A where they are less than ``sure`` letters apart."""

    def __init__(self, tokenizer: Any, sure: int) -> None:
        super().__init__()
        self.read, self.sure = tokenizer, sure
        self.asked: list[str] = []

    def __call__(self, inputs: mx.array) -> mx.array:
        letters = [self.read.encode(letter, add_special_tokens=False)[0] for letter in "AB"]
        logits = np.zeros((*inputs.shape, 300), np.float32)
        rows: Any = inputs.tolist()
        for row, tokens in enumerate(rows):
            text = self.read.decode(tokens)
            self.asked.append(text)
            first, second = text.split("Answer A:\n")[1].split("\n\nWhich")[0].split("\n\nAnswer B:\n")
            better = letters[int(len(second) >= len(first) + self.sure)]
            logits[row, :, better] = 1
        return mx.array(logits)


def asked_judge(inputs: Path, sure: int, **options: Any) -> tuple[ModelJudge, Reader]:
    _, tokenizer = load_model(inputs / "judge")
    reader = Reader(tokenizer, sure)
    return ModelJudge(reader, NoHead("a test"), tokenizer, **options), reader


def judged_texts(judge: ModelJudge, texts: Sequence[str]) -> Any:
    prompts = Prompts([[1]], ["Why?"], [""], [None], 0, ["user: Hello.\n\nuser: Why?"])
    return judge.judged(prompts, [0] * len(texts), list(texts))


def test_a_model_judges_in_both_orders(inputs: Path) -> None:
    judge, reader = asked_judge(inputs, 1, system_prompt="Long answers are good.")
    judged = judged_texts(judge, ["a", "abcd", "abcdef", "ab", "same", "same"])
    assert judged.preferred == [1, 0, NEITHER]
    assert judged.rewards == [0, 1, 1, 0, 0.5, 0.5]
    assert judged.figures == {"inconsistent": 0}
    assert len(reader.asked) == 4  # answers that are the same need no judge
    assert all("Long answers are good." in text and "user: Hello." in text for text in reader.asked)


def test_a_judge_that_favours_a_place_says_nothing(inputs: Path) -> None:
    judge, _ = asked_judge(inputs, 10)
    judged = judged_texts(judge, ["a", "abcd", "ab" * 20, "ab"])
    assert judged.preferred == [NEITHER, 0]
    assert judged.figures == {"inconsistent": 0.5}


def test_padding_does_not_change_a_judge(inputs: Path) -> None:
    model, tokenizer = load_model(inputs / "judge")
    judge = ModelJudge(model, find_head(model), tokenizer)
    questions = [judge._question("Why?", "a" * length, "b") for length in (3, 90)]
    together = judge._letter_logits(questions)
    alone = [judge._letter_logits([question])[0] for question in questions]
    assert np.array(together) == pytest.approx(np.array(alone), abs=1e-4)


@pytest.mark.parametrize("base", ["tiny", "the judge itself"])
def test_a_run_with_a_model_as_judge(base: str, inputs: Path, tmp_path: Path) -> None:
    """Another model, or the base itself; stopped inside a generation it goes on with the same answers."""
    config = online_config(
        inputs,
        judge=str(starter.model_dir()),
        group_size=4,
        updates_per_generation=2,
        reward_functions=[],
        max_seq_length=96,
    )
    if base != "tiny":
        config = config.with_value("model", str(starter.model_dir()))
    whole_run, whole = start(config, tmp_path / "whole")

    def stop(event: Any) -> str | None:
        return "stop" if isinstance(event, TrainReported) and event.iteration == 3 else None

    run, first = start(config, tmp_path / "run", stop)
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert figures(first) + figures(second) == figures(whole)
    assert weights(run) == weights(whole_run)
    measured = whole.of(Validated)
    assert measured[0].figures["reward"] == 0.5  # the untrained model against itself
    assert {"inconsistent", "answer_tokens"} <= measured[-1].figures.keys()
    assert {"ties", "inconsistent", "margin"} <= figures(whole)[0].keys()
    assert {sample["reward"] for sample in whole.of(Sampled)[0].samples} <= {0.0, 0.5, 1.0}


def test_nothing_but_ties_is_an_alarm(inputs: Path, tmp_path: Path) -> None:
    """Answers of at most 16 tokens are all short: the reward that says so tells none of them apart."""
    with pytest.raises(TaskError, match="earned the same reward"):
        start(online_config(inputs, iters=6), tmp_path / "run")
    events = read_events(tmp_path / "run" / "events.jsonl")
    said = [event for event in events if isinstance(event, Warned) and "no answer better" in event.message]
    assert len(said) == 1
    assert said[0].hint
    assert all(event.figures["ties"] == 1 for event in events if isinstance(event, TrainReported))


@pytest.mark.parametrize("path", ["judge", "reference_model_path"])
def test_a_run_does_not_go_on_with_another_model_beside_it(path: str, inputs: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "qwen2" if path == "judge" else "llama", layers=1)
    asked: dict[str, Any] = {path: str(other), "reward_functions": ["contains_answer", "short"]}
    config = online_config(inputs, iters=2, max_seq_length=96, max_completion_length=64, **asked)
    run = tmp_path / "run"
    with suppress(TaskError):  # the tiny judge finds only ties; what it is, is noted all the same
        start(config, run)
    arrays = mx.load(str(other / "model.safetensors"))
    assert isinstance(arrays, dict)
    mx.save_safetensors(str(other / "model.safetensors"), {name: 2 * array for name, array in arrays.items()})
    with pytest.raises(UnusableError) as refused:
        go_on(RunDir(run), extend_to=4)
    [problem] = refused.value.problems
    assert (problem.path, problem.message) == (
        path, f"The model in {other} is changed since the run was trained with it."
    )  # fmt: skip


def test_a_judge_that_finds_nothing_better_ends_the_run_in_its_own_words(inputs: Path, tmp_path: Path) -> None:
    """The tiny judge goes by the place of an answer alone."""
    config = online_config(inputs, iters=2, judge=str(inputs / "judge"), reward_functions=[], max_seq_length=96)
    with pytest.raises(TaskError, match="The judge found no answer better than another"):
        start(config, tmp_path / "run")


def test_a_judge_without_letters_is_refused(inputs: Path) -> None:
    _, tokenizer = load_model(inputs / "judge")

    class Mute:
        has_chat_template = True

        def encode(self, _text: str, **_: Any) -> list[int]:
            return list(tokenizer.encode("x"))

    with pytest.raises(UnusableError) as refused:
        ModelJudge(nn.Module(), NoHead("a test"), Mute())
    assert refused.value.problems[0].path == "judge"


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, path, said",
    [
        ({"judge": "/nowhere/at/all"}, "judge", "no folder"),
        ({"judge": "human"}, "judge", "Nobody can be asked"),
        ({"group_size": 3}, "group_size", "two by two"),
        ({"dpo_cpo_loss_type": "simpo"}, "dpo_cpo_loss_type", "SimPO"),
        ({"beta": 0.0}, "beta", "no preference"),
        ({"reward_functions": []}, "reward_functions", "No reward function"),
        ({"max_completion_length": 64}, "max_completion_length", "no room"),
    ],
)
def test_refused(values: dict[str, Any], path: str, said: str, inputs: Path) -> None:
    found = {problem.path: problem for problem in check_method(online_config(inputs, **values))}
    assert said in found[path].message
    assert found[path].hint


def test_a_judge_needs_no_reward_functions(inputs: Path) -> None:
    assert not list(check_method(online_config(inputs, judge=str(inputs / "judge"), reward_functions=[])))


def test_a_file_of_mlx_lm_lora_names_its_judge(tmp_path: Path) -> None:
    (tmp_path / "judge").mkdir()
    file = tmp_path / "config.yaml"
    file.write_text(
        "train_mode: online_dpo\njudge: judge\njudge_config:\n  system_prompt: Be strict.\nalpha: [1.0e-5]\n"
        "max_completion_length: 64\n"
    )
    config = load_config(file).config
    assert config.judge == str(tmp_path / "judge")
    assert config.judge_config.system_prompt == "Be strict."
    assert (config.group_size, config.learning_rate) == (2, 1e-5)
    assert parse_config(dump_config(config)).config.judge_config == config.judge_config
    assert "judge" not in dump_config(TrainConfig())
    null = parse_config("train_mode: online_dpo\njudge: null\njudge_config: {system_prompt: null}\n").config
    assert (null.judge, null.judge_config.system_prompt) == ("", "")
