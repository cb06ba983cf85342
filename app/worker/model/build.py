"""A model as mlx-lm would load it, built lazily: structure, shapes and quantization, but no weights."""

from __future__ import annotations

import copy
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import mlx.nn as nn
from mlx_lm import utils as mlx_lm_utils

from app.core.language import tr
from app.core.model.folder import plain_path
from app.core.model.safetensors_header import weight_files
from app.core.problem import Problem, UnusableError
from app.core.quantity import plural

# The quantization of checkpoints that other programs made, as mlx-lm loads them (mlx_lm.utils.load_model).
_FOREIGN: dict[str, dict[str, Any]] = {
    "mxfp4": {"group_size": 32, "bits": 4, "mode": "mxfp4"},
    "mxfp8": {"group_size": 32, "bits": 8, "mode": "mxfp8"},
    "modelopt": {"group_size": 16, "bits": 4, "mode": "nvfp4"},
    "awq": {"group_size": 128, "bits": 4},
    "gptq": {"group_size": 128, "bits": 4},
}

# How Python says that a class was not given all it needs.
_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)$")

# What mlx says of weights that do not fit (mlx.nn.Module.load_weights).
_SURPLUS = re.compile(r"Received (\d+) parameters not in model")
_LACKING = re.compile(r"Missing (\d+) parameters")
_SHAPE = re.compile(r"Expected shape \((.+?)\) but received shape \((.+?)\) for parameter ([\w.]+\w)")


class UnknownModelError(Exception):
    """mlx-lm has no such model; the message says it in a sentence."""


def build_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The lazily built model of a folder, and its config with ``quantization`` filled in where there is one.

    With weight files beside a quantized config, mlx-lm itself loads them lazily (headers only), because which
    matrices are packed is then known from their names; otherwise it is what ``mlx_lm.convert`` would have made.
    Raises `UnknownModelError`, or `UnusableError` if the config lacks something.
    """
    config = mlx_lm_utils.load_config(path)
    _take_nested_quantization(config)
    quantization = quantization_of(config)
    if quantization is not None and weight_files(path):
        loaded = _load_lazily(path)
        if loaded is not None:
            return loaded
    model = _build(config)
    if quantization is not None:
        config["quantization"] = quantization
        _quantize(model, quantization, _left_alone(config))
    elif (config.get("quantization_config") or {}).get("quant_method") == "bitnet":
        from mlx_lm.models.bitlinear_layers import bitnet_quantize

        model = bitnet_quantize(model, config["quantization_config"])
    return model, config


def quantization_of(config: dict[str, Any]) -> dict[str, Any] | None:
    """The packing that mlx-lm would give the model: group size, bits, mode, and what single paths have instead."""
    own = config.get("quantization")
    if isinstance(own, dict):
        return copy.deepcopy(own)
    foreign = config.get("quantization_config")
    if not isinstance(foreign, dict):
        return None
    method = foreign.get("quant_method")
    if method in _FOREIGN:
        found = dict(_FOREIGN[method])
        if method in ("awq", "gptq", "modelopt"):
            found["group_size"] = foreign.get("group_size", found["group_size"])
        return found
    if method == "compressed-tensors":
        try:
            return dict(mlx_lm_utils._compressed_tensors_quantization(foreign))
        except ValueError as error:
            raise UnusableError(
                [Problem("model", tr("mlx-lm cannot read this model: {error}.", error=error))]
            ) from error
    if method == "fp8" and foreign.get("scale_fmt") == "ue8m0":
        return dict(_FOREIGN["mxfp8"]) if list(foreign.get("weight_block_size", ())) == [32, 32] else None
    if method is None and "bits" in foreign and "group_size" in foreign:  # older MLX conversions
        return copy.deepcopy(foreign)
    return None


def _take_nested_quantization(config: dict[str, Any]) -> None:
    nested = config.get("text_config")
    if "quantization_config" not in config and isinstance(nested, dict) and "quantization_config" in nested:
        config["quantization_config"] = nested["quantization_config"]


def _load_lazily(path: Path) -> tuple[nn.Module, dict[str, Any]] | None:
    """None if these files do not fit mlx-lm's model (an unfinished download, say): the config then has to do."""
    try:
        with plain_path(path) as place:
            model, config = mlx_lm_utils.load_model(place, lazy=True, strict=False)
    except (Exception, SystemExit):
        return None
    return model, config


def weights_misfit(path: Path) -> str:
    """How the weight files in a folder differ from the model that its config describes, as training would find it
    when it reads them; empty if they do not. No weight is read."""
    if not weight_files(path):
        return ""
    try:
        with plain_path(path) as place:
            mlx_lm_utils.load_model(place, lazy=True)
    except (FileNotFoundError, ValueError) as error:
        return misfit_text(error)
    except (Exception, SystemExit):
        return ""  # whatever else is wrong has been told of the config, or is told of the files
    return ""


def misfit_text(error: Exception) -> str:
    """What mlx says of weights that do not fit a model, in words; empty if it is something else that it says."""
    if isinstance(error, FileNotFoundError):
        return tr("there are no files called model*.safetensors in it")
    lines = str(error).splitlines() or [""]
    name = (lines[1:] or [""])[0].strip(" .,")
    if found := _SURPLUS.match(lines[0]):
        return tr(
            "its files hold {found} that a model of its config has not, such as {name}",
            found=plural(int(found[1]), "weight"),
            name=name,
        )
    if found := _LACKING.match(lines[0]):
        return tr(
            "its files lack {found} that its config asks for, such as {name}",
            found=plural(int(found[1]), "weight"),
            name=name,
        )
    if found := _SHAPE.match(str(error)):
        expected, there = (found[i].replace(", ", " × ") for i in (1, 2))
        return tr(
            "{found} is {there} in its files, and {expected} by its config",
            found=found[3],
            there=there,
            expected=expected,
        )
    return ""


def _build(config: dict[str, Any]) -> nn.Module:
    name = config["model_type"]
    if config.get("model_file"):
        raise UnknownModelError(
            tr(
                "This model brings its own Python code ({model_file}), which is not run here.",
                model_file=config["model_file"],
            )
        )
    try:
        model_class, arguments_class = mlx_lm_utils._get_classes(config)
    except (ValueError, AttributeError, SystemExit) as error:  # mlx_lm.models.olmo exits when a package is missing
        raise UnknownModelError(tr("mlx-lm has no model of type {name}.", name=name)) from error
    try:
        model: nn.Module = model_class(arguments_class.from_dict(config))
    except Exception as error:  # a config that lacks or misstates something fails anywhere in the model's own code
        said = tr(
            "config.json does not describe a whole model of type {name}: {lack}.", name=name, lack=_lack(error)
        )
        raise UnusableError([Problem("model", said, hint=tr("Copy or download the model again."))]) from error
    return model


def _lack(error: Exception) -> str:
    """What an error inside a model's own code says of its config."""
    if isinstance(error, KeyError):
        return tr("it lacks {args}", args=error.args[0] if error.args else tr("a key"))
    if isinstance(error, TypeError) and (found := _MISSING.search(str(error))):
        return tr("it lacks {replace}", replace=found[1].replace(chr(39), ""))
    return tr("its values do not fit together ({value})", value=str(error).rstrip(".") or type(error).__name__)


def _left_alone(config: dict[str, Any]) -> tuple[str, ...]:
    """Patterns of modules that a foreign quantization leaves as they are."""
    foreign = config.get("quantization_config") or {}
    names = foreign.get("modules_to_not_convert") or foreign.get("ignore") or ()
    return tuple(str(name) for name in names)


def _quantize(model: nn.Module, quantization: dict[str, Any], left_alone: tuple[str, ...]) -> None:
    group_size, bits = quantization.get("group_size"), quantization.get("bits")

    def predicate(path: str, module: nn.Module) -> bool | dict[str, Any]:
        if path in quantization:
            own = quantization[path]
            return dict(own) if isinstance(own, dict) else bool(own)
        if not hasattr(module, "to_quantized") or module.weight.shape[-1] % (group_size or 64):
            return False
        if any(name in path or fnmatchcase(path, f"*{name}*") for name in left_alone):
            return False
        decide = getattr(model, "quant_predicate", None)
        # A dict from the model's own predicate would stand in the config; without it there, the default was used.
        return bool(decide(path, module)) if decide is not None else True

    try:
        nn.quantize(model, group_size, bits, mode=quantization.get("mode", "affine"), class_predicate=predicate)
    except (TypeError, ValueError) as error:  # TypeError: some of mlx-lm's own layers know no modes
        said = tr("The quantization in config.json does not fit the model: {error}.", error=error)
        raise UnusableError([Problem("model", said, hint=tr("Copy or download the model again."))]) from error
