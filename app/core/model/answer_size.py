"""How many answers are sampled together, and by what their memory grows."""

from __future__ import annotations

ANSWERS_AT_ONCE = 32
CACHE_STEP = 256  # tokens, by which mlx-lm's caches grow
