"""Target groups: which part of a model a module belongs to, decided from its path and its class, in one place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from app.core.language import tr


class Group(StrEnum):
    """What a module is in its model, in the order in which groups are shown."""

    ATTENTION = "attention"
    MLP = "mlp"
    EXPERTS = "experts"
    SHARED_EXPERTS = "shared_experts"
    ROUTER = "router"
    STATE_SPACE = "state_space"
    EMBEDDINGS = "embeddings"
    HEAD = "head"
    OTHER = "other"


GROUP_LABELS = {
    Group.ATTENTION: tr("Attention"),
    Group.MLP: "MLP",
    Group.EXPERTS: tr("Experts"),
    Group.SHARED_EXPERTS: tr("Shared experts"),
    Group.ROUTER: tr("Router"),
    Group.STATE_SPACE: tr("State space and linear attention"),
    Group.EMBEDDINGS: tr("Embeddings"),
    Group.HEAD: tr("Output head"),
    Group.OTHER: tr("Other"),
}

GROUP_HELP = {
    Group.ATTENTION: tr("Which earlier tokens each token looks at, and what it takes from them"),
    Group.MLP: tr("The feed-forward network of each layer, where most of what a model knows is kept"),
    Group.EXPERTS: tr("The feed-forward networks of a mixture; a token passes through a few of them"),
    Group.SHARED_EXPERTS: tr("The feed-forward network of a mixture that every token passes through"),
    Group.ROUTER: tr("Which experts a token is sent to; training it can unbalance the mixture"),
    Group.STATE_SPACE: tr(
        "Layers that carry a state along the text instead of looking back (Mamba, RWKV, delta nets)"
    ),
    Group.EMBEDDINGS: tr("The table from tokens to vectors; worth training only for new words or scripts"),
    Group.HEAD: tr("The matrix from the last vector to the next token's probabilities"),
    Group.OTHER: tr("Projections that belong to none of the others"),
}

_ATTENTION = {
    "attn", "attention", "self_attn", "self_attention", "cross_attn", "crossattention", "selfattention",
    "encdecattention", "msa", "mha", "multi_head_attention",
}  # fmt: skip
_MLP = {"mlp", "mlps", "ffn", "feed_forward", "feedforward", "ff", "mlp_block", "intermediate", "output"}
_SHARED = {"shared_expert", "shared_experts", "share_expert", "shared_mlp"}
_EXPERTS = {"experts", "switch_mlp", "switch_glu"}
_ROUTER = {"router", "gate", "shared_expert_gate", "coefficient"}
_STATE_SPACE = {"mamba", "ssm", "linear_attn", "mixer", "time_mix", "time_mixing", "rg_lru", "conv", "short_conv"}
_AUXILIARY = {
    "altup", "laurel", "indexer", "pooler", "per_layer_input_gate", "per_layer_projection", "a_lora", "g_lora",
    "v_lora", "w_lora",
}  # fmt: skip
_EMBEDDINGS = {"embeddings", "embed_tokens", "wte", "wpe", "word_embeddings", "position_embeddings"}
_HEAD = {"lm_head", "embed_out", "output", "head", "classifier", "score", "decoder"}

_STATE_SPACE_CLASS = re.compile(
    r"mamba|ssm|delta|kda|linear_?attention|time_?mix|rwkv|recurrent|rglru|short_?conv", re.IGNORECASE
)
_ATTENTION_CLASS = re.compile(r"attention", re.IGNORECASE)
_MLP_CLASS = re.compile(r"mlp$|feedforward|channelmix", re.IGNORECASE)

# The order of matrices inside a group, as people name them; what is not here keeps the model's own order.
_ORDER = (
    "q_proj", "query", "wq", "q_a_proj", "q_b_proj", "k_proj", "key", "wk", "v_proj", "value", "wv",
    "kv_a_proj_with_mqa", "kv_b_proj", "qkv_proj", "query_key_value", 'Wqkv', "wqkv", "c_attn", "o_proj", "wo",
    "out_proj", "dense", "gate_proj", "up_proj", "gate_up_proj", "down_proj", "fc1", "fc2", "c_fc", "c_proj",
)  # fmt: skip
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}


def name_rank(key: str) -> int:
    """Where a matrix stands among those of its group: by its usual place, unknown names last."""
    return _RANKS.get(key.rpartition(".")[2], len(_ORDER))


def group_of(key: str, kind: str, owners: Sequence[str] = (), *, inside: bool = True, head: bool = False) -> Group:
    """The group of one module.

    ``key`` is its dotted path (relative to its layer when ``inside`` one), ``kind`` its class name, ``owners`` the
    class names of the modules around it, innermost first (empty when only a file's header is known), ``head`` is
    true if its output has the size of the vocabulary.
    """
    names = key.split(".")
    stems = {name.rstrip("0123456789").rstrip("_") for name in names} | set(names)
    if "Embedding" in kind:
        return Group.EMBEDDINGS
    if not inside:
        return _outside(stems, names, head)
    if stems & _AUXILIARY:
        return Group.OTHER
    if stems & _SHARED:
        return Group.SHARED_EXPERTS
    if stems & _ROUTER and not stems & _ATTENTION:
        return Group.ROUTER
    if (mixer := _mixer(owners, stems)) is not None:
        return mixer
    if stems & _EXPERTS or "Switch" in kind:
        return Group.EXPERTS
    if stems & _MLP or any(_MLP_CLASS.search(owner) for owner in owners):
        return Group.MLP
    return Group.STATE_SPACE if stems & _STATE_SPACE else Group.OTHER


def _mixer(owners: Sequence[str], stems: set[str]) -> Group | None:
    """Attention or state space: the class says it where the name is only ``mixer`` or ``self_attn``."""
    for owner in owners:
        if _MLP_CLASS.search(owner):
            return None
        if _STATE_SPACE_CLASS.search(owner):
            return Group.STATE_SPACE
        if _ATTENTION_CLASS.search(owner):
            return Group.ATTENTION
    if stems & (_STATE_SPACE - {"conv"}):
        return Group.STATE_SPACE
    return Group.ATTENTION if stems & _ATTENTION else None


def _outside(stems: set[str], names: list[str], head: bool) -> Group:
    if stems & _EMBEDDINGS:
        return Group.EMBEDDINGS
    if head or names[-1] in _HEAD or "lm_head" in stems:
        return Group.HEAD
    if stems & _AUXILIARY:
        return Group.OTHER
    if stems & _ATTENTION:
        return Group.ATTENTION
    return Group.MLP if stems & (_MLP - {"output"}) else Group.OTHER


def settle(groups: Iterable[Group]) -> dict[Group, Group]:
    """What to rename once all groups of a model are known: a "shared" MLP without experts is simply the MLP."""
    present = set(groups)
    if Group.SHARED_EXPERTS in present and Group.EXPERTS not in present:
        return {Group.SHARED_EXPERTS: Group.MLP}
    return {}
