"""A GGUF file answers in llama.cpp as its model does in MLX: every architecture, in every type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize
from mlx.utils import tree_flatten
from mlx_lm import load
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_config, quantize_model

from app.core.model.vocabulary import end_tokens
from app.worker.gguf.adapter import write_gguf_adapter
from app.worker.gguf.file import GgufPlan, plan_gguf, write_gguf
from app.worker.gguf.tensor_type import TensorType
from tests.worker.gguf.llama_engine import LlamaEngine, typical_difference
from tests.worker.gguf.prompt import PROMPTS
from tests.worker.gguf.tiny_gguf import MODELS, write_tiny

pytestmark = pytest.mark.torch  # llama.cpp is, like torch, a large package that only some tests compare with

ANSWER, MARGIN = 6, 2.0
# How far log-probabilities may lie apart, as a share of how far logits do: llama.cpp rounds what it multiplies with
# as it does weights, to bfloat16 or eight bits a number.
BOUNDS = dict.fromkeys(TensorType, 0.1) | {TensorType.BF16: 0.03, TensorType.F16: 0.005}


@dataclass
class Case:
    """A tiny model as it was loaded, and how it begins an answer."""

    folder: Path
    model: nn.Module
    tokenizer: Any
    weights: dict[str, mx.array]
    prompt: list[int]

    def plan(self, kind: TensorType, model: nn.Module | None = None) -> GgufPlan:
        return plan_gguf(
            self.model if model is None else model, load_config(self.folder), self.tokenizer, kind,
            name=self.folder.name, ends=tuple(end_tokens(self.folder)), texts=[chat(self.tokenizer, "Hi")],
        )  # fmt: skip

    @property
    def broken(self) -> list[int]:
        """Ids that are a part of a character only."""
        count = len(self.tokenizer.get_vocab())
        return [number for number in range(count) if "\ufffd" in self.tokenizer.decode([number])]


def chat(tokenizer: Any, question: str) -> str:
    text: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    return text


def encoded(tokenizer: Any, text: str) -> list[int]:
    """As mlx-lm encodes a prompt: the token of the beginning only where the text has it not."""
    begin = tokenizer.bos_token
    found: list[int] = tokenizer.encode(text, add_special_tokens=begin is None or not text.startswith(begin))
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="module", params=MODELS)
def case(root: Path, request: pytest.FixtureRequest) -> Case:
    return opened(write_tiny(root / request.param, request.param))


def opened(folder: Path) -> Case:
    """The model with an answer of its own to ``prompt``, which small roundings do not change."""
    model, tokenizer = load(str(folder))
    prompt = encoded(tokenizer, chat(tokenizer, "Hello world"))
    make_sure(model, prompt)
    weights = dict(tree_flatten(model.parameters()))
    return Case(folder, model, tokenizer, weights, prompt)


def make_sure(model: nn.Module, prompt: list[int]) -> None:
    """Lets a random model be sure of its answer: the next token leads by far at each of the first steps.

    Each step's rivals lose, in their rows of the head, some of what that step's last state has beyond the states
    before it. Rows that are also read, in a head that is tied, stay as they are.
    """
    tokens, deviation = list(prompt), 0.0
    states: list[npt.NDArray[np.float32]] = []
    is_tied = "lm_head" not in model
    head = model.model.embed_tokens if is_tied else model.lm_head
    for _ in range(ANSWER):
        state = np.array(model.model(mx.array([tokens]))[0, -1])
        beyond = state.copy()
        for earlier in states:
            beyond -= earlier * (earlier @ beyond)
        states.append(beyond / np.linalg.norm(beyond))
        weight = np.array(head.weight)
        logits = weight @ state
        deviation = deviation or float(logits.std())
        chosen = int(np.argmax(logits))
        excess = np.maximum(logits - logits[chosen] + MARGIN * deviation, 0)
        excess[[chosen, *(tokens if is_tied else [])]] = 0
        weight -= np.outer(excess / (states[-1] @ state), states[-1])
        head.weight = mx.array(weight)
        tokens.append(chosen)


def rounded(name: str, array: mx.array, kind: TensorType, tied: bool) -> mx.array:
    """What is left of an array in a file of the type, by the ``gguf`` package's own arithmetic."""
    if array.ndim == 1 or name.endswith("mlp.gate.weight"):
        return array
    is_head = "lm_head" in name or (tied and "embed_tokens" in name)
    few = kind in (TensorType.Q5_1, TensorType.Q4_0, TensorType.MXFP4)
    ggml = GGMLQuantizationType["Q8_0" if is_head and few else kind.name]
    return mx.array(dequantize(quantize(np.array(array), ggml), ggml))


def agree(engine: LlamaEngine, model: nn.Module, prompt: list[int], bound: float) -> None:
    """Both answer the same, and are of the same mind about the likeliest tokens of each step."""
    tokens = list(prompt)
    steps, rows = [], []
    for _ in range(ANSWER):
        row = model(mx.array([tokens]))[0, -1].astype(mx.float32)
        step = engine.next(tokens)
        rows.append(np.array(row))
        steps.append(step)
        assert next(iter(step)) == int(np.argmax(rows[-1]))
        tokens.append(next(iter(step)))
    assert typical_difference(steps, np.stack(rows)) < bound


@pytest.mark.parametrize("kind", TensorType)
def test_llama_cpp_answers_as_mlx_does(case: Case, kind: TensorType, tmp_path: Path) -> None:
    file, tied = tmp_path / "model.gguf", "lm_head.weight" not in case.weights
    head = "model.embed_tokens.weight" if tied else "lm_head.weight"

    def left(weights: dict[str, mx.array]) -> list[tuple[str, mx.array]]:
        return [(name, rounded(name, array, kind, tied)) for name, array in weights.items()]

    try:
        case.model.load_weights(left(case.weights))  # sure of its answer with what is left of it
        make_sure(case.model, case.prompt)
        weights = case.weights | {head: dict(tree_flatten(case.model.parameters()))[head]}
        case.model.load_weights(list(weights.items()))
        write_gguf(case.plan(kind), file)
        case.model.load_weights(left(weights))
        agree(LlamaEngine(file, broken=case.broken), case.model, case.prompt, BOUNDS[kind])
    finally:
        case.model.load_weights(list(case.weights.items()))


def test_tokens_template_and_end_are_the_same(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    plan = case.plan(TensorType.BF16)
    write_gguf(plan, file)
    engine, tokenizer = LlamaEngine(file), case.tokenizer
    assert len(PROMPTS) == 50
    for text in PROMPTS:
        assert engine.tokens(text) == tokenizer.encode(text), text
        rendered = chat(tokenizer, text)
        begins = plan.vocabulary.flags["add_bos_token"] and tokenizer.bos_token is not None
        shown = rendered.removeprefix(tokenizer.bos_token) if begins else rendered  # the server adds it as a token
        assert engine.rendered([{"role": "user", "content": text}]) == shown
        assert engine.tokens(shown) == encoded(tokenizer, rendered), rendered
    ends = {plan.vocabulary.special[name] for name in ("eos", "eot", "eom") if name in plan.vocabulary.special}
    assert ends == set(end_tokens(case.folder))


def test_a_quantized_base_is_unpacked_first(root: Path, tmp_path: Path) -> None:
    case = opened(write_tiny(root / "packed", "llama"))
    packed, _ = quantize_model(case.model, {}, 32, 4)
    write_gguf(case.plan(TensorType.F16, packed), tmp_path / "model.gguf")
    agree(LlamaEngine(tmp_path / "model.gguf", broken=case.broken), packed, case.prompt, BOUNDS[TensorType.F16])


@pytest.mark.parametrize("dora", [False, True])
def test_an_adapter_on_the_model_is_in_the_file(root: Path, tmp_path: Path, dora: bool) -> None:
    case = opened(write_tiny(root / f"adapted-{dora}", "qwen2"))
    adapt(case.model, dora=dora)
    write_gguf(case.plan(TensorType.F16), tmp_path / "model.gguf")
    agree(LlamaEngine(tmp_path / "model.gguf", broken=case.broken), case.model, case.prompt, BOUNDS[TensorType.F16])


def adapt(model: nn.Module, *, dora: bool = False, layers: int = 2) -> None:
    """Puts an adapter on a model that changes its answers."""
    model.freeze()
    mx.random.seed(5)
    linear_to_lora_layers(model, layers, {"rank": 4, "scale": 2.0, "dropout": 0.0}, use_dora=dora)
    changed = [
        (name, array + mx.random.normal(array.shape) * 0.1)
        for name, array in tree_flatten(model.trainable_parameters())
    ]
    model.load_weights(changed, strict=False)
    model.eval()


def test_rows_that_do_not_fit_blocks_stay_f16_and_it_is_said(root: Path, tmp_path: Path) -> None:
    case = opened(write_tiny(root / "odd", "llama", intermediate_size=80))
    plan = case.plan(TensorType.Q8_0)
    assert plan.notes == ("3 matrices in F16, with rows that are no multiple of 32 (blk.0.ffn_down.weight).",)
    write_gguf(plan, tmp_path / "model.gguf")
    kinds = {tensor.name: tensor.tensor_type for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
    assert kinds["blk.0.ffn_down.weight"] is GGMLQuantizationType.F16
    assert kinds["blk.0.ffn_up.weight"] is GGMLQuantizationType.Q8_0


@pytest.mark.parametrize("name", MODELS)
def test_an_adapter_alone_makes_of_the_base_what_the_tuned_model_is(name: str, tmp_path: Path) -> None:
    case = opened(write_tiny(tmp_path / name, name))
    adapt(case.model)
    make_sure(case.model, case.prompt)
    parts = {path: part for path, part in case.model.named_modules() if "lora_b" in part}
    first = next(iter(parts.values()))
    first.scale *= 1.5  # llama.cpp has one alpha for all
    write_gguf_adapter(tmp_path / "adapter.gguf", case.model, load_config(case.folder), parts, "adapter")
    scales = [part.scale for part in parts.values()]
    for part in parts.values():
        part.scale = 0.0
    write_gguf(case.plan(TensorType.F16), tmp_path / "base.gguf")
    for part, scale in zip(parts.values(), scales, strict=True):
        part.scale = scale
    engine = LlamaEngine(tmp_path / "base.gguf", adapter=tmp_path / "adapter.gguf", broken=case.broken)
    agree(engine, case.model, case.prompt, 2 * BOUNDS[TensorType.F16])
