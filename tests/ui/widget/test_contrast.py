"""Contrast of both schemes by WCAG 2.2: 4.5 for text, 3 for what bounds a field (1.4.3 and 1.4.11)."""

import pytest

from app.ui.widget.theme import DARK, LIGHT, Colors

GROUNDS = ("window", "card", "field", "raised")
SAID = ("text", "muted", "faint", "accent", "error", "warning", "good")
TEXTS = [
    *((said, ground) for said in SAID for ground in GROUNDS),
    *((said, f"{said}_soft") for said in ("accent", "error", "warning", "good")),
    *(("on_accent", accent) for accent in ("accent", "accent_hover", "accent_pressed")),
    ("muted", "accent_soft"), ("text", "accent_soft"), ("text", "selection"),
]  # fmt: skip


def luminance(color: str) -> float:
    """The relative luminance of ``#rrggbb``, as WCAG defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=lambda colors: colors.scheme)
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_can_be_read(colors: Colors, text: str, ground: str) -> None:
    assert contrast(getattr(colors, text), getattr(colors, ground)) >= 4.5


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=lambda colors: colors.scheme)
def test_the_rim_of_a_primary_button_with_the_keyboard_can_be_seen(colors: Colors) -> None:
    """Beside what lies around it or what it goes round: one of both is far from it (2.4.11)."""
    assert max(contrast(colors.text, colors.accent), contrast(colors.text, colors.window)) >= 3


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=lambda colors: colors.scheme)
@pytest.mark.parametrize("ground", GROUNDS)
def test_the_border_of_a_field_can_be_seen(colors: Colors, ground: str) -> None:
    assert contrast(colors.border_strong, getattr(colors, ground)) >= 3
