"""PDF pages as the library reads them: headers left out, broken lines put together, and what is given up."""

from __future__ import annotations

import io
import logging
from typing import Any

import pypdf
import pytest
from pypdf.errors import DependencyError, PdfReadError

from app.core.document import pdf
from app.core.document.paragraph import Account, DocumentError
from app.core.document.pdf import pdf_paragraphs

FULL = "abcdefghi abcdefghi abcdefghi abcdefghi"  # a line over the page's width


class Reader:
    """Stands in for the library: each page is its lines, or what is raised."""

    def __init__(self, pages: list[Any], password: str | None = None) -> None:
        self._pages, self._password = pages, password
        self.is_encrypted = password is not None

    @property
    def pages(self) -> list[Any]:
        return [type("Page", (), {"extract_text": lambda _, page=page: self._text(page)})() for page in self._pages]

    def decrypt(self, password: str) -> int:
        return int(password == self._password)

    @staticmethod
    def _text(page: Any) -> str | None:
        logging.getLogger("pypdf").error("an odd page")
        if isinstance(page, Exception):
            raise page
        return "\n".join(page) if page is not None else None


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The paragraphs of pages, and what is told of them."""

    def paragraphs(*pages: Any, password: str | None = None) -> tuple[list[str], str]:
        def reader(_file: io.BytesIO, *, strict: bool) -> Reader:
            assert not strict, "what other programs open is refused"
            if isinstance(pages[0], DependencyError):
                raise pages[0]
            return Reader(list(pages), password)

        monkeypatch.setattr(pypdf, "PdfReader", reader)
        account = Account()
        found = list(pdf_paragraphs(io.BytesIO(), account))
        return found, " ".join(account.said)

    return paragraphs


def test_lines_of_a_page_are_put_together_to_paragraphs(read: Any) -> None:
    page = [
        FULL, "short end.", FULL, "twenty chars no dots", "nineteen chars here", FULL,
        "twenty-eight chars and dots.", "- item", FULL, "(b) item", FULL, "", FULL, FULL, "", FULL,
    ]  # fmt: skip
    found, told = read(page)
    assert found == [
        f"{FULL} short end.", f"{FULL} twenty chars no dots nineteen chars here",
        f"{FULL} twenty-eight chars and dots.", "- item", FULL, "(b) item", FULL, f"{FULL} {FULL}", FULL,
    ]  # fmt: skip
    assert told == "It has 1 page."


def test_a_sentence_goes_on_across_pages_and_a_word_across_lines(read: Any) -> None:
    assert read([FULL, "open"], ["", FULL, "", "end."], None, ["New"])[0] == [f"{FULL} open {FULL}", "end.", "New"]


@pytest.mark.parametrize(
    "end, start, joined",
    [
        ("be-", "fore", "before"),
        ("be-", "Fore", "be- Fore"),
        ("3-", "fore", "3- fore"),
        ("\u6d77", "\u6c34", "\u6d77\u6c34"),
        ("\u6d77", "a", "\u6d77 a"),
        ("a", "\u6d77", "a \u6d77"),
        ("\u2e80", "\u2e80", "\u2e80\u2e80"),
        ("\u2e7f", "\u2e80", "\u2e7f \u2e80"),
        ("\u2e80", "\u2e7f", "\u2e80 \u2e7f"),
        ("be\u00ad", "x\x00y", "be xy"),
    ],
)
def test_what_stands_between_two_lines(end: str, start: str, joined: str, read: Any) -> None:
    assert read([end], [start])[0] == [joined]


def body(number: int, count: int = 8) -> list[str]:
    """Lines that stand on one page alone."""
    return [f"{chr(97 + number)}{chr(97 + line)} {FULL}." for line in range(count)]


def kept(found: list[str], *words: str) -> list[int]:
    text = "\n".join(found)
    return [text.count(word) for word in words]


def test_what_a_third_of_the_pages_repeat_at_an_edge_is_left_out(read: Any) -> None:
    """On three pages at least; lines that stand inside of pages as well are no headers."""
    pages = [[("Odd", "Even")[number % 2], *body(number), f"Foot {number}"] for number in range(6)]
    found, told = read(*pages)
    assert kept(found, "Odd", "Even", "Foot", ".") == [0, 0, 0, 48]
    assert told == "It has 6 pages, 12 headers, footers and page numbers left out."
    found, told = read(*pages[:5])
    assert kept(found, "Odd", "Even", "Foot") == [0, 2, 0]
    assert told == "It has 5 pages, 8 headers, footers and page numbers left out."
    ten = [["Odd" if number < 3 else "Even", *body(number)] for number in range(10)]
    assert kept(read(*ten)[0], "Odd", "Even") == [3, 0]
    for count, left in ((4, 5), (5, 1)):
        inside = [["Odd", *body(number)] for number in range(count)]
        inside[0][5] = "Odd"
        assert kept(read(*inside)[0], "Odd") == [left]


def test_edges_are_cut_from_outside_up_to_what_is_the_pages_own(read: Any) -> None:
    pages = [["", "ODD", f"own {chr(97 + n)}", "Inner", *body(n), "", "Odd", f"{n + 1}"] for n in range(3)]
    found, told = read(*pages)
    assert kept(found, "Odd", "ODD", "own", "Inner", "1", "2", "3") == [0, 0, 3, 3, 0, 0, 0]
    assert told == "It has 3 pages, 9 headers, footers and page numbers left out."


@pytest.mark.parametrize(
    "number, is_one",
    [
        ("7", True), ("- 7 -", True), ("Page 7 of 99", True), ("Seite 7/9", True), ("xiv", True), ("12345", True),
        ("123456", False), ("p.7", True), ("7.", False), ("Page", False), ("7 and 8", False),
    ],
)  # fmt: skip
def test_numbers_of_pages(number: str, is_one: bool, read: Any) -> None:
    said = "It has 1 page, 1 header, footer or page number left out." if is_one else "It has 1 page."
    for page in ([number, *body(0)], [*body(0), number]):
        found, told = read(page)
        assert (told, kept(found, number)) == (said, [int(not is_one)])
    assert read([number])[0] == [number]
    assert kept(read([*body(0), number, "end"])[0], number) == [1]


def test_pages_with_hardly_any_text_are_counted(read: Any) -> None:
    nineteen, twenty = ["a" * 10, "b" * 9], ["a" * 10, "b" * 10]
    assert read(nineteen, twenty, [])[1] == "It has 3 pages, 2 of them with hardly any text (pictures?)."
    with pytest.raises(DocumentError, match=r"^This PDF has no text: its pages are pictures \(a scan\)"):
        read([], [" "])


def test_a_pdf_that_is_too_large_or_takes_too_long_is_given_up(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "PAGE_LIMIT", 2)
    assert read(["a"], ["b"])[0] == ["a b"]
    with pytest.raises(DocumentError, match=r"^This PDF has 3 pages, more than 2\. Save it in parts\.$"):
        read(["a"], ["b"], ["c"])
    given_up = r"^Reading this PDF was given up at page {}: it takes too long or is too large\. Save its text as a"
    monkeypatch.setattr(pdf, "TEXT_LIMIT_CHARACTERS", 10)
    assert read(["a" * 5], ["b" * 5])[0] == [f"{'a' * 5} {'b' * 5}"]
    with pytest.raises(DocumentError, match=given_up.format(2)):
        read(["a" * 5], ["b" * 6])
    monkeypatch.setattr(pdf, "TIME_LIMIT_S", -1)
    with pytest.raises(DocumentError, match=given_up.format(1)):
        read(["a"], ["b"])


@pytest.mark.parametrize("error", [KeyError("x"), PdfReadError("x"), RecursionError("x")])
def test_what_the_library_raises_is_damage(error: Exception, read: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        read(["a"], error)
    assert (caught.value.kind, caught.value.reason) == ("damaged_file", f"The PDF is damaged: {error}.")


def test_a_locked_pdf_is_told_and_one_without_a_password_opened(read: Any) -> None:
    assert read(["a"], password="")[0] == ["a"]
    locked = r"^This PDF is encrypted\. Open it with its password"
    for page, password in ((["a"], "secret"), (DependencyError("no AES"), None)):
        with pytest.raises(DocumentError, match=locked):
            read(page, password=password)


def test_the_library_says_nothing_of_odd_pages(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogger("pypdf").level
    read(["a"])
    assert not caplog.records
    assert logging.getLogger("pypdf").level == before
