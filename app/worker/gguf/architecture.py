"""The architectures that are written here: llama.cpp's names for them, and the hyper-parameters that it reads.

Everything is taken from the model that MLX built, whose arguments are what it computes with, and not from
``config.json``, which may say more. What llama.cpp would compute otherwise is refused by name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import mlx.nn as nn
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.gguf.rotation import rotation_values

NESTED = "language_model"  # where models of several media keep their model of words


@dataclass(frozen=True, slots=True)
class GgufArchitecture:
    """What sets one architecture apart; ``kind`` is the ``gguf`` package's name of it.

    ``interleaved``: llama.cpp turns neighbours of a head's rows, so that queries and keys change places.
    ``norm_offset`` is what the model itself adds to the weights of its norms.
    """

    kind: MODEL_ARCH
    interleaved: bool = False
    norm_offset: float = 0.0

    @property
    def name(self) -> str:
        """What a file says it is."""
        return MODEL_ARCH_NAMES[self.kind]


_LLAMA = GgufArchitecture(MODEL_ARCH.LLAMA, interleaved=True)
# By the ``model_type`` of config.json, as mlx-lm takes it.
ARCHITECTURES: Mapping[str, GgufArchitecture] = MappingProxyType({
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": GgufArchitecture(MODEL_ARCH.QWEN2),
    "qwen3": GgufArchitecture(MODEL_ARCH.QWEN3),
    "qwen3_moe": GgufArchitecture(MODEL_ARCH.QWEN3MOE),
    "gemma2": GgufArchitecture(MODEL_ARCH.GEMMA2, norm_offset=1.0),
    "gemma3": GgufArchitecture(MODEL_ARCH.GEMMA3, norm_offset=1.0),
    "gemma3_text": GgufArchitecture(MODEL_ARCH.GEMMA3, norm_offset=1.0),
    "phi3": GgufArchitecture(MODEL_ARCH.PHI3),
})  # fmt: skip


def architecture_of(config: Mapping[str, Any]) -> GgufArchitecture:
    """The architecture of a ``config.json``. Raises `UnusableError` for one that is not written here."""
    kind = str(config.get("model_type"))
    if kind in ARCHITECTURES:
        return ARCHITECTURES[kind]
    said = tr(
        "Models of the type {kind} are not written as GGUF here ({names} are).",
        kind=kind,
        names=", ".join(sorted(ARCHITECTURES)),
    )
    raise UnusableError([Problem("model", said, hint=tr("Use llama.cpp's own converter, or export as hf."))])


def text_model(model: nn.Module) -> tuple[nn.Module, str]:
    """The model of words and the prefix of its paths: a model of several media wraps it."""
    return (model[NESTED], f"{NESTED}.") if NESTED in model else (model, "")


def hyper_parameters(
    architecture: GgufArchitecture, model: nn.Module, config: Mapping[str, Any]
) -> dict[str, int | float | str]:
    """llama.cpp's keys, without the architecture's prefix, and their values.

    Raises `UnusableError` with everything that llama.cpp would compute otherwise than MLX does.
    """
    text, _ = text_model(model)
    args = dataclasses.asdict(text.args)
    nested = config.get("text_config")
    context = (nested if isinstance(nested, dict) else config).get("max_position_embeddings")
    heads, width = int(args["num_attention_heads"]), int(args["hidden_size"])
    head_dim = int(args.get("head_dim") or width // heads)
    values: dict[str, int | float | str] = {
        "context_length": int(context or args.get("max_position_embeddings") or 2048),
        "embedding_length": width,
        "block_count": int(args["num_hidden_layers"]),
        "feed_forward_length": int(args["intermediate_size"]),
        "attention.head_count": heads,
        "attention.head_count_kv": int(args.get("num_key_value_heads") or heads),
        "attention.layer_norm_rms_epsilon": float(args["rms_norm_eps"]),
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "vocab_size": int(args["vocab_size"]),
    }
    faults = [*_common_faults(architecture, args)]
    own = _OWN.get(architecture.kind)
    if own is not None:
        more, found = own(args, head_dim)
        values |= more
        faults += found
    turned, found = rotation_values(architecture.kind, text, args, head_dim)
    faults += found
    if faults:
        hint = tr("Export as hf or fused instead.")
        raise UnusableError([Problem("model", f"{fault}.", hint=hint) for fault in faults])
    return values | turned


def _common_faults(architecture: GgufArchitecture, args: Mapping[str, Any]) -> Iterable[str]:
    if not architecture.interleaved and args.get("rope_traditional"):
        yield tr(
            "The model turns neighbours (rope_traditional), which {name} in llama.cpp does not",
            name=architecture.name,
        )
    if "sliding_attention" in (args.get("layer_types") or ()) and architecture.kind is MODEL_ARCH.LLAMA:
        yield tr("Some layers see a sliding window only, which llama.cpp's llama does not know")


_Own = tuple[dict[str, int | float | str], list[str]]


def _gemma2(args: Mapping[str, Any], head_dim: int) -> _Own:
    faults = _scale_faults(args, head_dim, largest_layers=46)
    return {
        "attn_logit_softcapping": float(args["attn_logit_softcapping"]),
        "final_logit_softcapping": float(args["final_logit_softcapping"]),
        "attention.sliding_window": int(args.get("sliding_window") or 4096),
    }, faults


def _gemma3(args: Mapping[str, Any], head_dim: int) -> _Own:
    faults = _scale_faults(args, head_dim, largest_layers=62)
    values: dict[str, int | float | str] = {
        "attention.sliding_window": int(args["sliding_window"]),
        "rope.freq_base_swa": float(args["rope_local_base_freq"]),
    }
    if (pattern := int(args["sliding_window_pattern"])) != 6:  # that is what every version of llama.cpp takes
        values["attention.sliding_window_pattern"] = pattern
    return values, faults


def _scale_faults(args: Mapping[str, Any], head_dim: int, largest_layers: int) -> list[str]:
    """Gemma's queries are scaled by a setting, in llama.cpp by what the known sizes of the model have."""
    is_largest = args["num_hidden_layers"] == largest_layers
    expected = args["hidden_size"] / args["num_attention_heads"] if is_largest else head_dim
    if math.isclose(args["query_pre_attn_scalar"], expected):
        return []
    return [
        tr(
            "query_pre_attn_scalar is {query_pre_attn_scalar:g}; llama.cpp takes {expected:g}",
            query_pre_attn_scalar=args["query_pre_attn_scalar"],
            expected=expected,
        )
    ]


def _qwen3_moe(args: Mapping[str, Any], _head_dim: int) -> _Own:
    faults = []
    if not args["norm_topk_prob"]:
        faults.append(
            tr("The experts' shares are not normed (norm_topk_prob), which llama.cpp's qwen3moe always does")
        )
    if args["mlp_only_layers"] or args["decoder_sparse_step"] != 1:
        faults.append(tr("Some layers have no experts, which llama.cpp's qwen3moe does not know"))
    return {
        "expert_count": int(args["num_experts"]),
        "expert_used_count": int(args["num_experts_per_tok"]),
        "expert_feed_forward_length": int(args["moe_intermediate_size"]),
    }, faults


_OWN = {MODEL_ARCH.GEMMA2: _gemma2, MODEL_ARCH.GEMMA3: _gemma3, MODEL_ARCH.QWEN3MOE: _qwen3_moe}
