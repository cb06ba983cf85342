"""Templates for models that bring none: which are offered, what they write, and the model's folder with one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from app.core import language
from app.core.model.folder import has_chat_template
from app.core.model.template import (
    SAMPLE_TALK,
    base_folder,
    check_template,
    end_of,
    is_templated,
    lay_template,
    template_offers,
    template_text,
    templated_dir,
    with_template,
)
from app.core.model.vocabulary import end_tokens
from app.core.system import starter

# As the families' own documentation shows a conversation.
WRITTEN = {
    ("<|im_start|>", "<|im_end|>"): (
        "ChatML",
        "<|im_start|>system\nAnswer shortly.<|im_end|>\n<|im_start|>user\nWhat is a lute?<|im_end|>\n"
        "<|im_start|>assistant\nA plucked string instrument.<|im_end|>\n",
    ),
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"): (
        "Llama 3",
        "<bos><|start_header_id|>system<|end_header_id|>\n\nAnswer shortly.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhat is a lute?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA plucked string instrument.<|eot_id|>",
    ),
    ("<start_of_turn>", "<end_of_turn>"): (
        "Gemma",
        "<bos><start_of_turn>user\nAnswer shortly.<end_of_turn>\n"
        "<start_of_turn>user\nWhat is a lute?<end_of_turn>\n"
        "<start_of_turn>model\nA plucked string instrument.<end_of_turn>\n",
    ),
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"): (
        "Phi",
        "<|system|>\nAnswer shortly.<|end|>\n<|user|>\nWhat is a lute?<|end|>\n"
        "<|assistant|>\nA plucked string instrument.<|end|>\n",
    ),
    (): (
        "ChatML, with the model's own end token",
        "<|im_start|>system\nAnswer shortly.<eos>\n<|im_start|>user\nWhat is a lute?<eos>\n"
        "<|im_start|>assistant\nA plucked string instrument.<eos>\n",
    ),
}


def model(folder: Path, tokens: tuple[str, ...]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "eos_token_id": 2}))
    added = [{"id": 100 + number, "content": token} for number, token in enumerate(tokens)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize("tokens", WRITTEN)
def test_a_base_is_offered_the_template_whose_tokens_it_knows(tmp_path: Path, tokens: tuple[str, ...]) -> None:
    offers = template_offers(model(tmp_path / "base", tokens))
    label, text = WRITTEN[tokens]
    assert (offers[0].label, template_text(offers[0].text)) == (label, text)
    assert offers[-1].label.startswith("ChatML")
    for offer in offers:
        check_template(offer.text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for m in messages %}", "This is no template: "),
        ("{{ messages[0]['content'] }}", "The template does not write what the user says."),
        ("{{ messages[1]['content'] }}", "The template does not write what the assistant says."),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}",
         "The template does not begin an answer where one is asked for (add_generation_prompt)."),
        (
            "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}Bot:{% endif %}",
            "An answer begins otherwise where it is asked for than where it is trained.",
        ),
        ("{{ nobody.knows }}", "This is no template: 'nobody' is undefined."),
        ("{{ messages + 1 }}", "The template cannot write a conversation: "),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_trained_with_is_refused(tmp_path: Path, text: str, said: str) -> None:
    for refuse in (check_template, lambda text: with_template(model(tmp_path / "base", ()), text)):
        with pytest.raises(ValueError, match=re.escape(said)) as caught:
            refuse(text)
        assert str(caught.value).endswith(".")
        assert not str(caught.value).endswith("..")


TURN = "{{ m.role }}: {{ m.content }}"
ASK = "{% if add_generation_prompt %}assistant: {% endif %}"


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{% if m.role == 'assistant' %}assistant: "
        "{% generation %}{{ m.content }}{% endgeneration %}"
        "{% else %}" + TURN + "{% endif %}{% endfor %}" + ASK,
        "{{ strftime_now('%Y') }}{% for m in messages %}" + TURN + "{% endfor %}" + ASK,
        "{% for m in messages %}{% if m.role == 'x' %}{% continue %}{% endif %}" + TURN + "{% endfor %}" + ASK,
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
        + TURN + "{% endfor %}" + ASK,
    ],
    ids=["marks", "day", "loop controls", "no system"],
)  # fmt: skip
def test_what_templates_of_transformers_use_is_known(text: str) -> None:
    check_template(text)
    said = template_text(text)
    assert said.endswith(f"user: {SAMPLE_TALK[1]['content']}assistant: {SAMPLE_TALK[2]['content']}")


def test_json_in_a_template_is_that_of_transformers() -> None:
    text = "{% for m in messages %}" + TURN + "{% endfor %}{{ {'a': '<é>'} | tojson }}"
    assert template_text(text).endswith('{"a": "<é>"}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "cannot write a conversation"),
        ("{{ 1 // 0 }}", "cannot write a conversation"),
        ("{{ raise_exception('Not for you.') }}", "The template refuses a conversation: Not for you."),
        ("{% generation %}a", "This is no template"),
    ],
)
def test_a_template_that_fails_is_told_in_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_template(text)


def test_a_refusal_is_told_in_the_language_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_catalogue", language._load("de"))
    with pytest.raises(ValueError, match=r"Die Vorlage schreibt nicht, was „user“ sagt\."):
        check_template("{{ messages[0]['content'] }}")


def test_what_fails_half_way_leaves_nothing_behind(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.is_dir()
    base = model(tmp_path / "base", ())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    text = template_offers(base)[0].text
    with monkeypatch.context() as patched:
        patched.setattr(Path, "symlink_to", full)
        with pytest.raises(OSError, match="No space"):
            with_template(base, text)
    assert [path for path in templated_dir().rglob("*") if path.name.startswith((".making", "base"))] == []
    folder = with_template(base, text)
    assert folder.stat().st_mode & 0o777 == 0o755  # whoever may read the model may read this


def test_the_end_of_an_answer_joins_those_that_the_model_has(home: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    base = model(tmp_path / "base", ("<|im_start|>", "<|im_end|>"))
    (base / "generation_config.json").write_text('{"eos_token_id": [7, 101], "top_k": 5}')
    written = json.loads(
        (with_template(base, template_offers(base)[0].text) / "generation_config.json").read_text()
    )
    assert written == {"eos_token_id": [2, 7, 101], "top_k": 5}
    bare = model(tmp_path / "bare", ())
    (bare / "generation_config.json").write_text("[1]")
    (bare / "pictures").mkdir()
    (bare / "chat_template.json").write_text("{}")
    folder = with_template(bare, template_offers(bare)[0].text)
    assert json.loads((folder / "generation_config.json").read_text()) == {"eos_token_id": 2}
    assert (folder / "pictures").is_dir()
    assert not (folder / "chat_template.json").exists()


def test_an_adapter_has_the_template_that_its_model_was_given(home: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    base, beside = model(tmp_path / "base", ()), tmp_path / "adapter"
    beside.mkdir()
    lay_template(base, beside)
    assert list(beside.iterdir()) == []
    text = template_offers(base)[0].text
    lay_template(with_template(base, text), beside)
    assert [(path.name, path.read_text()) for path in beside.iterdir()] == [("chat_template.jinja", text)]
    assert not is_templated(Path("/"))


def test_a_model_with_a_template_is_a_folder_of_links(home: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    tokens = ("<|im_start|>", "<|im_end|>")
    base = model(tmp_path / "Qwen-Base", tokens)
    before = sorted(path.name for path in base.iterdir())
    text = template_offers(base)[0].text
    folder = with_template(base, text)
    assert folder.name == "Qwen-Base"
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == text
    assert (folder / "model.safetensors").readlink() == base / "model.safetensors"
    assert (has_chat_template(folder), has_chat_template(base)) == (True, False)
    assert end_tokens(folder) == {2, 101}  # it stops where an answer ends in the template, too
    assert sorted(path.name for path in base.iterdir()) == before
    assert (is_templated(folder), is_templated(base)) == (True, False)
    assert base_folder(folder) == base
    assert with_template(base, text) == folder
    other = with_template(
        folder, text.replace("['content']", "['content'] | trim")
    )  # edited: of the same base, in another place
    assert other != folder
    assert base_folder(other) == base


def test_the_token_that_ends_an_answer_is_found(tmp_path: Path) -> None:
    base, bare = model(tmp_path / "base", ("<|im_start|>", "<|im_end|>")), model(tmp_path / "bare", ())
    assert end_of(template_offers(base)[0].text, base) == "<|im_end|>"
    assert end_of(template_offers(bare)[0].text, bare) == ""


def untemplated_starter(folder: Path) -> Path:
    """The starter without its template, as a base model is."""
    found = shutil.copytree(starter.model_dir(), folder)
    tree = json.loads((found / "tokenizer_config.json").read_text(encoding="utf-8"))
    del tree["chat_template"]
    (found / "tokenizer_config.json").write_text(json.dumps(tree), encoding="utf-8")
    return found


def test_transformers_reads_the_template_as_the_dialog_shows_it(home: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    assert home.is_dir()
    base = untemplated_starter(tmp_path / "base")
    offer = template_offers(base)[0]
    assert offer.label == "Phi"
    folder = with_template(base, offer.text)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert tokenizer.apply_chat_template(list(SAMPLE_TALK), tokenize=False) == template_text(offer.text)
    asked = tokenizer.apply_chat_template(list(SAMPLE_TALK[:2]), tokenize=False, add_generation_prompt=True)
    assert asked == template_text(offer.text, answer_next=True)
