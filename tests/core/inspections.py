"""Inspections made by hand, for tests that need a model's structure but no MLX."""

from __future__ import annotations

from app.core.model.inspection import AdapterCost, AdapterSize, Inspection, Layer, Module
from app.core.model.module_group import Group, group_of

Shapes = dict[str, tuple[int, ...]]  # of a layer's matrices, by their keys

ATTENTION: Shapes = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
             "self_attn.o_proj": (64, 64)}  # fmt: skip
MLP: Shapes = {"mlp.gate_proj": (128, 64), "mlp.down_proj": (64, 128), "mlp.up_proj": (128, 64)}
STATE: Shapes = {"mamba.in_proj": (256, 64), "mamba.out_proj": (64, 128)}
EXPERTS: Shapes = {
    "mlp.switch_mlp.gate_proj": (4, 32, 64),
    "mlp.switch_mlp.down_proj": (4, 64, 32),
    "mlp.gate": (4, 64),
}


def model(layers: list[Shapes], **facts: object) -> Inspection:
    """A model whose layers have the given matrices, an embedding, a head, and a convolution in layer 0."""
    costs: list[AdapterCost] = []
    modules = [_module("model.embed_tokens", "model.embed_tokens", None, (256, 64), costs)]
    for index, matrices in enumerate(layers):
        for key, shape in matrices.items():
            modules.append(_module(f"model.layers.{index}.{key}", key, index, shape, costs))
    conv = Module(path="model.layers.0.conv1d", key="conv1d", layer=0, group=Group.OTHER, type="Conv1d",
                  shape=(64, 4, 1), parameters=256, bytes=1024, refused="A convolution.")  # fmt: skip
    modules += [conv, _module("lm_head", "lm_head", None, (256, 64), costs)]
    total = sum(module.parameters for module in modules)
    sizes = [sum(m.parameters for m in modules if m.layer == i) for i in range(len(layers))]
    return Inspection(
        model_type="llama", hidden_size=64, vocab_size=256, num_heads=4, num_kv_heads=2, head_dim=16,
        max_length=512, dtype="float32", total_parameters=total, weight_bytes=4 * total, has_weights=True,
        layers=tuple(
            Layer(path=f"model.layers.{i}", parameters=n, bytes=4 * n, unfrozen_parameters=n, unfrozen_bytes=4 * n)
            for i, n in enumerate(sizes)
        ),
        modules=tuple(modules), costs=tuple(costs), other_names=("self_attn", "mlp", "input_layernorm", "model"),
    ).model_copy(update=facts)  # fmt: skip


def llama(layers: int = 4) -> Inspection:
    """Attention and MLP in every layer."""
    return model([ATTENTION | MLP] * layers)


def hybrid() -> Inspection:
    """Layers with attention and layers with a state space, in turn; an MLP in all."""
    return model([ATTENTION | MLP, STATE | MLP] * 3)


def mixture(layers: int = 3) -> Inspection:
    """Experts with a router; DoRA is refused for the experts."""
    return model([ATTENTION | EXPERTS] * layers)


def _module(path: str, key: str, layer: int | None, shape: tuple[int, ...], costs: list[AdapterCost]) -> Module:
    kind = "Embedding" if "embed" in path else "SwitchLinear" if len(shape) == 3 else "Linear"
    experts = shape[0] if len(shape) == 3 else 1
    lora = AdapterSize(slope=experts * (shape[-1] + shape[-2]))
    refused = "mlx-lm has no DoRA for experts (SwitchLinear)." if experts > 1 else ""
    cost = AdapterCost(lora=lora, dora=AdapterSize(slope=lora.slope, constant=shape[-2], refused=refused))
    if cost not in costs:
        costs.append(cost)
    size = shape[-1] * shape[-2] * experts
    group = group_of(key, kind, inside=layer is not None, head=path == "lm_head")
    return Module(path=path, key=key, layer=layer, group=group, type=kind, shape=shape, parameters=size,
                  bytes=4 * size, cost=costs.index(cost))  # fmt: skip
