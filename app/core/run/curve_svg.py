"""The loss curves of one run as an SVG picture: readable on light and dark pages, without a script."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.core.language import tr
from app.core.quantity import count_text, tick_texts
from app.core.run.curve_table import Floats
from app.core.run.history import RunHistory
from app.core.run.smoothing import smooth

WIDTH, HEIGHT = 880, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 28, 34, 40
POINTS = 400  # stretches of the raw line; more than that nobody sees
PICTURE_SMOOTHING = 0.9
TRAIN_COLOR, VALID_COLOR, BEST_COLOR, FORGOT_COLOR = "#c8702f", "#2f87a6", "#3c8f5f", "#9a5fa8"
TEXT, GRID = "#7d766f", "#888"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Turns data into places on the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)

    def line(self, xs: Floats, ys: Floats) -> str:
        """The ``d`` of a path; points that are not finite leave a gap."""
        parts, pen = [], "M"
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            if math.isfinite(y):
                parts.append(f"{pen}{self.x(x):.1f} {self.y(y):.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(parts)


def curve_svg(history: RunHistory) -> str:
    """Train loss (each iteration and smoothed), validations, the best of them, and what was forgotten.

    Empty if there is no finite point.
    """
    raw_x, raw_y = _thinned(history.x("iterations"), history.losses)
    valid_x, valid_y = history.valid_x("iterations"), history.valid_losses
    forgot_x, forgot_y = history.forgot_x("iterations"), history.forgot
    ys = np.concatenate([raw_y, valid_y, forgot_y])
    ys = ys[np.isfinite(ys)]
    if not len(ys):
        return ""
    frame = _frame(np.concatenate([raw_x, valid_x, forgot_x]), ys)
    fine_x, fine_y = _sampled(history.x("iterations"), smooth(history.losses, PICTURE_SMOOTHING))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-label="Training and validation loss" font-family="-apple-system, sans-serif" '
        'font-size="12">',
        _axes(frame),
        _path(frame.line(raw_x, raw_y), TRAIN_COLOR, 1, 0.3),
        _path(frame.line(fine_x, fine_y), TRAIN_COLOR, 2, 1),
        _path(frame.line(valid_x, valid_y), VALID_COLOR, 1.5, 1),
        *(_dot(frame, x, y) for x, y in zip(valid_x.tolist(), valid_y.tolist(), strict=True) if len(valid_x) <= 60),
        _path(frame.line(forgot_x, forgot_y), FORGOT_COLOR, 1.5, 1),
        _best(frame, history),
        _legend(has_valid=bool(len(valid_x)), has_best=history.best is not None, has_forgot=bool(len(forgot_x))),
        "</svg>",
    ]
    return "".join(parts)


def _frame(xs: Floats, ys: Floats) -> _Frame:
    """All points, with a little air; the highest few in a thousand may leave the picture."""
    low, high = float(ys.min()), float(np.quantile(ys, 0.998))
    high = max(high, low + 1e-6)
    air = 0.05 * (high - low)
    left, right = float(xs.min()), float(xs.max())
    return _Frame(left, max(right, left + 1), low - air, high + air)


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The lowest and highest of every stretch: a spike is never lost."""
    if len(x) <= 2 * POINTS:
        return x, y
    edges = np.linspace(0, len(x), POINTS + 1).astype(int)[:-1]
    clean = np.where(np.isfinite(y), y, np.nan)
    low, high = np.fmin.reduceat(clean, edges), np.fmax.reduceat(clean, edges)
    return np.repeat(x[edges], 2), np.stack([low, high], axis=1).reshape(-1)


def _sampled(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(2 * POINTS, len(x))).astype(int)) if len(x) else slice(0)
    return x[chosen], y[chosen]


def _axes(frame: _Frame) -> str:
    parts = []
    heights = _ticks(frame.y_low, frame.y_high, 5)
    spacing = heights[1] - heights[0] if len(heights) > 1 else 0.0
    for value, text in zip(heights, tick_texts(heights, spacing), strict=True):
        y = frame.y(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}" stroke-opacity=".35"/>')
        parts.append(_text(LEFT - 8, y + 4, text, "end"))
    for value in _ticks(frame.x_low, frame.x_high, 8):
        if not value.is_integer():  # of a few iterations: half of one is none
            continue
        parts.append(_text(frame.x(value), HEIGHT - BOTTOM + 18, count_text(value), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, tr("Iterations"), "middle"))
    parts.append(_text(LEFT - 8, TOP - 16, tr("Loss"), "end"))
    return "".join(parts)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round values within the range: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [float(round(i * step, 12)) for i in range(first, math.floor(high / step) + 1)]


def _path(line: str, color: str, width: float, opacity: float) -> str:
    if not line:
        return ""
    style = f'fill="none" stroke="{color}" stroke-width="{width}" stroke-opacity="{opacity}"'
    return f'<path d="{line}" {style} stroke-linejoin="round"/>'


def _dot(frame: _Frame, x: float, y: float) -> str:
    if not math.isfinite(y):
        return ""
    return f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5" fill="{VALID_COLOR}"/>'


def _best(frame: _Frame, history: RunHistory) -> str:
    best = history.best
    if best is None or not math.isfinite(best.val_loss):
        return ""
    x, y = frame.x(best.iteration), frame.y(best.val_loss)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{BEST_COLOR}"/>'


def _legend(*, has_valid: bool, has_best: bool, has_forgot: bool) -> str:
    entries = [(tr("Train"), TRAIN_COLOR)]
    entries += [(tr("Validation"), VALID_COLOR)] if has_valid else []
    entries += [(tr("Best"), BEST_COLOR)] if has_best else []
    entries += [(tr("Forgot"), FORGOT_COLOR)] if has_forgot else []
    parts, x = [], float(WIDTH - RIGHT - 92 * len(entries))
    for name, color in entries:
        parts.append(f'<rect x="{x + 8}" y="{TOP - 25}" width="10" height="10" rx="3" fill="{color}"/>')
        parts.append(_text(x + 24, TOP - 16, name, "start"))
        x += 92
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{TEXT}" text-anchor="{anchor}">{text}</text>'
