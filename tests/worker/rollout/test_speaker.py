"""Sampled answers end where the model's folder says that turns end, whatever the tokenizer's own end token is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.system import starter
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.rollout.rollout import Speaker, answer_figures
from app.worker.token.prompt import tokenize_prompts
from app.worker.token.tokenizer import load_tokenizer


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
