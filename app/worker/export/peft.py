"""The format ``peft``: the adapter alone, as Hugging Face's PEFT has it.

PEFT's matrices are mlx-lm's transposed, its factor is ``lora_alpha / r``, and it finds modules by the ends of their
names. Experts are 3-D parameters in transformers 5, reached by ``target_parameters``: the gates and ups of all of
them are one parameter there, whose adapter is the two of mlx-lm side by side.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG, PEFT_FILE
from app.core.model.template import base_folder, is_templated, lay_template
from app.core.problem import Problem, UnusableError
from app.worker.array import Arrays
from app.worker.export.adapter import scale_problems
from app.worker.export.naming import NAMINGS, Naming, unknown_naming
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.model.peft import PEFT_PREFIX
from app.worker.process.progress import Phases

IN_LAYER = re.compile(r"^(?P<before>.*?\.)?(?P<pattern>layers|h)\.(?P<number>\d+)\.(?P<inside>.+)$")
# Architectures whose experts and routers are parameters, not modules, in transformers 5, and in which order.
PARAMETER_EXPERTS = ("qwen2_moe", "qwen3_moe", "olmoe")
ROUTER = "mlp.gate"
_EXPERT = re.compile(r"^(?P<before>.+)\.switch_mlp\.(?P<matrix>gate_proj|up_proj|down_proj)$")
# PEFT takes modules of these names for those of the experts.
_OF_EXPERTS = ("gate_proj", "up_proj", "down_proj")


@dataclass
class PeftAdapter:
    """Tensors under PEFT's names, and the (rank, alpha) of every adapted module or parameter."""

    tensors: Arrays = field(default_factory=dict)
    modules: dict[str, tuple[int, float]] = field(default_factory=dict)
    parameters: dict[str, tuple[int, float]] = field(default_factory=dict)

    def add(self, module: str, part: Any, *, parameter: str = "") -> None:
        """A linear module (or a parameter of two dimensions), or an embedding."""
        rank = int(part.lora_a.shape[-1])
        a, b = mx.contiguous(part.lora_a.T), mx.contiguous(part.lora_b.T)
        if isinstance(part, LoRAEmbedding):
            self.tensors |= {
                f"{PEFT_PREFIX}{module}.lora_embedding_A": a,
                f"{PEFT_PREFIX}{module}.lora_embedding_B": b,
            }
        else:
            self.tensors |= {f"{PEFT_PREFIX}{module}.lora_A.weight": a, f"{PEFT_PREFIX}{module}.lora_B.weight": b}
        if "m" in part:
            self.tensors[f"{PEFT_PREFIX}{module}.lora_magnitude_vector"] = part.m
        if parameter:
            self.parameters[f"{module}.{parameter}"] = (rank, part.scale * rank)
        else:
            self.modules[module] = (rank, part.scale * rank)

    def add_experts(self, module: str, parts: Mapping[str, Any]) -> None:
        """The experts of one layer; ``parts`` by the names of their matrices."""
        down = parts.get("down_proj")
        gates = [parts.get(name) for name in ("gate_proj", "up_proj")]
        # The wrapper of the parameter that was declared last is the outer one.
        if down is not None:
            self._add_stack(module, f"{module}.down_proj", down.lora_a, down.lora_b, down.scale)
        if any(part is not None for part in gates):
            inner = f"{module}.base_layer" if down is not None else module
            self._add_stack(inner, f"{module}.gate_up_proj", *_side_by_side(gates))

    def _add_stack(self, place: str, parameter: str, a: mx.array, b: mx.array, scale: float) -> None:
        """``a`` is (experts, rank, inputs), ``b`` (experts, outputs, rank); PEFT has both as plain matrices."""
        experts, rank, inputs = a.shape
        self.tensors[f"{PEFT_PREFIX}{place}.lora_A.weight"] = a.reshape(experts * rank, inputs)
        flat = b.transpose(1, 2, 0).reshape(b.shape[1], rank * experts)
        self.tensors[f"{PEFT_PREFIX}{place}.lora_B.weight"] = mx.contiguous(flat)
        self.parameters[parameter] = (int(rank), scale * rank)


class PeftWriter:
    """LoRA and DoRA."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What PEFT has no form for."""
        if plan.kind == "full":
            said = tr("This run trained the model's own weights: there is no adapter to be exported.")
            return [Problem("format", said, hint=tr("Export it as hf or fused."))]
        return unknown_naming(plan.model_type) or scale_problems(plan)

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """``adapter_model.safetensors`` and ``adapter_config.json``."""
        report = progress(tr("Writing the adapter"))
        report(0, 1)
        naming = NAMINGS[plan.model_type]
        adapter = _converted(plan.model_type, naming, tuned)
        config = peft_config(plan, naming, adapter)
        mx.save_safetensors(str(folder / PEFT_FILE), adapter.tensors, {"format": "pt"})
        (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
        lay_template(plan.base, folder)
        report(1, 1)


def _converted(model_type: str, naming: Naming, tuned: TunedModel) -> PeftAdapter:
    """Raises `UnusableError` with every module that PEFT cannot adapt as mlx-lm did."""
    adapter, problems = PeftAdapter(), []
    experts: dict[str, dict[str, Any]] = {}
    tied = not any(path.rpartition(".")[2] in ("lm_head", "embed_out") for path, _ in tuned.model.named_modules())
    for path, part in tuned.adapter.parts.items():
        module = naming.module(path)
        if (
            isinstance(part, LoRASwitchLinear)
            and model_type in PARAMETER_EXPERTS
            and (found := _EXPERT.match(path))
        ):
            experts.setdefault(naming.module(found["before"]) + ".experts", {})[found["matrix"]] = part
        elif said := _unlike(model_type, module, part, tied):
            problems.append(Problem("format", f"{path}: {said}.", hint=tr("Export it fused, as hf.")))
        elif model_type in PARAMETER_EXPERTS and module.endswith(ROUTER):
            adapter.add(module, part, parameter="weight")
        else:
            adapter.add(module, part)
    if problems:
        raise UnusableError(problems)
    for module, parts in experts.items():
        adapter.add_experts(module, parts)
    return adapter


def _unlike(model_type: str, module: str, part: Any, tied: bool) -> str:
    """Why PEFT cannot adapt a module as mlx-lm did; empty if it can."""
    if isinstance(part, LoRAEmbedding):
        return tr("it is also the head of this model, and PEFT adapts its input side only") if tied else ""
    if not isinstance(part, (LoRALinear, DoRALinear)):
        return tr("PEFT's form of a {name} is not known here", name=type(part).__name__)
    if model_type in PARAMETER_EXPERTS:
        if isinstance(part, DoRALinear) and module.endswith(ROUTER):
            return tr("PEFT has no DoRA for routers")
        if module.rpartition(".")[2] in _OF_EXPERTS:
            return tr("PEFT takes it for a matrix of the experts")
    return ""


def _side_by_side(gates: list[Any]) -> tuple[mx.array, mx.array, float]:
    """The adapters of gates and ups (None: not adapted) as one of the parameter that holds both, gates first."""
    gate, up = gates
    one = gate if gate is not None else up
    outputs = one.lora_b.shape[1]
    nothing = mx.zeros((one.lora_b.shape[0], outputs, one.lora_b.shape[2]), one.lora_b.dtype)
    if gate is None or up is None:
        b = mx.concatenate([nothing if part is None else part.lora_b for part in gates], axis=1)
        return one.lora_a, b, one.scale
    if gate.scale == up.scale and gate.lora_a.shape == up.lora_a.shape and mx.array_equal(gate.lora_a, up.lora_a):
        return gate.lora_a, mx.concatenate([gate.lora_b, up.lora_b], axis=1), gate.scale
    ratio = up.scale / gate.scale  # one factor stands for both
    up_b = up.lora_b if ratio == 1 else up.lora_b * ratio
    other = mx.zeros((*up_b.shape[:2], gate.lora_b.shape[2]), gate.lora_b.dtype)
    rows = [
        mx.concatenate([gate.lora_b, mx.zeros((*gate.lora_b.shape[:2], up_b.shape[2]), up_b.dtype)], axis=2),
        mx.concatenate([other, up_b], axis=2),
    ]
    return mx.concatenate([gate.lora_a, up.lora_a], axis=1), mx.concatenate(rows, axis=1), gate.scale


def known_base(plan: ExportPlan) -> str:
    """The base as the run names it; of one that was given a chat template, the model whose files it has."""
    return str(base_folder(plan.base)) if is_templated(plan.base) else plan.source.base


def peft_config(plan: ExportPlan, naming: Naming, adapter: PeftAdapter) -> dict[str, Any]:
    """``adapter_config.json``: rank and alpha that most have, exceptions by name, and what is adapted."""
    both = adapter.modules | adapter.parameters
    rank, alpha = Counter(both.values()).most_common(1)[0][0]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": known_base(plan),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": _number(alpha),
        "rank_pattern": {re.escape(name): r for name, (r, _) in both.items() if r != rank},
        "alpha_pattern": {re.escape(name): _number(a) for name, (_, a) in both.items() if a != alpha},
        "use_dora": plan.kind == "dora",
        "use_rslora": False,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(naming.is_transposed(module) for module in adapter.modules),
        "init_lora_weights": True,
        "modules_to_save": None,
        "target_parameters": sorted(adapter.parameters) or None,
        **targets(adapter.modules, [naming.module(path) for path in adaptable(plan.architecture)]),
    }


def adaptable(model: nn.Module) -> list[str]:
    """The paths of all modules that PEFT could take for a target."""
    kinds = (nn.Linear, nn.QuantizedLinear, nn.Embedding, nn.QuantizedEmbedding)
    experts = (SwitchLinear, QuantizedSwitchLinear)
    return [
        path
        for path, module in model.named_modules()
        if isinstance(module, kinds) and not isinstance(module, experts)
    ]


def targets(adapted: Mapping[str, Any], every: list[str]) -> dict[str, Any]:
    """The keys of PEFT's config that choose exactly ``adapted`` among ``every`` module.

    By short names; by ``layers_to_transform`` where whole layers are left out, else by ``exclude_modules``.
    """
    names = {_short(module, every) for module in adapted}
    matched = [module for module in every if any(module == name or module.endswith(f".{name}") for name in names)]
    surplus = [module for module in matched if module not in adapted]
    found: dict[str, Any] = {"target_modules": sorted(names), "layers_to_transform": None, "layers_pattern": None}
    if not surplus:
        return found | {"exclude_modules": None}
    layers = [IN_LAYER.match(module) for module in adapted]
    if all(layers):
        numbers = {int(one["number"]) for one in layers if one}
        (pattern,) = {one["pattern"] for one in layers if one}
        left = [one for module in matched if (one := IN_LAYER.match(module)) and int(one["number"]) in numbers]
        if len(left) == len(adapted):
            return found | {
                "exclude_modules": None,
                "layers_to_transform": sorted(numbers),
                "layers_pattern": pattern,
            }
    return found | {"exclude_modules": sorted(surplus)}


def _short(module: str, every: list[str]) -> str:
    """The shortest name that other layers' modules of the same place share, and no module of another place."""
    found = IN_LAYER.match(module)
    if found is None:
        return module
    inside = found["inside"]
    last = inside.rpartition(".")[2]
    places = {one["inside"] for path in every if path.endswith(f".{last}") and (one := IN_LAYER.match(path))}
    return last if places == {inside} else inside


def _number(value: float) -> int | float:
    """PEFT's alpha is an int where it can be one; 4 × 5.0 may come a hair beside 20."""
    whole = round(value)
    return whole if abs(value - whole) < 1e-9 * max(1.0, abs(value)) else value
