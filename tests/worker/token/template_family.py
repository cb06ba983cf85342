"""Chat templates with the traits of real families, and for each, written by hand, what of a talk is learned.

The templates (`templates/`) are written for these tests: they have the tokens, the order and the quirks of the
family that they are named after, and nothing else of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from app.core.config.train_config import TrainConfig
from app.worker.token.encode import Encoded, RowEncoder
from app.worker.token.tokenizer import load_tokenizer

TEMPLATES = Path(__file__).parent / "templates"
TOKENS = re.compile(
    r"<\|[\w▁:-]+\|>|<｜[\w▁]+｜>|<\|turn>|<turn\|>|<\|channel>|<channel\|>|\[\|\w+\|\]|\[/?INST\]|\[gMASK\]|<sop>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|</?think>|<(?:start|end)_of_turn>|\][~!]b\[?\]?"
    r"|\[e~\[|</?tool_call>"
)
ROLE_TOKENS = (
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|observation|>",
    "[|user|]",
    "[|assistant|]",
    "[|system|]",
)

TOOL = {"type": "function", "function": {"name": "thermometer", "parameters": {"type": "object", "properties": {}}}}
CALL = {"type": "function", "function": {"name": "thermometer", "arguments": {"city": "Rome"}}}


def user(text: str) -> dict[str, Any]:
    """A question."""
    return {"role": "user", "content": text}


def answer(text: str, **more: Any) -> dict[str, Any]:
    """An answer, with reasoning or calls where ``more`` has them."""
    return {"role": "assistant", "content": text} | more


TALK = [user("First question?"), answer("First answer."), user("Second question?"), answer("Second answer.")]
CASES: dict[str, dict[str, Any]] = {
    "one turn": {"messages": TALK[:2]},
    "turns": {"messages": TALK},
    "system": {"messages": [{"role": "system", "content": "Be kind."}, *TALK]},
    "tools": {
        "messages": [user("How warm is it?"), answer("", tool_calls=[CALL]), {"role": "tool", "content": "20"},
                     answer("It is 20.")],
        "tools": [TOOL],
    },
    "thinking": {
        "messages": [user("First question?"), answer("First answer.", reasoning_content="I think."),
                     user("Second question?"), answer("Second answer.", reasoning_content="Think again.")]
    },
    "empty": {"messages": [*TALK[:3], answer("")]},
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What is learned under one template.

    ``end`` and ``last_end`` end an inner answer and the last one; ``lead`` and ``last_lead`` are what the model has
    to say before them, ``thought`` what it says of its reasoning before the last (``{}``), where it shows any;
    ``rewritten_end`` ends an answer whose reasoning the template takes away when others follow.
    ``call`` is the whole turn of a call, ``after_tool`` what stands before the answer to its result; "" where the
    template shows no calls. ``stops`` are the end tokens of the model; ``refused`` cases have no row.
    """

    name: str
    end: str
    last_end: str | None = None
    lead: str = ""
    last_lead: str | None = None
    thought: str = ""
    rewritten_end: str | None = None
    call: str = ""
    after_tool: str | None = None
    stops: tuple[str, ...] = ()
    eos: str = ""
    bos: str = "<s>"
    refused: tuple[str, ...] = ()
    cases: tuple[str, ...] = ("one turn", "turns", "system", "empty")

    def spans(self, case: str, turns: str) -> list[str]:
        """What is learned of a case with ``mask_turns`` as given."""
        lead = self.lead if self.last_lead is None else self.last_lead
        end = self.end if self.last_end is None else self.last_end
        if case == "tools":
            last = (lead if self.after_tool is None else self.after_tool) + "It is 20." + end
            found = [self.call, last] if self.call else [last]
        else:
            said = {"one turn": "First answer.", "empty": ""}.get(case, "Second answer.")
            if case == "thinking" and self.thought:
                lead = self.thought.format("Think again.")
            is_rewritten = case == "thinking" and self.rewritten_end is not None
            inner = self.lead + "First answer." + (self.rewritten_end or "" if is_rewritten else self.end)
            found = [inner, lead + said + end][case == "one turn" :]
        return [span for span in (found if turns == "all" else found[-1:]) if span]


THINK = ("one turn", "turns", "system", "thinking", "empty")
EVERY = ("one turn", "turns", "system", "tools", "thinking", "empty")
QWEN_CALL = '<tool_call>\n{"name": "thermometer", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>'
EMPTY_THOUGHT = "<think>\n\n</think>\n\n"
DEEPSEEK_CALL = (
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>thermometer<｜tool▁sep｜>{"city": "Rome"}'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜></s>"
)
FAMILIES = [
    Family("qwen2_5", "<|im_end|>\n", call='<tool_call>\n{"name": "thermometer", "arguments": {"city": "Rome"}}\n'
           "</tool_call><|im_end|>\n", cases=("one turn", "turns", "system", "tools", "empty"), eos="<|im_end|>"),
    Family("internlm2", "<|im_end|>\n", stops=("<|im_end|>",)),
    Family("zephyr", "</s>\n"),
    Family("exaone", "[|endofturn|]\n", stops=("[|endofturn|]",)),
    Family("kimi_k2", "<|im_end|>", eos="<|im_end|>", call="<|tool_calls_section_begin|><|tool_call_begin|>"
           'thermometer<|tool_call_argument_begin|>{"city": "Rome"}<|tool_call_end|><|tool_calls_section_end|>'
           "<|im_end|>",
           cases=("one turn", "turns", "system", "tools", "empty")),
    Family("minimax_m2", "[e~[\n", eos="[e~["),
    Family("seed_oss", "<seed:eos>", eos="<seed:eos>", bos="<seed:bos>"),
    Family("llama3", "<|eot_id|>", stops=("<|eot_id|>",)),
    Family("llama3_1", "<|eot_id|>", stops=("<|eot_id|>",),
           call='{"name": "thermometer", "parameters": {"city": "Rome"}}<|eot_id|>',
           cases=("one turn", "turns", "system", "tools", "empty")),
    Family("granite3", "<|end_of_text|>\n", eos="<|end_of_text|>"),
    Family("phi4", "<|im_end|>", stops=("<|im_end|>",)),
    Family("command_r", "<|END_OF_TURN_TOKEN|>", eos="<|END_OF_TURN_TOKEN|>"),
    Family("command_r7b", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", lead="<|START_RESPONSE|>",
           eos="<|END_OF_TURN_TOKEN|>"),
    Family("gemma2", "<end_of_turn>\n", stops=("<end_of_turn>",), refused=("system",)),
    Family("gemma3", "<end_of_turn>\n", stops=("<end_of_turn>",)),
    Family("lfm2", "<|im_end|>\n", eos="<|im_end|>", cases=("one turn", "turns", "system", "tools", "empty")),
    Family("glm4", "", lead="\n"),
    Family("glm4_5", "", lead="\n<think></think>\n", thought="\n<think>{}</think>\n",
           call="\n<think></think>\n<tool_call>thermometer\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n"
           "</tool_call>", cases=("one turn", "turns", "system", "tools", "thinking")),
    Family("phi3", "<|end|>", "<|end|>\n</s>", stops=("<|end|>",)),
    Family("phi4_mini", "<|end|>", "<|end|></s>", stops=("<|end|>",)),
    Family("gpt_oss", "<|end|>", "<|return|>", lead="<|channel|>final<|message|>", eos="<|return|>",
           thought="<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
           call=" to=functions.thermometer<|channel|>commentary json<|message|>" '{"city": "Rome"}<|call|>',
           cases=EVERY),
    Family("olmo2", "</s>", "</s>"),
    Family("falcon3", "<|endofturn|>", "</s>", stops=("<|endofturn|>",)),
    Family("llama2", " </s>", lead=" "),
    Family("mistral", "</s>", lead=" ", cases=("one turn", "turns", "system", "tools", "empty"),
           call='[TOOL_CALLS] [{"name": "thermometer", "arguments": {"city": "Rome"}}]</s>'),
    Family("mistral_small", "</s>"),
    Family("vicuna", "</s>", lead=" "),
    Family("qwen3", "<|im_end|>", "<|im_end|>\n", last_lead=EMPTY_THOUGHT, thought="<think>\n{}\n</think>\n\n",
           call=QWEN_CALL, eos="<|im_end|>", cases=EVERY),
    Family("qwen3_thinking", "<|im_end|>", "<|im_end|>\n", last_lead="\n</think>\n\n", thought="{}\n</think>\n\n",
           call=QWEN_CALL, eos="<|im_end|>", cases=EVERY),
    Family("qwen3_5", "<|im_end|>", "<|im_end|>\n", last_lead="\n</think>\n\n", thought="{}\n</think>\n\n",
           call="\n</think>\n\n" + QWEN_CALL + "\n", eos="<|im_end|>", cases=EVERY),
    Family("qwen3_5_plain", "<|im_end|>", "<|im_end|>\n", thought="{}\n</think>\n\n", call=QWEN_CALL + "\n",
           eos="<|im_end|>", cases=EVERY),
    Family("nemotron3", "<|im_end|>\n", lead="</think>", thought="{}\n</think>\n", rewritten_end="<|im_end|>",
           eos="<|im_end|>", cases=THINK),
    Family("deepseek_v3", "</s>", call=DEEPSEEK_CALL, after_tool="", cases=EVERY),
    Family("deepseek_r1", "</s>", call=DEEPSEEK_CALL, after_tool="", cases=EVERY),
    Family("deepseek_v3_1", "</s>", call=DEEPSEEK_CALL, after_tool="", cases=EVERY),
    Family("gemma4", "<turn|>\n", stops=("<turn|>",)),
    Family("marked_chatml", "<|im_end|>", eos="<|im_end|>"),
    Family("marked_phi3", "<|end|>\n", "<|end|>\n</s>", stops=("<|end|>",)),
]  # fmt: skip


def tokenizer_of(family: Family, folder: Path) -> Any:
    """The family's template with a tokenizer of bytes, to which the template's own tokens are added."""
    template = (TEMPLATES / f"{family.name}.jinja").read_text(encoding="utf-8")
    eos = family.eos or "</s>"
    own = dict.fromkeys(token for token in TOKENS.findall(template) if not token.startswith("</tool"))
    named = [token for token in ROLE_TOKENS if "|> ~ m.role" not in template]
    special = list(dict.fromkeys(["<pad>", family.bos, eos, *family.stops, *own, *named]))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(special + letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token=family.bos, eos_token=eos,
        additional_special_tokens=special[3:],
    )  # fmt: skip
    fast.chat_template = template
    fast.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": len(vocabulary) + 8}))
    stops = [vocabulary[token] for token in (eos, *family.stops)]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": stops}))
    return load_tokenizer(str(folder), "2026-01-31")


def learned(tokenizer: Any, row: dict[str, Any], turns: str) -> tuple[list[str], Encoded]:
    """The texts that are learned of a row, run by run, and the row as it is encoded."""
    config = TrainConfig().with_values({"mask_prompt": True, "mask_turns": turns})
    (encoded,) = RowEncoder(tokenizer, config, row).encode([row])
    return list(_runs(tokenizer, encoded)), encoded


def _runs(tokenizer: Any, encoded: Encoded) -> Iterator[str]:
    if encoded.example is None:
        return
    run: list[int] = []
    for number, is_trained in zip(*(part.tolist() for part in encoded.example), strict=True):
        if is_trained:
            run.append(number)
        elif run:
            yield tokenizer.decode(run)
            run = []
    if run:
        yield tokenizer.decode(run)


def verdict(family: Family, case: str, turns: str, tokenizer: Any) -> str:
    """What is wrong with a case; empty if it is right."""
    found, encoded = learned(tokenizer, CASES[case], turns)
    if case in family.refused:
        return "" if encoded.refused else "it should be refused"
    if encoded.refused:
        return encoded.refused
    wanted = family.spans(case, turns)
    return "" if found == wanted else f"{found} instead of {wanted}"
