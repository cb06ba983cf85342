"""Memory weights: how many arrays of each kind MLX holds at the peak of a run, measured on the CPU build.

By least squares of the relative error over 110 random runs of tiny models where kernels are compiled, 41 where they
are not (`tests/bench/memory_case.py`, seeds 100 to 108 and 200 to 205; `tests/bench/bench_memory.py` prints its
table of another seed). Left out of the fit in turn, four of five such runs were within 15 %. What a GPU build
schedules otherwise, it holds otherwise: a probe tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.setup.memory_term import Terms


@dataclass(frozen=True, slots=True)
class PeakWeights:
    """How many arrays of each kind are held at the peak.

    ``layer``: of every layer from the forward to the backward pass; ``top``: of the largest layer while its
    gradient is computed; ``again``: of a layer that checkpointing computes anew, where ``kept`` states of every
    layer are held; ``read``: of the largest layer where examples are measured, without a gradient. Logits (of a
    model in float32, or in 16 bit; but of their pieces never more than ``pieces``) and final ``state`` while the
    loss is computed; ``rated_logits`` and ``rated_pieces`` where tokens' probabilities are, ``read_logits`` and
    ``read_pieces`` where examples are measured. Then ``gradient`` and ``sums`` (of an accumulation)
    of the trained part, and what an ``update`` holds by optimizer: gradients, new values, new states
    (``summed_update``: after an accumulation). ``sampled``: what sampling holds, in terms of
    `app.core.setup.memory_method`.
    """

    layer: Terms
    top: Terms
    again: Terms
    read: Terms
    kept: float
    logits: tuple[float, float]
    pieces: float
    rated_logits: tuple[float, float]
    rated_pieces: float
    read_logits: float
    read_pieces: float
    state: float
    gradient: float
    sums: float
    sampled: float
    update: Mapping[str, float]
    summed_update: Mapping[str, float]


# By whether MLX compiles kernels.
PEAK_WEIGHTS = {
    True: PeakWeights(
        layer=Terms(
            hidden=0.68, norms=3.9, mixer=0.66, fused=0.5, normed=0.44, inner=1.9, plain=4.2, routed=2.0,
            scores=0.78, masked=0.16, wide_scores=0.44, low_rank=0.26, outs=0.066, dora_outs=1.0,
            cast=0.036, kept_cast=0.27, weight=1.1, wide_weight=0.51, own=0.011, packed=0.01,
        ),
        top=Terms(
            hidden=0.1, norms=0.1, mixer=0.1, fused=0.1, normed=0.099, inner=1.2, plain=0.1, routed=0.1,
            scores=4.0, masked=0.11, wide_scores=0.1, low_rank=0.097, outs=0.095, dora_outs=0.25,
            cast=1.2, kept_cast=0.14, weight=0.5, wide_weight=0.11, own=1.0, packed=0.52,
        ),
        again=Terms(
            hidden=1.4, norms=1.3, mixer=7.3, fused=0.5, normed=0.62, inner=4.0, plain=11.0, routed=2.0,
            scores=0.55, masked=0.25, wide_scores=0.18, low_rank=0.36, outs=0.34, dora_outs=4.4,
            cast=1.4, kept_cast=0.26, weight=0.71, wide_weight=1.2, own=0.01, packed=0.01,
        ),
        read=Terms(
            hidden=1.5, norms=1.4, mixer=0.94, fused=0.35, normed=0.33, inner=0.84, plain=2.1,
            routed=1.4, scores=0.69, masked=0.35, wide_scores=0.24, low_rank=0.39, outs=0.079,
            dora_outs=0.22, cast=1.4, kept_cast=0.33, weight=0.41, wide_weight=0.79, own=0.007,
            packed=0.007,
        ),
        kept=4.7, logits=(2.9, 4.0), pieces=10.0, rated_logits=(2.1, 1.9),
        rated_pieces=9.0, read_logits=1.7, read_pieces=6.3,
        state=33.0, gradient=0.13, sums=0.075, sampled=1.0,
        update={"adam": 4.4, "adamw": 5.9, "lion": 2.3, "sgd": 1.6, "adafactor": 2.0, "muon": 2.9},
        summed_update={"adam": 2.9, "adamw": 2.5, "lion": 1.2, "sgd": 0.96, "adafactor": 1.2, "muon": 1.7},
    ),
    False: PeakWeights(
        layer=Terms(
            hidden=1.2, norms=2.8, mixer=2.0, fused=0.5, normed=0.46, inner=1.3, plain=3.7, routed=0.84,
            scores=0.53, masked=0.29, wide_scores=0.28, low_rank=0.49, outs=0.48, dora_outs=1.4,
            cast=0.27, kept_cast=0.47, weight=0.99, wide_weight=0.75, own=0.01, packed=0.01,
        ),
        top=Terms(
            hidden=0.099, norms=0.099, mixer=0.099, fused=0.1, normed=0.1, inner=1.1, plain=0.1,
            routed=0.1, scores=2.3, masked=0.1, wide_scores=0.1, low_rank=0.097, outs=0.092,
            dora_outs=0.1, cast=0.2, kept_cast=0.1, weight=0.5, wide_weight=0.1, own=1.0, packed=0.47,
        ),
        again=Terms(
            hidden=1.6, norms=1.1, mixer=1.6, fused=0.5, normed=1.0, inner=10.0, plain=3.0, routed=2.0,
            scores=1.6, masked=0.51, wide_scores=0.32, low_rank=0.83, outs=0.2, dora_outs=3.6, cast=0.73,
            kept_cast=0.6, weight=1.0, wide_weight=0.79, own=0.01, packed=0.01,
        ),
        read=Terms(
            hidden=0.66, norms=0.4, mixer=0.32, fused=0.35, normed=0.71, inner=0.6, plain=2.1,
            routed=1.4, scores=1.5, masked=0.35, wide_scores=0.22, low_rank=0.38, outs=0.11,
            dora_outs=0.81, cast=2.3, kept_cast=0.42, weight=0.71, wide_weight=0.53, own=0.007,
            packed=0.007,
        ),
        kept=0.92, logits=(3.0, 4.2), pieces=12.0, rated_logits=(4.0, 4.6),
        rated_pieces=9.0, read_logits=1.9, read_pieces=7.0,
        state=2.6, gradient=0.52, sums=0.26, sampled=1.0,
        update={"adam": 4.4, "adamw": 4.1, "lion": 2.0, "sgd": 1.6, "adafactor": 2.0, "muon": 2.9},
        summed_update={"adam": 2.6, "adamw": 2.5, "lion": 1.2, "sgd": 0.96, "adafactor": 1.2, "muon": 1.7},
    ),
}  # fmt: skip
