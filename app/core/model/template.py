"""Chat templates for models that bring none: what can be offered, how it looks, and the model with it.

A model with a template is a folder of links to the base's files, with the template beside them: so training,
comparing, exporting and stock mlx-lm all read the same one, and the base stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.vocabulary import added_tokens, end_tokens
from app.core.system import place
from app.core.system.title import path_title
from app.core.typed_path import typed_path

TEMPLATE_FILE = "chat_template.jinja"
GENERATION_CONFIG = "generation_config.json"
_NOT_LINKED = (TEMPLATE_FILE, "chat_template.json", "additional_chat_templates", GENERATION_CONFIG)
SAMPLE_TALK = (
    {"role": "system", "content": "Answer shortly."},
    {"role": "user", "content": "What is a lute?"},
    {"role": "assistant", "content": "A plucked string instrument."},
)
_TURNS = (
    "{%%- for message in messages -%%}\n%s\n{%%- endfor -%%}\n"
    "{%%- if add_generation_prompt -%%}\n%s\n{%%- endif -%%}\n"
)


@dataclass(frozen=True, slots=True)
class TemplateOffer:
    """A template by the name of those who speak so."""

    label: str
    text: str


def _chatml(end: str) -> str:
    turn = f"{{{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + {end} + '\\n' -}}}}"
    return _TURNS % (turn, "{{- '<|im_start|>assistant\\n' -}}")


_LLAMA = "{{- bos_token -}}\n" + _TURNS % (
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' -}}\n"
    "{{- message['content'] + '<|eot_id|>' -}}",
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}",
)
_GEMMA = "{{- bos_token -}}\n" + _TURNS % (
    "{%- set role = 'model' if message['role'] == 'assistant' else 'user' -%}\n"
    "{{- '<start_of_turn>' + role + '\\n' + message['content'] + '<end_of_turn>\\n' -}}",
    "{{- '<start_of_turn>model\\n' -}}",
)
_PHI = _TURNS % (
    "{{- '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' -}}",
    "{{- '<|assistant|>\\n' -}}",
)
# The templates of families, told by the tokens that a base of the family has already learned to know.
_FAMILIES = (
    (("<|im_start|>", "<|im_end|>"), TemplateOffer("ChatML", _chatml("'<|im_end|>'"))),
    (("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), TemplateOffer("Llama 3", _LLAMA)),
    (("<start_of_turn>", "<end_of_turn>"), TemplateOffer("Gemma", _GEMMA)),
    (("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), TemplateOffer("Phi", _PHI)),
)


def template_offers(folder: Path) -> list[TemplateOffer]:
    """The templates whose tokens the model in a folder knows, and ChatML in any case.

    Where its tokens are unknown they are read as text, and an answer ends with the model's own end token instead.
    """
    known = set(added_tokens(folder).values())
    found = [offer for tokens, offer in _FAMILIES if known.issuperset(tokens)]
    if not any(offer.label == "ChatML" for offer in found):
        found.append(TemplateOffer(tr("ChatML, with the model's own end token"), _chatml("eos_token")))
    return found


def end_of(text: str, base: Path) -> str:
    """The token of the model that ends an answer in a template: what stands behind the words; empty for none."""
    said = template_text(text).rpartition(SAMPLE_TALK[-1]["content"])[2]
    return next((token for token in added_tokens(base).values() if token and said.startswith(token)), "")


def template_text(text: str, *, answer_next: bool = False) -> str:
    """The example conversation as a template writes it, with stand-ins for the model's first and last token.

    Raises `ValueError` with what is wrong with the template, in words.
    """
    messages = list(SAMPLE_TALK[:2] if answer_next else SAMPLE_TALK)
    try:
        found = _rendered(text, messages, answer_next)
    except _RefusedTalkError:
        messages = messages[1:]  # some templates take no system text, and say so
        found = _rendered(text, messages, answer_next)
    shown = (one for one in messages if one["role"] != "system")
    lost = next((one["role"] for one in shown if one["content"] not in found), "")
    if lost:
        raise ValueError(tr("The template does not write what the {lost} says.", lost=lost))
    return found


class _RefusedTalkError(ValueError):
    """A template refuses a conversation with its own words."""


def _rendered(text: str, messages: list[dict[str, str]], answer_next: bool) -> str:
    """The messages as a template writes them; raises `ValueError` in words."""
    import jinja2

    try:
        template = _environment().from_string(text)
        found: str = template.render(
            messages=messages, add_generation_prompt=answer_next, bos_token="<bos>", eos_token="<eos>", tools=None
        )
    except _RefusedTalkError:
        raise
    except jinja2.TemplateError as error:
        raise ValueError(tr("This is no template: {error}.", error=str(error).rstrip("."))) from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        said = tr("The template cannot write a conversation: {error}.", error=str(error).rstrip("."))
        raise ValueError(said) from error
    return found


def _environment() -> Any:
    """Where transformers renders chat templates, with all that they may call there."""
    import jinja2.ext
    from jinja2.nodes import Scope
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """``{% generation %}`` marks what the assistant says; it changes nothing of the text."""

        tags = {"generation"}  # noqa: RUF012  # as jinja has it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, **more: Any) -> str:
    """Without jinja's care for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **more)


def _refuse(said: str) -> None:
    raise _RefusedTalkError(tr("The template refuses a conversation: {said}.", said=str(said).rstrip(".")))


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # the day where the person is


def check_template(text: str) -> None:
    """Raises `ValueError` if conversations cannot be trained with a template, with why."""
    whole, asked = template_text(text), template_text(text, answer_next=True)
    if asked == template_text(text.replace("add_generation_prompt", "false"), answer_next=True):
        raise ValueError(
            tr("The template does not begin an answer where one is asked for (add_generation_prompt).")
        )
    if not whole.startswith(asked):
        raise ValueError(tr("An answer begins otherwise where it is asked for than where it is trained."))


def templated_dir() -> Path:
    """Where models with a template of their own lie."""
    return place.data_dir() / "templated"


def is_templated(folder: Path) -> bool:
    """Whether a folder was made by `with_template`."""
    parents = typed_path(folder).absolute().parents
    return len(parents) > 1 and parents[1].resolve() == templated_dir().resolve()


def lay_template(model: Path, folder: Path) -> None:
    """Lays the template that a model was given into another folder, beside an adapter; others bring their own."""
    if is_templated(model):
        shutil.copyfile(model / TEMPLATE_FILE, folder / TEMPLATE_FILE)


def base_folder(folder: Path) -> Path:
    """The folder that the files of one made by `with_template` lie in; any other folder itself."""
    return (folder / "config.json").readlink().parent if is_templated(folder) else folder


def with_template(base: Path, text: str) -> Path:
    """The folder of a base model's files with a chat template; the same ones give the same folder.

    At the token that ends an answer in the template the model stops, too. Raises `OSError`, and `ValueError` for a
    template that `check_template` refuses.
    """
    check_template(text)
    base = base_folder(base).absolute()
    digest = hashlib.sha256(f"{base}\0{text}".encode()).hexdigest()[:8]
    folder = templated_dir() / digest / (path_title(str(base)) or "model")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        for path in base.iterdir():
            if path.name not in _NOT_LINKED:
                (making / path.name).symlink_to(path, target_is_directory=path.is_dir())
        (making / TEMPLATE_FILE).write_text(text, encoding="utf-8")
        generation = json.dumps(_generation_config(base, end_of(text, base)), indent=2)
        (making / GENERATION_CONFIG).write_text(generation, encoding="utf-8")
        making.chmod(0o755)
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return folder


def _generation_config(base: Path, end: str) -> dict[str, Any]:
    try:
        tree = parsed_json((base / GENERATION_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tree = {}
    tree = tree if isinstance(tree, dict) else {}
    more = [number for number, token in added_tokens(base).items() if token == end]
    if ids := sorted({*end_tokens(base), *more}):
        tree["eos_token_id"] = ids[0] if len(ids) == 1 else ids
    return tree
