"""Each layout in each way of training that it fits: what the preview calls trained is what the batch trains."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData, prepare_data
from app.core.method.table import METHODS, MODES
from app.core.protocol.event import Finished
from app.core.system.reward_trust import content_hash
from app.worker.batch.examples import Examples
from app.worker.batch.pair_batch import PairPlan
from app.worker.batch.plan import BatchPlan
from app.worker.data.preview import Preview, shown_example
from app.worker.token.prompt import tokenize_prompts
from app.worker.token.rated_answer import tokenize_pairs
from app.worker.token.tokenize import tokenize_rows
from app.worker.token.tokenizer import load_tokenizer
from tests.core.data.layouts import LAYOUTS, RowLayout
from tests.worker.tiny_model import write_model
from tests.worker.tiny_tokenizer import save_tokenizer
from tests.worker.training import config_for, start

Example = tuple[list[int], list[tuple[int, int]]]  # the inputs; where a learned token is predicted, and its id


def fits(layout: RowLayout, mode: str) -> bool:
    """True if the table of layouts says that this way of training reads it."""
    goals = METHODS[mode].goals
    if not goals:
        return layout.talk is not None
    if "prompt" in goals:
        return layout.asked is not None
    return layout.pair is not None or (layout.labelled is not None and "labelled" in goals)


FITTING = [(layout, mode) for mode in MODES for layout in LAYOUTS if fits(layout, mode)]


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Any:
    return load_tokenizer(str(tokenizer_folder))


def written(layout: RowLayout, folder: Path) -> Path:
    path = folder / f"data{layout.suffix}"
    path.write_text("\n".join(json.dumps(row) for row in layout.rows), encoding="utf-8")
    return path


def in_batch(parts: Any) -> Iterator[Example]:
    """What stands in the rows of a batch; inputs with their padding."""
    for arrays in parts:
        inputs = np.array(arrays["inputs"])
        counts = np.array(arrays["mask" if "mask" in arrays else "weights"]).reshape(-1) > 0
        targets = np.array(arrays["targets"]).reshape(-1)
        places = np.array(arrays["positions"]).reshape(-1) if "positions" in arrays else np.arange(inputs.size)
        width = inputs.shape[1]
        for row, tokens in enumerate(inputs.tolist()):
            learned = [(int(place) % width, int(token))
                       for place, token, its in zip(places, targets, counts, strict=True)
                       if its and int(place) // width == row]  # fmt: skip
            yield tokens, learned


def in_preview(prepared: PreparedData, tokenizer: Any, config: TrainConfig) -> list[Example]:
    """What the preview shows of every example, its answers one by one."""
    preview = Preview(prepared, tokenizer, config)
    found: list[Example] = []
    for index in range(prepared.counts["train"]):
        tokens = preview.example("train", index)["tokens"]
        for is_real, run in groupby(tokens, lambda token: token["id"] >= 0):
            shown = list(run)
            if is_real:
                ids = [token["id"] for token in shown]
                learned = [(at - 1, token["id"]) for at, token in enumerate(shown) if token["trained"]]
                found.append((ids[:-1], learned))
    return found


def batch_of(prepared: PreparedData, tokenizer: Any, config: TrainConfig) -> Any:
    if config.train_mode == "sft":
        rows = tokenize_rows(prepared.train, tokenizer, config).token_set
        examples = Examples.of(rows, config.max_seq_length)
        return BatchPlan(examples, config.batch_size, config.batching, config.seed).batch(1)
    return PairPlan(tokenize_pairs(prepared.train, tokenizer, config), None, config).batch(1)


@pytest.mark.parametrize("is_masked", [True, False], ids=["answers", "all"])
@pytest.mark.parametrize(("layout", "mode"), FITTING, ids=lambda its: getattr(its, "name", its))
def test_the_batch_trains_what_the_preview_shows(
    layout: RowLayout, mode: str, is_masked: bool, tokenizer: Any, tokenizer_folder: Path, tmp_path: Path
) -> None:
    if mode != "sft" and not is_masked:
        pytest.skip("only supervised training can learn the prompt too")
    config = TrainConfig(
        model=str(tokenizer_folder), data=str(written(layout, tmp_path)), train_mode=mode, batch_size=2,
        mask_prompt=is_masked, valid_fraction=0, test_fraction=0,
    )  # fmt: skip
    prepared = prepare_data(config, tmp_path / "run")
    shown = in_preview(prepared, tokenizer, config)
    rows = [json.loads(line) for line in prepared.train.read_text(encoding="utf-8").splitlines()]
    spans = "".join("".join(shown_example(row, tokenizer, config)["trained"]) for row in rows)
    if METHODS[mode].is_sampled:
        prompts = tokenize_prompts(prepared.train, tokenizer, config)
        assert [(ids[:-1], []) for ids in prompts.tokens] == shown
        assert layout.asked is not None
        assert prompts.answers[0] == layout.asked[1]
        assert spans == ""
        return
    batch = batch_of(prepared, tokenizer, config)
    trained = list(in_batch(batch.parts))
    assert sum(1 for _, learned in trained if learned) == len(shown)
    for ids, learned in shown:
        assert learned
        assert any(row[: len(ids)] == ids and not any(row[len(ids) :]) and its == learned for row, its in trained)
    text = "".join(tokenizer.decode([token for _, token in learned]) for _, learned in shown)
    assert spans == text
    for answer in answers_of(layout, mode):
        assert answer in text
    if is_masked and not isinstance(layout.talk, str):
        assert not any(asked in text for asked in prompts_of(layout, mode))


def answers_of(layout: RowLayout, mode: str) -> list[str]:
    """Texts that must be learned, by the table."""
    if mode != "sft":
        return list(layout.pair[1:]) if layout.pair is not None else [layout.labelled[1]] if layout.labelled else []
    assert layout.talk is not None
    if isinstance(layout.talk, str):
        return [layout.talk.partition(" ")[2]]  # nothing predicts the first token
    last = layout.talk[-1]
    return [last["content"] or last["tool_calls"][0]["function"]["name"]]


def prompts_of(layout: RowLayout, mode: str) -> list[str]:
    """Texts that must not be, where they are no part of the answer."""
    if mode == "sft":
        turns = layout.talk[:-1] if isinstance(layout.talk, list) else []
    else:
        turns = (layout.pair or layout.labelled or ([],))[0]
    answers = answers_of(layout, mode)
    return [turn["content"] for turn in turns if not any(turn["content"] in answer for answer in answers)]


# -- really trained ----------------------------------------------------------------------------------------------

LETTERS = """
def letters(prompts, completions, answer, types=None):
    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
"""
RUNS = [
    ("sft", "text"), ("sft", "arc"), ("sft", "calls as answers"), ("dpo", "helpsteer 3"), ("cpo", "safe rlhf"),
    ("orpo", "arena"), ("kto", "orca pairs"), ("kto", "tagged conversations"), ("grpo", "verl"), ("grpo", "gsm8k"),
    ("online_dpo", "one transcript and its answer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.mark.parametrize(("mode", "name"), RUNS)
def test_a_run_of_it_ends(mode: str, name: str, model: Path, tmp_path: Path) -> None:
    layout = next(layout for layout in LAYOUTS if layout.name == name)
    rewards = tmp_path / "rewards.py"
    rewards.write_text(LETTERS)
    path = written(layout, tmp_path)
    if layout.suffix == ".jsonl" and len(layout.rows) == 1:
        shutil.copy(path, tmp_path / "copy")
        path.write_text(path.read_text() + "\n" + (tmp_path / "copy").read_text(), encoding="utf-8")
    config = config_for(
        model, path, train_mode=mode, iters=1, batch_size=2, steps_per_eval=100, save_every=100, valid_fraction=0,
        test_fraction=0, max_completion_length=16, group_size=4, temperature=1.5, reward_functions=["letters"],
        reward_functions_file=str(rewards), early_stopping={"enabled": False},
    )  # fmt: skip
    _, events = start(config, tmp_path / "run", reward_file_sha256=content_hash(rewards))
    assert events.of(Finished)[0].reason == "completed"
    assert len(events.losses) == 1
    assert np.isfinite(events.losses[0])
