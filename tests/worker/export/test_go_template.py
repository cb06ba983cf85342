"""Chat templates in Go's words: what they write around texts, and which are not of that kind."""

from __future__ import annotations

import re
from collections.abc import Callable

import jinja2
import pytest

from app.worker.export.go_template import GoTemplate, Talk, UntranslatableError, go_template
from tests.worker.gguf.tiny_gguf import CHATML, INST, PHI, TURNS

# As Qwen 2.5: a system text of its own where none is given.
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}"
    + CHATML
)
# As Llama 2: the system text stands inside the first question.
MERGED_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{% set s = '<<SYS>>' + messages[0]['content'] + '<</SYS>> ' %}"
    "{% set turns = messages[1:] %}{% else %}{% set s = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + (s if loop.first else '') + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + '</s>' }}{% endif %}{% endfor %}"
)


def rendering(template: str) -> Callable[[Talk, bool], str]:
    def stop(text: str) -> None:
        raise jinja2.TemplateError(text)

    def render(turns: Talk, answer: bool) -> str:
        made = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(template)
        messages = [{"role": role, "content": text} for role, text in turns]
        return made.render(
            messages=messages, add_generation_prompt=answer, bos_token="<s>", eos_token="</s>", raise_exception=stop
        )

    return render


def run_go(template: GoTemplate, turns: Talk) -> str:
    """What Go would make of the text: the little of its language that is used, read by itself."""
    text = template.text()
    opening = ""
    if found := re.match(
        r'{{ if and \.Messages \(ne \(index \.Messages 0\)\.Role "system"\) }}(.*?){{ end }}', text
    ):
        opening, text = (found[1] if turns[0][0] != "system" else ""), text[found.end() :]
    body = re.fullmatch(
        r"{{ range \$i, \$_ := \.Messages }}{{ \$last := eq \(len \(slice \$\.Messages \$i\)\) 1 }}(.*){{ end }}"
        r'{{ if and \$last \(ne \.Role "assistant"\) }}(.*){{ end }}{{ end }}',
        text,
        re.DOTALL,
    )
    assert body is not None
    branches = re.findall(r'{{ (?:else )?if eq \.Role "(\w+)" }}(.*?)(?={{ else if eq|$)', body[1], re.DOTALL)
    written = opening
    for number, (role, said) in enumerate(turns):
        last = number == len(turns) - 1
        part = dict(branches)[role].replace("{{ .Content }}", said)
        part = re.sub(r"{{ if not \$last }}(.*?){{ end }}", "" if last else r"\1", part, flags=re.DOTALL)
        written += part + (body[2] if last and role != "assistant" else "")
    return re.sub(r'{{ "(.*?)" }}', lambda quoted: quoted[1].replace("\\n", "\n"), written, flags=re.DOTALL)


@pytest.mark.parametrize(
    "template", [CHATML, PHI, DEFAULT_SYSTEM, INST, TURNS], ids=["chatml", "phi", "default-system", "inst", "turns"]
)
def test_go_writes_what_the_model_s_own_template_writes(template: str) -> None:
    render = rendering(template)
    made = go_template(render, "<s>")
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "And now?")]
    assert run_go(made, turns) == render(turns, True).removeprefix("<s>")
    if "system" in made.around and template not in (INST, TURNS):
        turns = [("system", "Be brief."), *turns]
        assert run_go(made, turns) == render(turns, True).removeprefix("<s>")


def test_a_system_text_inside_the_question_cannot_be_written_so() -> None:
    with pytest.raises(UntranslatableError):
        go_template(rendering(MERGED_SYSTEM))


def plain(turns: Talk, answer: bool) -> str:
    return "".join(f"<{role}>{text}<end>" for role, text in turns) + ("<assistant>" if answer else "")


def test_the_whole_text_of_a_template_and_what_has_no_system_text() -> None:
    made = go_template(plain)
    assert made.around == {
        "system": ("<system>", "<end>"), "user": ("<user>", "<end>"), "assistant": ("<assistant>", "<end>"),
    }  # fmt: skip
    assert (made.opening, made.answer) == ("", "<assistant>")
    assert made.text() == (
        "{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        '{{ if eq .Role "system" }}{{ "<system>" }}{{ .Content }}{{ "<end>" }}'
        '{{ else if eq .Role "user" }}{{ "<user>" }}{{ .Content }}{{ "<end>" }}'
        '{{ else if eq .Role "assistant" }}{{ "<assistant>" }}{{ .Content }}'
        '{{ if not $last }}{{ "<end>" }}{{ end }}{{ end }}'
        '{{ if and $last (ne .Role "assistant") }}{{ "<assistant>" }}{{ end }}{{ end }}'
    )

    def without_system(turns: Talk, answer: bool) -> str:
        if turns[0][0] == "system":
            raise ValueError("no system text")
        return "Welcome! " + plain(turns, answer)

    made = go_template(without_system)
    assert (list(made.around), made.opening) == (["user", "assistant"], "Welcome! ")
    assert made.text().startswith(
        '{{ if and .Messages (ne (index .Messages 0).Role "system") }}{{ "Welcome! " }}{{ end }}{{ range $i'
    )


@pytest.mark.parametrize(("render", "said"), [
    (lambda turns, answer: plain([(role, text[:3]) for role, text in turns], answer),
     "it does not write the text of the user as it is"),
    (lambda turns, answer: plain(turns, answer).replace("<end><assistant>", "<next><assistant>"),
     "the end of a question depends on what follows it"),
    (lambda turns, answer: plain(turns, answer) + ("<long>" if len(turns) == 5 and answer else ""),
     "a conversation of user, assistant, user, assistant, user is written in a way of its own"),
    (lambda turns, answer: plain(turns, answer).replace("SYSTEMTEXT<end><user>", "SYSTEMTEXT\n"),
     "a system text is put into the question"),
])  # fmt: skip
def test_what_is_not_of_that_kind_is_told(render: Callable[[Talk, bool], str], said: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        go_template(render)
    assert str(caught.value) == said


def test_a_template_that_refuses_says_so() -> None:
    with pytest.raises(UntranslatableError, match="refuses a plain conversation \\(no\\)"):
        go_template(rendering("{{ raise_exception('no') }}"))
