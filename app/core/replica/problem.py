"""What several replicas cannot train exactly, said before any of them is started."""

from __future__ import annotations

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem
from app.core.setup.chosen_method import method_of


def replica_problems(config: TrainConfig, count: int) -> list[Problem]:
    """Why ``count`` replicas cannot train a config as one process would; nothing for one."""
    if count < 2:
        return []
    found = []
    method = method_of(config)
    if method.data != "examples":
        said = tr("{label} is not trained by several replicas yet: supervised training is.", label=method.label)
        found.append(Problem("train_mode", said, hint=tr("Train it on one machine.")))
    if config.batch_size < count:
        said = tr(
            "A batch of {batch_size} cannot be shared by {count} replicas.",
            batch_size=config.batch_size,
            count=count,
        )
        hint = tr("Set the batch size to {count} or more; what all of them compute together counts.", count=count)
        found.append(Problem("batch_size", said, hint=hint))
    return found
