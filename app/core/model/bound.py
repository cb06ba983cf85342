"""What a model's folder may ask for: a config of a few bytes must not keep a process busy for a day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.model.facts import layer_count
from app.core.problem import Problem, UnusableError

MOST_LAYERS = 1_000  # five times what the deepest model known has
_READ = (".json", ".jinja", ".model", ".txt", ".tiktoken", ".safetensors")


def check_layers(folder: Path, config: dict[str, Any]) -> None:
    """Raises `UnusableError` if the config claims more layers than a model can have: each of them is built."""
    layers = layer_count(config)
    if layers > MOST_LAYERS:
        said = tr(
            "config.json claims {layers:,} layers; no model has more than {most_layers:,}.",
            layers=layers,
            most_layers=MOST_LAYERS,
        )
        raise UnusableError(
            [Problem("model", said, hint=tr("Copy or download the model again."), file=str(folder))]
        )


def odd_file(folder: Path) -> Path | None:
    """A file that would be read and is none, such as a named pipe: whoever opens it waits for ever."""
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ and path.exists() and not path.is_file():
            return path
    return None
