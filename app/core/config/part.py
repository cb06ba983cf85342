"""Config parts: the groups of values that the config nests under one key."""

from __future__ import annotations

from app.core.config.field import Part, field
from app.core.language import tr


class EarlyStopping(Part):
    """When to stop because the validation loss no longer falls."""

    enabled: bool = field(
        True, tr("Early stopping"), tr("Stop when the validation loss has not improved for some evaluations")
    )
    patience: int = field(
        3,
        tr("Patience"),
        tr("Evaluations without improvement before the run stops"),
        unit=tr("evaluations"),
        higher=tr("waits longer"),
        lower=tr("stops sooner"),
        recommended="3",
        ge=1,
        le=1000,
    )
    min_delta: float = field(
        0.0,
        tr("Minimum improvement"),
        tr("A validation loss counts as better only if it is lower than the best by more than this"),
        higher=tr("small gains do not count"),
        recommended="0",
        ge=0,
        le=10,
    )


class JudgeConfig(Part):
    """What a model that judges is told, as mlx-lm-lora's ``judge_config``."""

    system_prompt: str = field(
        "",
        tr("Word to the judge"),
        tr("What the judge is told to look for; empty: it says which of two answers is better"),
        recommended=tr("one sentence about what makes an answer good"),
        max_length=100_000,
    )
