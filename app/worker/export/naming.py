"""Hugging Face's names: what mlx-lm's `sanitize` did to a model's tensors, undone.

mlx-lm builds most architectures with the very names of transformers, and only drops tensors that can be made
again. Where it renames, transposes or stacks, the way back is written down here; what is not here is refused by
name (`unknown_naming`), because a model under wrong names loads elsewhere as one that was never trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx

from app.core.language import tr
from app.core.problem import Problem


@dataclass(frozen=True, slots=True)
class Naming:
    """How an architecture's tensors are called in transformers.

    ``prefixes`` replace the beginnings of mlx-lm's names by those of transformers' modules, ``omitted`` is a
    beginning that the files leave out. Modules that end in one of ``transposed`` keep their matrices the other way
    round (GPT-2's Conv1D). ``experts`` says where stacked experts go: the module in mlx-lm's name, the one that
    holds them one by one, and how their matrices are called there. ``class_name`` is transformers' class.
    """

    class_name: str
    prefixes: tuple[tuple[str, str], ...] = ()
    omitted: str = ""
    transposed: tuple[str, ...] = ()
    experts: tuple[str, str, tuple[tuple[str, str], ...]] | None = None

    def module(self, path: str) -> str:
        """A module's path in transformers."""
        for own, theirs in self.prefixes:
            if path.startswith(own):
                return theirs + path.removeprefix(own)
        return path

    def is_transposed(self, path: str) -> bool:
        """Whether transformers keeps this module's matrix as (inputs, outputs)."""
        return path.rpartition(".")[2] in self.transposed

    def tensors(self, name: str, array: mx.array) -> Iterator[tuple[str, mx.array]]:
        """A tensor of mlx-lm's model as the files of a Hugging Face model have it: one, or one for each expert."""
        path, _, leaf = name.rpartition(".")
        if self.experts is not None and (found := self._expert_matrix(path)) is not None:
            before, matrix = found
            for number in range(array.shape[0]):
                yield f"{before}.{number}.{matrix}.{leaf}", array[number]
            return
        if leaf == "weight" and self.is_transposed(path):
            array = mx.contiguous(array.T)
        yield f"{self.module(path)}.{leaf}".removeprefix(self.omitted), array

    def _expert_matrix(self, path: str) -> tuple[str, str] | None:
        """The module that holds the experts one by one, and what their matrix is called in each."""
        assert self.experts is not None
        stacked, single, names = self.experts
        found = re.fullmatch(rf"(.+)\.{re.escape(stacked)}\.(\w+)", self.module(path))
        return (f"{found[1]}.{single}", dict(names).get(found[2], found[2])) if found else None


_SWITCH = ("switch_mlp", "experts", ())
_SAME = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "ministral3": "Ministral3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "phi": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "cohere": "CohereForCausalLM",
    "cohere2": "Cohere2ForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "olmo3": "Olmo3ForCausalLM",
    "granite": "GraniteForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "helium": "HeliumForCausalLM",
    "seed_oss": "SeedOssForCausalLM",
    "nemotron": "NemotronForCausalLM",
    "ernie4_5": "Ernie4_5ForCausalLM",
    "hunyuan_v1_dense": "HunYuanDenseV1ForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
    "glm": "GlmForCausalLM",
    "glm4": "Glm4ForCausalLM",
}
NAMINGS: dict[str, Naming] = {name: Naming(kind) for name, kind in _SAME.items()} | {
    "gpt2": Naming(
        "GPT2LMHeadModel",
        (("model.", "transformer."),),
        omitted="transformer.",
        transposed=("c_attn", "c_proj", "c_fc"),
    ),
    "gpt_neox": Naming(
        "GPTNeoXForCausalLM",
        (("model.embed_out", "embed_out"), ("model.h.", "gpt_neox.layers."), ("model.", "gpt_neox.")),
    ),
    "qwen2_moe": Naming("Qwen2MoeForCausalLM", experts=_SWITCH),
    "qwen3_moe": Naming("Qwen3MoeForCausalLM", experts=_SWITCH),
    "olmoe": Naming("OlmoeForCausalLM", experts=_SWITCH),
    "mixtral": Naming(
        "MixtralForCausalLM",
        experts=("switch_mlp", "experts", (("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3"))),
    ),
}


def unknown_naming(model_type: str) -> list[Problem]:
    """Why a model of this type cannot be written under Hugging Face's names; nothing if it can."""
    if model_type in NAMINGS:
        return []
    said = tr(
        "How transformers names the tensors of a model of type {model_type} is not known here",
        model_type=model_type,
    )
    if model_type in ("gemma3", "mistral3", "llama4", "qwen3_5", "qwen3_vl", "gemma4"):
        said += tr(": its part that sees is not among what mlx-lm loads")
    hint = tr("Export the adapter, or fused for MLX. Known are {names}.", names=", ".join(sorted(NAMINGS)))
    return [Problem("format", f"{said}.", hint=hint)]
