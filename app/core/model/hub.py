"""The model hub as plain data: names, which files are wanted, what a search answers, where a download goes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.core.language import tr
from app.core.model.folder import hub_cache
from app.core.problem import Problem, UnusableError
from app.core.system import place
from app.core.system.setting import Settings
from app.core.typed_path import typed_path

# The only tasks that may speak to the hub (which has jobs, too); every other worker is cut off from it.

# Text, tokenizer and weights. Never pickles (.bin, .pt) or Python files: both can run code when they are opened.
WANTED = ("*.json", "*.safetensors", "tokenizer.model", "tiktoken.model", "*.tiktoken", "*.txt", "*.jinja")

# Where other programs of the trade keep their models.
KNOWN_FOLDERS = ("~/.lmstudio/models", "~/.cache/lm-studio/models")

DISK_MARGIN_BYTES = 500_000_000  # what a download leaves free, because a system with a full disk stops working

_MODEL_ID = re.compile(r"^(?P<id>[\w.-]{1,96}/[\w.-]{1,96})(@(?P<revision>[\w./-]+))?$")
_LOCATORS = ("tree", "blob", "resolve")
_BITS_TAG = re.compile(r"^(\d)-?bit$", re.IGNORECASE)
_DTYPE_BYTES = {
    "F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "F8_E4M3": 1,
    "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


class Fit(StrEnum):
    """Whether a model can be trained with an adapter on a machine, judged by its size alone, before it is here."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """The word that is shown."""
        return {
            Fit.FITS: tr("fits"),
            Fit.TIGHT: tr("tight"),
            Fit.TOO_LARGE: tr("too large"),
            Fit.UNKNOWN: tr("unknown"),
        }[self]


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model on the hub. ``size_bytes`` of its weights (0: not told); ``gated``: its licence must be accepted."""

    id: str
    size_bytes: int = 0
    downloads: int = 0
    likes: int = 0
    quantization: str = ""
    model_type: str = ""
    gated: bool = False
    updated: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> HubModel:
        """From plain JSON; keys it does not know are dropped."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in tree.items() if key in known})


@dataclass(frozen=True, slots=True)
class ModelId:
    """A name on the hub: ``org/name``, and a branch, tag or commit if one was asked for."""

    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


def parse_model_id(text: str) -> ModelId | None:
    """The model that ``org/name[@revision]`` or the address of a hub page names; None if it names none."""
    name = text.strip().rstrip("/")
    if "://" in name:
        parts = [part for part in urlsplit(name).path.split("/") if part]
        name = "/".join(parts[:2])
        if len(parts) >= 4 and parts[2] in _LOCATORS and parts[3] != "main":
            name = f"{name}@{parts[3]}"
    found = _MODEL_ID.match(name)
    # "./folder" and "../folder" look like names, but are paths.
    if found is None or name.startswith("."):
        return None
    return ModelId(found["id"], found["revision"] or "")


def model_id(text: str) -> ModelId:
    """Like `parse_model_id`; raises `UnusableError` (path "model") if the text names no model."""
    found = parse_model_id(text)
    if found is None:
        said = tr("“{text}” is no name of a model on the hub.", text=text.strip())
        hint = tr("A name reads organization/model; the address of the model's page does too.")
        raise UnusableError([Problem("model", said, hint=hint)])
    return found


def wanted_files(paths: Iterable[str]) -> list[str]:
    """Those of a repository's files that a model needs: by `WANTED`, at the top level.

    Of the weights only ``model*.safetensors`` where there are such, as mlx-lm does: some repositories hold the same
    weights twice (``consolidated.safetensors``), and nobody wants to wait for both.
    """
    found = [path for path in paths if "/" not in path and any(fnmatch.fnmatch(path, p) for p in WANTED)]
    weights = [path for path in found if path.endswith(".safetensors")]
    named = [path for path in weights if path.startswith("model")]
    unwanted = set(weights) - set(named) if named else set()
    return [path for path in found if path not in unwanted]


def weight_bytes(parameters: dict[str, int]) -> int:
    """Bytes of weights from the hub's count of elements by safetensors type; 2 a piece for a type unknown here."""
    return sum(count * _DTYPE_BYTES.get(dtype, 2) for dtype, count in parameters.items())


def quantization_text(config: dict[str, Any], tags: Sequence[str], dtypes: Iterable[str] = ()) -> str:
    """How the weights are stored, in a word: ``4-bit``, ``mxfp4``, ``bf16``; empty if nothing tells."""
    told = config.get("quantization") or config.get("quantization_config") or {}
    mode = str(told.get("mode") or told.get("quant_method") or "")
    if mode in ("mxfp4", "mxfp8", "nvfp4", "fp8"):
        return mode
    if isinstance(told.get("bits"), int):
        return f"{told['bits']}-bit"
    for tag in tags:
        if found := _BITS_TAG.match(tag):
            return f"{found[1]}-bit"
    float_types = [dtype for dtype in dtypes if dtype in ("BF16", "F16", "F32")]
    return float_types[0].lower() if float_types else ""


def training_bytes(size_bytes: int) -> float:
    """About what training an adapter takes: the weights and a quarter more, and 1.5 GB of activations."""
    return size_bytes * 1.25 + 1.5e9


def fit(size_bytes: int, working_set_bytes: float) -> Fit:
    """Whether training an adapter is likely to fit, by `training_bytes`."""
    if size_bytes <= 0 or working_set_bytes <= 0:
        return Fit.UNKNOWN
    need = training_bytes(size_bytes)
    if need > working_set_bytes:
        return Fit.TOO_LARGE
    return Fit.TIGHT if need > 0.8 * working_set_bytes else Fit.FITS


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a download goes: the hub's cache, or a plain folder."""

    model: ModelId
    folder: Path | None = None

    @classmethod
    def of(cls, model: ModelId, models_dir: str) -> Destination:
        """In ``models_dir/org/name``, or in the hub's cache if no folder for models is chosen."""
        return cls(model, typed_path(models_dir).resolve() / model.id if models_dir else None)

    @property
    def root(self) -> Path:
        """The folder that grows: the plain folder, or the model's own in the cache."""
        if self.folder is not None:
            return self.folder
        return hub_cache() / f"models--{self.model.id.replace('/', '--')}"

    @property
    def partial(self) -> Path:
        """The folder of unfinished files, named ``<sha256>.incomplete``."""
        return self.root / "blobs" if self.folder is None else self.root / ".cache" / "huggingface" / "download"

    @property
    def lock(self) -> Path:
        """The file that whoever downloads holds locked, beside huggingface_hub's own."""
        if self.folder is None:
            return self.root.parent / ".locks" / self.root.name / "luthier.lock"
        return self.partial / "luthier.lock"

    @property
    def name(self) -> str:
        """What the field ``model`` takes when the download is done."""
        return str(self.model) if self.folder is None else str(self.folder)

    def partial_bytes(self) -> int:
        """What an interrupted download has left, to go on with."""
        return sum(path.stat().st_size for path in self.partial.glob("*.incomplete"))


def models_place(settings: Settings) -> Path:
    """The folder for models that are made here (conversions): the chosen one, else one of Luthier's own."""
    return typed_path(settings.models_dir) if settings.models_dir else place.data_dir() / "models"


def model_folders(settings: Settings) -> list[Path]:
    """Where models are looked for beside the hub's cache: the user's folders, Luthier's, and other programs'."""
    names = [*settings.model_folders, str(models_place(settings)), *KNOWN_FOLDERS]
    folders = [typed_path(name) for name in names if name]
    return [path for path in dict.fromkeys(folders) if path.is_dir()]
