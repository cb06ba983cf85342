"""Forgetting: measured with every evaluation, without a change to the run, and weighed at its end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.utils import load_adapters

from app.core.method.table import METHODS
from app.core.protocol.event import (
    CheckpointSaved,
    Finished,
    NeutralMeasured,
    TrainReported,
    Validated,
    Warned,
)
from app.core.run.folder import NEUTRAL_FILE, RunDir
from app.core.run.summary import summarize
from app.core.setup.config_file import load_config, save_config
from app.core.setup.trial import trial_config
from app.core.system import starter
from app.worker.model.head import find_head
from app.worker.model.loading import load_model, make_trainable
from app.worker.model.strength import at_strength, module_at_strength
from app.worker.neutral import forgetting
from app.worker.neutral.text import kept_text, loss_on
from app.worker.train.trade import MOST_CHECKPOINTS, Weighed, _spread, best_balance
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, random_words, saved_arrays, start

TOKENS = 96


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data", train=12, valid=4)


def stop_at(iteration: int) -> Any:
    return lambda found: "stop" if isinstance(found, TrainReported) and found.iteration == iteration else None


def weights(run: RunDir) -> dict[str, Any]:
    return {name: array.tolist() for name, array in saved_arrays(run.adapters / "adapters.safetensors").items()}


DROPOUT = {"rank": 2, "scale": 4.0, "dropout": 0.1}


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_run_is_the_same_to_the_bit_with_and_without(
    kind: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    runs, words = [], []
    for tokens in (0, TOKENS):
        config = config_for(*inputs, fine_tune_type=kind, neutral_tokens=tokens, lora_parameters=DROPOUT)
        runs.append(start(config, tmp_path / str(tokens)))
        words.append(random_words())
    (off, first), (on, second) = runs
    assert words[0] == words[1]
    assert first.losses == second.losses
    assert [e.val_loss for e in first.of(Validated)] == [e.val_loss for e in second.of(Validated)]
    assert weights(off) == weights(on)
    assert not first.of(NeutralMeasured)
    assert not (off.path / NEUTRAL_FILE).exists()
    assert [e.iteration for e in second.of(NeutralMeasured)] == [e.iteration for e in second.of(Validated)]


def test_what_was_learned_and_forgotten(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, said = start(config_for(*inputs, neutral_tokens=TOKENS), tmp_path / "run")
    measured, validated = said.of(NeutralMeasured), said.of(Validated)
    assert (measured[0].forgot, measured[0].learned) == (0, 0)
    assert {e.base_loss for e in measured} == {measured[0].neutral_loss}
    assert {(e.tokens, e.source) for e in measured} == {(TOKENS, "sampled")}
    for point, validation in zip(measured, validated, strict=True):
        assert point.learned == pytest.approx(validated[0].val_loss - validation.val_loss)
        assert point.forgot == pytest.approx(point.neutral_loss - point.base_loss)
        assert point.epoch == validation.epoch
    assert measured[-1].forgot > 0.001
    finished = said.of(Finished)[0]
    assert (finished.learned, finished.forgot) == (measured[-1].learned, measured[-1].forgot)
    summary = summarize(run)
    assert (summary.learned, summary.forgot) == (finished.learned, finished.forgot)
    # From the folder alone: the base's loss on what the folder keeps, and the stored adapter's.
    text = kept_text(run.path)
    assert text is not None
    base, _ = load_model(inputs[0])
    assert loss_on(base, find_head(base), text.token_set) == pytest.approx(text.base_loss, rel=1e-6)
    tuned = load_adapters(load_model(inputs[0])[0], str(run.adapters))
    assert loss_on(tuned, find_head(tuned), text.token_set) == pytest.approx(measured[-1].neutral_loss, rel=1e-5)


def test_the_base_is_read_once_before_the_first_step(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []

    def counted(*given: Any) -> float:
        losses.append(loss_on(*given))
        return losses[-1]

    monkeypatch.setattr(forgetting, "loss_on", counted)
    _, said = start(config_for(*inputs, neutral_tokens=TOKENS), tmp_path / "run")
    assert [e.neutral_loss for e in said.of(NeutralMeasured)] == losses


def test_a_resumed_run_measures_on_the_same_text(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(*inputs, neutral_tokens=TOKENS, steps_per_report=1)
    _, whole = start(config, tmp_path / "whole")
    run, first = start(config, tmp_path / "run", stop_at(4))
    before = (run.path / NEUTRAL_FILE).read_bytes()
    second = go_on(run, resume=True)
    assert (run.path / NEUTRAL_FILE).read_bytes() == before

    def points(*parts: Any) -> dict[int, tuple[float | None, float]]:
        return {e.iteration: (e.learned, e.forgot) for part in parts for e in part.of(NeutralMeasured)}

    assert points(first, second) == points(whole)


def test_a_run_of_before_gets_its_text_when_it_is_resumed(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The base is there with the adapter off; what was learned is told by measuring it once."""
    config = config_for(*inputs, neutral_tokens=TOKENS, steps_per_report=1)
    _, whole = start(config, tmp_path / "whole")
    run, _ = start(config.with_value("neutral_tokens", 0), tmp_path / "run", stop_at(4))
    save_config(load_config(run.config).config.with_value("neutral_tokens", TOKENS), run.config)
    second = go_on(run, resume=True)
    last, expected = second.of(NeutralMeasured)[-1], whole.of(NeutralMeasured)[-1]
    assert last.forgot == expected.forgot
    assert last.learned == pytest.approx(expected.learned)


def test_a_run_that_starts_from_an_adapter_is_compared_with_the_base(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    first, said = start(config_for(*inputs, neutral_tokens=TOKENS), tmp_path / "first")
    config = config_for(
        *inputs, neutral_tokens=TOKENS, resume_adapter_file=str(first.adapters / "adapters.safetensors")
    )
    _, second = start(config, tmp_path / "second")
    begins, ended = second.of(NeutralMeasured)[0], said.of(NeutralMeasured)[-1]
    assert begins.iteration == 0
    assert begins.forgot == pytest.approx(ended.forgot, abs=1e-6)
    assert begins.learned == pytest.approx(ended.learned, abs=1e-6)


def test_without_validation_only_forgetting_is_measured(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, said = start(config_for(*inputs, neutral_tokens=TOKENS, val_batches=0), tmp_path / "run")
    assert [(e.iteration, e.learned) for e in said.of(NeutralMeasured)] == [(0, None), (6, None), (12, None)]
    assert summarize(run).forgot == said.of(NeutralMeasured)[-1].forgot


def test_what_cannot_be_sampled_is_told(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no cache")

    monkeypatch.setattr("app.worker.neutral.forgetting.own_text", fail)
    _, said = start(config_for(*inputs, neutral_tokens=TOKENS), tmp_path / "run")
    assert "What is forgotten cannot be measured: no cache." in [e.message for e in said.of(Warned)]
    assert not said.of(NeutralMeasured)
    assert said.of(Finished)


def test_the_starter_brings_a_text_of_its_own(tmp_path: Path) -> None:
    config = load_config(starter.demo_config()).config.with_values(
        {"iters": 2, "steps_per_eval": 2, "val_batches": 1}
    )
    run, said = start(config, tmp_path / "run")
    measured = said.of(NeutralMeasured)
    assert {e.source for e in measured} == {"starter"}
    text = kept_text(run.path)
    assert text is not None
    assert text.tokens > 300
    taught = [
        message["content"]
        for file in sorted(starter.examples_dir().glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        for message in json.loads(line)["messages"]
    ]
    rows = [json.loads(line)["messages"] for line in starter.neutral_file().read_text("utf-8").splitlines()]
    assert rows
    for question, answer in rows:
        assert question["content"] not in taught
        assert starter.as_song(answer["content"]) not in taught


# -- the balance ------------------------------------------------------------------------------------------------


def test_the_best_balance_is_the_largest_gain() -> None:
    found = [
        Weighed(100, 1.0, 0.8, 0.0), Weighed(200, 1.0, 1.0, 0.6), Weighed(200, 0.5, 0.995, 0.15),
        Weighed(300, 1.0, math.nan, 0.0), Weighed(400, 1.0, None, 0.0),
    ]  # fmt: skip
    assert best_balance(found) == found[2]
    assert best_balance([Weighed(100, 1.0, 0.1, 0.1), Weighed(200, 1.0, 0.1, 0.3)]) is None


def test_few_of_many_checkpoints_are_weighed_the_last_among_them() -> None:
    found = _spread(list(range(10, 410, 10)))
    assert len(found) == MOST_CHECKPOINTS
    assert (found[0], found[-1]) == (10, 400)
    assert _spread([5, 6]) == [5, 6]


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_strength_is_the_same_in_the_weights_and_in_the_modules(
    kind: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    run, _ = start(config_for(*inputs, fine_tune_type=kind), tmp_path / "run")
    config = load_config(run.config).config
    tokens = mx.array([[2, 40, 50, 60, 3, 70]])

    def logits(strength: float) -> Any:
        model, _ = load_model(inputs[0])
        make_trainable(model, config)
        kept = saved_arrays(run.adapters / "adapters.safetensors")
        model.load_weights(list(at_strength(model, kept, strength).items()), strict=False)
        model.eval()
        return np.array(model(tokens))

    tuned, _ = load_model(inputs[0], run.adapters)
    assert np.allclose(logits(1.0), np.array(tuned(tokens)), atol=1e-5)
    base, _ = load_model(inputs[0])
    assert np.allclose(logits(0.0), np.array(base(tokens)), atol=1e-5)
    assert np.abs(logits(0.5) - logits(1.0)).max() > 1e-3
    for layer in tuned.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, module in list(part.items()):
                if "lora_a" in module:
                    part[name] = module_at_strength(module, 0.5)
    assert np.allclose(logits(0.5), np.array(tuned(tokens)), atol=1e-5)


def test_the_adapter_that_balances_best(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """It is what stock mlx-lm loads, with the loss that was said, and nothing that was weighed is better."""
    config = config_for(
        *inputs, neutral_tokens=TOKENS, final_adapter="balanced", learning_rate=0.02, save_every=3,
        steps_per_eval=3, early_stopping={"enabled": False},
    )  # fmt: skip
    run, said = start(config, tmp_path / "run")
    finished, validated = said.of(Finished)[0], said.of(Validated)
    assert finished.learned is not None
    assert finished.forgot is not None
    assert "best balance" in finished.message
    gain = finished.learned - finished.forgot
    most = max(e.learned or 0 for e in said.of(NeutralMeasured))
    assert finished.learned >= 0.99 * most
    able = [e for e in said.of(NeutralMeasured) if (e.learned or 0) >= 0.99 * max(most, finished.learned)]
    assert all(gain >= (e.learned or 0) - e.forgot for e in able)
    text = kept_text(run.path)
    assert text is not None
    tuned = load_adapters(load_model(inputs[0])[0], str(run.adapters))
    assert loss_on(tuned, find_head(tuned), text.token_set) - text.base_loss == pytest.approx(
        finished.forgot, abs=1e-5
    )
    assert validated[0].val_loss - finished.learned > 0
    (final,) = [e for e in said.of(CheckpointSaved) if e.kind == "final"]
    assert final.path == "adapters/adapters.safetensors"
    # The state still holds the last weights: a run goes on from those.
    last = saved_arrays(run.adapters / "0000012_adapters.safetensors")
    (arrays,) = run.state.glob("*/arrays.safetensors")
    kept = saved_arrays(arrays)
    assert all(mx.array_equal(kept[f"model.{name}"], array).item() for name, array in last.items())


def test_a_stopped_run_is_balanced_by_what_it_has_measured(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(
        *inputs, neutral_tokens=TOKENS, final_adapter="balanced", save_every=3, steps_per_eval=3, steps_per_report=1
    )
    _, said = start(config, tmp_path / "run", stop_at(7))
    finished = said.of(Finished)[0]
    assert finished.reason == "stopped"
    assert "of iteration 6" in finished.message or "of iteration 3" in finished.message
    assert "strength" not in finished.message


def test_a_full_fine_tune_is_balanced_at_its_whole_strength(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(*inputs, neutral_tokens=TOKENS, final_adapter="balanced", fine_tune_type="full")
    _, said = start(config, tmp_path / "run")
    assert "strength" not in said.of(Finished)[0].message


def test_where_nothing_can_be_balanced_the_best_is_kept_and_told(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = (inputs[1] / "train.jsonl").read_text().splitlines()[:4]
    (folder / "train.jsonl").write_text("\n".join(rows))
    config = config_for(
        inputs[0], folder, neutral_tokens=TOKENS, final_adapter="balanced", valid_fraction=0.0, test_fraction=0.0
    )
    _, said = start(config, tmp_path / "run")
    assert "The checkpoints cannot be balanced: there is no validation data." in [
        e.message for e in said.of(Warned)
    ]


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_other_methods_tell_what_was_forgotten(method: str, tmp_path: Path) -> None:
    few = {"iters": 2, "batch_size": 2, "steps_per_eval": 2, "val_batches": 1, "max_completion_length": 16}
    _, said = start(trial_config(METHODS[method]).with_values(few), tmp_path / "run")
    measured = said.of(NeutralMeasured)
    assert [(e.iteration, e.learned) for e in measured] == [(0, None), (2, None)]
    assert measured[0].forgot == 0
    assert said.of(Finished)[0].learned is None
