"""Held-out prompts answered at each evaluation: by the weights of then, and the run itself is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlx_lm import generate, load
from mlx_lm.sample_utils import make_sampler

from app.core.compare.before_after import spoken_before_after
from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Sampled, Validated, Warned
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.worker.rollout.held_out import SPOKEN_TOKENS, UNASKED
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, random_words, saved_arrays, start

DROPOUT = {"rank": 2, "scale": 4.0, "dropout": 0.1}
PROMPTS = 2


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data", train=12, valid=4)


def questions(run: RunDir, config: TrainConfig) -> list[HeldOut]:
    found = held_out_questions(run.path, config)[:PROMPTS]
    assert len(found) == PROMPTS
    return found


def stock_answer(model: Path, adapter: Path | None, question: HeldOut) -> str:
    """What stock mlx-lm says."""
    loaded, tokenizer = load(str(model), adapter_path=str(adapter) if adapter is not None else None)[:2]
    turns = [{"role": "user", "content": question.prompt}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
    return str(generate(loaded, tokenizer, prompt, max_tokens=SPOKEN_TOKENS, sampler=make_sampler(0.0)))


def test_the_run_is_the_same_to_the_bit_and_the_answers_are_those_of_its_weights(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    runs, words = [], []
    for prompts in (0, PROMPTS):
        config = config_for(*inputs, sampled_prompts=prompts, lora_parameters=DROPOUT, final_adapter="last")
        runs.append(start(config, tmp_path / str(prompts)))
        words.append(random_words())
    (off, first), (on, second) = runs
    assert words[0] == words[1]
    assert first.losses == second.losses
    kept = [saved_arrays(run.adapters / "adapters.safetensors") for run in (off, on)]
    assert {name: array.tolist() for name, array in kept[0].items()} == {
        name: array.tolist() for name, array in kept[1].items()
    }
    assert not first.of(Sampled)
    said = second.of(Sampled)
    assert [one.iteration for one in said] == [one.iteration for one in second.of(Validated)] == [0, 6, 12]
    asked = questions(on, config)
    for found, adapter in ((said[0], None), (said[-1], on.adapters)):
        assert [one["prompt"] for one in found.samples] == [question.prompt for question in asked]
        wanted = [stock_answer(inputs[0], adapter, question) for question in asked]
        assert [one["completion"] for one in found.samples] == wanted
    reader = RunReader(on)
    reader.read()
    shown = spoken_before_after(reader.history)
    assert shown is not None
    assert shown.before.removesuffix(" …") in [one["completion"] for one in said[0].samples]


def test_a_resumed_run_goes_on_with_the_same_prompts(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, said = start(config_for(*inputs, sampled_prompts=1), tmp_path / "run")
    more = go_on(run, extend_to=18)
    prompts = {one.samples[0]["prompt"] for one in (*said.of(Sampled), *more.of(Sampled))}
    assert len(prompts) == 1
    assert [one.iteration for one in more.of(Sampled)] == [18]


def test_without_held_out_questions_nothing_is_asked(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "\n".join(f'{{"text": "Text {number} is about nothing at all."}}' for number in range(12))
    (data / "train.jsonl").write_text(rows)
    config = config_for(inputs[0], data, sampled_prompts=1, iters=2, valid_fraction=0.25)
    _, said = start(config, tmp_path / "run")
    assert said.of(Validated)
    assert not said.of(Sampled)
    assert [one.message for one in said.of(Warned)] == [UNASKED]
