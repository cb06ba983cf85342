"""Step counts: which sizes the steps of an epoch have, and how often, from the plan that training follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.setup.chosen_method import prompt_limit
from app.core.setup.duration import work_costs
from app.core.setup.memory_term import StepSize, grown
from app.core.setup.step_plan import step_row
from app.worker.array import Ints
from app.worker.batch.answer import answers_in_row
from app.worker.batch.batch import Batch, Plan
from app.worker.batch.order import shuffled_order
from app.worker.batch.shape import Costs, Shape

# Batches that are looked at, evenly spread over an epoch; the heaviest ones are always among them.
COUNTED_BATCHES = 300


@dataclass(slots=True)
class StepCount:
    """How often each shape is computed in ``batches`` batches, of how many ``tokens`` in how many ``positions``.

    Tokens that several examples share, and that are computed once, count once.
    """

    uses: Counter[Shape] = field(default_factory=Counter)
    batches: int = 0
    tokens: int = 0
    positions: int = 0

    def add(self, batch: Batch) -> None:
        """One batch more."""
        self.uses.update(batch.shapes)
        self.batches += 1
        self.tokens += batch.tokens - batch.shared
        self.positions += batch.positions

    @property
    def rows(self) -> list[list[int]]:
        """As plain JSON: rows, width, targets, uses, and what is shared where something is; the largest first."""
        found = sorted(self.uses.items(), key=lambda item: (-item[0].positions, item[0]))
        return [step_row(StepSize(*shape), uses) for shape, uses in found]


def count_steps(plan: Plan, most: int = COUNTED_BATCHES) -> StepCount:
    """The steps of an epoch; of a long one, those of ``most`` batches and of the heaviest ones."""
    count = plan.batches_per_epoch
    spread = np.unique(np.linspace(1, count, min(count, most)).astype(np.int64)).tolist() if count else []
    found = StepCount()
    for iteration in spread:
        found.add(plan.batch(iteration))
    if len(spread) < count:
        for iteration in set(plan.heaviest()) - set(spread):
            found.add(plan.batch(iteration))
    return found


def count_sampled_steps(prompts: Ints, config: TrainConfig, costs: Costs) -> StepCount:
    """The steps of an epoch of sampled answers if each is as long as it may be; ``prompts`` are their tokens."""
    longest = config.max_completion_length
    usable = prompts[prompts <= prompt_limit(config)]
    found = StepCount()
    if not len(usable):
        return found
    size = min(config.batch_size, len(usable))
    for numbers in shuffled_order(_Lengths(usable), size, config.seed, 0)[:COUNTED_BATCHES]:
        answers, prompt = len(numbers) * config.group_size, int(usable[numbers].max())
        size = answers_in_row(prompt, longest - 1, len(numbers), config.group_size, costs)
        shape = Shape(answers // size, grown(prompt + size * (longest - 1)), grown(answers * longest))
        found.uses[shape] += config.updates_per_generation
        found.batches += config.updates_per_generation
        found.positions += shape.positions
    return found


@dataclass(frozen=True, slots=True)
class _Lengths:
    inputs: Ints

    def __len__(self) -> int:
        return len(self.inputs)


def planned_costs(inspection: Inspection) -> Costs:
    """The costs of a model that nobody has loaded, as the preparation of a run has them of the loaded one."""
    found = work_costs(inspection)
    return Costs(found.head, found.attention_span, inspection.branches)
