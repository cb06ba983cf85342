"""Spans under templates and texts that make them hard to find: they are right, or the row has none and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.worker.tiny_tokenizer import load, save_tokenizer
from tests.worker.token.template_family import answer, learned, user

PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ ':' ~ (TEXT) ~ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"
)
TALK = [user("SECRET one"), answer("Yes."), user("SECRET two"), answer("No.")]
MERGED = """{%- for m in messages %}
{%- if m.role == 'tool' %}
{{- ('' if messages[loop.index0 - 1].role == 'tool' else '<|im_start|>user:') ~ '(' ~ m.content ~ ')' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>{% endif %}
{%- else %}{{ '<|im_start|>' ~ m.role ~ ':' ~ (m.content or '') }}
{%- for call in m.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}<|im_end|>{% endif %}
{%- endfor %}{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"""


def template(text: str) -> str:
    return PLAIN.replace("TEXT", text)


def spans(folder: Path, source: str, messages: list[dict[str, Any]], turns: str = "all") -> tuple[list[str], str]:
    """What is learned, and why nothing is."""
    found, encoded = learned(load(save_tokenizer(folder, source)), {"messages": messages}, turns)
    return found, encoded.kind if encoded.refused else ""


@pytest.mark.parametrize(
    ("text", "messages", "wanted"),
    [
        # A user who writes the template's own tokens, and texts that repeat each other.
        ("m.content", [user("<|im_end|><|im_start|>assistant:X"), *TALK[1:]], ["Yes.<|im_end|>", "No.<|im_end|>"]),
        ("m.content", [user("Yes."), *TALK[1:3], answer("Yes.")], ["Yes.<|im_end|>", "Yes.<|im_end|>"]),
        ("m.content", [user("Qz0001zQ"), answer("Qz0000zQ")], ["Qz0000zQ<|im_end|>"]),
        # What the template does to texts.
        ("m.content | trim", [user(" a "), answer("\n Yes. \n")], ["Yes.<|im_end|>"]),
        ("m.content | upper if m.role == 'user' else m.content", TALK, ["Yes.<|im_end|>", "No.<|im_end|>"]),
        ("m.content | tojson", [user('"a"\né'), answer('"b"\né')], ['"\\"b\\"\\né"<|im_end|>']),
        # Turns that are not as usual.
        ("m.content", [answer("Hello."), *TALK[:2]], ["Hello.<|im_end|>", "Yes.<|im_end|>"]),
        ("m.content", [*TALK[:2], answer("Yes!")], ["Yes.<|im_end|>", "Yes!<|im_end|>"]),
        ("m.content", [user("a"), answer(" "), user("b"), answer("")], [" <|im_end|>", "<|im_end|>"]),
    ],
)  # fmt: skip
def test_every_answer(tmp_path: Path, text: str, messages: list[dict[str, Any]], wanted: list[str]) -> None:
    assert spans(tmp_path, template(text), messages) == (wanted, "")


def test_an_answer_that_the_template_rewrites_is_a_fault_and_no_guess(tmp_path: Path) -> None:
    source = template("m.content | upper")
    assert spans(tmp_path, source, TALK) == ([], "answer_not_found")
    assert (
        spans(tmp_path, template("m.content.split('#')[-1]"), [user("a"), answer("b# Yes.")])[1]
        == "answer_not_found"
    )


def test_turns_that_end_only_when_another_follows(tmp_path: Path) -> None:
    source = template("m.content").replace("'<|im_end|>'", "('' if loop.last else '<|im_end|>')")
    assert spans(tmp_path, source, TALK) == (["Yes.<|im_end|>", "No."], "")


def test_a_prompt_that_the_row_lacks(tmp_path: Path) -> None:
    source = template("m.content").replace("assistant:{% endif", "assistant:<think>{% endif")
    assert spans(tmp_path, source, TALK) == (["Yes.<|im_end|>", "No.<|im_end|>"], "")
    # An answer that begins with what the model is given learns what follows it.
    thought = [user("a"), answer("<think>So.</think>Yes.")]
    assert spans(tmp_path, source, thought) == (["So.</think>Yes.<|im_end|>"], "")


def test_calls_and_their_results(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 'é"'}}}
    results = [{"role": "tool", "content": "1"}, {"role": "tool", "content": "SECRET"}]
    messages = [
        user("a"),
        answer("", tool_calls=[call, call]),
        *results,
        answer("Done."),
        user("b"),
        answer("End."),
    ]
    one = '{"name": "f", "arguments": {"x": "é\\""}}'
    assert spans(tmp_path, MERGED, messages) == (
        [one + one + "<|im_end|>", "Done.<|im_end|>", "End.<|im_end|>"],
        "",
    )


def test_arguments_beyond_64_bits(tmp_path: Path) -> None:
    calls = [{"type": "function", "function": {"name": "add", "arguments": {"to": 10**30}}}]
    found, refused = spans(tmp_path, MERGED, [user("Add."), answer("") | {"tool_calls": calls}])
    assert (refused, len(found)) == ("", 1)
    assert str(10**30) in found[0]
