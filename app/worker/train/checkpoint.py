"""The checkpoint: everything that an exact resume needs, in one folder that is complete or absent.

``state/NNNNNNN/`` holds ``arrays.safetensors`` (trained weights, optimizer, gradients in accumulation: those of
each replica where several train) and
``state.json`` (random state, counters, early stopping, losses not yet reported, what the batches follow from), and
``digests.json`` says what the two were when they were written. It is written under another name and renamed when
all of it is on disk; the older one goes afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.system.disk import flush_to_disk
from app.worker.array import Arrays
from app.worker.model.loading import differences, trainable
from app.worker.train.step import SUM_WEIGHT, Accumulated, Step

FORMAT = 2
READ_FORMATS = (1, FORMAT)  # 1 has no digests
ARRAYS, STATE, DIGESTS = "arrays.safetensors", "state.json", "digests.json"
WRITING = ".writing"
REPLICA = "replica"  # and its number, before the names of what it has accumulated


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state: ``arrays`` by kind and name (``model.…``, ``optimizer.…``, ``gradient.…``), and the rest."""

    iteration: int
    arrays: dict[str, mx.array]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path,
    iteration: int,
    model: nn.Module,
    optimizer: optim.Optimizer,
    step: Step,
    state: dict[str, Any],
    others: Sequence[Arrays] = (),
) -> Path:
    """Writes the state after ``iteration`` iterations; returns its folder. ``others`` are what the other replicas
    have accumulated."""
    arrays = trained_state(model, optimizer)
    if step.accumulated is not None:
        arrays |= step.accumulated.arrays()
    for number, sums in enumerate(others, start=1):
        arrays |= {f"{REPLICA}{number}.{name}": array for name, array in sums.items()}
    tree = {"format": FORMAT, "iteration": iteration, "random": random_seed()} | state
    return _write(folder, f"{iteration:07d}", arrays, json.dumps(tree))


def random_seed() -> int:
    """The seed that puts mx.random where it stands now."""
    state: Any = mx.random.state
    high, low = (int(word) for word in state[0].tolist())
    return (high << 32) | low


def trained_state(model: nn.Module, optimizer: optim.Optimizer) -> Arrays:
    """The trained weights and the optimizer's state, by name."""
    arrays = {f"model.{name}": array for name, array in trainable(model).items()}
    return arrays | {f"optimizer.{name}": array for name, array in tree_flatten(optimizer.state)}


def take_state(arrays: Arrays, model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Puts them back, in place: a step may hold on to both."""
    model.load_weights(list(_part(arrays, "model.").items()), strict=False)
    _put(optimizer.state, tree_unflatten(list(_part(arrays, "optimizer.").items())))
    mx.eval(model.parameters(), optimizer.state)


def _write(folder: Path, name: str, arrays: dict[str, mx.array], text: str) -> Path:
    folder.mkdir(exist_ok=True)  # in a run's folder that is there
    writing, written = folder / f"{name}{WRITING}", folder / name
    shutil.rmtree(writing, ignore_errors=True)
    try:
        _fill(writing, arrays, text)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)  # half a state on a full disk takes what the whole one needs
        raise
    old = [path for path in folder.iterdir() if path != writing]
    if written.exists():  # saved twice at the same iteration: the two are equal, keep one through the exchange
        written.rename(folder / f"{name}.old")
        old = [path for path in folder.iterdir() if path != writing]
    writing.rename(written)
    _to_disk(folder)
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return written


def _fill(folder: Path, arrays: dict[str, mx.array], text: str) -> None:
    folder.mkdir()
    mx.save_safetensors(str(folder / ARRAYS), arrays)
    (folder / STATE).write_text(text, encoding="utf-8")
    digests = {kept: _digest(folder / kept) for kept in (ARRAYS, STATE)}
    (folder / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
    for path in (folder / ARRAYS, folder / STATE, folder / DIGESTS, folder):
        _to_disk(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush_to_disk(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest complete state in ``folder``, None if there is none; raises `UnusableError` if it is damaged."""
    found = [path for path in folder.iterdir() if (path / STATE).is_file()] if folder.is_dir() else []
    complete = [path for path in found if path.suffix != WRITING]
    if not complete:
        return None
    newest = max(complete, key=lambda path: (path.stem, path.suffix == ""))
    try:
        state = _checked_state(newest)
        arrays = mx.load(str(newest / ARRAYS))
        if not isinstance(arrays, dict):
            raise ValueError(tr("the weights have no names"))
        return Checkpoint(int(state["iteration"]), arrays, state)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, RecursionError) as error:
        raise damaged(newest, str(error).rstrip(".") or type(error).__name__) from error


def _checked_state(folder: Path) -> dict[str, Any]:
    """The state of a folder whose files are as they were written; raises `ValueError` or `OSError`."""
    state = parsed_json((folder / STATE).read_text(encoding="utf-8"))
    if not isinstance(state, dict):
        raise ValueError(tr("{state} is no object", state=STATE))
    if state.get("format") not in READ_FORMATS:
        said = tr(
            "The saved state in {folder} is of format {format}, this Luthier reads {format2}.",
            folder=folder,
            format=state.get("format"),
            format2=FORMAT,
        )
        raise UnusableError([Problem("", said, hint=tr("Update Luthier, or start a new run from its adapter."))])
    if state["format"] == 1 and not (folder / DIGESTS).exists():
        return state
    digests = parsed_json((folder / DIGESTS).read_text(encoding="utf-8"))
    for name in (ARRAYS, STATE):
        if digests[name] != _digest(folder / name):
            raise ValueError(tr("{name} is not as it was written", name=name))
    return state


def damaged(folder: Path, reason: str) -> UnusableError:
    """The refusal of a saved state, with the weights that are still there to begin anew from."""
    said = tr("The saved state in {folder} is damaged: {reason}.", folder=folder, reason=reason)
    kept = sorted((folder.parent.parent / "adapters").glob("[0-9]*_adapters.safetensors"))
    best = folder.parent.parent / "adapters" / "best" / "adapters.safetensors"
    places = [path for path in (best, *kept[-1:]) if path.exists()]
    hint = tr("Start a new run instead")
    if places:
        hint += tr(", from the weights of an earlier checkpoint: {names}", names=tr(" or ").join(map(str, places)))
    return UnusableError([Problem("", said, hint=f"{hint}.")])


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: optim.Optimizer) -> list[Accumulated]:
    """Puts weights, optimizer and random state back; returns the gradients that were in accumulation, if any: those
    of each replica that trained.

    It must come before the step is made, which holds on to the optimizer's state.
    Raises `UnusableError` if the state is of other weights than the model trains.
    """
    weights = _part(checkpoint.arrays, "model.")
    if problems := differences(weights, trainable(model)):
        said = tr("The saved state does not fit the config: {problems}.", problems=problems[0])
        raise UnusableError([Problem("lora_parameters", said, hint=tr("Put config.yaml back as it was."))])
    optimizer.init(model.trainable_parameters())
    take_state(checkpoint.arrays, model, optimizer)
    mx.random.seed(checkpoint.state["random"])
    if SUM_WEIGHT not in checkpoint.arrays:
        return []
    found = [Accumulated.of(checkpoint.arrays)]
    while others := _part(checkpoint.arrays, f"{REPLICA}{len(found)}."):
        found.append(Accumulated.of(others))
    return found


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _put(into: Any, values: Any) -> None:
    """Replaces the arrays of a tree in place, by name; what was not saved stays."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, mx.array):
            into[key] = value
        else:
            _put(into[key], value)
