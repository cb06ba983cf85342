"""The methods on the starter: for each, real runs in a worker, and the figure that they raise before and after.

    python packaging/method_table.py                     # all of them, two seeds each: some 20 minutes
    python packaging/method_table.py dpo grpo --seeds 3

Measured is on rows that no run trains on and no choice depends on (the last weights are kept): the starter's
validation and test rows, and for methods that sample, `ANSWERS` answers to each of the word problems that were held
back even from the starter model. The standard errors are over rows and seeds; that of the change is of the changes
row by row, which leaves out how much easier one row is than another.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent / "starter")]

import mlx.nn as nn
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import prepare_data
from app.core.method.method import Method
from app.core.method.reward import BUILT_IN
from app.core.method.table import METHODS
from app.core.protocol import event
from app.core.protocol.client import WorkerClient
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import load_config
from app.core.setup.trial import STARTER_DATA, trial_values
from app.core.system import starter
from app.worker.array import scalar
from app.worker.batch.examples import Examples
from app.worker.model.head import find_head
from app.worker.model.loading import load_model, make_trainable
from app.worker.objective.objective import with_gathered
from app.worker.objective.preference_objective import preference, preference_gather
from app.worker.objective.reference import Reference
from app.worker.objective.reference_sums import reference_sums
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import PairValidation, ValidationSet
from app.worker.rollout.sampling import sample, seed_of
from app.worker.token.rated_answer import tokenize_pairs
from chat import World  # the recipe of the starter, packaging/starter
from dataset import number_in
from tests.worker.token.token_file import tokenize_file

# The trials of the window, but that nothing is chosen by what is measured: the last weights are.
EVERY: dict[str, Any] = {"val_batches": 0, "final_adapter": "last", "neutral_tokens": 0}
# The starter's 80 prompts, seen six times, are learnt by heart. Here each prompt is seen once (`word_problems`).
SAMPLED: dict[str, Any] = {"valid_fraction": 0.0, "test_fraction": 0.0}
PROBLEMS = 640  # word problems that sampled runs train on
ANSWERS = 8  # sampled to each held-out prompt

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Row:
    """One method's runs: its figure (of supervised runs the loss) of every held-out row and seed, (seeds · rows,),
    before and after, and what the longest run took."""

    method: str
    figure: str
    each_before: Floats
    each_after: Floats
    seconds: float
    peak_memory_gb: float

    @property
    def before(self) -> float:
        return float(self.each_before.mean())

    @property
    def after(self) -> float:
        return float(self.each_after.mean())

    @property
    def change_in_errors(self) -> float:
        """The mean change in standard errors of it: beyond 2 it is no accident."""
        changes = self.each_after - self.each_before
        return float(changes.mean() / max(standard_error(changes), 1e-12))


def standard_error(values: Floats) -> float:
    """Of their mean."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def starter_config(method: Method, **changes: Any) -> TrainConfig:
    """The starter run of a method."""
    values = trial_values(method) | EVERY | (SAMPLED if method.data == "prompts" else {}) | changes
    return TrainConfig.model_validate(values)


def run_method(
    method: Method,
    folder: Path,
    seeds: Sequence[int] = (0,),
    *,
    train: Callable[[RunDir], float] | None = None,
    answers: int = ANSWERS,
    **changes: Any,
) -> Row:
    """Trains in worker processes, one seed after the other; raises `RuntimeError` with its words if one fails.

    ``train`` trains otherwise, and returns the peak of memory in GB. ``answers`` are sampled to a held-out prompt.
    """
    before: list[Floats] = []
    after: list[Floats] = []
    longest_s = peak_gb = 0.0
    if method.data == "prompts":
        changes = {"data": str(word_problems(folder / "problems"))} | changes
    for seed in seeds:
        run = prepare_run(starter_config(method, seed=seed, **changes), folder / str(seed))
        began = time.perf_counter()
        peak_gb = max(peak_gb, train(run) if train else _train(method, run))
        longest_s = max(longest_s, time.perf_counter() - began)
        for into, tuned in ((before, False), (after, True)):
            into.append(held_out(run, tuned=tuned, answers=answers))
    return Row(
        method.label, method.figure or "loss", np.concatenate(before), np.concatenate(after), longest_s, peak_gb
    )


def word_problems(folder: Path) -> Path:
    """A data folder of problems like the starter's, none of them held back; always the same ones."""
    known = [turn for turn in World().turns["story"] if not turn.held_out]
    chosen = random.Random(PROBLEMS).sample(known, PROBLEMS)
    folder.mkdir(parents=True)
    rows = ({"prompt": turn.question, "answer": number_in(turn.answer)} for turn in chosen)
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


def _train(method: Method, run: RunDir) -> float:
    """The peak of memory in GB."""
    peak_gb = 0.0
    with WorkerClient(run.path, run.log) as worker:
        for said in worker.events():
            if isinstance(said, event.TrainReported):
                peak_gb = max(peak_gb, said.peak_memory_gb)
            elif isinstance(said, event.Failed):
                raise RuntimeError(f"{method.label}: {said.message}")
    return peak_gb


# -- measuring -----------------------------------------------------------------------------------------------------


# What the starter itself answers, by what it is asked with: it is the same for each method.
_UNTRAINED: dict[tuple[Any, ...], Floats] = {}


def held_out(run: RunDir, *, tuned: bool, answers: int) -> Floats:
    """The figure of every held-out row under the weights before (or after) a run, (rows,)."""
    config = load_config(run.config).config
    model, tokenizer = load_model(starter.model_dir())
    make_trainable(model, config)
    head = find_head(model)
    reference = Reference(model, head, config)
    if tuned:
        model.load_weights(str(run.adapters / "adapters.safetensors"), strict=False)
    model.eval()
    need = METHODS_BY_MODE[config.train_mode]
    if need == "prompts":
        asked = (config.max_completion_length, config.temperature, config.seed, config.reward_functions, answers)
        if not tuned and asked in _UNTRAINED:
            return _UNTRAINED[asked]
        found = np.array(_rewards(model, tokenizer, config, answers))
        return found if tuned else _UNTRAINED.setdefault(asked, found)
    measure = _losses if need == "examples" else _margins
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_data(config.with_value("data", str(STARTER_DATA[need]())), Path(folder))
        files = [path for path in (data.valid, data.test) if path is not None]
        figures = [value for path in files for value in measure(model, head, tokenizer, reference, config, path)]
    return np.array(figures)


METHODS_BY_MODE = {str(method.settings["train_mode"]): method.data for method in METHODS.values()}


def _losses(
    model: nn.Module, head: Any, tokenizer: Any, _reference: Reference, config: TrainConfig, path: Path
) -> list[float]:
    examples = Examples.of(tokenize_file(path, tokenizer, config), config.max_seq_length)
    found = []
    for batch in ValidationSet(examples, 1, -1):
        total, count, _ = supervised(head)(model, batch.arrays)
        found.append(scalar(total) / scalar(count))
    return found


def _margins(
    model: nn.Module, head: Any, tokenizer: Any, reference: Reference, config: TrainConfig, path: Path
) -> list[float]:
    pairs = tokenize_pairs(path, tokenizer, config)
    with tempfile.TemporaryDirectory() as folder:
        known = reference_sums(pairs, reference.log_probabilities, Path(folder) / "sums", lambda *_: None)
        batches = list(PairValidation(pairs, known, 1, -1))
    gather = preference_gather(head, config)
    of_model = None if gather is None else partial(gather, model)
    ready = (with_gathered(batch.parts, batch.beside, of_model)[0] for batch in batches)
    return [scalar(preference(head, config)(model, arrays)[2]["margin"][0]) for arrays in ready]


def _rewards(model: nn.Module, tokenizer: Any, config: TrainConfig, answers_each: int) -> list[float]:
    ends = sorted(tokenizer.eos_token_ids)
    problems = [turn for turn in World().turns["story"] if turn.held_out]
    asked = [turn for turn in problems for _ in range(answers_each)]
    answers = sample(
        model,
        [
            tokenizer.apply_chat_template([{"role": "user", "content": turn.question}], add_generation_prompt=True)
            for turn in asked
        ],
        ends=ends, max_tokens=config.max_completion_length, temperature=config.temperature,
        seed=seed_of(config.seed, 1),
    )  # fmt: skip
    assert answers is not None
    texts = [tokenizer.decode([token for token in answer.tokens if token not in ends]) for answer in answers]
    total = np.zeros(len(texts))
    for name in config.reward_functions:
        total += BUILT_IN[name]([], texts, answer=[number_in(turn.answer) for turn in asked])
    return list(total.reshape(-1, answers_each).mean(axis=1))


# -- the table -----------------------------------------------------------------------------------------------------


def rows(names: list[str], seeds: int) -> Iterator[Row]:
    """One row after the other, as the runs end."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            yield run_method(METHODS[name], Path(folder) / name, range(seeds))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "methods", nargs="*", choices=[*METHODS, []], help="methods to run; all of them unless given"
    )
    parser.add_argument("--seeds", type=int, default=2, help="runs of each method, 2 unless given")
    asked = parser.parse_args()
    print(f"{'method':28} {'figure':7} {'before':>15} {'after':>15} {'change':>9} {'s a run':>8} {'GB':>5}")
    for row in rows(asked.methods or list(METHODS), max(asked.seeds, 1)):
        sides = [f"{v.mean():7.3f} ± {standard_error(v):.3f}" for v in (row.each_before, row.each_after)]
        print(
            f"{row.method:28} {row.figure:7} {sides[0]:>15} {sides[1]:>15} {row.change_in_errors:+7.1f}SE"
            f" {row.seconds:8.0f} {row.peak_memory_gb:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
