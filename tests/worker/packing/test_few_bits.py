"""A small change by training survives few bits where plain ones lose it, and that is said before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mlx_lm import load
from mlx_lm.utils import compute_bits_per_weight, load_model

from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.worker.export.tuned_model import TunedModel
from app.worker.packing.few_bits import FewBits
from app.worker.packing.gain import HeldOutGain, run_examples
from app.worker.token.token_set import Example, TokenSet
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import run_export
from tests.worker.small_delta import SmallDelta, delta_share, packed_base, tuned_run, write_base


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallDelta:
    """A run on a base in four bits: its change is smaller than what four bits can tell apart."""
    root = tmp_path_factory.mktemp("small")
    base = packed_base(write_base(root, layers=1), root / "packed")
    return tuned_run(root, base, iterations=20, rate=1e-3, valid=48)


class Kept(NamedTuple):
    """What a file of few bits keeps."""

    share: float  # of what was learned
    bits: float  # a weight
    warned: str  # of what is lost, before the weights are written; empty: nothing was


class Exports:
    """A run of a small change, its gain in plain numbers, and how much of that is kept in fewer bits."""

    def __init__(self, small: SmallDelta) -> None:
        self.run = small.run.path
        tuned = TunedModel(small.base, self.run / "adapters" / "adapters.safetensors")
        self.stays = delta_share(tuned)
        examples = run_examples(self.run, tuned.tokenizer, lambda *_, **__: quiet)
        assert examples is not None
        self._examples = examples
        self._gain = HeldOutGain(examples.loss(tuned.use_base(), quiet), examples.loss(tuned.use_tuned(), quiet))

    def write(self, out: Path, bits: str, **options: bool) -> Kept:
        folder, events = run_export(
            out.parent, self.run, "fused", out=out, prompts=0, checkpoint="last", options={"bits": bits} | options
        )
        model, _ = load(str(folder))
        phases = [said.phase for said in events if isinstance(said, event.Progressed)]
        before = phases[: phases.index("Writing the weights")]
        warned = [phase for phase in phases if "of what was learned stays" in phase]
        assert warned == [phase for phase in before if phase in warned]
        share = self._gain.kept(self._examples.loss(model, quiet))
        return Kept(share, compute_bits_per_weight(model), " ".join(warned))


@pytest.fixture(scope="module")
def exports(small: SmallDelta) -> Exports:
    return Exports(small)


@pytest.mark.slow
def test_a_change_that_plain_bits_lose_is_not_written(exports: Exports, tmp_path: Path) -> None:
    assert exports.stays < 0.05
    with pytest.raises(
        TaskError, match=r"Only .*\s% of what was learned stays in weights of 4bit; nothing was wr"
    ) as e:
        exports.write(tmp_path / "4bit", "4bit")
    assert "--set lossy=yes" in str(e.value.hint)
    assert not (tmp_path / "4bit").exists()


@pytest.mark.slow
def test_what_is_lost_by_wish_is_told_before_it_is_written(exports: Exports, tmp_path: Path) -> None:
    share, _, warned = exports.write(tmp_path / "4bit", "4bit", lossy=True)
    assert share < 0.95
    assert warned.count("of what was learned stays") == 1


@pytest.mark.slow
def test_few_bits_keep_what_plain_ones_lose(exports: Exports, tmp_path: Path) -> None:
    share, bits, warned = exports.write(tmp_path / "4.8bit", "4.8bit")
    assert share >= 0.95
    assert bits <= 4.8
    assert not warned
    told = json.loads((tmp_path / "4.8bit" / "config.json").read_text())["quantization"]
    assert told["bits"] == 4
    assert told["group_size"] == 64


def test_an_adapter_of_no_run_cannot_be_kept_by_examples(tmp_path: Path) -> None:
    make_adapter(make_model(tmp_path / "base"), tmp_path / "adapter")
    with pytest.raises(UnusableError, match="by the examples of a run, and this adapter is of none"):
        run_export(
            tmp_path, tmp_path / "adapter", "fused", model=str(tmp_path / "base"), options={"bits": "4.8bit"}
        )


def example(tokens: int, trained_from: int) -> Example:
    """Random tokens, of which those from a place on are learned."""
    places = np.arange(tokens)
    return Example((5 + 7 * places % 200).astype(np.int32), places >= trained_from)


def test_long_and_lonely_examples_are_tuned_with_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.packing.few_bits._FEWEST_STEPS", 3)
    model, _ = load_model(make_model(tmp_path / "base"))
    seen: list[int] = []
    examples = TokenSet.from_examples([example(700, 100), example(700, 600)])  # an answer beyond what is looked at
    few_bits = FewBits(model, examples, 2048)
    few_bits.choose(4.8, lambda *_: None)
    told = few_bits.tune(1, 1e-3, lambda done, _: seen.append(done))
    assert 0 < told.tuned <= told.packed < 100
    assert seen == [1, 2, 3]
    (batch,) = few_bits._checks()
    assert batch.tokens.shape == (1, 511)
    assert (batch.places.size, batch.places.min().item(), batch.places.max().item()) == (64, 99, 510)


def test_answers_that_are_never_reached_cannot_be_tuned_with(tmp_path: Path) -> None:
    model, _ = load_model(make_model(tmp_path / "base"))
    with pytest.raises(TaskError, match="an answer within its first 512 tokens"):
        FewBits(model, TokenSet.from_examples([example(700, 600)]), 2048)
