"""Landing: where a file or folder belongs that was dropped on the window, or given on the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from app.core.model.adapter_file import ADAPTER_FILE
from app.core.source.source import COMPRESSED_SUFFIXES, TABLE_SUFFIXES, TEXT_SUFFIXES, split_of

ADAPTER_CONFIG = "adapter_config.json"
MODEL_CONFIG = "config.json"
CONFIG_SUFFIXES = (".yaml", ".yml")
ENTRIES_LOOKED_AT = 2_000  # of a folder: a drop is decided while the pointer still moves


class Place(StrEnum):
    """What a path is for."""

    CONFIG = "config"
    MODEL = "model"
    RUN = "run"
    DATA = "data"
    VALID_DATA = "valid_data"
    TEST_DATA = "test_data"
    ADAPTER = "adapter"
    NOWHERE = "nowhere"


# What will happen to a path of that kind, shown while it hovers over the window.
INTENTS: dict[Place, str] = {
    Place.CONFIG: "Open this config",
    Place.MODEL: "Use as the model",
    Place.RUN: "Open this run",
    Place.DATA: "Use as training data",
    Place.VALID_DATA: "Use as validation data",
    Place.TEST_DATA: "Use as test data",
    Place.ADAPTER: "Compare this adapter with its base model",
}


@dataclass(frozen=True, slots=True)
class Landing:
    """Where ``path`` belongs (the folder of a dropped file where the folder is what counts), or why nowhere."""

    place: Place
    path: Path
    reason: str = ""

    @property
    def intent(self) -> str:
        """What dropping it will do, in words."""
        return INTENTS.get(self.place, self.reason)


def land(path: Path) -> Landing:
    """Decides by names alone, without reading a file: it must be quick enough for a moving pointer."""
    try:
        if path.is_dir():
            return _land_folder(path)
        if path.is_file():
            return _land_file(path)
    except OSError as error:
        return Landing(Place.NOWHERE, path, f"{path.name} cannot be read: {error.strerror}.")
    return Landing(Place.NOWHERE, path, f"{path} does not exist.")


def _land_folder(path: Path) -> Landing:
    if _is_run(path):
        return Landing(Place.RUN, path)
    if (path / ADAPTER_CONFIG).is_file() and not (path / MODEL_CONFIG).is_file():
        return Landing(Place.ADAPTER, path)
    if (path / MODEL_CONFIG).is_file():
        return Landing(Place.MODEL, path)
    if _holds_data(path):
        return Landing(Place.DATA, path)
    said = f"{path.name} holds neither a model (config.json), nor examples (.jsonl, .csv, …), nor a run."
    return Landing(Place.NOWHERE, path, said)


def _land_file(path: Path) -> Landing:
    suffix, folder = path.suffix.lower(), path.parent
    if suffix in CONFIG_SUFFIXES:
        return Landing(Place.CONFIG, path)
    if suffix == ".safetensors" or path.name in (ADAPTER_CONFIG, MODEL_CONFIG):
        return _land_weights(path)
    if path.name == "events.jsonl" and _is_run(folder):
        return Landing(Place.RUN, folder)
    if _data_suffix(path) in TABLE_SUFFIXES + TEXT_SUFFIXES:
        split = split_of(path)
        place = {"valid": Place.VALID_DATA, "test": Place.TEST_DATA}.get(split or "", Place.DATA)
        return Landing(place, path)
    return Landing(Place.NOWHERE, path, _refusal(path))


def _land_weights(path: Path) -> Landing:
    """A file of a model or an adapter stands for its folder; checkpoints lie beside the adapter's config."""
    folder = path.parent
    if path.name == ADAPTER_FILE and not (folder / ADAPTER_CONFIG).is_file():
        said = f"{path.name} lies without its {ADAPTER_CONFIG}: put both into one folder."
        return Landing(Place.NOWHERE, path, said)
    if (folder / ADAPTER_CONFIG).is_file() and path.name != MODEL_CONFIG:
        return Landing(Place.ADAPTER, folder)
    if (folder / MODEL_CONFIG).is_file():
        return Landing(Place.MODEL, folder)
    return Landing(Place.NOWHERE, path, f"{path.name} lies without its config.json: it cannot be loaded alone.")


def _refusal(path: Path) -> str:
    if path.suffix.lower() == ".gguf":
        return f"{path.name}: GGUF models are for inference. Drop the folder of the model's safetensors version."
    return f"{path.name} is not a model, a config, a run or a data file that Luthier reads."


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file() and ((path / "events.jsonl").exists() or (path / "job.json").exists())


def _data_suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def _holds_data(folder: Path) -> bool:
    """True if there is a data file in the folder or in one below it."""
    folders = [folder]
    with os.scandir(folder) as entries:
        for entry in islice(entries, ENTRIES_LOOKED_AT):
            if entry.is_dir() and not entry.name.startswith("."):
                folders.append(Path(entry.path))
            elif _is_data_name(entry.name):
                return True
    return any(_has_data_file(below) for below in folders[1:])


def _has_data_file(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_is_data_name(entry.name) for entry in islice(entries, ENTRIES_LOOKED_AT))
    except OSError:
        return False  # a folder below that may not be read has nothing for us


def _is_data_name(name: str) -> bool:
    return not name.startswith(".") and _data_suffix(Path(name)) in (*TABLE_SUFFIXES, ".txt")
