"""Preference and reward training on the command line: a file of mlx-lm-lora's keys runs, code only after a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.core.system.reward_trust import is_trusted
from tests.command.conftest import CONFIG, Luthier

REWARD = "def mine(prompts, completions, answer, types=None):\n    return [c.count('a') / 9 for c in completions]\n"


def write(folder: Path, place: Path, row: dict[str, Any], **values: Any) -> Path:
    (folder / "rows").mkdir()
    for split in ("train", "valid"):
        (folder / "rows" / f"{split}.jsonl").write_text(f"{json.dumps(row)}\n" * 4)
    config = CONFIG | {"model": str(place / "model"), "data": "rows", "iters": 4} | values
    (folder / "config.yaml").write_text(json.dumps(config))
    return folder / "config.yaml"


def test_dpo(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    row = {"prompt": "a", "chosen": "b", "rejected": "c"}
    file = write(tmp_path, place, row, train_mode="dpo", train_type="lora")
    said = luthier("train", file, "--run-dir", "run").stdout
    assert "margin 0 · accuracy" in said
    assert luthier("resume", "run").returncode == 0


def test_a_reward_file_needs_a_word_which_is_remembered(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(REWARD)
    file = write(
        tmp_path, place, {"prompt": "a", "answer": "b"}, train_mode="grpo", group_size=2, reward_functions="mine",
        reward_functions_file="rewards.py", max_completion_length=16, temperature=0.8,
    )  # fmt: skip
    said = luthier("train", file, "--run-dir", "run", code=2).stderr
    assert "--trust-reward-file" in said
    assert not (tmp_path / "run").exists()
    said = luthier("train", file, "--run-dir", "run", "--trust-reward-file").stdout
    assert "reward " in said
    luthier("train", file, "--run-dir", "again")
    (tmp_path / "rewards.py").write_text(REWARD + "# changed\n")
    luthier("train", file, "--run-dir", "changed", code=2)


def test_a_reward_file_is_allowed_where_a_setup_is_queued_or_sealed(
    luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    file = write(
        tmp_path, place, {"prompt": "a", "answer": "b"}, train_mode="grpo", group_size=2, reward_functions="mine",
        reward_functions_file="rewards.py", max_completion_length=16,
    )  # fmt: skip
    rewards = tmp_path / "rewards.py"
    for words in (("queue", "add", file), ("queue", "sweep", file, "--vary", "seed=1,2")):
        rewards.write_text(f"{REWARD}# {words[1]}\n")
        luthier(*words, "--trust-reward-file")
        assert is_trusted(rewards)
    rewards.write_text(REWARD + "# to be sealed\n")
    sealed = ("bundle", file, "--with-model", "--out", "sealed")
    assert "--trust-reward-file" in luthier(*sealed, code=2).stderr
    luthier(*sealed, "--trust-reward-file")
    assert (tmp_path / "sealed" / "own_rewards.py").read_text() == rewards.read_text()
