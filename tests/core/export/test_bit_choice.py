"""Bits go where they are needed, and no further than they are allowed."""

from __future__ import annotations

from app.core.export.bit_choice import spread_bits


def test_what_is_harmed_most_for_its_size_gets_more_bits_and_the_average_holds() -> None:
    harms = {"small": 1.0, "large": 1.0, "calm": 1e-4, "none": -1e-6}
    sizes = {"small": 100, "large": 1000, "calm": 1000, "none": 1000}
    bits = spread_bits(harms, sizes, 4.5)
    assert bits["small"] > bits["large"] > bits["calm"] == bits["none"] == 4
    assert sum(bits[name] * sizes[name] for name in bits) <= 4.5 * sum(sizes.values())


def test_no_room_leaves_the_fewest_and_all_room_the_most() -> None:
    harms = {"a": 1.0, "b": 0.5}
    sizes = {"a": 10, "b": 10}
    assert spread_bits(harms, sizes, 4.0) == {"a": 4, "b": 4}
    assert spread_bits(harms, sizes, 8.0) == {"a": 8, "b": 8}
