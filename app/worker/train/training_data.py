"""Training data: a method's tokenized rows, and what the loop runs on once the model is there."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData
from app.core.language import joined, tr
from app.core.problem import Problem, Severity
from app.core.protocol import event
from app.core.protocol.job import TrainJob
from app.core.source.finding import KINDS
from app.worker.batch.batch import Plan
from app.worker.batch.branch import branch_refusal
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount
from app.worker.model.head import Head, NoHead
from app.worker.objective.objective import Gather, Objective
from app.worker.objective.validation import Validation
from app.worker.process.channel import Channel
from app.worker.process.control import Control
from app.worker.token.prompt import Prompts
from app.worker.token.rated_answer import RatedAnswers
from app.worker.token.row_file import KeptFault
from app.worker.token.tokenize import origin
from app.worker.train.guard import LossGuard

PhaseProgress = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True, slots=True)
class LoopParts:
    """What the loop needs of a method. ``yardstick`` is measured where there is no validation, to know what the
    untrained model can do; ``guard`` knows what heights of the loss mean; ``reference_s`` are the seconds that a
    reference took for each answer (0 where it read none); ``gather`` is what parts of a batch need of all of it
    (`app.worker.objective.objective`); ``resources`` are closed when the run ends."""

    objective: Objective
    batches: Plan
    valid: Validation | None
    yardstick: Validation | None
    guard: LossGuard
    reference_s: float = 0.0
    gather: Gather | None = None
    resources: ExitStack = field(default_factory=ExitStack)


class TrainingData(Protocol):
    """The data of one method. A class is made from the surroundings, the config and the prepared files.

    ``is_labelled`` where an example is one answer with a label.
    """

    def __len__(self) -> int:
        """Examples to train on."""

    def fingerprint(self) -> str:
        """Names the tokens, for a resume to recognize them."""

    def batches_per_epoch(self, config: TrainConfig) -> int:
        """Iterations that show every example once."""

    is_labelled: bool = False

    def valid_examples(self) -> int:
        """Examples that there are to measure."""

    def steps(self, config: TrainConfig, costs: Costs) -> StepCount:
        """The steps of an epoch (of sampled answers at their longest), as they are planned before the model is
        loaded."""

    def close(self) -> None:
        """Ends what scores answers, where nothing is going to be trained; the loop's parts see to it themselves."""

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> LoopParts:
        """The loop's parts; ``model`` has its adapters, untrained, and ``config`` is concrete."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the preparation takes place, for data that tell, wait and write; ``replicas`` share each batch."""

    channel: Channel
    control: Control
    run: Path
    job: TrainJob
    progress: PhaseProgress
    tokenizer: Any
    replicas: int = 1

    def warn(self, message: str, hint: str = "") -> None:
        """Tells the user; the run goes on."""
        self.channel.emit(event.Warned(message=message, hint=hint))

    def tell_left_out(self, data: PreparedData, path: Path, problems: Sequence[Problem]) -> None:
        """Warns of rows of a tokenized file that are left out, with what is wrong with the first."""
        if not problems:
            return
        first = problems[0]
        file, place = origin(path, first.line or 1, data.origins.get(path.stem))
        count = (
            tr("1 row is left out") if len(problems) == 1
            else tr("{count:,} rows are left out", count=len(problems))
        )  # fmt: skip
        self.warn(joined((count, f" ({file}:{place}: ", first.message, ")."), ""), first.hint)

    def tell_rows(
        self, data: PreparedData, path: Path, faults: Sequence[KeptFault], counts: Mapping[str, int]
    ) -> None:
        """Warns once of each kind of finding in a tokenized file, at the first row that has it."""
        first: dict[str, KeptFault] = {}
        for fault in faults:
            first.setdefault(fault[0], fault)
        for kind, line, reason in first.values():
            if KINDS[kind].severity is Severity.WARNING:
                file, place = origin(path, line, data.origins.get(path.stem))
                rows = tr(" ({counts:,} rows)", counts=counts[kind]) if counts[kind] > 1 else ""
                self.warn(joined((f"{file}:{place}: ", reason, rows), ""), KINDS[kind].hint)


def joined_fingerprint(*parts: RatedAnswers | Prompts | None) -> str:
    """One name for the tokens of all parts."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if part is not None:
            digest.update(part.fingerprint())
    return digest.hexdigest()


def is_measured(around: Surroundings, valid: RatedAnswers | Prompts | None, config: TrainConfig) -> bool:
    """Whether there is something to measure the weights on; tells where there is not."""
    if valid is not None and len(valid) and config.val_batches:
        return True
    around.warn(tr("There is no validation data: no best adapter, no early stopping."))
    return False


def tried_costs(model: nn.Module, head: Head | NoHead, costs: Costs) -> Costs:
    """The costs with what the model was found to do with answers that share their prompt."""
    if not costs.branches:
        return costs
    was_training = model.training
    model.eval()
    refused = branch_refusal(model, head.body if isinstance(head, Head) else model)
    model.train(was_training)
    if refused:
        said = f"Answers to the same prompt are computed in rows of their own: {refused}."
        print(said, file=sys.stderr, flush=True)
    return replace(costs, branches=not refused)
