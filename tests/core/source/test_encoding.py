"""The encoding of a text is found by what it holds, however long it is, and shown with a line of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.data.check import check_files
from tests.core.data.written import told

SENTENCES = {
    "zh": ("港口的潮水几点开始上涨，渔船什么时候出海？", "潮水在六点上涨，渔船随后出海。"),
    "tw": ("港口的潮水幾點開始上漲，漁船什麼時候出海？", "潮水在六點上漲，漁船隨後出海。"),
    "ja": ("港の潮は何時に満ちますか、船はいつ出ますか？", "潮は六時に満ちて、そのあと船が出ます。"),
    "ko": ("항구의 물은 몇 시에 차오릅니까?", "물은 여섯 시에 차오르고 배가 떠납니다."),
    "ru": ("Когда начинается прилив в гавани?", "Прилив начинается в шесть часов вечера."),
    "de": ("Wann läuft die Flut ein, heißt es?", "Früh um fünf – „schön pünktlich“, größer als üblich."),
    "fr": ("Où est déjà passée la marée d’été ?", "Elle est à l’entrée, près de la jetée, ça va être « haut »."),
    "es": ("¿A qué hora subirá la marea mañana?", "Mañana subirá después de las seis, según el año."),
    "pl": ("Kiedy łódź odpłynie z portu?", "Łódź odpłynie o szóstej, gdy przyjdzie wyższa woda."),
    "en": ("Isn’t the café by the “old” harbour open?", "No—it’s closed…"),
}


@pytest.mark.parametrize("rows", [1, 3, 40, 900])
@pytest.mark.parametrize(
    "language, encoding",
    [
        ("zh", "gb18030"), ("tw", "big5"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("ko", "euc_kr"),
        ("ru", "cp1251"), ("ru", "koi8_r"), ("de", "cp1252"), ("de", "mac_roman"), ("fr", "cp1252"),
        ("fr", "mac_roman"), ("es", "cp1252"), ("es", "mac_roman"), ("pl", "cp1250"), ("en", "cp1252"),
        ("en", "mac_roman"),
    ],
)  # fmt: skip
def test_every_character_is_read_as_it_was_written(language: str, encoding: str, rows: int, tmp_path: Path) -> None:
    asked, answer = SENTENCES[language]
    path = tmp_path / "rows.tsv"
    lines = [f"{number} {asked}\t{answer} {number}\n" for number in range(rows)]
    path.write_bytes(("prompt\tcompletion\n" + "".join(lines)).encode(encoding))
    report = check_files([path])
    assert report.examples == rows
    assert report.preview[0] == {"prompt": f"0 {asked}", "completion": f"{answer} 0"}
    assert [kind for kind, _ in told(report) if kind != "small_data"] == ["encoding"]


def test_the_encoding_is_shown_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("prompt,completion\nIs it?,Yes.\nHeißt es Flut?,Ja.\n".encode("mac_roman"))
    assert told(check_files([path])) == [
        ("encoding", "Read as Mac Roman (mac_roman), for example “Heißt es Flut?,Ja.”.")
    ]


def test_one_endless_line_is_cut_between_characters(tmp_path: Path) -> None:
    asked, answer = SENTENCES["zh"]
    path = tmp_path / "rows.json"
    rows = ", ".join(f'{{"prompt": "{n} {asked}", "completion": "{answer}"}}' for n in range(30_000))
    path.write_bytes(f"[{rows}]".encode("gb18030"))
    report = check_files([path])
    assert (report.examples, report.preview[7]["completion"]) == (30_000, answer)
