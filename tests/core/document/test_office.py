"""Text documents of Word and OpenDocument, paragraph by paragraph, and what their packages may hold."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from app.core.document import package
from app.core.document.book import book_paragraphs
from app.core.document.office import odt_paragraphs, word_paragraphs
from app.core.document.package import Package
from app.core.document.paragraph import Account, DocumentError, DocumentReader
from tests.core.document.written import book, odt, paragraph, word


def read(reader: DocumentReader, path: Path) -> tuple[list[str], list[str]]:
    """The paragraphs, and what is told of the document."""
    account = Account()
    with path.open("rb") as file:
        return list(reader(file, account)), account.said


def refusal(reader: DocumentReader, path: Path) -> tuple[str, str]:
    with pytest.raises(DocumentError) as caught:
        read(reader, path)
    assert str(caught.value) == caught.value.reason
    return caught.value.kind, caught.value.reason


def footnotes(count: int) -> str:
    return f"<w:footnotes>{'<w:footnote >' * count}</w:footnotes>"


def test_paragraphs_of_word_are_taken_once_and_in_order(tmp_path: Path) -> None:
    """A box within a paragraph comes before it; what was moved or taken out is not there; blanks are tidied."""
    box = f"<w:txbxContent>{paragraph('Box.')}{paragraph('Lid.')}</w:txbxContent>"
    moved = (
        "<w:moveFrom><w:r><w:t>Gone</w:t></w:r></w:moveFrom><w:r><w:t>Here</w:t><w:tab/><w:t>too\u00ad</w:t></w:r>"
    )
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"
    cells = f"<w:tc>{paragraph('a')}{inner}</w:tc><w:tc>{paragraph('b  c')}</w:tc><w:tc><w:p/></w:tc>"
    body = (
        f"{paragraph('One.')}<w:p>{moved}</w:p><w:p><w:r><w:t>Two{box}</w:t></w:r></w:p>"
        f"<w:tbl><w:tr>{cells}</w:tr><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl><w:tbl><w:tr/></w:tbl>"
        "<w:p><w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:cr/><w:t/></w:r></w:p>"
        "<x:p xmlns:x='urn:x'>odd</x:p>"
    )
    assert read(word_paragraphs, word(tmp_path / "a.docx", body)) == (
        ["One.", "Here too", "Box.", "Lid.", "Two", "a x\tb c", "a-b"], []
    )  # fmt: skip
    for count, said in ((2, []), (3, ["1 footnote left out."]), (4, ["2 footnotes left out."])):
        path = word(tmp_path / "b.docx", paragraph("One."), footnotes=footnotes(count))
        assert read(word_paragraphs, path) == (["One."], said)


def test_what_was_read_of_a_document_that_breaks_off_is_kept(tmp_path: Path) -> None:
    """Paragraphs come while the file is read: a long one is never held whole."""
    cell = f"<w:tc>{paragraph('a')}</w:tc>"
    body = f"{paragraph('One.')}{paragraph('Two.')}<w:tbl><w:tr>{cell}</w:tr></w:tbl>{' ' * 100_000}<w:p><"
    account, found = Account(), list[str]()
    with word(tmp_path / "a.docx", body).open("rb") as file, pytest.raises(DocumentError) as caught:
        found.extend(word_paragraphs(file, account))
    assert (found, caught.value.kind) == (["One.", "Two.", "a"], "damaged_file")
    row = "<table:table-row><table:table-cell><text:p>a</text:p></table:table-cell></table:table-row>"
    table = f"<table:table>{row}</table:table>"
    path = odt(tmp_path / "a.odt", f"<text:p>One.</text:p>{table}{' ' * 100_000}<text:p><")
    found.clear()
    with path.open("rb") as file, pytest.raises(DocumentError):
        found.extend(odt_paragraphs(file, account))
    assert found == ["One.", "a"]


def test_text_of_an_open_document(tmp_path: Path) -> None:
    note = "<text:note><text:p>Below.</text:p></text:note>"
    body = (
        f"<text:p>a<text:s/>b<text:s text:c='many'/><text:tab/>c<text:line-break/>d{note}e</text:p>"
        "<text:tracked-changes><text:p>Gone</text:p></text:tracked-changes>"
        "<text:p>f<text:frame>picture</text:frame><!-- no -->g<?no?></text:p>"
        f"<text:table-of-content><text:p>Contents</text:p>{note}</text:table-of-content>{note}"
        "<text:p><text:ruby>h<text:ruby-text>ha</text:ruby-text></text:ruby></text:p>"
    )
    texts = ["a b c\nde", "fg", "h"]
    assert read(odt_paragraphs, odt(tmp_path / "a.odt", body)) == (texts, ["3 notes left out."])
    assert read(odt_paragraphs, odt(tmp_path / "b.odt", "<text:p>One.</text:p>")) == (["One."], [])
    with zipfile.ZipFile(tmp_path / "c.odt", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    assert refusal(odt_paragraphs, tmp_path / "c.odt") == (
        "unsupported_file", "This OpenDocument text has no text."
    )  # fmt: skip
    assert refusal(word_paragraphs, tmp_path / "c.odt") == ("unsupported_file", "This Word document has no text.")


def opened(path: Path, opf: str, *, encryption: str = "", container: str = "", **pages: str) -> Path:
    """A book of which every part is given."""
    parts = {"x/b.opf": opf, "META-INF/container.xml": container, "META-INF/encryption.xml": encryption}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, **{f"x/{name}.html": text for name, text in pages.items()}}.items():
            if content:
                archive.writestr(name, content)
    return path


def test_parts_of_a_book_are_those_that_are_read(tmp_path: Path) -> None:
    """In the order of the spine, each once; not contents, pictures, what is beside the text, or what is missing."""
    items = (
        '<item id="a" href="a.html"/><item id="b" href="./b%2Ehtml" media-type="text/html"/>'
        '<item id="c" href="c.html" media-type="image/png"/><item id="d" href="gone.html"/>'
        '<item id="e" href="e.html" properties="svg nav"/><item id="f" href="f.html" properties="svg"/>'
        '<item id="g"/>'
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in "bacdefgzb") + '<itemref idref="h" linear="no"/>'
    opf = f'<package xmlns="http://www.idpf.org/2007/opf">{items}<item id="h" href="h.html"/>{spine}</package>'
    pages = {name: f"<p>{name}</p>" for name in "abcefh"} | {"a": ""}
    roots = '<c xmlns="urn:c"><rootfile full-path="gone.opf"/><rootfile full-path="x/b.opf"/></c>'
    for container in ("", roots, '<c><rootfile full-path="gone.opf"/></c>'):
        path = opened(tmp_path / "a.epub", opf, container=container, **pages)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("x/a.html", " ")
        assert read(book_paragraphs, path) == (["b", "f"], ["It has 3 parts, read in the book's order."])
    empty = opened(tmp_path / "b.epub", "<package/>")
    none = opened(tmp_path / "c.epub", "", a="<p>a</p>")
    for path in (empty, none):
        assert refusal(book_paragraphs, path) == ("damaged_file", "This EPUB book names no chapters.")


def test_a_book_with_one_lock_among_its_fonts_is_locked(tmp_path: Path) -> None:
    font = '<EncryptionMethod Algorithm="http://ns.adobe.com/pdf/enc#RC"/>'
    lock = '<EncryptionMethod Algorithm="urn:aes"/>'
    chapters = {"a": "<body><p>Ebb.</p></body>"}
    path = book(tmp_path / "a.epub", chapters, encryption=f"<e>{font}{lock}</e>")
    locked = "This EPUB book is locked (DRM), so that its text cannot be read."
    assert refusal(book_paragraphs, path) == ("unsupported_file", locked)
    assert read(book_paragraphs, book(tmp_path / "b.epub", chapters, encryption=f"<e>{font}</e>"))[0] == ["Ebb."]
    kind, said = refusal(book_paragraphs, book(tmp_path / "c.epub", chapters, encryption="<e>"))
    assert kind == "damaged_file"
    assert said.startswith("The EPUB book is damaged: Premature end of data")


def test_nothing_outside_a_document_is_read_and_no_entity_put_in(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    head = f'<!DOCTYPE d [<!ENTITY in "inside"><!ENTITY out SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
    text = f"{head}<d xmlns:text='urn:x'><text:p>a&in;b&out;c</text:p></d>"
    with zipfile.ZipFile(tmp_path / "a.odt", "w") as archive:
        archive.writestr("content.xml", text)
    assert read(odt_paragraphs, tmp_path / "a.odt")[0] == ["a&in;b&out;c"]
    items = f'{head}<package><item id="a" href="a.html"/><itemref idref="a"/>&in;&out;</package>'
    root = package.xml_tree(items.encode(), "EPUB book")
    assert "inside" not in "".join(root.itertext())
    assert "secret" not in "".join(root.itertext())
    deep = "<d xmlns:text='urn:x'>" + "<a>" * 300 + "<text:p>a</text:p>" + "</a>" * 300 + "</d>"
    with zipfile.ZipFile(tmp_path / "b.odt", "w") as archive:
        archive.writestr("content.xml", deep)
    assert refusal(odt_paragraphs, tmp_path / "b.odt")[0] == "damaged_file"
    with pytest.raises(DocumentError, match=r"The EPUB book is damaged: Excessive depth"):
        package.xml_tree(deep.encode(), "EPUB book")


def archive_of(**parts: int) -> io.BytesIO:
    """Parts of so many zeros, packed."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in parts.items():
            archive.writestr(name, bytes(size))
    return found


def test_how_large_a_document_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it unpacked, and of what is large how many times the packed; a part has a limit of its own."""
    monkeypatch.setattr(package, "DOCUMENT_LIMIT_BYTES", 3 << 20)
    monkeypatch.setattr(package, "XML_RATIO_FROM_BYTES", 4 << 20)
    whole = Package(archive_of(a=2 << 20, b=1 << 20), "PDF")
    with pytest.raises(DocumentError, match=r"^The PDF is 3\u00a0MB when unpacked, far more than its text can be"):
        Package(archive_of(a=2 << 20, b=(1 << 20) + 1), "PDF")
    monkeypatch.setattr(package, "XML_RATIO_FROM_BYTES", 3 << 20)
    Package(archive_of(a=3 << 20), "PDF")
    monkeypatch.setattr(package, "XML_RATIO_FROM_BYTES", (3 << 20) - 1)
    with pytest.raises(DocumentError):
        Package(archive_of(a=3 << 20), "PDF")
    packed = len(archive_of(a=3 << 20).getvalue())
    monkeypatch.setattr(package, "XML_RATIO_LIMIT", (3 << 20) // (packed // 2))
    Package(archive_of(a=3 << 20), "PDF")
    assert whole.read("a", 2 << 20) == bytes(2 << 20)
    assert whole.read("none") == b""
    with pytest.raises(DocumentError, match=r"^`a` in the PDF is larger than 1\u00a0MB\.$"):
        whole.read("a", (2 << 20) - 1)


def test_a_package_that_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        Package(io.BytesIO(b"PK\x03\x04 no archive"), "Word document")
    assert (caught.value.kind, caught.value.reason) == (
        "damaged_file", "The Word document is damaged: File is not a zip file."
    )  # fmt: skip
    path = word(tmp_path / "a.docx", "".join(paragraph(f"Tide {number * 7919}.") for number in range(400)))
    data = bytearray(path.read_bytes())
    data[400:900] = b"\0" * 500
    path.write_bytes(bytes(data))
    kind, said = refusal(word_paragraphs, path)
    assert kind == "damaged_file"
    assert said.startswith("The Word document is damaged: ")
