"""Runs whose examples begin alike: what they share is computed once, the losses are those of examples that compute
all of their own, and a resumed run is exact."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol.event import Finished, TrainReported
from app.worker.batch import plan
from tests.worker.tiny_model import write_model
from tests.worker.train.test_train_methods import stop_at, weights
from tests.worker.training import config_for, go_on, start


def _write_chats(folder: Path) -> Path:
    """Chats behind one of two system prompts, the shorter of which is the other's beginning; some behind none."""
    source = random.Random(5)
    folder.mkdir()

    def text(size: int) -> str:
        return "".join(source.choice("abcdefgh") for _ in range(size))

    system = text(200)
    for name, count in (("train", 36), ("valid", 4)):
        rows = []
        for number in range(count):
            first = ["", system[:120], system, system][number % 4]
            turns = [("user", text(source.randint(3, 40))), ("assistant", text(source.randint(3, 40)))]
            spoken = [("system", first), *turns] if first else turns
            rows.append({"messages": [{"role": role, "content": content} for role, content in spoken]})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _config(tmp_path: Path, **more: Any) -> Any:
    model = write_model(tmp_path / "model", layers=2)
    return config_for(
        model, _write_chats(tmp_path / "chats"), batch_size=6, iters=6, steps_per_report=1, max_seq_length=1024,
        steps_per_eval=6, save_every=100, final_adapter="last", **more,
    )  # fmt: skip


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_resumed_run_is_exact(checkpointed: bool, tmp_path: Path) -> None:
    lora = {"rank": 2, "scale": 4.0, "dropout": 0.1}
    config = _config(
        tmp_path, lora_parameters=lora, grad_accumulation_steps=2, grad_checkpoint=checkpointed
    )  # fmt: skip
    whole_run, whole = start(config, tmp_path / "whole")
    run, first = start(config, tmp_path / "run", stop_at(3))
    assert first.of(Finished)[0].reason == "stopped"
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert len(whole.losses) == 6
    assert weights(run) == weights(whole_run)


@pytest.mark.parametrize("mask_prompt", [True, False])
def test_losses_are_those_of_rows_that_share_nothing(
    mask_prompt: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, mask_prompt=mask_prompt)
    _, sharing = start(config, tmp_path / "sharing")
    with monkeypatch.context() as patched:
        patched.setattr(plan, "prefix_lengths", lambda *_: ())
        _, alone = start(config, tmp_path / "alone")
    assert sharing.losses == pytest.approx(alone.losses, rel=1e-4)
    reports, others = sharing.of(TrainReported), alone.of(TrainReported)
    # What is told is of the rows, whatever is computed of them.
    assert [one.trained_tokens for one in reports] == [one.trained_tokens for one in others]
    assert all(0 <= one.padding_share < 0.6 for one in reports)
    assert sum(one.tokens_per_second > 0 for one in reports) == 6


def test_a_model_that_is_refused_trains_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.worker.train import supervised

    config = _config(tmp_path)
    monkeypatch.setattr(supervised, "prefix_refusal", lambda *_: "it cannot")
    _, refused = start(config, tmp_path / "refused")
    monkeypatch.setattr(plan, "prefix_lengths", lambda *_: ())
    _, alone = start(config, tmp_path / "alone")
    assert refused.losses == alone.losses
    assert capsys.readouterr().err.count("for each of them: it cannot.") == 1
