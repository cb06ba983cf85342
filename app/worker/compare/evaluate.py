"""The measuring worker: held-out loss and perplexity of a base model and of adapters on the same examples.

What counts as a target (prompt masking, columns, maximum length) comes from the job's config, as in training. With
functions under ``scores`` the prompts are answered, too, and the answers scored.
It ends with ``Result(name="evaluate")``:

``{"data", "examples", "tokens": [targets of each example], "cut", "left_out",
"scored": null | {"functions", "prompts", "of", "max_tokens"}, "neutral": null | {"source", "tokens", "base_loss"},
"columns": [{"adapter", "strength", "kind",
"parameters", "loss", "perplexity", "tokens", "learned": nats | null, "forgot": nats | null, "per_example": [loss |
null, …], "trained_on": number of examples it was trained on, "run": null | {…}, "difference": null | {…},
"moved": {"better": […], "worse": […]}, "scores": {NAME: {"mean", "values", "difference"}}}]}``. Losses are in
nats a token; ``loss`` is weighted by tokens, and ``perplexity`` is its exponential. A difference is
`FigureDifference.as_dict` against the first column, which has none; ``learned`` is the fall of the loss below the
base's, where the base is a column, and ``forgot`` the rise of that on the neutral set above the base's; ``moved``
are the examples whose loss changed most, with their text. ``cut`` examples are longer than the maximum length,
``left_out`` ones have no token that counts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from app.core.compare.candidate import candidate_of
from app.core.compare.comparison import Exchange, Moved, exchange_of, loss_difference, most_moved, score_difference
from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.model.folder import locate_model
from app.core.problem import Problem, Severity, UnusableError
from app.core.protocol import event
from app.core.protocol.job import EvaluateJob
from app.core.quantity import plural
from app.core.run.folder import RunDir
from app.core.run.summary import summarize
from app.core.setup.config_file import load_config
from app.core.typed_path import typed_path
from app.worker.batch.examples import Examples
from app.worker.compare.score import Scoring, scoring_of
from app.worker.data.tokenized import tokenize_config
from app.worker.model.adapter_switch import Adapter, AdapterSwitch, adapter_files, base_warning
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.neutral.forgetting import UNSAMPLED, neutral_text, unmeasured
from app.worker.neutral.text import kept_text
from app.worker.objective.example_loss import example_losses
from app.worker.process.channel import Channel
from app.worker.process.control import StoppedError
from app.worker.process.job import job_config
from app.worker.process.progress import Reporter
from app.worker.token.row_file import row_batches
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import origin, refuse, tokenize_rows

SHOWN_CHARACTERS = 2000  # of an example's text in the result
RUN_FACTS = (
    "path", "name", "state", "method", "targets", "iteration", "iterations", "trainable_parameters",
    "peak_memory_gb", "elapsed_s", "tokens_per_second", "best_val_loss",
)  # fmt: skip


def evaluate(channel: Channel, job_dir: Path, job: EvaluateJob) -> None:
    """Measures every column of the job. Raises `UnusableError` with all that is wrong with it, before it starts."""
    started = time.perf_counter()
    reporter = Reporter(channel)
    try:
        found = _measure(channel, job_dir, job, reporter)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped", elapsed_s=time.perf_counter() - started))
        return
    channel.emit(event.Result(name="evaluate", data=found))
    channel.emit(event.Finished(elapsed_s=time.perf_counter() - started))


def _measure(channel: Channel, job_dir: Path, job: EvaluateJob, reporter: Reporter) -> dict[str, Any]:
    config, data = job_config(job.config), typed_path(job.data)
    names = [None if name is None else Path(name) for name in job.adapters]
    channel.emit(event.Progressed(phase=tr("Loading the model")))
    base = locate_model(job.model)
    model, tokenizer = load_model(base)
    switch = AdapterSwitch(model)
    strengths = [*job.strengths, *[1.0] * (len(names) - len(job.strengths))]
    adapters = [
        adapter and adapter.at(strength)
        for adapter, strength in zip(_adapters(switch, names), strengths, strict=False)
    ]
    held_out = held_out_rows(config, data, job_dir, tokenizer, reporter)
    usable = Examples.of(held_out.examples, config.max_seq_length)
    _tell_cut(channel, usable, config.max_seq_length)
    for said in filter(None, (base_warning(name, base) for name in names if name is not None)):
        channel.emit(event.Warned(message=said))
    for name in names:
        _tell_otherwise(channel, name, config, int(held_out.examples.lengths.max()))
    scoring = scoring_of(job, config, held_out.exchanges)
    if scoring is not None and scoring.left_out:
        channel.emit(event.Warned(message=scoring.left_out))
    neutral = _neutral(channel, config, names, switch, tokenizer, reporter)
    columns: list[dict[str, Any]] = []
    for name, adapter, strength in zip(names, adapters, strengths, strict=False):
        seen = 0 if name is None else _trained_examples(name, config, tokenizer, held_out.examples, reporter)
        if seen:
            of = (
                tr("these very examples")
                if seen == len(held_out.examples)
                else tr("{seen:,} of these examples", seen=seen)
            )
            channel.emit(
                event.Warned(message=tr("{name} was trained on {of}: its loss flatters it.", name=name, of=of))
            )
        switch.use(adapter)
        who = str(name) if name else tr("the base model")
        report = reporter.phase(tr("Measuring {who}", who=who))
        sums, counts = example_losses(model, held_out.examples, config.max_seq_length, report)
        _check_numbers(sums, who)
        what: dict[str, Any] = {"adapter": str(name) if name else None, "kind": adapter.kind if adapter else "base"}
        what |= {"strength": strength if adapter else 1.0, "forgot": _forgot(neutral, model, adapter)}
        facts = {"parameters": adapter.parameters if adapter else 0, "trained_on": seen, "run": _run(name)}
        scores = _scores(channel, scoring, model, tokenizer, reporter, who)
        columns.append(what | facts | _figures(sums, counts) | {"scores": scores})
    _compare(columns, counts.tolist(), held_out)
    base_loss = next((column["loss"] for column in columns if column["adapter"] is None), None)
    for column in columns:
        column["learned"] = None if base_loss is None else base_loss - column["loss"]
    return {
        "data": str(data),
        "examples": len(held_out.examples),
        "tokens": counts.tolist(),
        "cut": usable.truncated,
        "left_out": usable.skipped,
        "scored": _scored(scoring),
        "neutral": neutral.as_dict() if neutral else None,
        "columns": columns,
    }


@dataclass(frozen=True, slots=True)
class _Neutral:
    """The neutral set that all columns are measured on, and the base's loss on it as this worker computes it."""

    token_set: TokenSet
    source: str
    base_loss: float

    def forgot(self, model: nn.Module) -> float:
        """How far the model's loss lies above the base's."""
        return _mean_loss(model, self.token_set) - self.base_loss

    def as_dict(self) -> dict[str, Any]:
        return {"source": self.source, "tokens": int(self.token_set.trained.sum()), "base_loss": self.base_loss}


def _tell_otherwise(channel: Channel, name: Path | None, config: TrainConfig, longest: int) -> None:
    """Where a run was trained on other tokens of such examples than are measured: its own figures are others."""
    run = candidate_of(name).run if name is not None else None
    try:
        own = load_config(RunDir(run).config).config if run is not None else config
    except (UnusableError, OSError):
        return
    paths = ["mask_prompt", "mask_turns"] if own.mask_prompt or config.mask_prompt else []
    if longest > min(own.max_seq_length, config.max_seq_length):
        paths.append("max_seq_length")
    paths = [path for path in paths if getattr(own, path) != getattr(config, path)]
    if not paths or own.train_mode != "sft":
        return
    trained, measured = (
        ", ".join(f"{path}: {json.dumps(getattr(one, path))}" for path in paths) for one in (own, config)
    )
    said = tr("{name} was trained with {trained}, and is measured with {measured}.", name=name, trained=trained,
              measured=measured)  # fmt: skip
    channel.emit(event.Warned(message=said))


def _forgot(neutral: _Neutral | None, model: nn.Module, adapter: Adapter | None) -> float | None:
    """What a column has forgotten; the base nothing, whose loss was measured before. None where nobody knows."""
    if neutral is None:
        return None
    return 0.0 if adapter is None else neutral.forgot(model)


def _neutral(
    channel: Channel,
    config: TrainConfig,
    names: Sequence[Path | None],
    switch: AdapterSwitch,
    tokenizer: Any,
    reporter: Reporter,
) -> _Neutral | None:
    """That of the first run that has one; else one that is made now, of the base. None where it is turned off."""
    if not config.neutral_tokens or not any(names):
        return None
    switch.use(None)
    runs = [candidate_of(name).run for name in names if name is not None]
    kept = next((text for run in runs if run is not None and (text := kept_text(run)) is not None), None)
    if kept is None:
        try:
            kept = neutral_text(channel, config, switch.model, find_head(switch.model), tokenizer, reporter.stopped)
        except StoppedError as error:
            raise CancelledError from error
        except UNSAMPLED as error:
            channel.emit(unmeasured(error))
        switch.model.eval()  # it is left training
    if kept is None:
        return None
    return _Neutral(kept.token_set, kept.source, _mean_loss(switch.model, kept.token_set))


def _mean_loss(model: nn.Module, token_set: TokenSet) -> float:
    sums, counts = example_losses(model, token_set, int(token_set.lengths.max()), lambda *_: None)
    _check_numbers(sums, tr("neutral text"))
    return float(sums.sum() / counts.sum())


def _check_numbers(sums: npt.NDArray[np.float64], who: str) -> None:
    """Raises `UnusableError` for losses that are no numbers: nothing would be better or worse than they."""
    odd = int(np.count_nonzero(~np.isfinite(sums)))
    if odd:
        said = tr(
            "{who}: the loss of {odd:,} of {examples} is no number.",
            who=who,
            odd=odd,
            examples=plural(len(sums), "example"),
        )
        hint = tr("The weights are too large to compute with. Try a lower strength, or an earlier checkpoint.")
        raise UnusableError([Problem("adapters", said, hint=hint)])


def _tell_cut(channel: Channel, usable: Examples, longest: int) -> None:
    """What of the examples is not measured, with what can be done about it."""
    count = len(usable.token_set)
    if usable.truncated:
        said = tr(
            "{truncated:,} of {train:,} examples are longer than {longest}",
            truncated=usable.truncated,
            train=count,
            longest=tr("{max_seq_length:,} tokens", max_seq_length=longest),
        )
        hint = tr("Raise the maximum length to keep them whole.")
        channel.emit(event.Warned(message=tr("{said} and are cut.", said=said), hint=hint))
    if 0 < usable.skipped < count:  # of none that counts it is refused
        said = tr(
            "{skipped:,} of {train:,} examples have no token that counts and are left out.",
            skipped=usable.skipped,
            train=count,
        )
        channel.emit(event.Warned(message=said))


@dataclass(frozen=True, slots=True)
class HeldOutRows:
    """Tokenized examples, and each as text with its place in the user's own file."""

    examples: TokenSet
    exchanges: list[Exchange]
    places: list[tuple[str, int]]


def held_out_rows(
    config: TrainConfig, data: Path, job_dir: Path, tokenizer: Any, reporter: Reporter
) -> HeldOutRows:
    """All rows of ``data``, whatever form it has, in their order; nothing of it is set aside."""
    whole = {"data": str(data), "valid_data": "", "test_data": "", "valid_fraction": 0.0, "test_fraction": 0.0}
    try:
        tokenized = tokenize_config(config.with_values(whole), job_dir / "data", tokenizer, reporter)
    except UnusableError as error:
        raise UnusableError([_of_measuring(problem) for problem in error.problems]) from error
    found, path, origins = tokenized.tokenized["train"], tokenized.prepared.train, tokenized.prepared.origins
    refuse(found, path, config, origins.get("train"))
    lines = found.lines.tolist()
    wanted = set(lines)
    rows = {
        line: exchange_of(row, config)
        for batch, numbers, _ in row_batches(path)
        for row, line in zip(batch, numbers, strict=True)
        if line in wanted
    }
    places = [origin(path, line, origins.get("train")) for line in lines]
    return HeldOutRows(found.token_set, [rows[line] for line in lines], places)


def _run(adapter: Path | None) -> dict[str, Any] | None:
    """What the run that made an adapter took; None if it is no run's."""
    run = candidate_of(adapter).run if adapter is not None else None
    if run is None:
        return None
    tree = summarize(RunDir(run)).as_dict()
    return {name: tree[name] for name in RUN_FACTS}


def _compare(columns: list[dict[str, Any]], tokens: list[int], held_out: HeldOutRows) -> None:
    """Adds to each column how it differs from the first one."""
    first, raw = columns[0], [column["scores"] for column in columns]
    for number, column in enumerate(columns):
        reference, own = first["per_example"], column["per_example"]
        column["difference"] = loss_difference(reference, own, tokens).as_dict() if number else None
        better, worse = most_moved(reference, own) if number else ([], [])
        column["moved"] = {
            "better": [_moved(one, held_out) for one in better],
            "worse": [_moved(one, held_out) for one in worse],
        }
        column["scores"] = {
            name: {
                "mean": sum(values) / len(values),
                "values": values,
                "difference": score_difference(raw[0][name], values).as_dict() if number else None,
            }
            for name, values in raw[number].items()
        }


def _moved(one: Moved, held_out: HeldOutRows) -> dict[str, Any]:
    exchange, (file, line) = held_out.exchanges[one.number], held_out.places[one.number]
    return {
        "number": one.number,
        "file": file,
        "line": line,
        "reference": one.reference,
        "loss": one.candidate,
        "prompt": exchange.prompt[:SHOWN_CHARACTERS],
        "answer": exchange.answer[:SHOWN_CHARACTERS],
    }


def _scores(
    channel: Channel, scoring: Scoring | None, model: nn.Module, tokenizer: Any, reporter: Reporter, who: str
) -> dict[str, list[float]]:
    """The scores of a column's answers by function, none where nothing is scored. What was cut is told."""
    if scoring is None:
        return {}
    found = scoring.scores(model, tokenizer, reporter, tr("Answers of {who}", who=who))
    if found.cut:
        said = tr(
            "{who}: {cut:,} of {answers} are cut at {longest}, and scored as they are.",
            who=who,
            cut=found.cut,
            answers=plural(len(scoring.exchanges), "answer"),
            longest=plural(scoring.max_tokens, "token"),
        )
        channel.emit(event.Warned(message=said, hint=tr("Allow longer answers.")))
    return found.by_function


def _scored(scoring: Scoring | None) -> dict[str, Any] | None:
    if scoring is None:
        return None
    return {
        "functions": list(scoring.config.reward_functions),
        "prompts": len(scoring.exchanges),
        "of": scoring.available,
        "max_tokens": scoring.max_tokens,
    }


def _adapters(switch: AdapterSwitch, names: Sequence[Path | None]) -> list[Adapter | None]:
    found: list[Adapter | None] = []
    problems: list[Problem] = []
    for name in names:
        try:
            found.append(None if name is None else switch.load(name))
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return found


def _trained_examples(
    adapter: Path, config: TrainConfig, tokenizer: Any, examples: TokenSet, reporter: Reporter
) -> int:
    """How many of the examples the adapter was trained on, by their content: a copy of a file is that file.

    Its own config names the folder that it was trained on; where that is gone, nothing can be said.
    """
    folder, _ = adapter_files(adapter)
    source = parsed_json((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("data")
    path = Path(source) / "train.jsonl" if isinstance(source, str) and source else None
    if path is None or not path.is_file():
        return 0
    trained = tokenize_rows(path, tokenizer, config, reporter.phase(tr("Reading what was trained on"))).token_set
    known = {trained[number].tokens.tobytes() for number in range(len(trained))}
    return sum(examples[number].tokens.tobytes() in known for number in range(len(examples)))


def _of_measuring(problem: Problem) -> Problem:
    """A problem of data that are measured: bad rows are left out of a copy, not by a setting."""
    if problem.path != "skip_bad_rows":
        return problem
    said = tr("All rows are measured, or none: a copy without the bad ones can be.")
    return Problem("data", said, Severity.NOTE, tr("`luthier check FILE --fix COPY` writes one."))


def _figures(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    total = int(counts.sum())
    if not total:
        raise UnusableError(
            [Problem("data", tr("No token of these examples counts: there is nothing to measure."))]
        )
    loss = float(sums.sum() / total)
    perplexity = math.exp(loss) if loss < 700 else math.inf
    each = [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)]
    return {"loss": loss, "perplexity": perplexity, "tokens": total, "per_example": each}
