"""What came from elsewhere never reaches a terminal as something that it obeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.command import output
from app.core.system.plain_text import harmless_text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("\x9b2J", "�2J"),
        ("a\rb", "a�b"),
        ("a\tb\nc", "a\tb\nc"),
        ("run-\udcff", "run-�"),
        ("caf\udcc3\udca9", "café"),
        ("\ud800", "�"),
        ("caf\udcc3\udca9 \ud800", "caf�� �"),
        ("txt\u202egpj", "txt�gpj"),
        ("Žluťoučký 猫 😀", "Žluťoučký 猫 😀"),
    ],
)
def test_what_a_terminal_obeys_is_replaced(text: str, shown: str) -> None:
    assert harmless_text(text) == shown


def test_bytes_that_are_no_text_are_told_from_other_halves_of_a_pair() -> None:
    for text, shown in (("\udc80\udcff", "��"), ("\udc7f", "�"), ("\udd00", "�"), ("\udcc3\udca9\udd00", "���")):
        assert harmless_text(text) == shown


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    found = harmless_text(text)
    found.encode()
    assert not any((ord(one) < 32 and one not in "\n\t") or 0x7F <= ord(one) < 0xA0 for one in found)


def test_the_command_line_says_it_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("\x1b]0;owned\x07 name")
    output.remark("\x1b[2J")
    output.table(["run"], [["\x1b[31mred"]])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "name" in said.out
