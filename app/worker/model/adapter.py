"""The adapter on disk, in mlx-lm's layout: each file complete or absent, and checked before and after."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.compare.candidate import NUMBERED
from app.core.config.train_config import TrainConfig
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE
from app.core.model.template import lay_template
from app.core.system.atomic_file import write_text, write_with
from app.worker.array import scalar
from app.worker.model.loading import differences
from app.worker.model.soundness import UnsoundWeightsError, check_sound

UNCHANGED = tr("it changes nothing: training left the weights as they were")

Weights = Mapping[str, mx.array]


class AdapterFolder:
    """Writes into ``adapters/`` of a run: the current weights, numbered checkpoints, and ``best/``.

    Weights larger than ``largest`` (root mean square of an array) are refused as those that are not finite are.
    """

    def __init__(self, path: Path, config: TrainConfig, largest: float = math.inf) -> None:
        self.path = path
        self._largest = largest
        self._config_text = config_text(config)
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / ADAPTER_CONFIG, self._config_text)
        lay_template(Path(config.model), path)  # whoever uses the adapter finds how it was spoken to

    @property
    def current(self) -> Path:
        return self.path / ADAPTER_FILE

    @property
    def best(self) -> Path:
        return self.path / "best" / ADAPTER_FILE

    def numbered(self, iteration: int) -> Path:
        """The file of a checkpoint, named as mlx-lm does."""
        return self.path / f"{iteration:07d}_{ADAPTER_FILE}"

    def numbered_files(self) -> list[tuple[Path, re.Match[str]]]:
        """The checkpoints on disk, each with its name's match, whose group 1 is the iteration."""
        return [(file, name) for file in self.path.iterdir() if (name := NUMBERED.match(file.name))]

    def save(self, file: Path, weights: Weights) -> None:
        """Writes weights; raises `UnsoundWeightsError` before anything is written if they are not sound."""
        check_sound(weights, self._largest)
        # Not with the folders above: one that was moved a moment ago would begin anew where it was.
        if not (file.parent / ADAPTER_CONFIG).exists():
            write_text(file.parent / ADAPTER_CONFIG, self._config_text, parents=False)
        write_with(file, lambda temporary: mx.save_safetensors(str(temporary), dict(weights)), parents=False)

    def copy(self, source: Path, target: Path) -> None:
        """Makes ``target`` the same as ``source``."""
        write_with(target, lambda temporary: temporary.write_bytes(source.read_bytes()), parents=False)


def config_text(config: TrainConfig) -> str:
    """``adapter_config.json`` as mlx-lm writes and reads it: the config's keys, sorted; no LoRA shape when full."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    if config.fine_tune_type == "full":
        tree["lora_parameters"] = None
    return json.dumps(dict(sorted(tree.items())), indent=4)


def totals(weights: Weights) -> dict[str, float]:
    """The sum of each array: cheap to keep, and different once training has changed the array."""
    sums = {name: array.astype(mx.float32).sum() for name, array in weights.items()}
    mx.eval(sums)
    return {name: scalar(total) for name, total in sums.items()}


def verify(folder: Path, expected: Weights, totals_before: Mapping[str, float]) -> list[str]:
    """What is wrong with the adapter in ``folder`` when it is opened again, in words; empty if nothing is.

    ``expected`` are the trained arrays (their names and shapes count), ``totals_before`` their `totals` untrained.
    """
    try:
        parsed_json((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        weights = mx.load(str(folder / ADAPTER_FILE))
    except (OSError, ValueError, RuntimeError) as error:
        return [tr("it cannot be opened again ({error})", error=error)]
    assert isinstance(weights, dict)
    said = differences(weights, expected)
    try:
        check_sound(weights, math.inf)
    except UnsoundWeightsError as error:
        said.append(str(error))
    if not said and totals(weights) == totals_before:
        said.append(UNCHANGED)
    return said
