"""Web pages and rich text: which of their text is read, and in what encoding."""

from __future__ import annotations

import io

import pytest

from app.core.document import rich_text
from app.core.document.document import binary_document, text_document
from app.core.document.paragraph import Account, DocumentError, damaged_document, held_bytes, tidied
from app.core.document.rich_text import rich_text_paragraphs
from app.core.document.web_page import block_texts, decoded_page, page_paragraphs, page_root


@pytest.mark.parametrize(
    "page, blocks",
    [
        ("<p>a<script>no</script>b</p>c<p>d</p>", ["ab", "c", "d"]),
        ("<p>a</p>b<nav><p>no</p><nav>no</nav>no</nav>c<p>d</p>", ["a", "bc", "d"]),
        ("a<footer><p>no</p></footer>b<p>c", ["a", "b", "c"]),  # what is left out ends a block if it is one
        ("<p>a<br>b<br/>  c</p><ul><li>d<li>e</ul>", ["a\nb\nc", "d\ne"]),
        ("<table><tr><td>a</td><td> b </td></tr><tr><th>c</th><td></td></tr></table>", ["a\tb\nc"]),
        ("<p>a \n b\xa0c</p><pre>\n a  b \n\n  c<b> d</b>\n</pre>e  f", ["a b c", " a  b\n\n  c d", "e f"]),
        ("<p hidden>no</p><p aria-hidden=true>no</p><p aria-hidden=false>a</p>", ["a"]),
        ("<p style='color: red'>a</p><p style='Display : None'>no</p><div hidden=''>no</div>b", ["a", "b"]),
        ("<p>a<!-- no -->b<?no?>c</p><select><option>no</select><form>no</form>", ["abc"]),
        ("<p><ruby>a<rp>(</rp><rt>no</rt></ruby></p>", ["a"]),
    ],
)
def test_blocks_of_a_page(page: str, blocks: list[str]) -> None:
    assert (
        list(block_texts(page_root(f"<html><head><title>no</title></head><body>{page}</body>".encode()))) == blocks
    )


def paragraphs(page: str) -> list[str]:
    return list(page_paragraphs(io.BytesIO(page.encode()), Account()))


def test_the_main_part_of_a_page_is_read_where_there_is_one() -> None:
    for name in ("main", "article"):
        assert paragraphs(f"<p>a</p><{name}>b<p>c</p></{name}><p>d</p>") == ["b", "c"]
    assert paragraphs("<p>a</p><article>b</article><article>c</article>") == ["a", "b", "c"]
    assert paragraphs("<article>a</article><main>b</main>") == ["b"]
    account = Account()
    assert list(page_paragraphs(io.BytesIO(b"<p>a"), account)) == ["a"]
    assert account.said == ["Tags, scripts, navigation and footers are left out."]
    account = Account()
    assert list(page_paragraphs(io.BytesIO(b" "), account)) == account.said == []


@pytest.mark.parametrize(
    "data, text",
    [
        ("\ufeff\u00e4".encode(), "\u00e4"),
        ("<meta charset=latin1>\u00e4".encode("utf-16-le"), None),
        ("\ufeff<meta charset=cp1251>\u00e4".encode("utf-16-le"), "<meta charset=cp1251>\u00e4"),
        ("\ufeff\u00e4".encode("utf-16-be"), "\u00e4"),
        (b"<meta charset='cp1251'>\xcf", "<meta charset='cp1251'>\u041f"),
        (b"<meta charset=ISO-8859-1>\x80", "<meta charset=ISO-8859-1>\u20ac"),
        (b"<meta charset=us-ascii>\x80", "<meta charset=us-ascii>\u20ac"),
        (b"<meta charset=none>\xc3\xa4", "<meta charset=none>\u00e4"),
        (b"<meta charset=utf-8>\xe4", "<meta charset=utf-8>\u00e4"),
        (b"<meta charset=ascii>\xc3\xa4", "<meta charset=ascii>\u00e4"),
        (b" " * 4090 + b"charset=cp1251 \xcf", None),
        (b"\xe4\x81", "\u00e4\ufffd"),
    ],
)
def test_in_which_encoding_a_page_is_read(data: bytes, text: str | None) -> None:
    found = decoded_page(data)
    assert found == text if text is not None else "\u041f" not in found


def rich(text: str) -> tuple[list[str], list[str]]:
    account = Account()
    found = list(rich_text_paragraphs(io.BytesIO(f"{{\\rtf1\\ansi{text}}}".encode("latin-1")), account))
    return found, account.said


@pytest.mark.parametrize(
    "text, found",
    [
        (r" a\par  b\'e4\u8364?\par\par c", ["a", "b\u00e4\u20ac", "c"]),
        (r" {\header no {\b no} \} no}a{\footerl no}b{\footer no}", ["ab"]),
        (r" a \headery0 b {\headerx c}", ["a b c"]),
        (r" a\header b", ["a"]),
        (r" {x\header b}{\header no}c", ["xc"]),
        (r" {\header never closed", []),
        (r" a {\b b\} is cut", ["a b} is cut"]),
        (r"\trowd a\cell  b \cell\row\trowd c\cell\cell\row d | e", ["a\tb", "c", "d | e"]),
    ],
)
def test_paragraphs_of_rich_text(text: str, found: list[str]) -> None:
    told = ["Headers and footers are left out."] if "no" in text or "never" in text else []
    if "never" in text or "cut" in text:
        told.insert(0, "Its last bracket is missing: the end of the text may be, too.")
    assert rich(text) == (found, told)


def test_documents_that_are_too_large_or_damaged_say_how(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_bytes(io.BytesIO(b"abc"), "PDF", 3) == b"abc"
    with pytest.raises(DocumentError) as caught:
        held_bytes(io.BytesIO(bytes((1 << 20) + 1)), "PDF", 1 << 20)
    said = "The PDF is larger than 1\u00a0MB. Save it in parts, or as plain text."
    assert (caught.value.kind, str(caught.value), caught.value.reason) == ("unsupported_file", said, said)
    error = damaged_document("PDF", ValueError("a \n b." + "c" * 200))
    assert (error.kind, error.reason) == ("damaged_file", f"The PDF is damaged: a b.{'c' * 156}.")
    assert damaged_document("PDF").reason == "The PDF is damaged."
    assert damaged_document("PDF", "a. ").reason == "The PDF is damaged: a."
    monkeypatch.setattr(rich_text, "RTF_LIMIT_BYTES", 30)
    assert rich(" a")[0] == ["a"]
    with pytest.raises(DocumentError, match=r"^The RTF document is larger than 0\u00a0MB\."):
        rich(" a" * 30)


def test_a_paragraph_is_tidied() -> None:
    assert tidied(" a\u00ad\u200b \t b\u00a0\n\n c \ufeff\n") == "a b\n\nc"


@pytest.mark.parametrize(
    "head, parts, mimetype, kind",
    [
        (b"x" * 1019 + b"%PDF-1.4", [], "", "pdf"),
        (b"x" * 1020 + b"%PDF-1.4", [], "", ""),
        (b" \n{\\rtf1", [], "", "rtf"),
        (b"x{\\rtf1", [], "", ""),
        (b"PK", ["a", "word/document2.xml"], "", "word"),
        (b"PK", ["xl/word/document.xml"], "", ""),
        (b"PK", [], "application/vnd.oasis.opendocument.text", "odt"),
        (b"PK", ["META-INF/container.xml"], "", "epub"),
        (b"PK", [], "application/epub+zip", "epub"),
    ],
)
def test_how_a_document_is_told(head: bytes, parts: list[str], mimetype: str, kind: str) -> None:
    assert binary_document(head, parts, mimetype) == kind


@pytest.mark.parametrize(
    "head, suffix, kind",
    [
        ("\ufeff<!-- x -->\n<!DOCTYPE  html>", "", "html"),
        ("<?xml version='1.0'?> <html>", ".txt", "html"),
        ("<htmlx>", "", ""),
        ("a <b>", ".htm", "html"),
        ("a", ".htm", ""),
        ("a <b>", ".txt", ""),
        ("\ufeffWEBVTT - x", "", "subtitles"),
        ("1\n00:00:01,000 --> 00:00:02,000\na", ".html", "subtitles"),
    ],
)
def test_how_a_text_of_marks_is_told(head: str, suffix: str, kind: str) -> None:
    assert text_document(head, suffix) == kind
