"""The picture of a run's curves: where every line, mark and word of it stands."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from app.core.protocol import event
from app.core.run.curve_svg import BEST_COLOR, FORGOT_COLOR, GRID, TEXT, TRAIN_COLOR, VALID_COLOR, curve_svg
from app.core.run.history import RunHistory

NAMESPACE = "{http://www.w3.org/2000/svg}"


def history(losses: list[float], *more: event.Event) -> RunHistory:
    found = RunHistory()
    found.feed(event.Started(iterations=99, iterations_per_epoch=9, train_examples=9, valid_examples=2))
    for number, loss in enumerate(losses, start=1):
        found.feed(event.TrainReported(iteration=number, train_loss=loss, losses=[loss], learning_rate=1e-3,
                   iterations_per_second=1.0, tokens_per_second=1.0, trained_tokens=number))  # fmt: skip
    for said in more:
        found.feed(said)
    return found


def parts(svg: str, kind: str) -> list[dict[str, str]]:
    return [dict(one.attrib) for one in ET.fromstring(svg).iter(f"{NAMESPACE}{kind}")]


def words(svg: str) -> list[tuple[str, str, str, str]]:
    found = ET.fromstring(svg).iter(f"{NAMESPACE}text")
    return [(one.text or "", one.attrib["x"], one.attrib["y"], one.attrib["text-anchor"]) for one in found]


def test_every_line_mark_and_word_stands_at_its_place() -> None:
    """From 1 to 3 across 796 points, and from 0.9 to 3.1 (with a twentieth of air) up 266 of them."""
    svg = curve_svg(history([3.0, 3.0, 1.0], event.Validated(iteration=3, val_loss=2.0, best=True)))
    root = ET.fromstring(svg)
    assert (root.attrib["viewBox"], root.attrib["width"], root.attrib["height"]) == ("0 0 880 340", "880", "340")
    grid, lines = parts(svg, "path")[:5], parts(svg, "path")[5:]
    heights = ["287.9", "227.5", "167.0", "106.5", "46.1"]  # 1.0, 1.5, 2.0, 2.5, 3.0
    assert [one["d"] for one in grid] == [f"M56 {height}H852" for height in heights]
    assert {(one["stroke"], one["stroke-opacity"]) for one in grid} == {(GRID, ".35")}
    assert [(one["d"], one["stroke"], one["stroke-width"], one["stroke-opacity"]) for one in lines] == [
        ("M56.0 46.1L454.0 46.1L852.0 287.9", TRAIN_COLOR, "1", "0.3"),
        ("M56.0 46.1L454.0 46.1L852.0 135.3", TRAIN_COLOR, "2", "1"),  # (0.81 · 3 + 0.9 · 3 + 1) ÷ 2.71
        ("M852.0 167.0", VALID_COLOR, "1.5", "1"),
    ]
    assert parts(svg, "circle") == [
        {"cx": "852.0", "cy": "167.0", "r": "2.5", "fill": VALID_COLOR},
        {"cx": "852.0", "cy": "167.0", "r": "5", "fill": BEST_COLOR},
    ]
    assert words(svg) == [
        *((f"{1 + number / 2}", "48.0", f"{float(y) + 4:.1f}", "end") for number, y in enumerate(heights)),
        ("1", "56.0", "318.0", "middle"), ("2", "454.0", "318.0", "middle"), ("3", "852.0", "318.0", "middle"),
        ("Iterations", "454.0", "334.0", "middle"), ("Loss", "48.0", "18.0", "end"),
        ("Train", "600.0", "18.0", "start"), ("Validation", "692.0", "18.0", "start"),
        ("Best", "784.0", "18.0", "start"),
    ]  # fmt: skip
    assert [(one["x"], one["y"], one["fill"]) for one in parts(svg, "rect")] == [
        ("584.0", "9", TRAIN_COLOR), ("676.0", "9", VALID_COLOR), ("768.0", "9", BEST_COLOR),
    ]  # fmt: skip
    assert {one["fill"] for one in parts(svg, "text")} == {TEXT}


def test_a_gap_is_not_drawn_over_and_what_was_forgotten_has_its_own_line() -> None:
    nan, measured = float("nan"), event.NeutralMeasured(
        iteration=4, neutral_loss=2.0, base_loss=1.0, forgot=1.0, learned=0.5
    )  # fmt: skip
    svg = curve_svg(history([3.0, nan, 3.0, 1.0], measured))
    raw, _, forgot = (one["d"] for one in parts(svg, "path")[5:])
    assert [len(piece.split("L")) for piece in raw.split("M")[1:]] == [1, 2]
    assert forgot.count("M") == 1
    last = parts(svg, "path")[-1]
    assert (last["stroke"], last["stroke-width"], last["stroke-opacity"]) == (FORGOT_COLOR, "1.5", "1")
    assert [text for text, _, y, anchor in words(svg) if (y, anchor) == ("18.0", "start")] == ["Train", "Forgot"]
    assert parts(svg, "circle") == []


@pytest.mark.parametrize(("count", "dots"), [(60, 60), (61, 0)])
def test_of_many_validations_only_the_line_is_drawn(count: int, dots: int) -> None:
    said = [event.Validated(iteration=number, val_loss=2.0 + number % 2) for number in range(1, count + 1)]
    svg = curve_svg(history([2.0, 3.0], *said))
    assert sum(one["r"] == "2.5" for one in parts(svg, "circle")) == dots
    assert parts(svg, "path")[-1]["d"].count("L") == count - 1


def test_a_long_line_is_thinned_to_the_lowest_and_highest_of_each_stretch() -> None:
    losses = [2.0 + number % 2 for number in range(1200)]
    losses[601] = 9.0
    short, long = (parts(curve_svg(history(losses[:count])), "path") for count in (800, 1200))
    raw = [next(one["d"] for one in found if one.get("stroke-width") == "1") for found in (short, long)]
    assert [line.count("L") for line in raw] == [799, 799]
    places = re.findall(r"[ML]([\d.]+) (-?[\d.]+)", raw[1])
    assert places[0][0] == places[1][0] == "56.0"
    assert places[2][0] == f"{56 + 3 / 1197 * 796:.1f}", "each three iterations"
    assert len({y for _, y in places}) == 3, "the spike is not lost"
    smoothed = [one["d"] for one in long if one.get("stroke-width") == "2"]
    assert smoothed[0].count("L") == 799


def test_two_iterations_are_marked_by_whole_numbers() -> None:
    svg = curve_svg(history([2.0, 1.0]))
    assert [text for text, _, y, _ in words(svg) if y == "318.0"] == ["1", "2"]
    many = curve_svg(history([2.0, 1.0] * 600))
    assert [text for text, _, y, _ in words(many) if y == "318.0"] == ["200", "400", "600", "800", "1,000"]
