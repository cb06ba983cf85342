"""A replica's task: it loads the base model, joins the others, and computes the shares that number 0 sends it.

It reads no data and writes nothing: rows come as tokens, weights from number 0, and the run's folder is there.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Align, Command, Join, Reach, Share
from app.core.protocol.job import ReplicaJob
from app.core.typed_path import typed_path
from app.worker.exchange.group import Doorstep, LostReplicaError, ReplicaGroup, joined_group, lost_error
from app.worker.exchange.speed import exchange_speed
from app.worker.exchange.team import MODEL, plain_array
from app.worker.model.loading import load_model, make_trainable
from app.worker.objective.supervised import supervised
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING
from app.worker.train.checkpoint import take_state, trained_state
from app.worker.train.optimizer import build_optimizer
from app.worker.train.preparation import training_head
from app.worker.train.provenance import model_digests
from app.worker.train.step import Accumulated, Step
from app.worker.train.train import use_memory_well


def serve_shares(channel: Channel, _job_dir: Path, job: ReplicaJob) -> None:
    """Computes until number 0 says stop, or its end of the wire is closed."""
    model = typed_path(job.model)
    if not (model / "config.json").is_file():
        hint = tr("Copy or download it there, or name its folder in the hostfile (`model`).")
        raise UnusableError([Problem("model", tr("There is no model in {model}.", model=model), hint=hint)])
    channel.emit(event.Result(name=MODEL, data=dict(model_digests(model))))
    door = Doorstep(job.number, job.addresses, job.backend)
    door.open()
    computing = _Computing(model, TrainConfig.model_validate(job.config)) if job.config is not None else None
    channel.emit(event.Ready())
    group: ReplicaGroup | None = None
    while not isinstance(command := channel.wait(), ENDING):
        try:
            match command:
                case Reach():
                    (door.close if command.over else door.reach)()
                    channel.emit(event.Ready())
                case Join():
                    group = joined_group(job.number, job.size, job.backend, job.addresses, job.devices)
                    if computing is not None:
                        computing.join(group)
                    channel.emit(event.Ready())
                case _:
                    _do(channel, command, group, computing)
        except LostReplicaError as error:
            raise lost_error() from error
    door.close()
    channel.emit(event.Finished(reason="stopped"))


def _do(channel: Channel, command: Command, group: ReplicaGroup | None, computing: _Computing | None) -> None:
    match command:
        case Share() if computing is not None and group is not None:
            computing.share(command)
        case Align() if computing is not None and group is not None:
            computing.align(command)
        case Align() if group is not None:
            exchange_speed(group)
        case _:
            channel.decline(command)


class _Computing:
    """The model and its step, from the moment that they are there."""

    def __init__(self, model: Path, config: TrainConfig) -> None:
        use_memory_well()
        self._config = config
        self._model, _ = load_model(model)
        make_trainable(self._model, config)
        self._head = training_head(self._model, config)
        self._optimizer = build_optimizer(config)
        self._model.train()
        self._optimizer.init(self._model.trainable_parameters())
        self._group: ReplicaGroup | None = None
        self._step: Step | None = None

    def join(self, group: ReplicaGroup) -> None:
        """The step is made now: it exchanges with the group."""
        config = self._config
        self._group = group
        self._step = Step(
            self._model,
            self._optimizer,
            supervised(self._head),
            accumulation=config.grad_accumulation_steps,
            clip=config.max_grad_norm,
            group=group,
        )

    def share(self, share: Share) -> None:
        """One iteration's part; the weights are updated as everywhere."""
        assert self._step is not None
        parts = [{name: plain_array(array) for name, array in part.items()} for part in share.parts]
        mx.random.seed(share.seed)
        self._step(parts, update=share.update)

    def align(self, command: Align) -> None:
        """Takes number 0's state, gives it what was accumulated here, or takes such sums."""
        group, step = self._group, self._step
        assert group is not None
        assert step is not None
        own = (step.accumulated or step.nothing()).arrays()
        match command.what:
            case "state":
                take_state(group.given(trained_state(self._model, self._optimizer)), self._model, self._optimizer)
            case "collect":
                for giver in range(1, group.size):
                    group.given(own, giver)
            case "hand_out":
                for number in range(1, group.size):
                    given = group.given(own)
                    if number == group.number:
                        step.accumulated = Accumulated.of(given)
