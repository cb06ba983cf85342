"""Documents are read as passages of text without their marks, and refused in words where they cannot be."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, read_window, save_edited
from app.core.data.prepare import prepare_data
from app.core.source.finding import RowFault
from app.core.source.reader import read_rows
from app.core.source.source import inspect_file
from tests.core.data.written import told
from tests.core.document.written import book, odt, paragraph, pdf, word

LONG = "The tide turns at six in the morning, and then the water rises until the boats are afloat"


def texts(path: Path, **values: object) -> list[str]:
    report = check_files([path], config=TrainConfig().with_values(values))
    assert (report.usable, report.target) == (True, "text")
    return [row["text"] for row in report.preview]


def refusal(path: Path) -> tuple[str, str]:
    report = check_files([path])
    assert (report.usable, report.examples) == (False, 0)
    (found,) = report.errors
    return found.kind, found.reason


def contents(path: Path) -> str:
    return next(finding.reason for finding in check_files([path]).notes if finding.kind == "contents")


def test_a_word_document(tmp_path: Path) -> None:
    changed = (
        '<w:p><w:ins><w:r><w:t xml:space="preserve">New </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText>'
        "</w:r></w:del><w:r><w:instrText>PAGE</w:instrText><w:t>words</w:t><w:br/><w:t>below.</w:t></w:r></w:p>"
    )
    box = f"<w:txbxContent>{paragraph('In a box.')}</w:txbxContent>"
    drawn = (
        f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    )
    cells = [f"<w:tc>{''.join(map(paragraph, cell))}</w:tc>" for cell in (["a", "b"], ["c"], [], ["d"])]
    rows = "".join(f"<w:tr>{''.join(pair)}</w:tr>" for pair in (cells[:2], cells[2:]))
    body = f"{paragraph('Tides')}{changed}<w:tbl>{rows}</w:tbl>{drawn}"
    notes = "<w:footnotes><w:footnote /><w:footnote /><w:footnote /></w:footnotes>"
    path = word(tmp_path / "a.docx", body, footnotes=notes)
    assert texts(path) == ["Tides\n\nNew words\nbelow.\n\na b\tc\n\td\n\nIn a box."]
    assert contents(path) == "A Word document, read as 1 passage of at most 3,072 bytes. 1 footnote left out."


def test_an_open_document_text(tmp_path: Path) -> None:
    note = "<text:note><text:note-body><text:p>Below.</text:p></text:note-body></text:note>"
    path = odt(
        tmp_path / "a.odt", f"<text:h>Tides</text:h><text:p>High <text:span>water</text:span>{note}.</text:p>"
    )
    assert texts(path) == ["Tides\n\nHigh water."]
    locked = odt(tmp_path / "b.odt", "", "<manifest><encryption-data/></manifest>")
    assert refusal(locked)[1] == "This OpenDocument text is encrypted. Save it without a password."


def test_tables_of_an_open_document_text_are_lines_of_cells(tmp_path: Path) -> None:
    """A cell's paragraphs are one line of it; a table in a cell is a part of that; rows of nothing are left out."""

    def cell(*inside: str) -> str:
        return f"<table:table-cell>{''.join(inside)}</table:table-cell>"

    def table(*rows: tuple[str, ...]) -> str:
        lines = (f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
        return f"<table:table>{''.join(lines)}</table:table>"

    a, b, c, d = (f"<text:p>{letter}</text:p>" for letter in "abcd")
    rows = ((cell(a, b), cell(c)), (cell(), cell()), (cell(), cell(d), cell()), (cell(table((cell(c), cell(d)))),))
    body = f"<text:p>Tides</text:p>{table(*rows)}<text:p>End</text:p>"
    assert texts(odt(tmp_path / "a.odt", body)) == ["Tides\n\na b\tc\n\td\nc d\n\nEnd"]


def test_a_pdf_without_what_every_page_repeats(tmp_path: Path) -> None:
    pages = [
        ["Tides, a story", f"{LONG} be-", f"fore noon. {LONG}", "again.", f"{LONG} and it", "1"],
        ["Tides, a story", "ends with a word.", LONG, "2"],
        ["Tides, a story", LONG, "3"],
    ]
    path = pdf(tmp_path / "a.pdf", pages)
    (text,) = texts(path)
    assert f"{LONG} before noon. {LONG} again." in text
    assert f"{LONG} and it ends with a word." in text
    assert "a story" not in text
    assert not any(line.strip().isdecimal() for line in text.split("\n"))
    assert contents(path).endswith("It has 3 pages, 6 headers, footers and page numbers left out.")


def test_lines_of_a_table_are_no_headers(tmp_path: Path) -> None:
    pages = [[f"Boat {10 * page + line} costs {line} a day." for line in range(12)] for page in range(5)]
    (text,) = texts(pdf(tmp_path / "a.pdf", pages))
    assert text.count("costs") == 60


def test_a_scan_says_so(tmp_path: Path) -> None:
    kind, said = refusal(pdf(tmp_path / "a.pdf", [[], []]))
    assert kind == "unsupported_file"
    assert "(OCR)" in said
    some = pdf(tmp_path / "b.pdf", [[LONG], []])
    assert "1 of them with hardly any text (pictures?)" in contents(some)


def test_an_encrypted_pdf_says_so(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    plain, locked, open_one = pdf(tmp_path / "a.pdf", [[LONG]]), tmp_path / "b.pdf", tmp_path / "c.pdf"
    for path, password in ((locked, "secret"), (open_one, "")):
        writer = PdfWriter(PdfReader(plain))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        writer.write(path)
    assert refusal(locked)[1].startswith("This PDF is encrypted.")
    assert texts(open_one) == [LONG]


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.4\ntrailer << /Root 1 0 R >>", b"%PDF-" + b"9" * 999])
def test_a_damaged_pdf_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    assert refusal(path)[0] in ("damaged_file", "unsupported_file")


def test_a_book_in_its_own_order(tmp_path: Path) -> None:
    chapters = {
        "b": "<body><h1>Ebb</h1><p>It was&#160;late.</p></body>",
        "a": "<body><p>Second <i>part</i>.</p></body>",
    }
    fonts = '<encryption><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></encryption>'
    path = book(tmp_path / "a.epub", chapters, order=["b", "a"], encryption=fonts)
    assert texts(path) == ["Ebb\n\nIt was late.\n\nSecond part."]
    locks = '<encryption><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></encryption>'
    assert "(DRM)" in refusal(book(tmp_path / "b.epub", chapters, encryption=locks))[1]


def test_a_web_page_without_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<!doctype html><html><head><title>T</title><style>p {}</style></head><body><nav>Home</nav><h1>Tides</h1>"
        "<p>High <b>water</b>\n at six.<!-- no --> More.</p><ul><li>one</li><li>two</li></ul><table><tr><td>a</td>"
        "<td>b</td></tr></table><pre>if x:\n    y = 2</pre><script>no</script><p hidden>no</p><footer>no</footer>",
        encoding="utf-8",
    )
    assert texts(path) == ["Tides\n\nHigh water at six. More.\n\none\ntwo\n\na\tb\n\nif x:\n    y = 2"]


@pytest.mark.parametrize("encoding, named", [("cp1252", "windows-1252"), ("utf-8", ""), ("cp1251", "windows-1251")])
def test_a_web_page_in_the_encoding_that_it_names(encoding: str, named: str, tmp_path: Path) -> None:
    said = "Прилив" if encoding == "cp1251" else "Größe"
    path = tmp_path / "a.htm"
    path.write_bytes(f'<html><head><meta charset="{named}"></head><body>{said}</body></html>'.encode(encoding))
    assert texts(path) == [said]


def test_rich_text(tmp_path: Path) -> None:
    path = tmp_path / "a.rtf"
    path.write_text(
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Helvetica;}}{\header Every page\par}\f0 The \b tide\b0  turns "
        r"\'e9t\'e9 \u8364?.\par Next.\par\trowd a\cell b\cell\row{\pict\wmetafile8 0a0b}}"
    )
    assert texts(path) == ["The tide turns été €.\n\nNext.\n\na\tb"]


def test_subtitles_without_times(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(
        "1\n00:00:01,000 --> 00:00:03,000\n<i>The tide</i> turns.\n\n2\n00:00:03,500 --> 00:00:04,000\n"
        "{\\an8}Run!\nNow, 3 < 4.\n\n3\n00:00:30,000 --> 00:00:31,000\nLater.\n"
    )
    assert texts(path) == ["The tide turns.\nRun! Now, 3 < 4.\n\nLater."]
    caption = tmp_path / "a.vtt"
    caption.write_text(
        "WEBVTT - Tides\n\nSTYLE\n::cue {}\n\nfirst\n00:01.000 --> 00:03.000 align:start\n<v A>The <c>tide</c>\n\n"
        "NOTE no\nno\n\n00:03.000 --> 00:04.000\nThe tide\nturns &amp; ebbs\n"
    )
    assert texts(caption) == ["The tide\nturns & ebbs"]


def test_the_number_of_a_subtitle_that_no_empty_line_divides_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nThe tide turns at\n6\n2\n00:00:02,000 --> 00:00:03,000\n3 boats\n"
        "WAIT\n00:00:03,000 --> 00:00:04,000\nand\n4\n\n00:00:04,500 --> 00:00:05,000\n"
        "00:00:05,000 --> 00:00:06,000\nx\n"
    )
    assert texts(path) == ["The tide turns at 6\n3 boats WAIT\nand 4\nx"]


def test_passages_are_as_long_as_the_maximum_allows_and_numbered(tmp_path: Path) -> None:
    path = word(tmp_path / "a.docx", "".join(paragraph(f"{number}. {LONG}.") for number in range(40)))
    config = TrainConfig(data=str(path), max_seq_length=64, valid_fraction=0, test_fraction=0)
    report = check_files([path], config=config)
    assert report.examples == report.rows > 20
    assert report.preview_lines[:3] == (1, 2, 3)
    assert all(len(row["text"]) <= 192 for row in report.preview)
    assert read_window(path, 3, 1, config) == [(3, {"text": report.preview[2]["text"]})]
    written = prepare_data(config, tmp_path / "out").train.read_text().splitlines()
    assert len(written) == report.examples
    edits = Edits()
    edits.drop(3)
    assert save_edited(path, edits, tmp_path / "b.jsonl", config=config).rows == report.examples - 1


def test_the_place_of_damage_is_after_the_passages_that_were_read(tmp_path: Path) -> None:
    body = "".join(paragraph(f"{number}. {LONG}.") for number in range(90))
    path = word(tmp_path / "a.docx", f"{body}{' ' * 70_000}<w:p><")
    *rows, (number, fault) = read_rows(inspect_file(path))
    assert ([line for line, _ in rows], number) == ([1, 2, 3], 4)
    assert isinstance(fault, RowFault)
    assert fault.kind == "damaged_file"


def test_a_compressed_document_is_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "a.docx.gz"
    packed.write_bytes(gzip.compress(word(tmp_path / "a.docx", paragraph("Tides.")).read_bytes()))
    assert texts(packed) == ["Tides."]


def test_a_document_without_text_is_told(tmp_path: Path) -> None:
    path = word(tmp_path / "a.docx", "<w:p/>")
    assert refusal(path) == ("empty_file", "A Word document without any text.")
    assert [(one.kind, one.line) for one in check_files([path]).errors] == [("empty_file", None)]


def test_a_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(100 << 20))
    kind, said = refusal(path)
    assert (kind, "is 100\u00a0MB when unpacked" in said) == ("unsupported_file", True)


def test_entities_are_not_blown_up(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    kinds = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "word/document.xml",
            f'<!DOCTYPE d [<!ENTITY e0 "Tides">{kinds}]><w:document xmlns:w="{space}"><w:p><w:t>&e8;</w:t></w:p>'
            "</w:document>",
        )
    assert refusal(path)[0] in ("empty_file", "damaged_file")


def test_documents_of_a_folder_are_its_data(tmp_path: Path) -> None:
    word(tmp_path / "a.docx", paragraph(LONG))
    pdf(tmp_path / "b.pdf", [["Another text, about ships."]])
    report = check_files([tmp_path])
    assert (report.usable, report.examples) == (True, 2)
    assert [kind for kind, _ in told(report) if kind == "contents"] == ["contents", "contents"]
