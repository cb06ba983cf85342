"""Translation memories and glossaries are rows of a source and a target; which languages these are is told."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import read_window
from app.core.data.prepare import prepare_data
from app.core.document import translation_memory
from app.core.document.translation_memory import Languages, memory_languages, memory_rows
from tests.core.data.written import told

BOLD = '<bpt i="1">&lt;b&gt;</bpt>boat<ept i="1">&lt;/b&gt;</ept>'
UNITS = (
    f'<tu><tuv xml:lang="EN-us"><seg>The {BOLD} &amp; the pier</seg></tuv>'
    '<tuv xml:lang="de"><seg>Das <hi>Boot</hi> und der Steg</seg></tuv>'
    '<tuv xml:lang="fr"><seg>Le bateau</seg></tuv></tu>'
    '<tu><note>no</note><tuv xml:lang="de"><seg>Ebbe</seg></tuv><tuv xml:lang="en-US"><seg>Ebb</seg></tuv></tu>'
    '<tu><tuv xml:lang="en-US"><seg>Alone</seg></tuv></tu>'
)


def memory(path: Path, units: str = UNITS, source: str = "en-US", encoding: str = "utf-8") -> Path:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">'
        f'<header srclang="{source}"/><body>{units}</body></tmx>'
    )
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    "name, encoding", [("a.tmx", "utf-8"), ("a.tmx", "utf-16"), ("a.xml", "cp1252"), ("a.tmx.gz", "utf-8")]
)
def test_units_are_rows(name: str, encoding: str, tmp_path: Path) -> None:
    path = memory(tmp_path / name, encoding=encoding)
    report = check_files([path])
    assert report.preview == (
        {"source": "The boat & the pier", "target": "Das Boot und der Steg", "fr": "Le bateau"},
        {"target": "Ebbe", "source": "Ebb"},
        {"source": "Alone"},
    )
    assert [(error.line, error.kind) for error in report.errors] == [(3, "missing_field")]
    said = "Translations (TMX): `source` is EN-us, `target` is de. Also there, as columns: `fr`. "
    assert ("layout", f"{said}Another direction is a choice of columns.") in told(report)


@pytest.mark.parametrize(
    ("header", "source", "target", "others"),
    [
        ("en-US", "EN-us", "de", "fr"),
        ("FR", "fr", "de", "EN-us"),
        ("en", "EN-us", "de", "fr"),  # another kind of it
        ("de-AT", "de", "EN-us", "fr"),
        ("*all*", "de", "EN-us", "fr"),  # none in particular: the one with most texts
        ("it", "de", "EN-us", "fr"),
    ],
)
def test_the_source_is_the_language_that_the_memory_names(
    header: str, source: str, target: str, others: str, tmp_path: Path
) -> None:
    more = '<tu><tuv xml:lang="de"><seg>Flut</seg></tuv><tuv xml:lang="fr"><seg>Flux</seg></tuv></tu>'
    path = memory(tmp_path / "a.tmx", UNITS + 2 * more, source=header)
    said = f"Translations (TMX): `source` is {source}, `target` is {target}. Also there, as columns: `{others}`. "
    assert ("layout", f"{said}Another direction is a choice of columns.") in told(check_files([path]))


def test_the_other_direction_is_a_choice_of_columns(tmp_path: Path) -> None:
    path = memory(tmp_path / "a.tmx")
    config = TrainConfig(data=str(path), prompt_feature="target", completion_feature="source", skip_bad_rows=True,
                         valid_fraction=0, test_fraction=0)  # fmt: skip
    assert prepare_data(config, tmp_path / "out").train.read_text().splitlines()[1] == (
        '{"target":"Ebbe","source":"Ebb"}'
    )


def test_memories_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    one = check_files([memory(tmp_path / "a.tmx", '<tu><tuv xml:lang="en"><seg>x</seg></tuv></tu>')])
    assert [error.reason for error in one.errors] == [
        "This translation memory (TMX) has no texts in two languages."
    ]
    path = memory(tmp_path / "b.tmx", UNITS * 50)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "damaged_file" in {error.kind for error in check_files([path]).errors}


@pytest.mark.parametrize(
    "text, rows",
    [
        ("English\tGerman\nboat\tBoot\npier\tSteg\n", 2),
        ("en\tde-DE\nboat\tBoot\npier\tSteg\n", 2),
        ("boat\tBoot\npier\tSteg\nebb\tEbbe\n", 3),
    ],
)
@pytest.mark.parametrize("suffix", [".tsv", ".txt"])
def test_glossaries(text: str, rows: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"terms{suffix}"
    path.write_text(text, encoding="utf-8")
    report = check_files([path])
    assert (report.usable, report.examples, report.target) == (True, rows, "completion")
    first = 1 if rows == 3 else 2
    assert read_window(path, 1, 9)[0] == (first, {"source": "boat", "target": "Boot"})
    kinds = [kind for kind, _ in told(report)]
    assert "layout" in kinds
    assert ("unusual_header" in kinds) == (rows == 3)  # told, since the first line might be a header after all


def test_tables_of_other_columns_are_no_glossaries(tmp_path: Path) -> None:
    for header in ("utterance\tintent", "sentence_a\tsentence_b", "id\tname"):
        path = tmp_path / "rows.tsv"
        path.write_text(f"{header}\nboat\tBoot\npier\tSteg\n")
        assert check_files([path]).columns == tuple(header.split("\t"))
    path = tmp_path / "notes.txt"
    path.write_text("one\ttwo\nand a line without a tab\n")
    assert check_files([path]).target == "text"


def unit(*texts: str, source: str = "") -> str:
    """A unit of ``language: text``."""
    parts = (text.partition(": ") for text in texts)
    inside = "".join(f'<tuv xml:lang="{name}"><seg>{said}</seg></tuv>' for name, _, said in parts)
    return f'<tu srclang="{source}">{inside}</tu>' if source else f"<tu>{inside}</tu>"


def stream(*units: str, source: str = "en") -> io.BytesIO:
    return io.BytesIO(f'<tmx><header srclang="{source}"/><body>{"".join(units)}</body></tmx>'.encode())


def test_languages_are_counted_in_as_many_units_as_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    units = [unit("en: a", "de: b"), *[unit("en: a", "fr: c")] * 2]
    assert memory_languages(stream(*units)) == Languages("en", "fr", ("de",))
    monkeypatch.setattr(translation_memory, "JUDGED_UNITS", 2)
    assert memory_languages(stream(*units)) == Languages("en", "fr", ("de",))
    monkeypatch.setattr(translation_memory, "JUDGED_UNITS", 1)
    assert memory_languages(stream(*units)) == Languages("en", "de", ("fr",))
    assert memory_languages(stream(unit("DE: a", "en: b"), unit("de: a", "EN: b"))) == Languages("en", "DE")
    assert memory_languages(stream(unit("sv: a", "en: b", source="sv"))) == Languages("sv", "en")


def test_units_in_every_form_are_rows() -> None:
    odd = (
        '<tu><tuv><seg>no language</seg></tuv><tuv lang="en">'
        "<seg> a \n<ph>code</ph>b<!-- no --><hi>c</hi></seg></tuv>"
        '<tuv xml:lang="de"/><tuv xml:lang="EN"><seg>twice</seg></tuv><tuv xml:lang="FR"><seg>d</seg></tuv></tu>'
        "<tu/>"
    )
    languages = Languages("en", "de", ("fr",))
    assert list(memory_rows(stream(odd, unit("de: e", "EN: f", "xx: g")), languages)) == [
        {"source": "a bc", "fr": "d"}, {"target": "e", "source": "f", "xx": "g"}
    ]  # fmt: skip


def test_of_many_languages_eight_others_are_named() -> None:
    said = "Translations (TMX): `source` is en, `target` is de. Also there, as columns: {}. Another direction is a "
    eight = ", ".join(f"`l{number}`" for number in range(8))
    for count, named in ((8, eight), (9, f"{eight} and 1 more")):
        languages = Languages("en", "de", tuple(f"l{number}" for number in range(count)))
        assert languages.sentence() == said.format(named) + "choice of columns."
