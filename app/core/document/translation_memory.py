"""Translation memories (TMX): units of one text in several languages, read as a source and a target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from app.core.document.package import let_go, xml_events
from app.core.document.paragraph import DocumentError
from app.core.language import code, joined, tr

_WHAT = tr("translation memory (TMX)")
_START = re.compile(
    r"\ufeff?\s*(<\?xml[^>]*\?>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*<tmx[\s>]", re.IGNORECASE | re.DOTALL
)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# Marks within a text that hold the codes of the program that it comes from.
_CODES = frozenset(("bpt", "ept", "ph", "it", "ut"))
JUDGED_UNITS = 20_000
NAMED_LANGUAGES = 8


@dataclass(frozen=True, slots=True)
class Languages:
    """Which language is the source and which the target, and the others that there are."""

    source: str
    target: str
    others: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What is told of them."""
        said = tr(
            "Translations (TMX): `source` is {source}, `target` is {target}.",
            source=self.source,
            target=self.target,
        )
        if self.others:
            more = len(self.others) - NAMED_LANGUAGES
            shown = joined((code(name) for name in self.others[:NAMED_LANGUAGES]), ", ")
            others = tr(
                " Also there, as columns: {shown}{value}.",
                shown=shown,
                value=tr(" and {more} more", more=more) if more > 0 else "",
            )
            said = joined((said, others), "")
        return tr("{said} Another direction is a choice of columns.", said=said)


def is_translation_memory(head: str) -> bool:
    """True if a text begins as a translation memory does."""
    return _START.match(head) is not None


def memory_languages(stream: IO[bytes]) -> Languages:
    """The languages of a memory: the source that it names (else the commonest), and the commonest other. Raises
    `DocumentError` if there are no two."""
    named, counts = "", Counter[str]()
    names: dict[str, str] = {}
    for number, (source, texts) in enumerate(_units(stream)):
        named = named or source
        for language in texts:
            counts[language.casefold()] += 1
            names.setdefault(language.casefold(), language)
        if number >= JUDGED_UNITS:
            break
    if len(counts) < 2:
        raise DocumentError(tr("This translation memory (TMX) has no texts in two languages."))
    order = [name for name, _ in counts.most_common()]
    wanted = named.casefold()
    short = [name for name in order if wanted and name.split("-")[0] == wanted.split("-")[0]]
    first = wanted if wanted in counts else short[0] if short else order[0]
    rest = [name for name in order if name != first]
    return Languages(names[first], names[rest[0]], tuple(names[name] for name in rest[1:]))


def memory_rows(stream: IO[bytes], languages: Languages) -> Iterator[dict[str, str]]:
    """The units as rows: `source`, `target`, and other languages under their own names."""
    columns = {languages.source.casefold(): "source", languages.target.casefold(): "target"}
    columns |= {name.casefold(): name for name in languages.others}
    for _, texts in _units(stream):
        yield {columns.get(name.casefold(), name): text for name, text in texts.items()}


def _units(stream: IO[bytes]) -> Iterator[tuple[str, dict[str, str]]]:
    """The language that is named as the source, and the texts by their languages; the first of each."""
    named = ""
    for event, element in xml_events(stream, _WHAT, ("start", "end")):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            if tag == "header":
                named = element.get("srclang") or ""
            continue
        if tag != "tu":
            continue
        texts: dict[str, str] = {}
        for part in element.iter("{*}tuv", "tuv"):
            language = part.get(_LANGUAGE) or part.get("lang") or ""
            segment = next(part.iter("{*}seg", "seg"), None)
            if language and segment is not None and language.casefold() not in {name.casefold() for name in texts}:
                texts[language] = " ".join("".join(_said(segment)).split())
        source = element.get("srclang") or named
        if texts:
            yield "" if source == "*all*" else source, texts
        let_go(element)


def _said(element: Any) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str) and child.tag.rpartition("}")[2] not in _CODES:
            yield from _said(child)
        yield child.tail or ""
