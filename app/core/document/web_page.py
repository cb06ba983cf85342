"""Web pages: the text of HTML, block by block, without scripts, styles, navigation and what is hidden."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO, Any

from app.core.document.paragraph import Account, held_bytes, tidied
from app.core.language import tr

PAGE_LIMIT_BYTES = 64 << 20
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_XML = re.compile(r"\s*<\?xml[^>]*\?>")
_BLANK = re.compile(r"[ \t\r\n\f\xa0]+")
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "html", "legend", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
    "thead", "ul",
))  # fmt: skip
_LINES = frozenset(("li", "tr", "br", "option"))
_LEFT_OUT = frozenset((
    "head", "script", "style", "noscript", "template", "nav", "footer", "svg", "iframe", "object", "audio", "video",
    "canvas", "button", "select", "textarea", "form", "map", "rp", "rt",
))  # fmt: skip
_CELLS = ("td", "th")


def page_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of a page: of its main part where it has one."""
    root = page_root(held_bytes(file, "HTML page", PAGE_LIMIT_BYTES))
    if root is None:
        return
    mains = root.findall(".//main") or root.findall(".//article")
    account.tell(tr("Tags, scripts, navigation and footers are left out."))
    yield from block_texts(mains[0] if len(mains) == 1 else root)


def page_root(data: bytes) -> Any:
    """The tree of a page; None for one that is empty."""
    from lxml import etree

    text = _XML.sub("", decoded_page(data), count=1)
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def decoded_page(data: bytes) -> str:
    """The text of a page: by its mark, by the encoding that it names, else UTF-8 or what Windows writes."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, "replace").lstrip("\ufeff")
    named = _CHARSET.search(data[:4096])
    for encoding in ([named[1].decode("ascii")] if named else []) + ["utf-8"]:
        try:
            return data.decode("cp1252" if encoding.lower() in ("iso-8859-1", "latin1", "us-ascii") else encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("cp1252", "replace")


def block_texts(root: Any) -> Iterator[str]:
    """The texts of the blocks below an element, in order."""
    from lxml import etree

    held: list[str] = []
    preformatted = 0
    skipped: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        tag = tag.rpartition("}")[2].lower()
        if skipped is None and event == "start" and element is not root and _is_left_out(element, tag):
            skipped = element
        is_block = tag in _BLOCKS
        if skipped is None:
            if is_block:
                text = _lines("".join(held)) if tag == "pre" and event == "end" else _block(held)
                held = []
                if text:
                    yield text
            if tag == "pre":
                preformatted += 1 if event == "start" else -1
            if event == "start":
                held.append(_before(tag))
                held.append(_said(element.text, preformatted))
            elif tag in _CELLS:
                held.append("\t")
        elif event == "end" and element is skipped:
            skipped = None
            if is_block and (text := _block(held)):
                yield text
                held = []
        if event == "end" and skipped is None and element is not root:
            held.append(_said(element.tail, preformatted))
    if text := _block(held):
        yield text


def _before(tag: str) -> str:
    return "\n" if tag in _LINES else ""


def _said(text: str | None, preformatted: int) -> str:
    if not text:
        return ""
    return text if preformatted else _BLANK.sub(" ", text)


def _block(held: list[str]) -> str:
    """What a block says; cells of a row stay apart."""
    lines = (tidied(line.strip().replace("\t", "\x00")).replace("\x00", "\t") for line in "".join(held).split("\n"))
    return "\n".join(re.sub(r" *\t *", "\t", line).strip() for line in lines if line.strip())


def _lines(text: str) -> str:
    """What is preformatted: its lines as they stand, without the empty ones around."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def _is_left_out(element: Any, tag: str) -> bool:
    if tag in _LEFT_OUT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    style = (element.get("style") or "").replace(" ", "").lower()
    return "display:none" in style
