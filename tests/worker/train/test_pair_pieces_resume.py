"""Runs on pairs whose batches come in several pieces resume exactly, in the middle of an accumulation too."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from app.core.data.prepare import prepare_data
from app.core.protocol.event import Finished
from app.worker.batch.pair_batch import PairPlan
from app.worker.batch.shape import Costs
from app.worker.model.loading import load_model
from app.worker.token.rated_answer import tokenize_pairs
from tests.worker.tiny_model import write_model
from tests.worker.train.test_train_methods import stop_at, weights
from tests.worker.training import config_for, go_on, start


def _write_pairs(folder: Path) -> Path:
    source = random.Random(5)
    folder.mkdir()

    def text() -> str:
        return "".join(source.choice("abcdefgh") for _ in range(source.choice((3, 60, 300))))

    for name, count in (("train", 12), ("valid", 4)):
        rows = [{"prompt": text(), "chosen": text(), "rejected": text()} for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("mode", ["kto", "orpo"])
def test_what_was_gathered_and_added_up_is_the_same_again(mode: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", layers=1)
    config = config_for(
        model, _write_pairs(tmp_path / "pairs"), train_mode=mode, batch_size=4, iters=5, steps_per_report=1,
        grad_accumulation_steps=2, max_seq_length=1024, steps_per_eval=5, save_every=100, final_adapter="last",
        lora_parameters={"rank": 2, "scale": 4.0, "dropout": 0.1},
    )  # fmt: skip
    pairs = tokenize_pairs(prepare_data(config, tmp_path / "data").train, load_model(model)[1], config)
    plan = PairPlan(pairs, None, config, Costs(branches=True))
    batches = [plan.batch(number) for number in range(1, 4)]
    assert max(len(batch.parts) for batch in batches) > 1
    assert (max(len(batch.beside) for batch in batches) > 1) == (mode == "kto")

    whole_run, whole = start(config, tmp_path / "whole")
    run, first = start(config, tmp_path / "run", stop_at(3))
    assert first.of(Finished)[0].reason == "stopped"
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert len(whole.losses) == 5
    assert weights(run) == weights(whole_run)
