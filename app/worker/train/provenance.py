"""Provenance: what a saved state was trained with, besides its data: the config's values and the base model.

A resume is exact or refused. The tokens have a fingerprint of their own; here is the rest, kept so that a
difference can be named: every value of the config that decides what is trained, every value of the model's
``config.json``, and of each weight file its header and a sample of its content (`PIECES` pieces of `PIECE` bytes,
evenly spread: weights that were trained on, merged or quantized differ in nearly every byte, and reading all would
take minutes). Of a reward file there is the content's name: it may be corrected, which is told.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.folder import MODEL_CONFIG, read_config
from app.core.model.safetensors_header import weight_files
from app.core.setup.chosen_method import has_judge, locate_judge, method_of, needs_reference, uses_rewards
from app.core.system.reward_trust import content_hash
from app.core.typed_path import typed_path

PIECES, PIECE = 256, 4096  # bytes

# What may change between two parts of a run: where things are and what they are called, how often it is measured
# and saved, how long it trains. The data are compared as tokens.
FREE = {
    "model", "data", "valid_data", "test_data", "valid_fraction", "test_fraction", "group_feature", "skip_bad_rows",
    "data_format", "prompt_feature", "completion_feature", "chat_feature", "text_feature", "system_feature",
    "mask_prompt", "mask_turns", "template_date", "train", "iters", "epochs", "grad_checkpoint",
    "checkpoint_layers", "steps_per_report",
    "steps_per_eval", "save_every", "val_batches", "neutral_tokens", "sampled_prompts", "early_stopping.enabled",
    "early_stopping.patience", "early_stopping.min_delta", "final_adapter", "adapter_name", "adapter_path",
    "reward_timeout_s", "targets", "lr_schedule", "report_to", "project_name",
}  # fmt: skip
_ABSENT = object()
REWARD_FILE, OTHER_MODELS = "reward_file", "other_models"
# Nothing of these reaches the weights.
_NOTES = {"_name_or_path", "transformers_version", "quantization_config"}


def provenance(config: TrainConfig, model: Path) -> dict[str, Any]:
    """What a run of ``config`` on the model in a folder is trained with, as plain JSON."""
    found: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "model": {key: value for key, value in read_config(model).items() if key not in _NOTES},
        "weights": {file.name: _sampled(file) for file in weight_files(model)},
    }
    if uses_rewards(config) and config.reward_functions_file:
        found[REWARD_FILE] = content_hash(typed_path(config.reward_functions_file))
    return found | {OTHER_MODELS: other_digests(config)}


def other_digests(config: TrainConfig) -> dict[str, dict[str, str]]:
    """By the config's path of it: what names the content of each other model that is asked while a run trains.

    What a reference says of given pairs is measured once, and stays with the run.
    """
    found = {}
    if has_judge(config):
        found["judge"] = model_digests(locate_judge(config))
    if method_of(config).is_sampled and needs_reference(config) and config.reference_model_path:
        folder = typed_path(config.reference_model_path)
        if (folder / MODEL_CONFIG).is_file():  # else the config's check tells
            found["reference_model_path"] = model_digests(folder)
    return found


def other_changes(kept: dict[str, Any], now: TrainConfig) -> list[str]:
    """The config's paths of the other models whose content is not what it was."""
    before = kept.get(OTHER_MODELS) or {}
    return [path for path, digests in other_digests(now).items() if before.get(path, digests) != digests]


def has_other_rewards(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the reward file holds something else than that which a kept provenance knows: a fault in it may be
    corrected, but what it said before and says now does not compare."""
    return kept.get(REWARD_FILE, now.get(REWARD_FILE)) != now.get(REWARD_FILE)


def model_digests(model: Path) -> dict[str, str]:
    """Of the model in a folder: a digest of its config.json, and one of each weight file."""
    values = {key: value for key, value in read_config(model).items() if key not in _NOTES}
    config = hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()
    return {"config.json": config} | {file.name: _sampled(file) for file in weight_files(model)}


def config_changes(kept: dict[str, Any], now: TrainConfig) -> list[str]:
    """In which deciding values a config differs from the kept one, in words."""
    before, after = kept.get("config") or {}, now.model_dump(mode="json")
    said = []
    for path in field_specs():
        old, new = _at(before, path), _at(after, path)
        if (
            path not in FREE and old is not _ABSENT and old != new
        ):  # a value of a later version decided nothing then
            said.append(
                tr("`{path}` is {shown}, and was {shown2}", path=path, shown=_shown(new), shown2=_shown(old))
            )
    return said


def model_changes(kept: dict[str, Any], model: Path) -> list[str]:
    """How a model differs from that which was trained on, in words."""
    now = {key: value for key, value in read_config(model).items() if key not in _NOTES}
    before = kept.get("model") or {}
    said = [
        tr(
            "`{key}` of its config.json is {shown}, and was {shown2}",
            key=key,
            shown=_shown(now.get(key)),
            shown2=_shown(before.get(key)),
        )
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    weights, files = kept.get("weights") or {}, {file.name: file for file in weight_files(model)}
    said += [tr("{name} is gone", name=name) for name in weights if name not in files]
    said += [tr("{name} is new", name=name) for name in files if name not in weights]
    said += [
        tr("{name} holds other weights", name=name)
        for name in weights
        if name in files and weights[name] != _sampled(files[name])
    ]
    return said


def _sampled(file: Path) -> str:
    """A digest of a file's size, its beginning, and pieces evenly spread over the rest."""
    size = file.stat().st_size
    digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
    with file.open("rb") as content:
        for number in range(PIECES):
            content.seek(number * max(size - PIECE, 0) // (PIECES - 1))
            digest.update(content.read(PIECE))
    return digest.hexdigest()


def _at(tree: Any, path: str) -> Any:
    """The value at a dotted path; `_ABSENT` if there is none."""
    for name in path.split("."):
        if not isinstance(tree, dict) or name not in tree:
            return _ABSENT
        tree = tree[name]
    return tree


def _shown(value: Any) -> str:
    text = tr("not there") if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
