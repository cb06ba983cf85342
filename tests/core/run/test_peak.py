"""The peaks of a curve: nothing that a picture of all its points would show is missing from the thinned one."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.run.curve_table import Floats
from app.core.run.peak import STRETCH_POINTS, Peaks


def grown(values: Floats, seed: int, *, positive: bool = False) -> Peaks:
    """The peaks of a curve that came in pieces."""
    chance, peaks, end = np.random.default_rng(seed), Peaks(positive=positive), 0
    while end < len(values):
        end = min(end + int(chance.choice((1, 7, 32, 500, 9_000))), len(values))
        peaks.update(values[:end])
    return peaks


def noisy(count: int, seed: int) -> Floats:
    """With a few spikes and gaps."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=count)
    values[chance.integers(0, count, 20)] = chance.normal(size=20) * 1000
    values[chance.integers(0, count, 20)] = np.nan
    values[chance.integers(0, count, 5)] = np.inf
    return values


@pytest.mark.parametrize("count", [1, 31, 32, 33, 999, 1001, 1024, 33_333, 300_000])
@pytest.mark.parametrize("positive", [False, True])
def test_what_is_drawn_are_points_of_the_curve_and_its_peaks_among_them(count: int, positive: bool) -> None:
    values = noisy(count, count)
    peaks = grown(values, count, positive=positive)
    good = np.isfinite(values) & (values > 0) if positive else np.isfinite(values)
    chance = np.random.default_rng(count)
    for first, last in [(0, count), *(sorted(chance.integers(0, count + 1, 2)) for _ in range(40))]:
        if first == last:
            continue
        places, drawn = peaks.thinned(int(first), int(last), 500)
        assert len(places) <= 4 * 500
        assert (np.diff(places) >= 0).all()
        assert (places[0], places[-1]) == (first, last - 1)
        if not good[first:last].any():
            assert np.isnan(drawn).all()
            continue
        assert np.nanmin(drawn) == values[first:last][good[first:last]].min()
        assert np.nanmax(drawn) == values[first:last][good[first:last]].max()
        assert set(drawn[np.isfinite(drawn)]) <= set(values[good])
        assert np.isnan(drawn).any() == (~good[first:last]).any()


def test_every_part_has_its_own_highest_and_lowest_in_its_middle() -> None:
    """Against each part looked at for itself."""
    values = np.random.default_rng(0).normal(size=40_000)
    places, drawn = grown(values, 1).thinned(0, 40_000, 500)
    part = 128  # the next power of two of 80
    whole = values[: 40_000 // part * part].reshape(-1, part)
    assert drawn[1:-1].reshape(-1, 2)[: len(whole)] == pytest.approx(np.stack((whole.max(1), whole.min(1)), axis=1))
    assert places[1:-1].reshape(-1, 2)[: len(whole), 0].tolist() == [part * k + 64 for k in range(len(whole))]


def test_a_spike_and_a_gap_of_one_point_are_seen_among_a_million() -> None:
    values = np.ones(1_000_000)
    values[123_456], values[654_321] = 9.0, np.nan
    peaks = grown(values, 2)
    places, drawn = peaks.thinned(0, len(values), 500)
    assert np.abs(places[drawn == 9.0] - 123_456).max() <= 1024
    assert np.isnan(drawn).sum() == 1, "it interrupts the line, and hides nothing"
    assert np.abs(places[np.isnan(drawn)] - 654_321).max() <= 1024
    assert (peaks.low, peaks.high) == (1.0, 9.0)


def test_few_points_are_drawn_as_they_are() -> None:
    values = noisy(900, 0)
    places, drawn = grown(values, 0).thinned(100, 900, 500)
    assert places.tolist() == list(range(100, 900))
    assert np.array_equal(drawn, np.where(np.isfinite(values), values, np.nan)[100:], equal_nan=True)


def test_what_was_drawn_stays_where_it_is_while_the_curve_grows() -> None:
    values = noisy(40_000, 0)
    before = grown(values[:39_000], 0).thinned(0, 39_000, 500)
    after = grown(values, 0).thinned(0, 40_000, 500)
    assert before[0][:400].tolist() == after[0][:400].tolist()
    assert np.array_equal(before[1][:400], after[1][:400], equal_nan=True)


def test_a_new_point_costs_the_same_however_long_the_curve_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in points that are looked at, of the curve and of its stretches."""
    looked: list[int] = []
    whole = Peaks.drawable

    def counted(peaks: Peaks, values: Floats) -> Floats:
        looked.append(len(values))
        return whole(peaks, values)

    monkeypatch.setattr(Peaks, "drawable", counted)
    most = []
    for count in (10_000, 1_000_000):
        values = np.ones(count + 1)
        peaks = Peaks()
        peaks.update(values[:count])
        looked.clear()
        peaks.update(values)
        peaks.thinned(0, count + 1, 500)
        most.append(sum(looked))
    assert most[1] <= most[0] + STRETCH_POINTS**2
