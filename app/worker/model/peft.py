"""PEFT adapters (``adapter_config.json`` and ``adapter_model.safetensors``) as modules for an mlx-lm base model.

The layout, as Hugging Face's PEFT writes it: tensors are named ``base_model.model.MODULE.lora_A.weight``, of shape
(rank, inputs), and ``….lora_B.weight``, of shape (outputs, rank); both are mlx-lm's transposed. The factor is
``lora_alpha / rank``, or ``lora_alpha / √rank`` with ``use_rslora``; ``rank_pattern`` and ``alpha_pattern`` change
both by module. DoRA adds ``….lora_magnitude_vector[.weight]``. Experts, 3-D parameters in transformers 5, are
adapted through ``target_parameters``: one matrix has those of all, and gates and ups are one. What goes beyond LoRA
on linear layers, experts and embeddings is refused by name.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.array import Arrays
from app.worker.model.adapter_problem import adapter_problem, module_problems, size_problem, some

PEFT_PREFIX = "base_model.model."
PART_NAME = re.compile(
    r"^(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?$"
)
LINEAR, EMBEDDING = (nn.Linear, nn.QuantizedLinear), (nn.Embedding, nn.QuantizedEmbedding)
# Ways to begin that change the base's own weights, which an unchanged base does not have.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "lora-ga", "loraga")
UNKNOWN_FEATURES = {
    "modules_to_save": tr("it replaces whole modules"),
    "layer_replication": tr("it repeats layers of the base"),
    "trainable_token_indices": tr("it trains single rows of the embeddings"),
    "lora_bias": tr("its matrices have biases"),
    "use_qalora": tr("it is a QALoRA adapter"),
    "alora_invocation_tokens": tr("it is active only after certain tokens"),
}

# A parameter of the experts, by its name in ``target_parameters`` (or the end of it), and mlx-lm's matrices of it.
EXPERTS = re.compile(r"^(?P<before>.+)\.experts(?P<inner>\.base_layer)?$")
EXPERT_MATRICES = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}
SWITCH = (SwitchLinear, QuantizedSwitchLinear)
# Where mlx-lm's models call a part otherwise than those of transformers do (their `sanitize`).
RENAMED = (("transformer.", "model."), ("gpt_neox.layers.", "model.h."), ("gpt_neox.", "model."))


class PartError(ValueError):
    """Why the parts of a module cannot be put on a base, in words."""


_ODD_VALUES = (ValueError, TypeError, AttributeError, OverflowError, ZeroDivisionError, re.error)


@dataclass(frozen=True, slots=True)
class PeftPart:
    """One adapted module: matrices in mlx-lm's orientation, (inputs, rank) and (rank, outputs)."""

    lora_a: mx.array
    lora_b: mx.array
    scale: float
    magnitude: mx.array | None = None

    @property
    def rank(self) -> int:
        return int(self.lora_a.shape[1])


def peft_modules(
    config: Mapping[str, Any], weights: Arrays, base: Mapping[str, nn.Module], file: Path
) -> dict[str, nn.Module]:
    """The modules that stand at each place of ``base`` when the adapter is on, by the base's own dotted paths.

    They wrap the base's modules, which are not changed. Raises `UnusableError` with everything that does not fit.
    """
    if problems := _beyond(config, file):
        raise UnusableError(problems)
    experts, weights = _experts_apart(weights)
    parts, faults, problems = _parts(config, weights, file)
    modules: dict[str, nn.Module] = {}
    missing: list[str] = []
    sizes: dict[str, tuple[str, str]] = {}
    for name, tensors in experts.items():
        try:
            modules |= _expert_modules(config, name, tensors, experts, base)
        except _ODD_VALUES as error:
            faults.append((name, _reason(error)))
    for name, part in parts.items():
        path = _place(name, base)
        if path is None:
            missing.append(name)
        elif fault := _misfit(base[path], part, base):
            faults.append((name, fault))
        elif misfit := _sizes(base[path], part):
            sizes[name] = misfit
        else:
            modules[path] = _module(base[path], part)
    problems += module_problems(faults, file)
    if sizes:
        problems.append(size_problem([*sizes], *next(iter(sizes.values())), file))
    if missing:
        problems.insert(0, adapter_problem(tr("The base model has no {some}.", some=some(missing)), file))
    if problems:
        raise UnusableError(problems)
    return modules


def _beyond(config: Mapping[str, Any], file: Path) -> list[Problem]:
    """What the adapter asks for that LoRA and DoRA are not."""
    kind = str(config.get("peft_type"))
    if kind.upper() != "LORA":
        return [
            adapter_problem(
                tr("This is a PEFT adapter of the type {kind}; LoRA and DoRA can be used.", kind=kind), file
            )
        ]
    found = [
        adapter_problem(
            tr(
                "The PEFT adapter uses {name}: {what}, which cannot be put on a base in memory.",
                name=name,
                what=what,
            ),
            file,
        )
        for name, what in UNKNOWN_FEATURES.items()
        if config.get(name)
    ]
    if str(config.get("bias") or "none") != "none":
        found.append(
            adapter_problem(tr("The PEFT adapter has trained biases (bias: {bias}).", bias=config["bias"]), file)
        )
    begun = str(config.get("init_lora_weights", "")).lower()
    if begun.startswith(CHANGES_BASE):
        said = tr("The PEFT adapter began with {begun}, which changes the base's own weights.", begun=begun)
        found.append(adapter_problem(said, file, tr("Convert it to a plain LoRA with PEFT first.")))
    return found


def _parts(
    config: Mapping[str, Any], weights: Arrays, file: Path
) -> tuple[dict[str, PeftPart], list[tuple[str, str]], list[Problem]]:
    """The adapted modules by their names in PEFT; which modules cannot be, and why; what is wrong beside."""
    tensors: dict[str, Arrays] = defaultdict(dict)
    strange: list[str] = []
    for name, array in weights.items():
        found = PART_NAME.match(name)
        if found is None:
            strange.append(name)
        else:
            part = found["part"].replace("lora_embedding_", "lora_")
            tensors[found["module"].removeprefix(PEFT_PREFIX)][part] = array
    problems = (
        [adapter_problem(tr("These tensors are not of LoRA or DoRA: {some}.", some=some(strange)), file)]
        if strange
        else []
    )
    parts: dict[str, PeftPart] = {}
    faults: list[tuple[str, str]] = []
    for module, found_parts in tensors.items():
        try:
            parts[module] = _part(config, module, found_parts)
        except _ODD_VALUES as error:
            faults.append((module, _reason(error)))
    return parts, faults, problems


def _reason(error: Exception) -> str:
    """Why a module's parts cannot be used: in our own words, or as the config's values deserve."""
    if type(error) is PartError:
        return str(error)
    return tr("its values in adapter_config.json are not of the kind that they should be")


def _experts_apart(weights: Arrays) -> tuple[dict[str, Arrays], Arrays]:
    """The tensors of experts by the module that has them, and the others."""
    experts: dict[str, Arrays] = defaultdict(dict)
    others: Arrays = {}
    for name, array in weights.items():
        found = PART_NAME.match(name)
        module = found["module"].removeprefix(PEFT_PREFIX) if found else ""
        if found and EXPERTS.match(module):
            experts[module][found["part"]] = array
        else:
            others[name] = array
    return dict(experts), others


def _expert_modules(
    config: Mapping[str, Any],
    name: str,
    tensors: Arrays,
    experts: Mapping[str, Arrays],
    base: Mapping[str, nn.Module],
) -> dict[str, nn.Module]:
    """The modules of one parameter of a layer's experts; raises `ValueError` in words.

    PEFT holds (experts · rank, inputs) and (outputs, rank · experts); of several parameters of one module the last
    one wraps the others.
    """
    found = EXPERTS.match(name)
    assert found is not None
    parameter = _parameter(config, name, is_inner=bool(found["inner"]), has_inner=f"{name}.base_layer" in experts)
    place = _place(f"{found['before']}.switch_mlp.down_proj", base)
    if place is None:
        raise PartError(tr("the base model has no experts there that mlx-lm keeps as such"))
    before = place.rpartition(".")[0]
    linears: list[Any] = [base[f"{before}.{matrix}"] for matrix in EXPERT_MATRICES[parameter]]
    if set(tensors) != {"lora_A", "lora_B"}:
        raise PartError(tr("only plain LoRA can be put on experts"))
    if not all(isinstance(linear, SWITCH) for linear in linears):
        raise PartError(tr("the base model's experts are of another form"))
    full = f"{found['before']}.experts.{parameter}"
    rank = int(_by_pattern(config, "rank_pattern", full, config.get("r")))
    count, inputs = linears[0].num_experts, linears[0].input_dims
    outputs = [linear.output_dims for linear in linears]
    a, b = tensors["lora_A"], tensors["lora_B"]
    wanted = [(count * rank, inputs), (sum(outputs), count * rank)]
    if [a.shape, b.shape] != wanted:
        sizes = tr(" and ").join("{:,} × {:,}".format(*shape) for shape in (a.shape, b.shape))
        needed = tr(" and ").join("{:,} × {:,}".format(*shape) for shape in wanted)
        raise PartError(
            tr(
                "{parameter} is {sizes} in the adapter; {count} experts of rank {rank} need {needed}",
                parameter=parameter,
                sizes=sizes,
                count=count,
                rank=rank,
                needed=needed,
            )
        )
    scale = _scale(config, full, rank)
    each_a = a.reshape(count, rank, inputs)
    each_b = mx.contiguous(b.reshape(sum(outputs), rank, count).transpose(2, 0, 1))
    halves = mx.split(each_b, [outputs[0]], axis=1) if len(linears) > 1 else [each_b]
    made: dict[str, nn.Module] = {}
    for matrix, linear, half in zip(EXPERT_MATRICES[parameter], linears, halves, strict=True):
        module: Any = LoRASwitchLinear.from_base(linear, r=rank, dropout=0.0, scale=scale)
        module.update({"lora_a": each_a, "lora_b": mx.contiguous(half)})
        made[f"{before}.{matrix}"] = module
    return made


def _parameter(config: Mapping[str, Any], name: str, *, is_inner: bool, has_inner: bool) -> str:
    """Which parameter of the experts the tensors of ``name`` adapt: the outer ones are of the last declared."""
    module = name.removesuffix(".base_layer")
    given = [str(target) for target in config.get("target_parameters") or ()]
    named = [
        parameter
        for parameter in EXPERT_MATRICES
        if any(f"{module}.{parameter}" == one or f"{module}.{parameter}".endswith(f".{one}") for one in given)
    ]
    if strange := [one for one in given if one.rpartition(".")[2] not in (*EXPERT_MATRICES, "weight")]:
        raise PartError(
            tr("target_parameters names {some}, which has no place in mlx-lm's model", some=some(strange))
        )
    if len(named) != (2 if is_inner or has_inner else 1):
        raise PartError(tr("its matrices and target_parameters in adapter_config.json contradict each other"))
    return named[0] if is_inner else named[-1]


def _part(config: Mapping[str, Any], module: str, tensors: Arrays) -> PeftPart:
    """Raises `PartError` in words."""
    if lacking := [name for name in ("lora_A", "lora_B") if name not in tensors]:
        raise PartError(tr("{lacking} is not there", lacking=lacking[0]))
    a, b = tensors["lora_A"], tensors["lora_B"]
    if a.ndim != 2 or b.ndim != 2:
        raise PartError(tr("only matrices can be used, not the kernels of a convolution"))
    rank = int(_by_pattern(config, "rank_pattern", module, config.get("r")))
    if not a.shape[0] == b.shape[1] == rank:
        raise PartError(
            tr(
                "the weights have rank {shape} and {shape2}, adapter_config.json says {rank}",
                shape=a.shape[0],
                shape2=b.shape[1],
                rank=rank,
            )
        )
    scale = _scale(config, module, rank)
    magnitude = tensors.get("lora_magnitude_vector")
    if bool(config.get("use_dora")) != (magnitude is not None):
        raise PartError(tr("its magnitudes and use_dora in adapter_config.json contradict each other"))
    # Copies in the new order: a transposed view multiplies in another order, and rounds differently.
    return PeftPart(
        mx.contiguous(a.T), mx.contiguous(b.T), scale, None if magnitude is None else magnitude.flatten()
    )


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """The factor on a module's matrices; raises `PartError` for one that is no number."""
    alpha = float(_by_pattern(config, "alpha_pattern", module, config.get("lora_alpha")))
    if not math.isfinite(alpha):
        raise PartError(tr("its lora_alpha in adapter_config.json is no finite number"))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _by_pattern(config: Mapping[str, Any], key: str, module: str, default: Any) -> Any:
    """The first pattern that is the module's name or, after a dot, the end of it (a regular expression)."""
    patterns = config.get(key) or {}
    if not isinstance(patterns, Mapping):
        raise PartError(tr("{key} in adapter_config.json is no table of names and values", key=key))
    for pattern, value in patterns.items():
        if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module):
            return value
    if default is None:
        raise PartError(
            tr("adapter_config.json has no {value}", value="r" if key == "rank_pattern" else "lora_alpha")
        )
    return default


def _place(name: str, base: Mapping[str, nn.Module]) -> str | None:
    """Where a module stands in mlx-lm's model, which may wrap PEFT's (``language_model.model…``)."""
    if name in base:
        return name
    inner = name.removeprefix("model.language_model.").removeprefix("language_model.")
    for theirs, own in RENAMED:
        if name.startswith(theirs) and (path := own + name.removeprefix(theirs)) in base:
            return path
    found = [path for path in base if any(path.endswith(f".{tail}") for tail in {name, inner})]
    return found[0] if len(found) == 1 else None


def _misfit(module: nn.Module, part: PeftPart, base: Mapping[str, nn.Module]) -> str:
    """Why the part cannot be put on a module of this kind; empty if it can."""
    is_embedding = isinstance(module, EMBEDDING)
    if not is_embedding and not isinstance(module, LINEAR):
        return tr("in the base model it is a {name}, which cannot be adapted like this", name=type(module).__name__)
    if is_embedding and "lm_head" not in {path.rpartition(".")[2] for path in base}:
        return tr("it is also the head of this base model; PEFT adapts its input side only")
    return tr("DoRA on embeddings cannot be used") if is_embedding and part.magnitude is not None else ""


def _sizes(module: nn.Module, part: PeftPart) -> tuple[str, str] | None:
    """The sizes of the part and of the module where they differ."""
    outputs, inputs = _size(module)
    wanted = (inputs, outputs) if not isinstance(module, EMBEDDING) else (outputs, inputs)
    found = (int(part.lora_a.shape[0]), int(part.lora_b.shape[1]))
    if found != wanted:
        return "{:,} × {:,}".format(*found), "{:,} × {:,}".format(*wanted)
    if part.magnitude is not None and part.magnitude.size != outputs:
        return tr("one of {size:,} magnitudes", size=part.magnitude.size), tr("one of {outputs:,}", outputs=outputs)
    return None


def _size(module: Any) -> tuple[int, int]:
    """Rows and columns of a weight, as if it were not packed."""
    rows, columns = module.weight.shape
    return int(rows), int(columns) * 32 // module.bits if hasattr(module, "bits") else int(columns)


def _module(module: nn.Module, part: PeftPart) -> nn.Module:
    if isinstance(module, EMBEDDING):
        kind: Any = LoRAEmbedding
    else:
        kind = LoRALinear if part.magnitude is None else DoRALinear
    made: nn.Module = kind.from_base(module, r=part.rank, dropout=0.0, scale=part.scale)
    own = {"lora_a": part.lora_a, "lora_b": part.lora_b}
    made.update(own if part.magnitude is None else own | {"m": part.magnitude})
    return made
