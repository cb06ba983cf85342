"""The model as training needs it: loaded, frozen, with its adapters or trained layers, and described in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from app.core.language import tr
from app.core.model.bound import check_layers
from app.core.model.folder import plain_path, read_config, unreadable_name
from app.core.model.safetensors_header import repeated_tensors, weight_faults
from app.core.problem import Problem, UnusableError
from app.core.typed_path import typed_path
from app.worker.model.build import misfit_text
from app.worker.model.precision import compute_in_base_precision
from app.worker.model.prefix_cache import PrefixCache
from app.worker.process.free_memory import check_address_space
from app.worker.token.tokenizer import NO_FOREIGN_CODE, know_folder

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig

RECOMPUTED = "_luthier_recomputed"  # what marks a layer that computes anew: whether dropout draws in it


def load_model(path: Path, adapter: Path | None = None) -> tuple[nn.Module, Any]:
    """Reads the weights of the model in ``path`` (and of an adapter folder): (model, tokenizer) of mlx-lm.

    Raises `UnusableError` (path "model") if the folder holds no model that mlx-lm can build.
    """
    from mlx_lm import load

    check_layers(path, read_config(path))
    refuse_repeated(path)
    check_address_space()
    try:
        with plain_path(path) as place:
            model, tokenizer = load(
                str(place), tokenizer_config=dict(NO_FOREIGN_CODE), adapter_path=str(adapter) if adapter else None
            )
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise unloadable(path, error) from error
    except RuntimeError as error:
        if not weight_faults(path):
            raise
        raise unloadable(path, error) from error
    know_folder(tokenizer, path)
    return model, tokenizer


def refuse_repeated(path: Path) -> None:
    """Raises `UnusableError` where two weight files contradict each other: mlx-lm takes either without a word."""
    try:
        faults = repeated_tensors(path)
    except (OSError, KeyError, TypeError, ValueError, UnusableError):
        return  # what is damaged is told where it is loaded
    if faults:
        raise UnusableError([Problem("model", fault, file=str(path)) for fault in faults])


def unloadable(path: Path, error: Exception) -> UnusableError:
    """What is wrong with a model's files: what their headers show, else what mlx-lm says, in words."""
    if faults := weight_faults(path):
        hint = tr("Download or copy the model again.")
        return UnusableError([Problem("model", fault, hint=hint, file=str(path)) for fault in faults])
    if not (reason := misfit_text(error)):
        lines = str(error).splitlines() or [type(error).__name__]
        reason = tr("mlx-lm refuses it ({value})", value=lines[0].rstrip("."))
    said = tr("The model in {path} cannot be loaded", path=path)
    hint = tr("Choose a folder with config.json, tokenizer files and *.safetensors that mlx-lm supports.")
    return UnusableError([Problem("model", f"{said}: {reason}.", hint=hint)])


def make_trainable(model: nn.Module, config: TrainConfig) -> None:
    """Freezes the model and thaws what ``config`` trains, in place, exactly as mlx-lm does it.

    The random state is set first, so that the adapters begin with the values that stock mlx-lm gives them.
    Raises `UnusableError` if the adapter to start from does not fit.
    """
    from mlx_lm.tuner.utils import linear_to_lora_layers

    mx.random.seed(config.seed)
    model.freeze()
    if config.fine_tune_type == "full":
        for layer in model.layers[-max(config.num_layers, 0) :]:
            layer.unfreeze()
    else:
        parameters = config.lora_parameters.model_dump()
        parameters["keys"] = list(config.lora_parameters.keys or ())
        linear_to_lora_layers(model, config.num_layers, parameters, use_dora=config.fine_tune_type == "dora")
        if config.adapter_dtype == "base":
            compute_in_base_precision(model)
    if config.resume_adapter_file:
        _start_from(model, typed_path(config.resume_adapter_file))


def trainable(model: nn.Module) -> dict[str, mx.array]:
    """The trained arrays by their full names, as an adapter file holds them."""
    return dict(tree_flatten(model.trainable_parameters()))


def parameter_counts(model: nn.Module) -> tuple[int, int]:
    """(trainable, total) parameters; the total is the base model's, packed weights counted unpacked."""
    from mlx_lm.utils import get_total_parameters

    # mlx-lm counts the leaf modules: adapters wrap those, so theirs are not among them.
    return sum(array.size for array in trainable(model).values()), get_total_parameters(model)


def describe(config: TrainConfig, num_layers: int, matrices: tuple[str, ...]) -> str:
    """The block that the log begins with: what is trained, with which rank, alpha and dropout."""
    from app.core.setup.recommendation import adapter_alpha

    line = "=" * 60
    parameters = config.lora_parameters
    layers = tr("all") if not 0 < config.num_layers < num_layers else f"{config.num_layers} / {num_layers}"
    rows = [
        tr("  Layers: {layers}", layers=layers),
        tr("  Matrices: {matrices}", matrices=", ".join(matrices)),
    ]
    if config.fine_tune_type == "full":
        return "\n".join([line, tr("Full Fine-Tuning:"), *rows, line])
    shape = [
        tr("  Rank: {rank}", rank=parameters.rank),
        tr("  Alpha: {adapter_alpha}", adapter_alpha=adapter_alpha(config)),
        tr("  Scale: {scale} (alpha ÷ rank)", scale=parameters.scale),
        tr("  Dropout: {dropout}", dropout=parameters.dropout),
    ]
    return "\n".join([line, tr("LoRA Configuration:"), *shape, *rows, line])


def grad_checkpoint(model: nn.Module, count: int = 0) -> None:
    """Recomputes activations in the backward pass. It patches the layers' classes for the life of the process, and
    marks the layers that are meant: a later model's are as they were made.

    Of so many layers from the lowest that the gradient passes, or of all (0): those above keep what they computed,
    and have given it back when the lower ones begin to compute anew.

    What dropout leaves out is the same both times. mlx-lm's own checkpointing draws anew in the backward pass, and
    so takes the gradient of another function than the one whose loss it shows.
    """
    lowest = _lowest_trained(model)
    chosen = model.layers[lowest : lowest + count] if count else model.layers
    draws = _repeat_dropout(model)
    for layer in chosen:
        # Not known by its address: a layer of another model may stand there later, and would then compute anew too.
        setattr(layer, RECOMPUTED, draws)
        _let_recompute(type(layer))


def _lowest_trained(model: nn.Module) -> int:
    """The lowest layer that the gradient passes: where an embedding is trained, the first."""
    outside = {name: module for name, module in model.named_modules() if "Embedding" in type(module).__name__}
    if any(tree_flatten(module.trainable_parameters()) for module in outside.values()):
        return 0
    trained = (index for index, layer in enumerate(model.layers) if tree_flatten(layer.trainable_parameters()))
    return next(trained, len(model.layers))


class _RepeatedDropout(nn.Dropout):
    """Dropout that takes its keys from those it is given: called again with the same, it leaves out the same."""

    keys: ClassVar[Iterator[mx.array] | None] = None

    def __call__(self, x: mx.array) -> mx.array:
        keys = _RepeatedDropout.keys
        if keys is None or self._p_1 == 1 or not self.training:
            return super().__call__(x)
        return (1 / self._p_1) * mx.random.bernoulli(self._p_1, x.shape, key=next(keys)) * x


def _repeat_dropout(model: nn.Module) -> bool:
    """Gives the layers dropout that can be repeated; False where there is none to repeat."""
    found = [module for layer in model.layers for module in layer.modules() if type(module) is nn.Dropout]
    for module in found:
        module.__class__ = _RepeatedDropout
    return any(module._p_1 < 1 for module in found)


def _let_recompute(kind: type[nn.Module]) -> None:
    """Makes a class compute anew those of its layers that are marked."""
    plain: Callable[..., Any] = kind.__call__
    if hasattr(plain, RECOMPUTED):
        return

    def recomputed(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
        draws: bool | None = vars(layer).get(RECOMPUTED)
        if draws is None:
            return plain(layer, *args, **kwargs)
        # Drawn outside of what is computed twice, from the state that the run keeps.
        key = mx.random.randint(0, 2**31 - 1, (2,), dtype=mx.uint32) if draws and layer.training else None

        # What the layer keeps of a prefix, or goes on from, is no constant: the gradient passes through it.
        prefix = next((one for one in (*args, *kwargs.values()) if isinstance(one, PrefixCache)), None)
        offset, kept = (0, ()) if prefix is None else (prefix.offset, prefix.kept)

        def inner(parameters: Any, kept: tuple[mx.array, ...], *args: Any, **kwargs: Any) -> Any:
            layer.update(parameters)
            _RepeatedDropout.keys = None if key is None else _split(key)
            own = None if prefix is None else prefix.at(offset, kept)
            args = tuple(own if one is prefix else one for one in args)
            try:
                found = plain(layer, *args, **{name: own if one is prefix else one for name, one in kwargs.items()})
            finally:
                _RepeatedDropout.keys = None
            return found, () if own is None else own.kept

        found, kept = mx.checkpoint(inner)(layer.trainable_parameters(), kept, *args, **kwargs)
        if prefix is not None:
            prefix.kept = tuple(kept)
        return found

    setattr(recomputed, RECOMPUTED, True)
    kind.__call__ = recomputed


def _split(key: mx.array) -> Iterator[mx.array]:
    """As many keys as are asked for, always the same ones."""
    while True:
        key, drawn = mx.random.split(key)
        yield drawn


def _start_from(model: nn.Module, file: Path) -> None:
    """Loads an earlier adapter's weights; mlx-lm would take any shape and fail when the result is loaded."""
    if (problem := unreadable_name(file)) is not None:
        raise UnusableError([replace(problem, path="resume_adapter_file")])
    try:
        weights = mx.load(str(file))
    except (OSError, RuntimeError) as error:
        said = tr("{file} cannot be read: {error}.", file=file, error=error)
        raise UnusableError([Problem("resume_adapter_file", said)]) from error
    assert isinstance(weights, dict)
    if problems := differences(weights, trainable(model)):
        hint = tr("Start from an adapter with the same type, rank, targets and layers.")
        said = tr("{file} does not fit this run: {problems}.", file=file, problems=problems[0])
        raise UnusableError([Problem("resume_adapter_file", said, hint=hint)])
    model.load_weights(list(weights.items()), strict=False)


def differences(found: Mapping[str, mx.array], expected: Mapping[str, mx.array]) -> list[str]:
    """How the names and shapes of two sets of arrays differ, in words; empty if they do not."""
    said = [tr("{name} is not among the trained weights", name=name) for name in found if name not in expected]
    said += [tr("{name} is missing", name=name) for name in expected if name not in found]
    both = [name for name in found if name in expected]
    said += [
        tr("{name} is {size}, not {size2}", name=name, size=_size(found[name]), size2=_size(expected[name]))
        for name in both
        if found[name].shape != expected[name].shape
    ]
    return said


def _size(array: mx.array) -> str:
    return " × ".join(str(side) for side in array.shape)
