"""The combination of what several adapters add to one matrix, as PEFT's ``add_weighted_adapter`` defines it.

A matrix's share of an adapter is a pair of factors: ``first`` (…, inputs, rank) and ``second`` (…, rank, outputs),
with the adapter's scale in the second; what is added is their product. Leading axes are experts.

* linear: Σ wᵢ Δᵢ, by putting the factors side by side (PEFT's ``cat``); cut to a rank by the singular values of the
  product (PEFT's ``svd``), which are found from two QR decompositions without making it.
* ties (2306.01708): of each Δᵢ the largest ``density`` share is kept; each entry's sign is that of Σ Δᵢ; those that
  agree with it are weighted and averaged over their number (PEFT's ``ties_svd``, majority by total).
* dare_linear, dare_ties (2311.03099): of each Δᵢ a random ``density`` share is kept and divided by it, then added
  or merged as above (PEFT's ``dare_linear_svd``, ``dare_ties_svd``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
EXACT_SIDE = 1024  # of the smaller side of a matrix, up to which its singular values are found exactly
OVERSAMPLED, POWER_ITERATIONS = 16, 4  # of the randomized decomposition of larger ones (0909.4061)


@dataclass(frozen=True, slots=True)
class Factors:
    """What an adapter adds to a matrix, as the product of two."""

    first: Array
    second: Array

    @property
    def rank(self) -> int:
        return int(self.first.shape[-1])

    def product(self) -> Array:
        return self.first @ self.second


def combined(
    parts: Sequence[Factors],
    weights: Sequence[float],
    method: str,
    *,
    density: float,
    rank: int | None,
    random: np.random.Generator,
) -> Factors:
    """One pair of factors for several; ``rank`` None is the sum of the ranks for linear, else the largest."""
    if method == "linear":
        summed = Factors(
            np.concatenate([part.first for part in parts], axis=-1),
            np.concatenate([part.second * np.float32(w) for part, w in zip(parts, weights, strict=True)], axis=-2),
        )
        return summed if rank is None or rank >= summed.rank else _cut(summed, rank)
    deltas = np.stack([part.product() for part in parts])
    keep = np.stack([_kept(delta, density, random if method.startswith("dare") else None) for delta in deltas])
    if method.startswith("dare"):
        deltas = deltas / np.float32(density)
    deltas = np.where(keep, deltas, np.float32(0))
    scaled = deltas * np.array(weights, np.float32).reshape(-1, *[1] * (deltas.ndim - 1))
    if method == "dare_linear":
        merged = scaled.sum(axis=0)
    else:
        sign = np.where(deltas.sum(axis=0) >= 0, 1, -1)
        agree = np.sign(deltas) == sign
        merged = np.where(agree, scaled, np.float32(0)).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)
    return decomposed(merged.astype(np.float32), rank or max(part.rank for part in parts), random)


def _kept(delta: Array, density: float, random: np.random.Generator | None) -> npt.NDArray[np.bool_]:
    """Which entries of a change are kept: the largest, or by chance."""
    if density >= 1:
        return np.ones(delta.shape, np.bool_)
    if random is not None:
        return random.random(delta.shape, np.float32) < density
    count = int(density * delta.size)
    kept = np.zeros(delta.size, np.bool_)
    if count:
        kept[np.argpartition(np.abs(delta).ravel(), delta.size - count)[delta.size - count :]] = True
    return kept.reshape(delta.shape)


def _cut(factors: Factors, rank: int) -> Factors:
    """The nearest product of a lower rank, exactly: the inner matrix of two QR decompositions is small."""
    left, upper = np.linalg.qr(factors.first)
    right, lower = np.linalg.qr(np.swapaxes(factors.second, -1, -2))
    u, s, v = np.linalg.svd(upper @ np.swapaxes(lower, -1, -2))
    second = (s[..., :rank, None] * v[..., :rank, :]) @ np.swapaxes(right, -1, -2)
    return Factors(left @ u[..., :rank], second)


def decomposed(matrix: Array, rank: int, random: np.random.Generator) -> Factors:
    """The nearest product of a rank to (…, inputs, outputs). Of large ones by a random sketch, which is as near to
    within far less than what the cut leaves out."""
    smaller = min(matrix.shape[-2:])
    rank = min(rank, smaller)
    if smaller <= EXACT_SIDE:
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        return Factors(u[..., :rank], s[..., :rank, None] * v[..., :rank, :])
    width = min(smaller, rank + OVERSAMPLED)
    shape = (*matrix.shape[:-2], matrix.shape[-1], width)
    sketch, _ = np.linalg.qr(matrix @ random.standard_normal(shape, np.float32))
    for _ in range(POWER_ITERATIONS):
        back, _ = np.linalg.qr(np.swapaxes(matrix, -1, -2) @ sketch)
        sketch, _ = np.linalg.qr(matrix @ back)
    u, s, v = np.linalg.svd(np.swapaxes(sketch, -1, -2) @ matrix, full_matrices=False)
    return Factors((sketch @ u)[..., :rank], s[..., :rank, None] * v[..., :rank, :])
