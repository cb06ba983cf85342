"""Rated answers in pieces, their prompts computed once, have the loss, figures and gradient of the whole batch.

The whole is computed by itself, answer after answer, by the model alone and the formulas of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten

from app.core.config.train_config import TrainConfig
from app.worker.array import Arrays, Ints, scalar
from app.worker.batch.branch import branch_refusal
from app.worker.batch.pair_batch import PairPieces, PairPlan, RatedRows, References
from app.worker.batch.shape import Costs
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import load_model
from app.worker.objective.figure import FigureSums
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.objective import with_gathered
from app.worker.objective.preference_objective import preference, preference_gather
from app.worker.objective.reference_sums import reference_sums
from app.worker.objective.validation import PairValidation
from app.worker.token.rated_answer import LabelledAnswers, Pairs, RatedAnswers
from app.worker.token.token_set import Example, TokenSet
from app.worker.train.step import Step
from tests.worker.tiny_model import write_model

BATCH = 6
CASES: dict[str, dict[str, Any]] = {
    "dpo": {"train_mode": "dpo", "beta": 0.3},
    "dpo hinge": {"train_mode": "dpo", "dpo_cpo_loss_type": "hinge", "beta": 0.02},
    "ipo": {"train_mode": "dpo", "dpo_cpo_loss_type": "ipo", "beta": 0.2},
    "cpo": {"train_mode": "cpo", "beta": 0.2, "cpo_alpha": 0.7},
    "simpo": {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.4, "cpo_alpha": 0.0},
    "orpo": {"train_mode": "orpo", "beta": 0.4},
    "kto": {"train_mode": "kto", "beta": 0.3, "desirable_weight": 1.2, "undesirable_weight": 0.7},
    "kto, labelled": {"train_mode": "kto", "beta": 0.3, "desirable_weight": 1.2, "undesirable_weight": 0.7},
}


def _answers(each: int, count: int = 14) -> RatedAnswers:
    """Prompts and answers of very different lengths; some answers of a pair begin alike."""
    random = np.random.default_rng(3)
    answers: list[Example] = []
    others: list[Example] = []
    for number in range(count):
        prompt = random.integers(4, 250, int(random.integers(2, 50)))
        alike = random.integers(4, 250, number % 3)
        for side in range(each):
            for kept, begin in ((answers, alike), (others, alike[:0])):
                own = np.concatenate([begin, [4 + side], random.integers(4, 250, int(random.integers(1, 40)))])
                tokens = np.concatenate([prompt, own]).astype(np.int32)
                kept.append(Example(tokens, np.arange(len(tokens)) >= len(prompt)))
    sets = TokenSet.from_examples(answers), 0, 0, TokenSet.from_examples(others)
    return Pairs(*sets) if each == 2 else LabelledAnswers(*sets, desirable=np.arange(count) % 3 > 0)


def _references(answers: RatedAnswers) -> References:
    random = np.random.default_rng(4)
    return References({
        prefix: (-5.6 * part.trained.astype(np.int64).cumsum()[part.starts[1:] - 1]
                 + 5.6 * np.concatenate([[0], part.trained.astype(np.int64).cumsum()[part.starts[1:-1] - 1]])
                 + random.normal(0, 2, len(part))).astype(np.float32)
        for prefix, part in answers.sets()
    })  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    found, _ = load_model(write_model(tmp_path_factory.mktemp("model"), hidden_size=16, layers=2))
    found.freeze()
    for layer in found.layers:
        layer.unfreeze()
    return found


def _head(model: nn.Module) -> Head:
    """The model taken apart, which computes branches from here on."""
    head = find_head(model)
    assert isinstance(head, Head)
    assert branch_refusal(model, head.body) == ""
    return head


def _alone(model: nn.Module, example: Example) -> mx.array:
    """log π of one answer, from the model's own logits."""
    logits = model(mx.array(example.tokens[:-1])[None])[0]
    each = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    found = mx.take_along_axis(each, mx.array(example.tokens[1:])[:, None], axis=-1)[:, 0]
    return (found * mx.array(example.trained[1:].astype(np.float32))).sum()


def _whole(
    answers: RatedAnswers, numbers: Ints, references: References, config: TrainConfig, point: mx.array | None
) -> Callable[[nn.Module], mx.array]:
    """The mean loss of a batch by the papers' formulas."""
    kind, beta = config.dpo_cpo_loss_type, config.beta
    places = answers.places(numbers)
    lengths = mx.array([float(answers.answers[int(at)].trained[1:].sum()) for at in places])
    known = mx.array(references.sums[""][places])
    good = mx.array([True] * len(numbers) + [False] * len(numbers))
    if isinstance(answers, LabelledAnswers):
        good = mx.array(answers.desirable[numbers])

    def loss(model: nn.Module) -> mx.array:
        sums = mx.stack([_alone(model, answers.answers[int(at)]) for at in places])
        if config.train_mode == "kto":
            assert point is not None
            signs = mx.where(good, 1.0, -1.0)
            weights = mx.where(good, config.desirable_weight, config.undesirable_weight)
            return (weights * (1 - mx.sigmoid(signs * beta * (sums - known - point)))).mean()
        values = sums - known if config.train_mode == "dpo" else sums
        if kind in ("ipo", "simpo") or config.train_mode == "orpo":
            values = values / lengths
        chosen, rejected = mx.split(values, 2)
        likelihood = -sums[: len(numbers)].sum() / lengths[: len(numbers)].sum()
        if config.train_mode == "orpo":
            odds = [mx.log(mx.exp(one) / (1 - mx.exp(one))) for one in (chosen, rejected)]
            return likelihood - beta * mx.log(mx.sigmoid(odds[0] - odds[1])).mean()
        if kind == "ipo":
            losses = (chosen - rejected - 1 / (2 * beta)) ** 2
        elif kind == "hinge":
            losses = mx.maximum(1 - beta * (chosen - rejected), 0)
        else:
            gamma = config.simpo_gamma if kind == "simpo" else 0.0
            losses = -mx.log(mx.sigmoid(beta * (chosen - rejected) - gamma))
        return losses.mean() + (config.cpo_alpha * likelihood if config.train_mode == "cpo" else 0.0)

    return loss


@pytest.mark.parametrize("branches", [True, False], ids=["prompts once", "rows apart"])
@pytest.mark.parametrize("name", CASES)
def test_pieces_add_up_to_the_gradient_of_the_whole_batch(name: str, branches: bool, model: nn.Module) -> None:
    config = TrainConfig(**CASES[name])
    answers = _answers(1 if "labelled" in name else 2)
    references, head = _references(answers), _head(model)
    batches = [np.arange(BATCH), np.arange(BATCH, 11), np.array([13])]
    pieces = PairPieces(answers, references, batches, Costs(branches=branches), 256)
    numbers = batches[0]
    batch = pieces.batch(numbers)
    assert len(batch.parts) > 1
    assert ("branches" in batch.parts[0]) == (branches and answers.each == 2)

    point = None
    if config.train_mode == "kto":
        assert answers.mismatched is not None
        assert len(batch.beside) > 1
        places = answers.places(numbers)
        others = [_alone(model, answers.mismatched[int(at)]).item() for at in places]
        point = mx.array(max(float(np.mean(np.array(others) - references.sums["mismatched_"][places])), 0.0))
    model.train()
    wanted_loss, wanted = nn.value_and_grad(model, _whole(answers, numbers, references, config, point))(model)

    optimizer = optim.SGD(0.0)
    optimizer.init(model.trainable_parameters())
    step = Step(
        model,
        optimizer,
        preference(head, config),
        is_cut=True,
        gather=preference_gather(head, config),
        accumulation=2,
    )
    outcome = step(batch.parts, update=False, beside=batch.beside)
    assert step.accumulated is not None
    count = scalar(step.accumulated.weight)
    assert count == len(numbers)
    assert outcome.loss.item() == pytest.approx(wanted_loss.item(), rel=2e-5)
    found = dict(tree_flatten(step.accumulated.gradient))
    for path, gradient in tree_flatten(wanted):
        largest = float(mx.abs(gradient).max())
        np.testing.assert_allclose(found[path] / count, gradient, atol=1e-4 * largest + 1e-7, err_msg=path)


@pytest.mark.parametrize("name", ["dpo", "cpo", "orpo", "kto", "kto, labelled"])
def test_figures_are_those_of_the_batch_in_one_piece(name: str, model: nn.Module) -> None:
    config = TrainConfig(**CASES[name])
    answers = _answers(1 if "labelled" in name else 2)
    references, head = _references(answers), _head(model)
    objective, gather = preference(head, config), preference_gather(head, config)
    shown = []
    for branches, most in ((True, 256), (False, 10_000)):
        pieces = PairPieces(answers, references, [np.arange(12)], Costs(branches=branches), most)
        batch = pieces.batch(np.arange(12))
        sums = FigureSums()
        of_model = None if gather is None else partial(gather, model)
        for arrays in with_gathered(batch.parts, batch.beside, of_model):
            sums.add(objective(model, arrays)[2])
        shown.append(sums.means())
    assert shown[0] == pytest.approx(shown[1], rel=1e-3, abs=1e-4)


def test_little_is_computed_in_vain() -> None:
    answers = _answers(2, 200)
    config = TrainConfig(train_mode="dpo", batch_size=8)
    for branches in (True, False):
        plan = PairPlan(answers, None, config, Costs(branches=branches))
        batches = [plan.batch(number) for number in range(1, plan.batches_per_epoch + 1)]
        computed = sum(batch.positions for batch in batches)
        real = sum(batch.tokens - batch.shared for batch in batches)
        assert computed <= (1.15 if branches else 1.6) * real
        assert sum(batch.examples for batch in batches) == 200
        assert sum(batch.tokens for batch in batches) == answers.inputs.sum()


def test_the_heaviest_batch_has_the_widest_row() -> None:
    """A probe measures it. The longest prompt counts once, so that the most tokens need not be the most work."""
    prompt = np.full(100, 9)
    rows = [(prompt, 10, 12), (prompt[:20], 90, 80), (prompt[:5], 10, 10)]
    examples = []
    for begin, *sizes in rows:
        for side, size in enumerate(sizes):
            tokens = np.concatenate([begin, np.full(size, 20 + side)]).astype(np.int32)
            examples.append(Example(tokens, np.arange(len(tokens)) >= len(begin)))
    answers = Pairs(TokenSet.from_examples(examples), 0, 0)
    assert answers.inputs.argmax() == 0
    plan = PairPlan(answers, None, TrainConfig(train_mode="dpo", batch_size=1), Costs(branches=True))
    assert plan.order(0)[plan.heaviest()[0] - 1].tolist() == [1]


def test_wide_rows_are_left_apart_where_attention_would_cost_more() -> None:
    random = np.random.default_rng(5)
    equal = [Example(random.integers(4, 250, 30).astype(np.int32), np.arange(30) > 0) for _ in range(4)]
    answers = TokenSet.from_examples(equal)
    assert not RatedRows(answers, 2, Costs(branches=True, attention_span=100.0)).is_branched
    for costs, is_branched in ((Costs(branches=True, attention_span=100.0), True), (Costs(), False)):
        assert RatedRows(_answers(2).answers, 2, costs).is_branched == is_branched


@pytest.mark.parametrize("branches", [True, False])
def test_the_reference_reads_each_answer_as_it_is_alone(branches: bool, model: nn.Module, tmp_path: Path) -> None:
    answers, head = _answers(2), _head(model)
    model.eval()
    seen: list[tuple[int, int]] = []
    found = reference_sums(
        answers, lambda arrays: answer_log_probabilities(model, head, arrays), tmp_path / "reference.safetensors",
        lambda done, total: seen.append((done, total)), costs=Costs(branches=branches),
    )  # fmt: skip
    for prefix, part in answers.sets():
        wanted = [_alone(model, part[number]).item() for number in range(len(part))]
        np.testing.assert_allclose(found.sums[prefix], wanted, rtol=1e-5)
    assert seen[-1] == (56, 56)


def test_a_damaged_file_of_the_reference_is_made_anew(tmp_path: Path) -> None:
    """A process that was killed while it wrote must not keep its run from going on."""
    answers, file, asked = _answers(2), tmp_path / "reference.safetensors", list[int]()

    def log_probabilities(arrays: Arrays) -> mx.array:
        asked.append(1)
        return mx.arange(len(arrays["targets"])).astype(mx.float32)

    def measured() -> References:
        return reference_sums(answers, log_probabilities, file, lambda _done, _total: None)

    first, count = measured(), len(asked)
    file.write_bytes(file.read_bytes()[:50])
    for _ in range(2):
        assert all(np.array_equal(first.sums[prefix], sums) for prefix, sums in measured().sums.items())
        assert len(asked) == 2 * count, "made anew once, and read from then on"
    assert [found.name for found in tmp_path.iterdir()] == ["reference.safetensors"]


def test_a_model_in_one_piece_branches_too(model: nn.Module) -> None:
    answers, head = _answers(2), _head(model)
    config = TrainConfig(**CASES["dpo"])
    batch = PairPieces(answers, _references(answers), [np.arange(14)], Costs(branches=True)).batch(np.arange(4))
    model.eval()
    apart, whole = (preference(one, config)(model, batch.parts[0])[0].item() for one in (head, NoHead("none")))
    assert apart == pytest.approx(whole, rel=1e-5)


def test_a_validation_is_the_mean_of_all_pieces(model: nn.Module) -> None:
    answers, head = _answers(2), _head(model)
    references, config = _references(answers), TrainConfig(**CASES["kto"])
    gather = preference_gather(head, config)
    found = [
        PairValidation(answers, references, 14, -1, costs, gather).measured(model, preference(head, config), bool)
        for costs in (Costs(branches=True), Costs())
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].loss == pytest.approx(found[1].loss, rel=1e-5)
    assert found[0].figures == pytest.approx(found[1].figures, rel=1e-3, abs=1e-4)
