"""The encoding of a text is found by what it holds, however long it is, and shown with a line of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.prepare import prepare_data
from app.core.problem import UnusableError
from app.core.source.encoding import ENCODING_CHOICES, usable_encoding
from tests.core.data.written import told

SENTENCES = {
    "zh": ("港口的潮水几点开始上涨，渔船什么时候出海？", "潮水在六点上涨，渔船随后出海。"),
    "tw": ("港口的潮水幾點開始上漲，漁船什麼時候出海？", "潮水在六點上漲，漁船隨後出海。"),
    "ja": ("港の潮は何時に満ちますか、船はいつ出ますか？", "潮は六時に満ちて、そのあと船が出ます。"),
    "ko": ("항구의 물은 몇 시에 차오릅니까?", "물은 여섯 시에 차오르고 배가 떠납니다."),
    "ru": ("Когда начинается прилив в гавани?", "Прилив начинается в шесть часов вечера."),
    "uk": ("Коли починається приплив у гавані?", "Приплив починається о шостій годині, її ґанок є."),
    "bg": ("Кога започва приливът в пристанището?", "Приливът започва в шест часа вечерта."),
    "el": ("Πότε αρχίζει η παλίρροια στο λιμάνι;", "Η παλίρροια αρχίζει στις έξι το βράδυ."),
    "he": ("מתי מתחילה הגאות בנמל?", "הגאות מתחילה בשש בערב."),
    "ar": ("متى يبدأ المد في الميناء؟", "يبدأ المد في السادسة مساء."),
    "th": ("น้ำขึ้นที่ท่าเรือเมื่อไหร่", "น้ำขึ้นตอนหกโมงเย็น"),
    "tr": ("Limanda gelgit ne zaman başlıyor?", "Gelgit akşam altıda başlıyor, gemiler sonra çıkıyor, ağır ağır."),
    "de": ("Wann läuft die Flut ein, heißt es?", "Früh um fünf – „schön pünktlich“, größer als üblich."),
    "fr": ("Où est déjà passée la marée d’été ?", "Elle est à l’entrée, près de la jetée, ça va être « haut »."),
    "es": ("¿A qué hora subirá la marea mañana?", "Mañana subirá después de las seis, según el año."),
    "pt": ("A que horas sobe a maré amanhã?", "A maré não sobe às seis; então é às sete, são lições."),
    "sv": ("När kommer tidvattnet i hamnen?", "Klockan sex på kvällen, då går båtarna ut på sjön."),
    "is": ("Hvenær kemur flóðið í höfnina?", "Það kemur klukkan sex, þá fara bátar út á sjó."),
    "pl": ("Kiedy łódź odpłynie z portu?", "Łódź odpłynie o szóstej, gdy przyjdzie wyższa woda."),
    "cs": ("Kdy začíná příliv v přístavu?", "Příliv začíná v šest hodin večer, pak vyplují lodě, když je čas."),
    "hu": ("Mikor kezdődik a dagály a kikötőben?", "A dagály este hat órakor kezdődik, aztán kifutnak a hajók."),
    "ro": ("Când începe mareea în port?", "Mareea începe la ora şase seara, apoi ies bărcile în larg."),
    "hr": ("Kada počinje plima u luci?", "Plima počinje u šest sati navečer, zatim izlaze čamci i žena."),
    "lt": ("Kada prasideda potvynis uoste?", "Potvynis prasideda šeštą valandą, žvejai išplaukia, ąžuolas."),
    "en": ("Isn’t the café by the “old” harbour open?", "No—it’s closed…"),
}


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize(
    "language, encoding",
    [
        ("zh", "gb18030"), ("tw", "big5"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("ja", "iso2022_jp"),
        ("ko", "euc_kr"), ("ru", "cp1251"), ("ru", "koi8_r"), ("ru", "mac_cyrillic"), ("ru", "cp866"),
        ("ru", "iso8859_5"), ("uk", "cp1251"), ("uk", "koi8_u"), ("bg", "cp1251"), ("el", "cp1253"),
        ("el", "iso8859_7"), ("he", "cp1255"), ("ar", "cp1256"), ("th", "cp874"), ("tr", "cp1254"),
        ("de", "cp1252"), ("de", "mac_roman"), ("fr", "cp1252"), ("fr", "mac_roman"), ("es", "cp1252"),
        ("es", "mac_roman"), ("pt", "cp1252"), ("sv", "cp1252"), ("sv", "mac_roman"), ("is", "cp1252"),
        ("pl", "cp1250"), ("pl", "iso8859_2"), ("cs", "cp1250"), ("cs", "iso8859_2"), ("hu", "cp1250"),
        ("hu", "iso8859_2"), ("ro", "cp1250"), ("hr", "cp1250"), ("lt", "cp1257"), ("en", "cp1252"),
        ("en", "mac_roman"), ("zh", "utf-16-le"), ("ja", "utf-16-be"), ("ru", "utf-16-le"), ("en", "utf-32-be"),
        ("ko", "utf-32-le"), ("zh", "utf-16"),
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


def test_a_character_that_may_be_another_is_a_warning_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("prompt,completion\nHow warm?,20 °C ± 1\n".encode("mac_roman"))
    report = check_files([path])
    (finding,) = [finding for finding in report.warnings if finding.kind == "doubtful_encoding"]
    assert "“How warm?,20 ĄC ą 1”. It may be Latin-1 (Windows-1252) instead." in finding.reason
    assert "--encoding" in finding.hint
    chosen = check_files([path], config=TrainConfig(encoding="mac_roman"))
    assert chosen.preview[0]["completion"] == "20 °C ± 1"
    assert chosen.warnings == []
    assert (
        "encoding",
        "Read as Mac Roman (mac_roman), for example “How warm?,20 °C ± 1”. It was chosen so.",
    ) in told(chosen)


def test_a_chosen_encoding_is_what_trains(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("prompt,completion\nQui?,Óscar\n".encode("mac_roman"))
    config = TrainConfig(data=str(path), encoding="Mac-Roman", valid_fraction=0, test_fraction=0)
    prepared = prepare_data(config, tmp_path / "run")
    assert "Óscar" in prepared.train.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content, encoding, line, said",
    [
        ("a,b\nc,d\nGröße,e\n".encode("cp1252"), "utf-8", 3,
         "Byte 0xF6 at position 3 is no part of a character in utf-8."),
        ("prompt,completion\nä,ö\n".encode() + b"x,\x81\n", "cp1252", 3,
         "Byte 0x81 at position 3 is no part of a character in cp1252."),
        (b"a,b\n" * 400_000 + b"c,\xff\n", "shift_jis", 400_001,
         "Byte 0xFF at position 3 is no part of a character in shift_jis."),
        (b"prompt,completion\na,b\n", "klingon", None, "There is no encoding `klingon`."),
        (b"prompt,completion\na,+2D8-\n", "utf-7", None, "There is no encoding `utf-7`."),
        (b"prompt,completion\na,\\ud83d\n", "unicode_escape", None, "There is no encoding `unicode_escape`."),
        (b"prompt,completion\na,b\n", "base64", None, "There is no encoding `base64`."),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_an_error_with_its_place(
    content: bytes, encoding: str, line: int | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    config = TrainConfig(data=str(path), encoding=encoding, skip_bad_rows=True)
    (finding,) = check_files([path], config=config).errors
    assert (finding.kind, finding.line, finding.reason) == ("wrong_encoding", line, said)
    with pytest.raises(UnusableError) as raised:
        prepare_data(config, tmp_path / "run")
    assert raised.value.problems[0].line == line


def test_every_choice_is_an_encoding_of_texts() -> None:
    assert all(usable_encoding(name) for name in ENCODING_CHOICES)
    assert len(set(ENCODING_CHOICES.values())) == len(ENCODING_CHOICES)


def test_one_long_line_of_ascii_is_looked_through_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(('[{"prompt": "a", "completion": "' + "b " * 300_000 + '"}]').encode("utf-16-le"))
    assert ("encoding", "Read as UTF-16.") in told(check_files([path]))
