"""The tokenizer of a model, with what the model's folder says of it: where answers end, which ids the embedding
knows, and the day that its chat template writes."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.language import tr
from app.core.model.vocabulary import embedding_rows, end_tokens
from app.core.problem import Problem, UnusableError

# What transformers is told with every tokenizer. Left open, it asks on the terminal whether a model's code may run.
NO_FOREIGN_CODE = {"trust_remote_code": False}
_OWN_CODE = re.compile(r"custom code|trust_remote_code")
_DAY_CALL = "strftime_now("
_LITERAL = re.compile(r"""\s*(?P<quote>['"])(?P<form>(?:(?!(?P=quote)).)*)(?P=quote)\s*""")
# What a form can hold, where it is worked out by the template itself.
_DIRECTIVES = tuple(f"%{sign}" for sign in ("-d", "-m", "-e", "-j", *"aAbBcdDeFGhHIjmMpSuUVwWxXyYZ"))


def load_tokenizer(model: str, day: str = "") -> Any:
    """mlx-lm's tokenizer of a model (folder or cached hub id), without the weights, at its end tokens.

    A template that writes the date writes ``day`` (year-month-day), today's where none is given, as long as the
    tokenizer lives. Raises `UnusableError`.
    """
    from mlx_lm.utils import load_tokenizer as load

    from app.core.model.folder import has_tokenizer, locate_model

    folder = locate_model(model)
    try:
        tokenizer = load(folder, dict(NO_FOREIGN_CODE))
        tokenizer.encode("a")  # a value of the wrong kind in its config shows only now
    except Exception as error:  # tokenizers raises bare ones for a file that it cannot read
        hint = tr("Download the model again.")
        if not has_tokenizer(folder):
            said = tr("There are no tokenizer files in the model's folder.")
        elif _OWN_CODE.search(str(error)):
            said = tr(
                "The tokenizer is code that comes with the model{code_files}, which Luthier never runs.",
                code_files=_code_files(folder),
            )
            hint = tr("Choose a version of the model that has a tokenizer.json of a usual kind.")
        else:
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else tr("no reason is given")
            if isinstance(error, (TypeError, AttributeError)):
                reason = tr("a value in them is of another kind than it should be")
            said = tr("The tokenizer's files cannot be read ({reason}).", reason=reason)
        raise UnusableError([Problem("model", said, hint=hint, file=str(folder))]) from error
    know_folder(tokenizer, folder)
    _hold(tokenizer, date.fromisoformat(day) if day else date.today())
    return tokenizer


def _code_files(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.py"))
    return f" ({', '.join(names[:3])})" if names else ""


def know_folder(tokenizer: Any, folder: Path) -> None:
    """Lets a tokenizer of mlx-lm know all end tokens of its model's folder, and the rows of its embedding."""
    tokenizer.eos_token_ids = set(tokenizer.eos_token_ids) | end_tokens(folder)
    tokenizer._embedding_rows = embedding_rows(folder)


def known_ids(tokenizer: Any) -> int:
    """How many token ids the model's embedding knows; 0 where that is not known."""
    return int(getattr(tokenizer, "_embedding_rows", 0))


def top_k_problems(top_k: int, tokenizer: Any) -> list[Problem]:
    """What is wrong with sampling from the ``top_k`` likeliest tokens: a model must have more of them."""
    known = known_ids(tokenizer)
    if not known or top_k < known:
        return []
    said = tr("`top_k` is {top_k:,}, and the model has {known:,} tokens to choose from.", top_k=top_k, known=known)
    return [Problem("top_k", said, hint=tr("Give fewer, or 0 for all of them."))]


def held_day(tokenizer: Any) -> str:
    """The day that the chat template writes (year-month-day); empty for one that writes none."""
    return str(getattr(tokenizer, "_held_day", ""))


def _hold(tokenizer: Any, day: date) -> None:
    """Puts a day into the chat template in place of the call for today's."""
    inner = tokenizer._tokenizer
    template = inner.chat_template
    if isinstance(template, dict):
        held: Any = {name: _with_day(text, day) for name, text in template.items()}
    else:
        held = _with_day(template, day) if isinstance(template, str) else template
    if held != template:
        inner.chat_template = held
        tokenizer._held_day = day.isoformat()


def _with_day(template: str, day: date) -> str:
    """The template with the day in place of each call for the present one, whatever form that is asked for in."""
    parts, at = [], 0
    while (start := template.find(_DAY_CALL, at)) >= 0:
        begin = start + len(_DAY_CALL)
        end = _closing(template, begin)
        if end < 0:
            break
        parts += [template[at:start], _written_day(template[begin:end], day)]
        at = end + 1
    return "".join([*parts, template[at:]])


def _closing(template: str, begin: int) -> int:
    """Where the parenthesis closes whose inside begins at ``begin``; −1 if it does not."""
    depth, quote = 1, ""
    for at in range(begin, len(template)):
        sign = template[at]
        if quote:
            quote = "" if sign == quote and template[at - 1] != "\\" else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if not depth:
                return at
    return -1


def _written_day(form: str, day: date) -> str:
    """An expression of Jinja for the day in a form: written out where that is a text, else by its directives."""
    if (literal := _LITERAL.fullmatch(form)) is not None:
        return f"{literal['quote']}{day.strftime(literal['form'])}{literal['quote']}"
    steps = "".join(f"|replace({sign!r}, {day.strftime(sign)!r})" for sign in _DIRECTIVES if sign in _known(day))
    return f"(({form}){steps})"


def _known(day: date) -> frozenset[str]:
    """The directives that this system's calendar knows."""
    return frozenset(sign for sign in _DIRECTIVES if day.strftime(sign) != sign)


def special_texts(tokenizer: Any) -> list[str]:
    """The texts of all tokens that are never part of words."""
    added = [str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values()]
    return [*added, *map(str, tokenizer.all_special_tokens)]


def control_texts(tokenizer: Any) -> list[str]:
    """The texts that are read as tokens which steer the model, wherever they stand, such as ends of turns."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = [str(token) for token in added if getattr(token, "special", False)]
    steering = getattr(tokenizer, "all_special_tokens", ())
    return [text for text in dict.fromkeys([*special, *map(str, steering)]) if text.strip()]


def beyond(tokenizer: Any, tokens: npt.NDArray[np.int32], rows: int) -> str:
    """What is wrong with tokens that an embedding of so many rows does not know all of; empty if it does."""
    if not rows or not len(tokens) or int(tokens.max()) < rows:
        return ""
    number = int(tokens[tokens >= rows][0])
    name = tokenizer.convert_ids_to_tokens(number)
    return tr(
        "The row holds {name!r}, token {number:,}, which the model's embedding of {rows:,} rows does not know.",
        name=name,
        number=number,
        rows=rows,
    )
