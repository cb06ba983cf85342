"""KTO on labelled answers: their batches, losses and figures, and runs that resume exactly."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import UnusableError
from app.core.protocol.event import Finished, Started, TrainReported, Validated, Warned
from app.core.system import starter
from app.worker.array import scalar
from app.worker.batch.batch import Batch
from app.worker.batch.pair_batch import PairPieces, PairPlan, References
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.objective import preference_objective
from app.worker.objective.figure import FigureSums
from app.worker.objective.kto import kto_losses
from app.worker.objective.objective import with_gathered
from app.worker.objective.preference_objective import preference, preference_gather
from app.worker.objective.validation import PairValidation
from app.worker.token.rated_answer import LabelledAnswers, Pairs, RatedAnswers, tokenize_pairs
from app.worker.token.token_set import TokenSet
from tests.worker.golden_case import cases, check, named
from tests.worker.tiny_model import write_model
from tests.worker.train.test_starter_methods import script, train_here
from tests.worker.train.test_train_methods import figures, method_config, stop_at, weights
from tests.worker.training import go_on, start

Row = dict[str, Any]
SIDES = ("chosen", "rejected")


def turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def labelled(pair: Row) -> list[Row]:
    """The two answers of a pair, one after the other."""
    sides = (("chosen", True), ("rejected", False))
    return [{"prompt": pair["prompt"], "completion": pair[side], "label": label} for side, label in sides]


def write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def some_pairs(count: int, seed: int = 0) -> list[Row]:
    source = random.Random(seed)

    def word() -> str:
        return "".join(source.choice("abcdefgh") for _ in range(source.randint(2, 9)))

    return [{"prompt": word(), "chosen": word(), "rejected": word().upper() + "!"} for _ in range(count)]


def as_turns(pair: Row) -> Row:
    return {key: turns("user" if key == "prompt" else "assistant", text) for key, text in pair.items()}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, labelled answers as `test_train_methods.method_config` finds them, and the same as pairs."""
    folder = tmp_path_factory.mktemp("inputs")
    write_model(folder / "model")
    for split, count, seed in (("train", 10, 0), ("valid", 4, 1)):
        pairs = some_pairs(count, seed)
        write(folder / "pairs" / f"{split}.jsonl", [row for pair in pairs for row in labelled(pair)])
        write(folder / "same" / f"{split}.jsonl", [as_turns(pair) for pair in pairs])
        turned = [row for pair in pairs for row in labelled(as_turns(pair))]
        write(folder / "prepared" / f"{split}.jsonl", turned)
    return folder


CONFIG = TrainConfig(train_mode="kto", beta=0.3, desirable_weight=1.2, undesirable_weight=0.7, max_seq_length=64)


@pytest.fixture(scope="module")
def model(inputs: Path) -> tuple[nn.Module, Any]:
    return load_model(inputs / "model")


def tokenized(inputs: Path, tokenizer: Any, folder: str) -> RatedAnswers:
    return tokenize_pairs(inputs / folder / "train.jsonl", tokenizer, CONFIG)


def some_references(answers: RatedAnswers) -> References:
    """Of every answer one number that is its own, alike for the same answers."""
    return References(
        {
            prefix: np.array([-3.0 - part[n].tokens.sum() % 11 for n in range(len(part))], np.float32)
            for prefix, part in answers.sets()
        }
    )


# -- tokens and batches --------------------------------------------------------------------------------------------


def test_the_answers_of_pairs_are_the_same_tokens(inputs: Path, model: tuple[nn.Module, Any]) -> None:
    """And so are the mismatched ones: an answer's other prompt is never its neighbour's, which is its own."""
    pairs, single = (tokenized(inputs, model[1], folder) for folder in ("same", "prepared"))
    assert isinstance(pairs, Pairs)
    assert isinstance(single, LabelledAnswers)
    assert (len(pairs), len(single)) == (10, 20)
    assert single.desirable.tolist() == [True, False] * 10
    for (_, one), (_, other) in zip(pairs.sets(), single.sets(), strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert one.trained.tolist() == other.trained.tolist()
    assert pairs.fingerprint() != single.fingerprint()


@pytest.mark.parametrize("prompts", ["abcd", "aabb", "aaabcc", "abba", "aab"])
def test_every_mismatched_prompt_is_another(prompts: str, tmp_path: Path, model: tuple[nn.Module, Any]) -> None:
    rows = [
        {"prompt": turns("user", prompt), "completion": turns("assistant", f"{prompt}{n}"), "label": n % 2 == 0}
        for n, prompt in enumerate(prompts)
    ]
    found = tokenize_pairs(write(tmp_path / "rows.jsonl", rows), model[1], CONFIG)
    assert found.mismatched is not None
    for number, prompt in enumerate(prompts):
        example = found.mismatched[number]
        text = model[1].decode(example.tokens[example.trained].tolist())
        assert text[0] in set(prompts) - {prompt}


@pytest.mark.parametrize("prompts", ["abcd", "aabb", "aaab", "abba"])
def test_every_mismatched_prompt_of_pairs_is_another(
    prompts: str, tmp_path: Path, model: tuple[nn.Module, Any]
) -> None:
    rows = [
        {"prompt": turns("user", prompt)} | {side: turns("assistant", f"{prompt}{n}{side}") for side in SIDES}
        for n, prompt in enumerate(prompts)
    ]
    found = tokenize_pairs(write(tmp_path / "rows.jsonl", rows), model[1], CONFIG)
    assert found.mismatched is not None
    for number, prompt in enumerate(pair for pair in prompts for _ in SIDES):
        example = found.mismatched[number]
        text = model[1].decode(example.tokens[example.trained].tolist())
        assert text[0] in set(prompts) - {prompt}


def test_of_what_is_left_out_nothing_is_called_cut(tmp_path: Path, model: tuple[nn.Module, Any]) -> None:
    """Of three rows one fits, one is cut, and one has a prompt that leaves its answer no room."""
    rows = [
        {"prompt": turns("user", "a" * asked), "completion": turns("assistant", "b" * said), "label": asked == 3}
        for asked, said in ((3, 5), (4, 50), (70, 50))
    ]
    found = tokenize_pairs(write(tmp_path / "rows.jsonl", rows), model[1], CONFIG.with_value("max_seq_length", 32))
    assert (len(found), found.truncated, found.skipped, found.left_out) == (2, 1, 1, ())


def test_a_label_counts_for_the_fingerprint(tmp_path: Path, model: tuple[nn.Module, Any]) -> None:
    rows = [row for pair in some_pairs(2) for row in labelled(as_turns(pair))]
    one = tokenize_pairs(write(tmp_path / "one.jsonl", rows), model[1], CONFIG)
    rows[0]["label"] = False
    other = tokenize_pairs(write(tmp_path / "other.jsonl", rows), model[1], CONFIG)
    assert one.fingerprint() != other.fingerprint()


def sums_by_hand(model: nn.Module, part: TokenSet, places: list[int]) -> np.ndarray:
    """log π of answers, each read alone."""
    found = []
    for place in places:
        tokens, trained = part[place]
        logits = model(mx.array(tokens[:-1])[None])[0]
        each = nn.log_softmax(logits, axis=-1)[mx.arange(len(tokens) - 1), mx.array(tokens[1:])]
        found.append((each * mx.array(trained[1:].astype(np.float32))).sum().item())
    return np.array(found)


def taken(batch: Batch, model: nn.Module) -> tuple[float, float, dict[str, float]]:
    """The sum of the losses, how many, and the figures of a batch, over all its parts."""
    head = find_head(model)
    objective, gather = preference(head, CONFIG), preference_gather(head, CONFIG)
    assert gather is not None
    sums, total, weight = FigureSums(), 0.0, 0.0
    for arrays in with_gathered(batch.parts, batch.beside, partial(gather, model)):
        loss, count, figures = objective(model, arrays)
        sums.add(figures)
        total, weight = total + scalar(loss), weight + scalar(count)
    return total, weight, sums.means()


@pytest.mark.parametrize("numbers", [[4, 9, 2, 7, 1], [0, 2, 8], [5], [6]], ids=str)
def test_a_batch_has_the_losses_of_its_answers(
    numbers: list[int], inputs: Path, model: tuple[nn.Module, Any]
) -> None:
    """Both labels, good ones alone, one bad answer, one good answer; with empty rows in the batch."""
    answers = tokenized(inputs, model[1], "prepared")
    references = References({name: sums - 400 for name, sums in some_references(answers).sums.items()})
    # Shapes of six rows, of which some stay empty.
    batch = PairPieces(answers, references, [np.arange(6)]).batch(np.array(numbers))
    model[0].eval()
    total, weight, shown = taken(batch, model[0])
    assert answers.mismatched is not None
    ratios = sums_by_hand(model[0], answers.answers, numbers) - references.sums[""][numbers]
    apart = sums_by_hand(model[0], answers.mismatched, numbers) - references.sums["mismatched_"][numbers]
    labels = np.array(numbers) % 2 == 0
    assert apart.mean() > 0
    losses = kto_losses(
        mx.array(ratios), mx.array(labels), mx.array(apart.mean()), beta=0.3, desirable_weight=1.2,
        undesirable_weight=0.7,
    )  # fmt: skip
    assert weight == len(numbers)
    assert total == pytest.approx(losses.sum().item(), rel=1e-5)

    rewards = 0.3 * ratios
    for name, side in (("chosen_reward", labels), ("rejected_reward", ~labels)):
        assert (name in shown) == side.any()
        if side.any():
            assert shown[name] == pytest.approx(rewards[side].mean(), rel=1e-5)
    assert ("margin" in shown) == (labels.any() and not labels.all())
    assert all(np.isfinite(value) for value in shown.values())


def test_the_answers_of_pairs_have_the_pairs_loss(inputs: Path, model: tuple[nn.Module, Any]) -> None:
    model[0].eval()
    means, margins = [], []
    for folder, numbers in (("same", np.arange(3)), ("prepared", np.arange(6))):
        answers = tokenized(inputs, model[1], folder)
        batch = PairPieces(answers, some_references(answers), [numbers]).batch(numbers)
        total, weight, found = taken(batch, model[0])
        means.append(total / weight)
        margins.append(found["margin"])
    assert means[0] == pytest.approx(means[1], rel=1e-5)
    assert margins[0] == pytest.approx(margins[1], rel=1e-4)


@pytest.mark.parametrize("case", cases("preference", "kto"), ids=named)
def test_the_objective_is_trls(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """On TRL's numbers, in the order of TRL's labels, by the way that a batch takes through the objective."""
    mask, apart = mx.array(case["mask"]), mx.array(case["mismatched"]) - mx.array(case["mismatched_reference"])
    arrays = {
        "mask": mask, "reference": (mx.array(case["reference"]) * mask).sum(axis=1), "counted": mx.ones(len(mask)),
        "desirable": mx.array(case["labels"]), "gathered": mx.stack([apart.sum(), mx.array(float(len(mask)))]),
    }  # fmt: skip
    config = TrainConfig(train_mode="kto", **case["options"])

    def loss(policy: mx.array) -> mx.array:
        monkeypatch.setattr(preference_objective, "answer_log_probabilities", lambda *_, **__: policy)
        total, weight, _ = preference(None, config)(None, arrays)  # type: ignore[arg-type]
        return total / weight

    check(case, loss)


def test_a_validation_meets_both_labels(inputs: Path, model: tuple[nn.Module, Any]) -> None:
    """Good and bad answers alternate in the file, where every second row is of one kind."""
    answers = tokenized(inputs, model[1], "prepared")
    gather = preference_gather(find_head(model[0]), CONFIG)
    batches = list(PairValidation(answers, some_references(answers), 1, 10))
    assert sum(bool(batch.arrays["desirable"][0]) for batch in batches) == 5
    model[0].eval()
    measured = PairValidation(answers, some_references(answers), 1, -1, gather=gather).measured(
        model[0], preference(find_head(model[0]), CONFIG), lambda: False
    )
    assert measured is not None
    values = measured.figures
    assert values["margin"] == pytest.approx(values["chosen_reward"] - values["rejected_reward"])


def test_an_epoch_has_every_answer_once(inputs: Path, model: tuple[nn.Module, Any]) -> None:
    answers = tokenized(inputs, model[1], "prepared")
    plan = PairPlan(answers, some_references(answers), CONFIG.with_value("batch_size", 3))
    assert plan.batches_per_epoch == 7
    assert sorted(np.concatenate(plan.order(0)).tolist()) == list(range(20))
    assert sum(plan.batch(iteration).examples for iteration in range(1, 8)) == 20


# -- runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3])
def test_trains_stops_and_resumes_exactly(batch_size: int, inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, "kto", batch_size=batch_size, select_by="margin")
    whole_run, whole = start(config, tmp_path / "whole")
    run, first = start(config, tmp_path / "run", stop_at(5))
    assert first.of(Finished)[0].reason == "stopped"
    second = go_on(run, resume=True)
    assert second.of(Started)[0].iteration == 5
    assert first.losses + second.losses == whole.losses
    assert figures(first) + figures(second) == figures(whole)
    assert weights(run) == weights(whole_run)
    assert len(set(whole.losses)) > 4
    assert set().union(*figures(whole)) >= {"accuracy", "kl", "chosen_reward", "rejected_reward"}
    assert whole.of(Validated)[-1].figures.keys() >= {"margin", "accuracy", "chosen_reward", "rejected_reward"}


def test_a_margin_grows(inputs: Path, tmp_path: Path) -> None:
    _, events = start(method_config(inputs, "kto", iters=30, batch_size=6), tmp_path / "run")
    measured = events.of(Validated)
    assert measured[-1].figures["margin"] > measured[0].figures["margin"] + 0.05


def test_the_untrained_model_is_its_own_reference(inputs: Path, tmp_path: Path) -> None:
    keys = {"rank": 2, "scale": 4.0, "keys": ("self_attn.q_proj",)}
    config = method_config(inputs, "kto", iters=1, batch_size=20, lora_parameters=keys)
    _, events = start(config, tmp_path / "run")
    assert events.of(TrainReported)[0].figures["margin"] == pytest.approx(0, abs=1e-5)


def test_what_does_not_fit_is_told(inputs: Path, tmp_path: Path) -> None:
    long = {"prompt": "abcdefgh" * 20, "completion": "b", "label": True}
    rows = [*(row for pair in some_pairs(6) for row in labelled(pair)), long]
    given = {"data": str(write(tmp_path / "rows.jsonl", rows)), "valid_fraction": 0.0, "test_fraction": 0.0}
    config = method_config(inputs, "kto", iters=1).with_values(given)
    _, events = start(config, tmp_path / "run")
    assert any("answers have a prompt that leaves no room" in said.message for said in events.of(Warned))
    bad = [labelled(pair)[1] for pair in some_pairs(3)]
    config = config.with_value("data", str(write(tmp_path / "other.jsonl", [*bad, long])))
    with pytest.raises(UnusableError, match="Only bad answers fit"):
        start(config, tmp_path / "other")


@pytest.mark.slow
def test_labelled_answers_of_the_starter_raise_the_margin_of_its_pairs(tmp_path: Path) -> None:
    """Measured on held-out pairs of which no run has seen an answer."""
    for split in ("train", "valid"):
        lines = (starter.preference_dir() / f"{split}.jsonl").read_text().splitlines()
        write(tmp_path / "data" / f"{split}.jsonl", [row for line in lines for row in labelled(json.loads(line))])
    row = script().run_method(
        METHODS["kto"], tmp_path / "run", train=train_here, data=str(tmp_path / "data"), batch_size=8, iters=30
    )
    assert row.after > row.before + 0.1
