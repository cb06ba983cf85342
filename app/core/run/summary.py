"""A run in one line: what a list of runs shows of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.table import MODES, method_for
from app.core.refusal import reason_of
from app.core.run.curve_table import Floats
from app.core.run.folder import PARKED, RunDir, present_state
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, load_note
from app.core.run.reader import RunReader
from app.core.system.yaml_text import bounded_yaml

CURVE_POINTS = 40
LATEST = 253_402_128_000  # seconds since 1970: the last days of the year 9999
STATES = (
    "preparing", "running", "paused", "elsewhere", "finished", "early_stopping", "stopped", "failed", "crashed",
    "new",
)  # fmt: skip
HIDDEN = ("run", "recorded", "curve")  # not for scripts


@dataclass(frozen=True, slots=True)
class RunSummary:
    """``state`` is what is true now, ``recorded`` what the events say. ``curve`` is the train loss in a few points.

    ``method`` is what is trained, with the name of a method that is not mlx-lm's own before it (``dpo
    lora``). ``trained_val_loss`` is the best validation of trained weights; where a run is ``rewarded``, these
    losses are its mean reward with the sign changed, and `best_figure` is the reward. ``learned`` and ``forgot``
    are nats a token, None where they were not measured. ``created`` is seconds
    since 1970; ``name`` is what a person called the run, else its adapter's name.
    """

    run: RunDir
    name: str
    state: str
    recorded: str
    base: str
    method: str
    data: str
    targets: str
    created: float
    iteration: int
    iterations: int
    best_val_loss: float | None
    best_iteration: int | None
    trained_val_loss: float | None
    rewarded: bool
    last_train_loss: float | None
    learned: float | None
    forgot: float | None
    trainable_parameters: int
    tokens_per_second: float
    peak_memory_gb: float
    elapsed_s: float
    size_bytes: int
    message: str
    tags: tuple[str, ...]
    note: str
    curve: tuple[float, ...]

    @property
    def best_figure(self) -> float | None:
        """The best validation as a person reads it: a loss, or a mean reward."""
        return -self.best_val_loss if self.rewarded and self.best_val_loss is not None else self.best_val_loss

    @property
    def best_label(self) -> str:
        """What `best_figure` is."""
        return tr("Best mean reward") if self.rewarded else tr("Best validation loss")

    @property
    def is_live(self) -> bool:
        """True while it is trained, here or elsewhere."""
        return self.state in ("preparing", "running", "paused", "elsewhere") and self.recorded != PARKED

    @property
    def can_resume(self) -> bool:
        """True if the run ended before its time and left what a resume needs; looks at the disk."""
        ended = self.state in ("stopped", "failed", "crashed") or self.recorded == PARKED
        return ended and self.has_saved_state

    @property
    def has_saved_state(self) -> bool:
        """True if there is something to go on from; looks at the disk."""
        return self.run.state.is_dir() and any(self.run.state.iterdir())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        tree = {name: getattr(self, name) for name in self.__slots__ if name not in HIDDEN}
        return {"path": str(self.run.path)} | tree | {"tags": list(self.tags)}


def summarize(run: RunDir) -> RunSummary:
    """Reads a run's config, note and events. Faults in them do not raise: an unreadable run is listed as such."""
    reader, problem = RunReader(run), ""
    try:
        reader.read()
    except OSError as error:
        problem = tr("The events cannot be read: {reason_of}.", reason_of=reason_of(error))
    return summary_of(reader, problem)


def summary_of(reader: RunReader, problem: str = "") -> RunSummary:
    """The summary of a run whose events were read."""
    run, history = reader.run, reader.history
    facts, fault = _config_facts(run)
    note = load_note(run)
    started, last, best = history.started, history.last_report, history.best
    traded = history.traded
    return RunSummary(
        run=run,
        name=note.name or facts["name"],
        state=present_state(run, reader.recorded),
        recorded=reader.recorded,
        base=facts["base"],
        method=facts["method"],
        data=facts["data"],
        targets=facts["targets"],
        created=_created(reader),
        iteration=history.iteration,
        iterations=started.iterations if started else facts["iterations"],
        best_val_loss=best.val_loss if best else None,
        best_iteration=best.iteration if best else None,
        trained_val_loss=history.best_trained,
        rewarded=history.is_rewarded,
        last_train_loss=last.train_loss if last else None,
        learned=traded.learned if traded else None,
        forgot=traded.forgot if traded else None,
        trainable_parameters=started.trainable_parameters if started else 0,
        tokens_per_second=last.tokens_per_second if last else 0.0,
        peak_memory_gb=last.peak_memory_gb if last else 0.0,
        elapsed_s=history.elapsed_s,
        size_bytes=folder_bytes(run.path),
        message=problem or fault or (history.failed.message if history.failed else ""),
        tags=note.tags,
        note=note.text.strip(),
        curve=curve_of(history),
    )


def with_note(summary: RunSummary, note: RunNote) -> RunSummary:
    """The same summary with another note, without reading the run again."""
    from dataclasses import replace

    name = note.name or _config_facts(summary.run)[0]["name"]
    return replace(summary, name=name, tags=note.tags, note=note.text.strip())


def curve_of(history: RunHistory, points: int = CURVE_POINTS) -> tuple[float, ...]:
    """The train loss (the validations, where there is none) in at most ``points`` means of equal stretches.

    Stretches without a finite loss are left out.
    """
    losses = history.losses if len(history) else history.valid_losses
    if not len(losses):
        return ()
    edges = np.linspace(0, len(losses), min(points, len(losses)) + 1).astype(int)
    finite = np.isfinite(losses)
    sums = np.add.reduceat(np.where(finite, losses, 0.0), edges[:-1])
    counts = np.add.reduceat(finite.astype(float), edges[:-1])
    means: Floats = sums[counts > 0] / counts[counts > 0]
    return tuple(float(f"{value:.4g}") for value in means)


def folder_bytes(path: Path) -> int:
    """Bytes of all files in a folder; what cannot be read counts as nothing."""
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(f"{parent}{os.sep}{name}").st_size
            except OSError:
                continue
    return total


def _created(reader: RunReader) -> float:
    if reader.created is not None and 0 <= reader.created <= LATEST:  # not of a damaged line, which no clock shows
        return reader.created
    try:
        return reader.run.path.stat().st_mtime
    except OSError:
        return 0.0


def _config_facts(run: RunDir) -> tuple[dict[str, Any], str]:
    """What a list shows of a config, read without checking its every value, and what is wrong with the file."""
    defaults = TrainConfig.model_fields
    tree, fault = _read_config(run)

    def text(key: str) -> str:
        value = tree.get(key)
        return str(defaults[key].default if value is None else value)

    iterations = tree.get("iters", defaults["iters"].default)
    keys = (tree.get("lora_parameters") or {}).get("keys") if text("targets") == "keys" else None
    return {
        "name": text("adapter_name") if not fault else run.name,
        "base": text("model"),
        "method": _method(text) if not fault else "",  # the defaults are not what ran
        "data": text("data"),
        "targets": "" if fault else _short_names(keys) if isinstance(keys, list) else text("targets"),
        "iterations": iterations if isinstance(iterations, int) and not fault else 0,
    }, fault


def _short_names(keys: list[Any]) -> str:
    """Explicit keys as people name matrices: ``q, k, v, o`` for ``self_attn.q_proj`` and so on."""
    names = (str(key).rsplit(".", 1)[-1].removesuffix("_proj") for key in keys)
    return ", ".join(dict.fromkeys(names))


def _method(text: Callable[[str], str]) -> str:
    """``lora``; where the method is not mlx-lm's own, its name before it: ``dpo lora``."""
    kind = text("fine_tune_type")
    if text("train_mode") not in MODES:
        return f"{text('train_mode')} {kind}"
    method = method_for(text)
    return kind if method.is_stock else f"{method.name} {kind}"


def _read_config(run: RunDir) -> tuple[dict[str, Any], str]:
    """What ran, with the model and data that were asked for."""
    tree, fault = _read_yaml(run.config)
    asked = _read_yaml(run.setup)[0] if run.setup.exists() else {}
    return tree | {key: asked[key] for key in ("model", "data") if asked.get(key)}, fault


def _read_yaml(path: Path) -> tuple[dict[str, Any], str]:
    try:
        tree = bounded_yaml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return {}, tr("The config cannot be read: {splitlines}", splitlines=str(error).splitlines()[0])
    if not isinstance(tree, dict):
        return {}, tr("The config cannot be read: it is no list of keys and values.")
    return tree, ""
