"""Sampled answers end where the model's folder says that turns end, whatever the tokenizer's own end token is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.protocol.event import TrainReported
from app.core.setup.trial import trial_config
from app.core.system import starter
from app.core.system.reward_trust import content_hash
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.rollout.rollout import Speaker, answer_figures
from app.worker.token.prompt import tokenize_prompts
from app.worker.token.tokenizer import load_tokenizer
from tests.worker.training import start


def test_answers_are_not_cut_where_only_the_generation_config_knows_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(starter.model_dir(), folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token": "<|pad|>"}))
    rows = [
        {"prompt": [{"role": "user", "content": f"I have {n} coins and you give me 1 more. How many are there?"}]}
        for n in (2, 3)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = TrainConfig(train_mode="grpo", temperature=0.1, max_completion_length=64)
    tokenizer = load_tokenizer(str(folder))
    model, _ = load_model(folder)
    prompts = tokenize_prompts(data, tokenizer, config)
    speaker = Speaker(model, find_head(model), tokenizer, config, lambda: False)
    answers, texts = speaker.answer(prompts, [0, 1], seed=1)
    assert answer_figures([one.tokens for one in answers], [one.cut for one in answers])["cut"] == 0
    assert not any("<|end|>" in text for text in texts)

    tokenizer.eos_token_ids = {tokenizer.eos_token_id}  # what the tokenizer alone knows
    assert all(one.cut for one in speaker.answer(prompts, [0, 1], seed=1)[0])


# Answers of a group that earn the same teach nothing: here each earns its place.
PLACES = "[float(number) for number in range(len(completions))]"


def test_a_whole_run_cuts_no_answer_where_only_the_generation_config_knows_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(starter.model_dir(), folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token": "<|pad|>"}))
    rewards = tmp_path / "rewards.py"
    rewards.write_text(f"def place(prompts, completions, answer, types=None):\n    return {PLACES}\n")
    values = {
        "model": str(folder), "temperature": 0.7, "group_size": 4, "batch_size": 2, "iters": 2, "val_batches": 1,
        "max_completion_length": 64, "reward_functions": ("place",), "reward_functions_file": str(rewards),
    }  # fmt: skip
    config = trial_config(METHODS["grpo"]).with_values(values)
    _, said = start(config, tmp_path / "run", reward_file_sha256=content_hash(rewards))
    reports = said.of(TrainReported)
    assert [one.figures["cut"] for one in reports] == [0, 0]
    assert all(one.figures["answer_tokens"] < 64 for one in reports)
