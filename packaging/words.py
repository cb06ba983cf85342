"""Gathers all texts that people read into the catalogues of `resources/language`, and compiles these.

    python packaging/words.py            bring every catalogue up to date: new texts empty, gone ones dropped
    python packaging/words.py --check    exit code 1 if a text is missing or not translated, or not compiled

A text is the first argument of `tr`, the two words of `plural` and `trn`, or what a built-in reward function says
of itself; models that are known have theirs in `resources/models/known.toml`. A translation must keep the places
(``{name}``), the marks of HTML and the spaces at its ends: others would fail, or look so, only where they show.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import string
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "resources" / "language"
KNOWN_MODELS = ROOT / "resources" / "models" / "known.toml"
SHOWN_OF_MODELS = ("good_for",)
WIDTH = 110
# Words for what is counted that `plural` is given by a name, not where it is called.
NOUNS = (
    ("pair", "pairs"), ("labelled answer", "labelled answers"), ("prompt", "prompts"), ("answer", "answers"),
    ("whole conversation", "whole conversations"), ("picture or file", "pictures and files"),
    ("line of the program", "lines of the program"), ("forwarded message", "forwarded messages"),
    ("deleted message", "deleted messages"),
    ("step between question and answer", "steps between question and answer"),
    ("message without a question before or an answer after it",
     "messages without a question before or an answer after them"),
    ("error", "errors"), ("warning", "warnings"), ("note", "notes"),
)  # fmt: skip
_MARK = re.compile(r"<[^<>]*>|&\w+;")

Text = str | tuple[str, str]


def texts_of(source: str) -> Iterator[tuple[Text, int]]:
    """The texts of one module with their lines; raises `ValueError` where one is made at run time."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and any(_is_reward(one) for one in node.decorator_list):
            yield " ".join((ast.get_docstring(node) or "").split()), node.lineno
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        if name == "tr":
            if not (isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)):
                continue  # a text that another call named
            yield node.args[0].value, node.lineno
        elif name in ("plural", "trn"):
            words = [str(one.value) for one in node.args[1:3] if isinstance(one, ast.Constant)]
            if words:
                yield (words[0], words[1] if len(words) > 1 and words[1] else f"{words[0]}s"), node.lineno


def _is_reward(decorator: ast.expr) -> bool:
    """Whether it declares a built-in reward function, whose docstring the window shows."""
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "_built_in"


def gathered() -> dict[Text, list[tuple[str, int]]]:
    """All texts, with the places in which they stand; by module, then by line."""
    found: dict[Text, list[tuple[str, int]]] = {}
    for path in sorted((ROOT / "app").rglob("*.py")):
        for text, line in sorted(texts_of(path.read_text(encoding="utf-8")), key=lambda one: one[1]):
            if isinstance(text, tuple) or any(letter.isalpha() for letter in text):
                found.setdefault(text, []).append((str(path.relative_to(ROOT)), line))
    for model in tomllib.loads(KNOWN_MODELS.read_text(encoding="utf-8"))["model"]:
        for key in SHOWN_OF_MODELS:
            found.setdefault(model[key], []).append((str(KNOWN_MODELS.relative_to(ROOT)), 0))
    for noun in NOUNS:
        found.setdefault(noun, []).append(("packaging/words.py", 0))
    plurals = {text[0] for text in found if isinstance(text, tuple)}
    return {text: places for text, places in found.items() if isinstance(text, tuple) or text not in plurals}


def faults(message: Message) -> Iterator[str]:
    """What is wrong with one translation."""
    ids = message.id if isinstance(message.id, tuple) else (message.id,)
    strings = message.string if isinstance(message.string, tuple) else (message.string,)
    for number, translation in enumerate(map(str, strings)):
        text = str(ids[min(number, len(ids) - 1)])
        if not translation:
            yield f"“{text}” is not translated"
            continue
        try:
            if _places(text) != _places(translation):
                yield f"“{translation}” has other places than “{text}”"
        except ValueError as error:
            if "{" in text and not _is_plain(text):
                yield f"“{translation}”: {error}"
        if sorted(_MARK.findall(text)) != sorted(_MARK.findall(translation)):
            yield f"“{translation}” has other marks than “{text}”"
        if _ends(text) != _ends(translation):
            yield f"“{translation}” has other spaces at its ends than “{text}”"


def _places(text: str) -> list[tuple[str, str, str]]:
    return sorted(
        {(name, spec or "", how or "") for _, name, spec, how in string.Formatter().parse(text) if name is not None}
    )


def _is_plain(text: str) -> bool:
    try:
        _places(text)
    except ValueError:
        return True
    return False


def _ends(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def updated(catalogue: Catalog, texts: dict[Text, list[tuple[str, int]]]) -> Catalog:
    """The same translations for the texts that there are now."""
    made = Catalog(locale=catalogue.locale, project="Luthier", charset="utf-8", fuzzy=False)
    made.mime_headers = [(k, v) for k, v in made.mime_headers if k not in ("POT-Creation-Date", "PO-Revision-Date")]
    for text, places in texts.items():
        key = text[0] if isinstance(text, tuple) else text
        old = catalogue.get(key)
        kept = old.string if old is not None and isinstance(old.id, tuple) == isinstance(text, tuple) else ""
        files = sorted({file for file, _ in places})
        made.add(
            text, kept or (("", "") if isinstance(text, tuple) else ""), locations=[(file, 0) for file in files]
        )
    return made


def read(path: Path) -> Catalog:
    """A catalogue as it stands in its file; an empty one where there is none."""
    if not path.exists():
        return Catalog(locale=path.stem)
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def written(catalogue: Catalog) -> str:
    """A catalogue's file: without dates, versions and lines, so that only texts change it."""
    out = io.BytesIO()
    write_po(out, catalogue, width=WIDTH, omit_header=True, include_lineno=False)
    forms = f"nplurals={catalogue.num_plurals}; plural={catalogue.plural_expr};"
    head = (
        "# Luthier's texts. `python packaging/words.py` brings this file up to date and compiles it.\n"
        'msgid ""\nmsgstr ""\n'
        f'"Language: {catalogue.locale}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Plural-Forms: {forms}\\n"\n\n'
    )
    return head + out.getvalue().decode()


def compiled(catalogue: Catalog) -> bytes:
    """What gettext reads; the same for the same texts."""
    out = io.BytesIO()
    day = datetime(
        2026, 1, 1, tzinfo=UTC
    )  # one that stays: gettext reads none, and the file must not change by itself
    plain = Catalog(locale=catalogue.locale, fuzzy=False, creation_date=day, revision_date=day)
    for message in catalogue:
        if message.id and message.string and all(message.string if isinstance(message.string, tuple) else (1,)):
            plain.add(message.id, message.string)
    plain.mime_headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Plural-Forms", f"nplurals={catalogue.num_plurals}; plural={catalogue.plural_expr};"),
    ]
    write_mo(out, plain)
    return out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say what is missing or wrong, and write nothing")
    check = parser.parse_args().check
    texts, wrong = gathered(), []
    for path in sorted(FOLDER.glob("*.po")):
        found = updated(read(path), texts)
        wrong += [f"{path.name}: {said}" for message in found if message.id for said in faults(message)]
        made = path.with_suffix(".mo")
        if not check:
            path.write_text(written(found), encoding="utf-8")
            made.write_bytes(compiled(found))
        elif not made.exists() or made.read_bytes() != compiled(found):
            wrong.append(f"{made.name} is not {path.name} compiled: run packaging/words.py")
    print("\n".join(wrong) or f"{len(texts):,} texts, all translated")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
