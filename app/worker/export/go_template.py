"""A chat template in Go's words, as Ollama has them: found by trying what the model's own template writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Talk = Sequence[tuple[str, str]]
# A conversation (role, text), with or without the beginning of an answer, as the model's own template writes it.
Render = Callable[[Talk, bool], str]

_STAND_INS = {"system": "SYSTEMTEXT", "user": "QUESTIONTEXT", "assistant": "ANSWERTEXT"}
_TRIED: tuple[tuple[str, ...], ...] = (
    ("user",), ("system", "user"), ("user", "assistant", "user"), ("system", "user", "assistant", "user"),
    ("user", "assistant", "user", "assistant", "user"),
)  # fmt: skip


class UntranslatableError(Exception):
    """The template does more than to put something before and after each text; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """What is written around the text of each role, in front of everything, and before an answer.

    ``opening`` stands in front of a conversation without a system text.
    """

    around: dict[str, tuple[str, str]]
    opening: str
    answer: str

    def rendered(self, roles: Sequence[str]) -> str:
        """What Ollama makes of stand-ins for these roles, up to the answer: by this description, not by Go."""
        text = "" if roles[0] == "system" else self.opening
        for role in roles:
            before, after = self.around[role]
            text += before + _STAND_INS[role] + after
        return text + self.answer

    def text(self) -> str:
        """The template in Go's language. Everything fixed is a quoted string, so that no space is lost."""
        parts = []
        if self.opening:
            parts.append('{{ if and .Messages (ne (index .Messages 0).Role "system") }}')
            parts += [_quoted(self.opening), "{{ end }}"]
        parts.append("{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}")
        for number, (role, (before, after)) in enumerate(self.around.items()):
            parts.append(f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}')
            parts += [_quoted(before), "{{ .Content }}"]
            # An answer that was begun is gone on with.
            parts.append(
                f"{{{{ if not $last }}}}{_quoted(after)}{{{{ end }}}}" if role == "assistant" else _quoted(after)
            )
        parts.append("{{ end }}")
        parts.append('{{ if and $last (ne .Role "assistant") }}' + _quoted(self.answer) + "{{ end }}{{ end }}")
        return "".join(parts)


def go_template(render: Render, begin: str = "") -> GoTemplate:
    """The template that ``render`` writes with; ``begin`` is the text of a token that the tokenizer adds itself.

    Raises `UntranslatableError` if it is not of the kind that can be written so.
    """
    try:
        found = _found(render, begin)
        for roles in _TRIED:
            if "system" in roles and "system" not in found.around:
                continue
            if found.rendered(roles) != _rendered(render, roles, begin, answer=True):
                raise UntranslatableError(f"a conversation of {', '.join(roles)} is written in a way of its own")
    except UntranslatableError:
        raise
    except Exception as error:  # a template raises whatever it likes for a conversation that it does not take
        raise UntranslatableError(f"it refuses a plain conversation ({str(error).splitlines()[0]})") from error
    return found


def _found(render: Render, begin: str) -> GoTemplate:
    alone = _rendered(render, ("user",), begin, answer=False)
    answer = _rendered(render, ("user",), begin, answer=True).removeprefix(alone)
    twice = _rendered(render, ("user", "assistant", "user"), begin, answer=False)
    head, after_first = _cut(twice, "user")
    between, after_answer = _cut(after_first, "assistant")
    middle, user_after = _cut(after_answer, "user")
    if not between.startswith(user_after):
        raise UntranslatableError("the end of a question depends on what follows it")
    assistant_before = between[len(user_after) :]
    # The question's beginning is what the second one has in common with the first: the rest opens the conversation.
    user_before = _common_end(head, middle)
    opening, assistant_after = head[: len(head) - len(user_before)], middle[: len(middle) - len(user_before)]
    around = {"user": (user_before, user_after), "assistant": (assistant_before, assistant_after)}
    try:
        system_before, rest = _cut(_rendered(render, ("system", "user"), begin, answer=False), "system")
    except Exception:  # many templates know no system text
        return GoTemplate(around, opening, answer)
    system_after, _ = _cut(rest, "user")
    if not system_after.endswith(user_before):
        raise UntranslatableError("a system text is put into the question")
    system_after = system_after[: len(system_after) - len(user_before)]
    return GoTemplate({"system": (system_before, system_after)} | around, opening, answer)


def _rendered(render: Render, roles: Sequence[str], begin: str, *, answer: bool) -> str:
    return render([(role, _STAND_INS[role]) for role in roles], answer).removeprefix(begin)


def _cut(text: str, role: str) -> tuple[str, str]:
    before, found, after = text.partition(_STAND_INS[role])
    if not found:
        raise UntranslatableError(f"it does not write the text of the {role} as it is")
    return before, after


def _common_end(one: str, other: str) -> str:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return one[len(one) - count :]


def _quoted(text: str) -> str:
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""
