"""The task ``merge``: several adapters become one, all are measured on held-out rows, and the new one is written.

It ends with ``Result(name="merge")``: ``{"path": folder or "" where nothing is written, "base", "method", "rank",
"parameters", "data": file or "", "examples", "columns": [{"name", "weight": number or null, "kind": "base" |
"adapter" | "merged", "rank", "loss": nats a token or null}]}``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

from app.core.compare.held_out import held_out_files
from app.core.data.prepare import CancelledError
from app.core.export.destination import destination_problems
from app.core.export.merge import MergeMethod, merge_method, merge_sources
from app.core.export.source import ExportSource
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE
from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import MergeJob
from app.core.quantity import loss_text, plural
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.worker.compare.evaluate import HeldOutRows, held_out_rows
from app.worker.export.task import staged
from app.worker.merge.combination import Factors, combined
from app.worker.model.adapter_switch import Adapter, AdapterSwitch
from app.worker.model.loading import load_model
from app.worker.objective.example_loss import example_losses
from app.worker.process.channel import Channel
from app.worker.process.job import job_config
from app.worker.process.progress import Progress, Reporter

MERGED_SCALE = 1.0  # of the merged adapter: all scales and weights are in its matrices


def merge(channel: Channel, job_dir: Path, job: MergeJob) -> None:
    """Merges and measures; writes where the job names a folder. Raises `UnusableError` before any work."""
    started = time.perf_counter()
    method = merge_method(job.method)
    sources, base = merge_sources(job.adapters, job.model)
    weights = _weights(job, len(sources))
    _tell_odd_weights(channel, sources, weights)
    if job.out is not None and (found := destination_problems(job.out, 0)):
        raise UnusableError(found)
    reporter = Reporter(channel)
    try:
        channel.emit(event.Progressed(phase=tr("Loading the model")))
        model, tokenizer = load_model(locate_model(base))
        switch = AdapterSwitch(model)
        adapters = [switch.load(source.adapter) for source in sources]
        _refuse_unlike(sources, adapters)
        merged = merged_adapter(adapters, weights, method, job, reporter.phase(tr("Merging")))
        rows, data, longest = _rows(job, sources, job_dir, tokenizer, reporter, channel)
        measured: list[float | None] = [
            None
            if rows is None
            else _loss(switch, adapter, rows, longest, reporter.phase(tr("Measuring {name}", name=name)))
            for adapter, name in _columns(adapters, merged, sources)
        ]
        data_of: dict[str, Any] = {
            "base": base, "method": method.name, "rank": rank_of(merged), "parameters": merged.parameters,
            "data": str(data or ""), "examples": 0 if rows is None else len(rows.examples),
            "columns": _told(sources, adapters, weights, merged, measured),
        }  # fmt: skip
        if job.out is not None:
            with staged(job.out) as folder:
                write_merged(folder, merged, base, len(model.layers), data_of)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped", message=tr("Stopped; nothing was written.")))
        return
    _warn_if_worse(channel, measured)
    channel.emit(event.Result(name="merge", data={"path": str(job.out or "")} | data_of))
    channel.emit(event.Finished(elapsed_s=time.perf_counter() - started))


# --- merging ------------------------------------------------------------------------------------------------------


def merged_adapter(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    method: MergeMethod,
    job: MergeJob,
    progress: Progress,
) -> Adapter:
    """The adapter that the others come to, of one rank in every module; a module that some lack has the others'.

    One of weight 0 is left out: TIES would let it vote on signs, and average over its entries.
    """
    adapters = [adapter for adapter, weight in zip(adapters, weights, strict=True) if weight]
    weights = [weight for weight in weights if weight]
    paths = list(dict.fromkeys(path for adapter in adapters for path in adapter.parts))
    random = np.random.default_rng(job.seed)
    found: dict[str, Factors] = {}
    for number, path in enumerate(paths):
        progress(number, len(paths))
        both = [(a.parts[path], w) for a, w in zip(adapters, weights, strict=True) if path in a.parts]
        parts, shares = [factors_of(part) for part, _ in both], [weight for _, weight in both]
        found[path] = combined(parts, shares, method.name, density=job.density, rank=job.rank, random=random)
    rank = max(one.rank for one in found.values())
    bases = {path: adapter.base_parts[path] for adapter in adapters for path in adapter.parts}
    likes = {path: adapter.parts[path] for adapter in adapters for path in adapter.parts}
    made = {path: _part(likes[path], bases[path], factors, rank) for path, factors in found.items()}
    mx.eval([part.parameters() for part in made.values()])
    return Adapter(Path("merged"), "lora", dict(made), bases)


def factors_of(part: Any) -> Factors:
    """The two matrices of a LoRA with the scale in the second; experts keep theirs the other way round."""
    a, b = (np.array(part[leaf].astype(mx.float32)) for leaf in ("lora_a", "lora_b"))
    if isinstance(part, LoRASwitchLinear):
        a, b = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)
    return Factors(a, b * np.float32(part.scale))


def _part(like: Any, base: Any, factors: Factors, rank: int) -> Any:
    """A LoRA of the same kind as another over the same module, widened by nothing to the rank of all."""
    more = rank - factors.rank
    edges = [(0, 0)] * (factors.first.ndim - 2)
    a = np.pad(factors.first, [*edges, (0, 0), (0, more)])
    b = np.pad(factors.second, [*edges, (0, more), (0, 0)])
    if isinstance(like, LoRASwitchLinear):
        a, b = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)
    made = type(like).from_base(base, r=rank, dropout=0.0, scale=MERGED_SCALE)
    made.update({"lora_a": mx.array(np.ascontiguousarray(a)), "lora_b": mx.array(np.ascontiguousarray(b))})
    made.eval()
    return made


def rank_of(adapter: Adapter) -> int:
    """The widest of its modules."""
    return max(factors_of(part).rank for part in adapter.parts.values())


def write_merged(folder: Path, merged: Adapter, base: str, layers: int, told: dict[str, Any]) -> None:
    """mlx-lm's layout, every module by its own path; what it was merged from stands in the config."""
    weights = {f"{path}.{leaf}": part[leaf] for path, part in merged.parts.items() for leaf in ("lora_a", "lora_b")}
    config = {
        "model": base, "fine_tune_type": "lora", "num_layers": layers, "merged": told,
        "lora_parameters": {
            "rank": told["rank"], "scale": MERGED_SCALE, "dropout": 0.0, "keys": sorted(merged.parts),
        },
    }  # fmt: skip
    mx.save_safetensors(str(folder / ADAPTER_FILE), weights)
    (folder / ADAPTER_CONFIG).write_text(json.dumps(dict(sorted(config.items())), indent=4), encoding="utf-8")


def _weights(job: MergeJob, count: int) -> list[float]:
    weights = list(job.weights or [1.0] * count)
    if len(weights) != count:
        said = tr(
            "Not one weight for each: {weights}, and {count}.",
            weights=plural(len(weights), "weight"),
            count=plural(count, "adapter"),
        )
        raise UnusableError([Problem("weights", said, hint=tr("Give one for each, in their order."))])
    if not any(weights):
        raise UnusableError([Problem("weights", tr("All weights are 0: nothing would be left."))])
    return weights


def _refuse_unlike(sources: Sequence[ExportSource], adapters: Sequence[Adapter]) -> None:
    kinds = (LoRALinear, LoRAEmbedding, LoRASwitchLinear)
    problems = []
    for source, adapter in zip(sources, adapters, strict=True):
        if any(isinstance(part, DoRALinear) for part in adapter.parts.values()) or adapter.kind == "dora":
            said = tr("{label} is a DoRA: its magnitudes are no sum, and cannot be merged.", label=source.label)
            problems.append(Problem("adapters", said, hint=tr("Export it fused, and merge the models.")))
        elif adapter.kind == "full":
            said = tr("{label} is a full fine-tune, and no adapter.", label=source.label)
            problems.append(Problem("adapters", said, hint=tr("LoRA adapters can be merged.")))
        elif odd := next((p for p in adapter.parts.values() if not isinstance(p, kinds)), None):
            problems.append(
                Problem("adapters", tr("{label} has a {name}.", label=source.label, name=type(odd).__name__))
            )
    if problems:
        raise UnusableError(problems)


# --- measuring ----------------------------------------------------------------------------------------------------


def _rows(
    job: MergeJob,
    sources: Sequence[ExportSource],
    job_dir: Path,
    tokenizer: Any,
    reporter: Reporter,
    channel: Channel,
) -> tuple[HeldOutRows | None, Path | None, int]:
    """The rows that all are measured on (with their file and the maximum length): those that are named, else the
    first run's own held-out ones."""
    config, data = job_config(job.config), job.data
    if (
        data is None
        and (run := next((source.run for source in sources if source.run is not None), None)) is not None
    ):
        config = load_config(RunDir(run).config).config
        data = next((place for _, place in held_out_files(run, config)), None)
    if data is None:
        hint = tr("Name a file of examples that none of them was trained on (--data).")
        channel.emit(event.Warned(message=tr("No held-out data is known: nothing is measured."), hint=hint))
        return None, None, 0
    return held_out_rows(config, data, job_dir, tokenizer, reporter), data, config.max_seq_length


def _columns(
    adapters: Sequence[Adapter], merged: Adapter, sources: Sequence[ExportSource]
) -> list[tuple[Adapter | None, str]]:
    named = [(adapter, source.label) for adapter, source in zip(adapters, sources, strict=True)]
    return [(None, tr("the base model")), *named, (merged, tr("the merged adapter"))]


def _loss(
    switch: AdapterSwitch, adapter: Adapter | None, rows: HeldOutRows, longest: int, progress: Progress
) -> float:
    """Mean cross-entropy of the counted tokens, nats."""
    switch.use(adapter)
    sums, counts = example_losses(switch.model, rows.examples, longest, progress)
    if not counts.sum():
        raise UnusableError(
            [Problem("data", tr("No token of these examples counts: there is nothing to measure."))]
        )
    return float(sums.sum() / counts.sum())


def _told(
    sources: Sequence[ExportSource],
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    merged: Adapter,
    measured: Sequence[float | None],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"name": tr("base model"), "weight": None, "kind": "base", "rank": 0}]
    rows += [
        {"name": source.label, "weight": weight, "kind": "adapter", "rank": rank_of(adapter)}
        for source, adapter, weight in zip(sources, adapters, weights, strict=True)
    ]
    rows.append({"name": "merged", "weight": None, "kind": "merged", "rank": rank_of(merged)})
    return [row | {"loss": loss} for row, loss in zip(rows, measured, strict=True)]


def _tell_odd_weights(channel: Channel, sources: Sequence[ExportSource], weights: Sequence[float]) -> None:
    """A weight below nothing takes away what its adapter learned; one of nothing leaves it out."""
    for source, weight in zip(sources, weights, strict=True):
        if weight < 0:
            said = tr("The weight {weight:g} takes away what {name} learned.", weight=weight, name=source.word)
            channel.emit(event.Warned(message=said, hint=tr("Give a weight above 0 to add it.")))
        elif not weight:
            said = tr("The weight 0 leaves {name} out.", name=source.word)
            channel.emit(event.Warned(message=said, hint=tr("Give a weight above 0 to add it.")))


def _warn_if_worse(channel: Channel, measured: Sequence[float | None]) -> None:
    base, merged = measured[0], measured[-1]
    if base is not None and merged is not None and merged > base:
        said = tr(
            "The merged adapter is worse than the base model: {merged} against {base} nats a token.",
            merged=loss_text(merged),
            base=loss_text(base),
        )
        hint = tr("Try smaller weights, such as 1 ÷ the number of adapters, or TIES.")
        channel.emit(event.Warned(message=said, hint=hint))
