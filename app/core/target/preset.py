"""Target presets: which modules Full, Attention only, MLP only, Minimal and Everything linear mean for a model.

This is the one place that decides it; the window, the command line, mlx-lm configs and exports all ask here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.language import tr
from app.core.model.inspection import Inspection, Module
from app.core.model.module_group import Group


@dataclass(frozen=True, slots=True)
class Preset:
    """A named choice of targets: what it is and when to use it (what it costs depends on the model)."""

    name: str
    label: str
    what: str
    when: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "full",
            tr("Full (attention + MLP, recommended)"),
            tr("All matrices of attention (or what takes its place) and of the MLP or experts; no routers."),
            tr("The best quality; use it unless memory forbids."),
        ),
        Preset(
            "attention",
            tr("Attention only"),
            tr("The projections of attention: query, key, value and output."),
            tr("Less memory, slightly lower quality; for experiments and for changes of style."),
        ),
        Preset(
            "mlp",
            tr("MLP only"),
            tr("The matrices of the MLP, or of all experts."),
            tr("Comes close to Full in studies, and holds what a model knows."),
        ),
        Preset(
            "minimal",
            tr("Minimal (Q + V)"),
            tr("Query and value projections only (the one fused matrix where a model has that)."),
            tr("The least memory; noticeably lower quality."),
        ),
        Preset(
            "linear",
            tr("Everything linear"),
            tr("Every linear matrix, routers and auxiliary projections included; no embeddings, no output head."),
            tr("When Full is not enough; training routers can unbalance a mixture of experts."),
        ),
    )
}

_FULL = {Group.ATTENTION, Group.MLP, Group.EXPERTS, Group.SHARED_EXPERTS, Group.STATE_SPACE}
_MLP = {Group.MLP, Group.EXPERTS, Group.SHARED_EXPERTS}
_NOT_LINEAR = {Group.EMBEDDINGS, Group.HEAD}

# The first of these in an attention is its query (value); `kv_*` and `*_b_proj` belong to latent attention.
_QUERIES = ("q_proj", "query", "wq", "c_q", "attn_query", "q_b_proj", "wq_b", "r_proj")
_VALUES = ("v_proj", "value", "wv", "c_v", "attn_value", "kv_b_proj", "kv_proj", "kv_a_proj_with_mqa")
_FUSED = ("qkv_proj", "q_k_v_proj", "query_key_value", "Wqkv", "wqkv", "c_attn", "W_pack", "qkv", "in_proj")
_STATE_SPACE_MINIMAL = ("in_proj", "out_proj", "r_proj", "v_proj", "q_proj", "linear_x", "linear_out")
_ENCODER = ("query", "key", "value")


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """The modules of a preset over all layers, and what a person should know of how it was read, if anything."""

    modules: tuple[Module, ...]
    note: str = ""


def choose_preset(inspection: Inspection, name: str) -> PresetChoice:
    """The modules that a preset means for this model; raises `KeyError` for a name that is none."""
    return {
        "full": _full,
        "attention": _attention,
        "mlp": _mlp,
        "minimal": _minimal,
        "linear": _linear,
    }[name](inspection)


def _of(inspection: Inspection, groups: set[Group]) -> tuple[Module, ...]:
    return tuple(module for module in inspection.adaptable if module.group in groups)


def _full(inspection: Inspection) -> PresetChoice:
    if encoder := _encoder(inspection):
        return PresetChoice(encoder)
    found = _of(inspection, _FULL)
    if inspection.source == "header" and not any(module.group in _MLP for module in found):
        note = tr("The names do not tell attention and MLP apart: all linear layers are taken.")
        return PresetChoice(_linear(inspection).modules, note)
    return PresetChoice(found)


def _attention(inspection: Inspection) -> PresetChoice:
    if encoder := _encoder(inspection):
        return PresetChoice(encoder)
    if found := _of(inspection, {Group.ATTENTION}):
        return PresetChoice(found)
    found = _of(inspection, {Group.STATE_SPACE})
    note = tr("This model has no attention; its state-space projections take that place.") if found else ""
    return PresetChoice(found, note)


def _mlp(inspection: Inspection) -> PresetChoice:
    return PresetChoice(_of(inspection, _MLP))


def _linear(inspection: Inspection) -> PresetChoice:
    return PresetChoice(tuple(module for module in inspection.adaptable if module.group not in _NOT_LINEAR))


def _minimal(inspection: Inspection) -> PresetChoice:
    attention = _of(inspection, {Group.ATTENTION})
    if not attention:
        states = tuple(m for m in _of(inspection, {Group.STATE_SPACE}) if m.name in _STATE_SPACE_MINIMAL)
        note = tr("This model has no attention; the input and output of its state space take that place.")
        return PresetChoice(states, note if states else "")
    blocks: dict[str, list[Module]] = {}
    for module in attention:
        blocks.setdefault(module.path.rsplit(".", 1)[0], []).append(module)
    pairs: list[Module] = []
    fused = False
    for block in blocks.values():
        pair = [found for names in (_QUERIES, _VALUES) if (found := _first(block, names)) is not None]
        whole = _first(block, _FUSED)
        if not pair and whole is not None:
            pair, fused = [whole], True
        pairs += pair
    note = tr("Query, key and value are one matrix here, which is adapted as a whole.") if fused else ""
    return PresetChoice(tuple(pairs), note)


def _first(modules: Sequence[Module], names: Sequence[str]) -> Module | None:
    by_name = {module.name: module for module in modules}
    return next((by_name[name] for name in names if name in by_name), None)


def _encoder(inspection: Inspection) -> tuple[Module, ...]:
    """Query, key and value of a BERT-like encoder: its output layers share their name with the pooler's, so the
    usual default leaves them out."""
    if inspection.source != "header":
        return ()
    found = tuple(module for module in inspection.adaptable if module.name in _ENCODER)
    return found if {module.name for module in found} == set(_ENCODER) else ()
