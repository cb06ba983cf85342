"""A small change by training survives few bits where plain ones lose it, and that is said before it is written."""

from __future__ import annotations

import json
from pathlib import Path

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


@pytest.mark.slow
def test_few_bits_keep_what_plain_ones_lose(small: SmallDelta, tmp_path: Path) -> None:
    tuned = TunedModel(small.base, small.run.path / "adapters" / "adapters.safetensors")
    assert delta_share(tuned) < 0.05
    examples = run_examples(small.run.path, tuned.tokenizer, lambda *_, **__: quiet)
    assert examples is not None
    gain = HeldOutGain(examples.loss(tuned.use_base(), quiet), examples.loss(tuned.use_tuned(), quiet))

    def kept(bits: str, **options: bool) -> tuple[float, float, list[str]]:
        folder, events = run_export(
            tmp_path, small.run.path, "fused", out=tmp_path / bits, prompts=0, checkpoint="last",
            options={"bits": bits} | options,
        )  # fmt: skip
        model, _ = load(str(folder))
        phases = [said.phase for said in events if isinstance(said, event.Progressed)]
        return gain.kept(examples.loss(model, quiet)), compute_bits_per_weight(model), phases

    with pytest.raises(
        TaskError, match=r"Only .*\s% of what was learned stays in weights of 4bit; nothing was wr"
    ) as e:
        kept("4bit")
    assert "--set lossy=yes" in str(e.value.hint)
    assert not (tmp_path / "4bit").exists()

    share, _, phases = kept("4bit", lossy=True)
    assert share < 0.95
    (warned,) = [number for number, phase in enumerate(phases) if "of what was learned stays" in phase]
    assert warned < phases.index("Writing the weights")

    share, bits, phases = kept("4.8bit")
    assert share >= 0.95
    assert bits <= 4.8
    assert not [phase for phase in phases if "of what was learned stays" in phase]
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
