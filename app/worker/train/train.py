"""Training: one run from its config to its adapter, each step told as an event and nothing lost on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import mlx.core as mx
from mlx.utils import tree_flatten

from app.core.config.train_config import TrainConfig
from app.core.language import joined, tr
from app.core.model.folder import locate_model
from app.core.power.awake import process_keeper
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Park, Resume, Save
from app.core.protocol.event import read_events
from app.core.protocol.job import AS_BEFORE, TrainJob
from app.core.protocol.program import compiles_kernels
from app.core.quantity import bytes_text, loss_text, plural
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config, save_config
from app.core.setup.speed import keep_pace, speed_key
from app.core.system.setting import load_settings
from app.core.tracker.tracking import LOG_FOLDER, Tracking
from app.worker.array import Arrays, scalar
from app.worker.batch.batch import Batch
from app.worker.exchange.group import LostReplicaError
from app.worker.model.loading import parameter_counts, trainable
from app.worker.model.soundness import UnsoundWeightsError, unsound_base
from app.worker.neutral.forgetting import Forgetting, forgetting
from app.worker.objective.validation import Measurement
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING, Control, StoppedError
from app.worker.process.held_folder import HeldFolder
from app.worker.process.hello import hello
from app.worker.process.log import logged_to
from app.worker.process.progress import reported_progress
from app.worker.process.room import MAKE_ROOM, Room, full_text, is_full
from app.worker.rollout.held_out import UNASKED, SpokenAnswers
from app.worker.train.alarm import Alarms
from app.worker.train.checkpoint import (
    Checkpoint,
    damaged,
    load_checkpoint,
    random_seed,
    restore,
    save_checkpoint,
    trained_state,
)
from app.worker.train.guard import LossVerdict
from app.worker.train.kept_weights import KeptWeights, calmer_hint
from app.worker.train.optimizer import rate_at, rate_of
from app.worker.train.preparation import Prepared, prepare
from app.worker.train.provenance import (
    config_changes,
    has_other_rewards,
    model_changes,
    model_digests,
    other_changes,
    provenance,
)
from app.worker.train.report import Report
from app.worker.train.step import Accumulated, Step, StepOutcome, nothing_like, sum_of
from app.worker.train.trade import Trade, Weighed

# A report is due every `steps_per_report` iterations, and sooner where iterations are slow: a chart should move.
REPORT_AT_LEAST_EVERY_S = 2.0
STOPPED_BEFORE = tr("Stopped before training.")
DATA_CHANGED = tr("The files of the data were changed after this setup was queued.")
DATA_CHANGED_HINT = tr("It is trained on what is in them now.")
WHOLE_ENDS = ("completed", "early_stopping")  # reasons after which nothing is left to do
WIRED_FROM = 0.4  # the share of Metal's working set that weights and optimizer take before memory is wired
Written = TypeVar("Written")
RATE_ALIKE = 0.1  # the share by which a rate may differ from one step to the next without a word
OTHER_BYTES = 100_000  # of a saved state: counters, digests, headers


def train(channel: Channel, job_dir: Path, job: TrainJob) -> None:
    """Trains the run in ``job_dir``."""
    run = RunDir(job_dir)
    control = Control(channel)
    with logged_to(run.log):
        checkpoint = _saved_state(channel, run, job)
        if checkpoint is not None:
            _check_provenance(run, job, checkpoint)
        if job.data_changed:
            channel.emit(event.Warned(message=DATA_CHANGED, hint=DATA_CHANGED_HINT))
        try:
            prepared = prepare(channel, control, run, job)
            neutral = _measured_and_joined(channel, control, run, prepared)
        except StoppedError:
            iteration = checkpoint.iteration if checkpoint else 0
            channel.emit(event.Finished(reason="stopped", iteration=iteration, message=STOPPED_BEFORE))
            return
        with prepared.parts.resources, _tracked(channel, run, prepared.config):
            try:
                training = _Training(channel, control, run, prepared, neutral, checkpoint)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                if checkpoint is None:
                    raise
                reason = f"{type(error).__name__}: {error}"
                raise damaged(run.state / f"{checkpoint.iteration:07d}", reason) from error
            except LostReplicaError as error:
                assert prepared.team is not None
                problem = prepared.team.lost()
                raise TaskError(
                    tr("{message} Nothing was trained yet.", message=problem.message), problem.hint
                ) from error
            training.run()


def _measured_and_joined(channel: Channel, control: Control, run: RunDir, prepared: Prepared) -> Forgetting | None:
    """The base's loss on the neutral set, while other replicas load; then all of them join. Whatever keeps that
    from happening ends them before it is told."""
    try:
        neutral = forgetting(
            channel, run.path, prepared.config, prepared.model, prepared.head, prepared.tokenizer,
            prepared.steps.most_positions(prepared.config), control.is_stopping,
        )  # fmt: skip
        if prepared.team is not None:
            channel.emit(event.Progressed(phase=tr("Waiting for the other replicas")))
            digests = model_digests(Path(prepared.config.model))
            prepared.team.join(hello("train").versions, digests, control.raise_if_stopped)
    except BaseException:
        prepared.parts.resources.close()
        raise
    return neutral


@contextmanager
def _tracked(channel: Channel, run: RunDir, config: TrainConfig) -> Iterator[None]:
    """Gives what the run says to the trackers of its config, until it ends."""
    if not config.report_to:
        yield
        return
    with Tracking(
        config, run.path, run.path / LOG_FOLDER, lambda said: channel.emit(event.Warned(message=said))
    ) as tracking:
        channel.follow = tracking.take
        try:
            yield
        finally:
            channel.follow = None


def _saved_state(channel: Channel, run: RunDir, job: TrainJob) -> Checkpoint | None:
    if not job.resume and job.extend_to is None:
        return None
    checkpoint = load_checkpoint(run.state)
    if checkpoint is None:
        channel.emit(event.Warned(message=tr("The run has no saved state yet: it starts from the beginning.")))
        return None
    end = job.extend_to if job.extend_to is not None else load_config(run.config).config.iters
    if end <= checkpoint.iteration and not (end == checkpoint.iteration and _is_cut_off(run, end)):
        said = tr("The run has done all of its {iterations}.", iterations=plural(checkpoint.iteration, "iteration"))
        raise UnusableError([Problem("iters", said, hint=tr("Extend it by some iterations to go on."))])
    _tell_lost_record(channel, run, checkpoint)
    return checkpoint


def _tell_lost_record(channel: Channel, run: RunDir, checkpoint: Checkpoint) -> None:
    """Tells of a record that ends before the state that was saved: its last lines are damaged or gone."""
    kept = (event.TrainReported, event.CheckpointSaved, event.Validated, event.Finished)
    last = max((found.iteration or 0 for found in read_events(run.events) if isinstance(found, kept)), default=0)
    if last < checkpoint.iteration:
        said = tr(
            "The record of the run ends at iteration {last:,}, and its saved state is of iteration {saved:,}: what "
            "happened between is in no chart.",
            last=last,
            saved=checkpoint.iteration,
        )
        channel.emit(event.Warned(message=said))


def _is_cut_off(run: RunDir, iteration: int) -> bool:
    """Whether a run whose last state is that of ``iteration`` was killed, or found no room, between it and its end:
    then it has still to choose its weights and to say so."""
    ends = (found for found in read_events(run.events) if isinstance(found, event.Finished))
    return not any(one.iteration == iteration and one.reason in WHOLE_ENDS for one in ends)


def _check_provenance(run: RunDir, job: TrainJob, checkpoint: Checkpoint) -> None:
    """Raises `UnusableError` if config or model are not those that the state was trained with.

    Where the job says so, the config is put back as it was.
    """
    kept = checkpoint.state.get("provenance")
    if not isinstance(kept, dict):  # a state of an earlier version
        return
    config = load_config(run.config).config
    if changes := config_changes(kept, config):
        if not job.as_before:
            said = tr(
                "The run's config.yaml is not what it was trained with so far: {changes}.",
                changes="; ".join(changes),
            )
            hint = tr(
                "Go on with the old values (`luthier resume {path} --as-before`), or start a new run from it.",
                path=run.path,
            )
            raise UnusableError([Problem(AS_BEFORE, said, hint=hint)])
        config = TrainConfig.model_validate(kept["config"] | {"iters": config.iters, "epochs": config.epochs})
        save_config(config, run.config)
    if changes := model_changes(kept, locate_model(config.model)):
        said = tr(
            "The base model is changed since the run was trained on it: {names}.", names="; ".join(changes[:3])
        )
        hint = tr("Put the model back as it was, or start a new run from this setup.")
        raise UnusableError([Problem("model", said, hint=hint)])
    if changed := other_changes(kept, config):
        said = tr(
            "The model in {model} is changed since the run was trained with it.", model=config.value(changed[0])
        )
        hint = tr("Put the model back as it was, or start a new run from this setup.")
        raise UnusableError([Problem(changed[0], said, hint=hint)])


class _Training:
    """The loop and what it keeps in hand. Iterations count from 1; iteration i makes the i-th batch's step."""

    def __init__(
        self,
        channel: Channel,
        control: Control,
        run: RunDir,
        prepared: Prepared,
        neutral: Forgetting | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.channel = channel
        self.control = control
        self.run_dir = run
        self.config = prepared.config
        self.model = prepared.model
        self.optimizer = prepared.optimizer
        self.objective = prepared.parts.objective
        self.batches = prepared.parts.batches
        self.valid = prepared.parts.valid
        self.selection = prepared.selection
        self.team = prepared.team
        self.fingerprint = prepared.fingerprint
        self.provenance = provenance(self.config, Path(self.config.model))
        self.folder = HeldFolder(run.path)
        self.room = Room(run.path)
        self.keeper = process_keeper()
        self.report = Report()
        self.guard = prepared.parts.guard
        self.alarms = Alarms()
        self.yardstick = prepared.parts.yardstick
        self.kept = KeptWeights(run, self.config, self.model, self.guard, channel.emit)
        self.trade = Trade(prepared, neutral)
        self.spoken = SpokenAnswers.of(run.path, self.config, prepared.tokenizer)
        self.iteration = 0
        self.measured_at = -1
        self.elapsed_before_s = 0.0
        self.started_at = time.perf_counter()
        self.meter = prepared.meter()
        self.speed = speed_key(prepared.inspection, self.config, compiled=compiles_kernels())
        self.is_whole = checkpoint is None
        self.grad_norm = math.nan
        self.model.train()
        self.optimizer.init(self.model.trainable_parameters())
        accumulated = self._restore(checkpoint) if checkpoint else []
        self.step = Step(
            self.model,
            self.optimizer,
            self.objective,
            accumulation=self.config.grad_accumulation_steps,
            clip=self.config.max_grad_norm,
            is_cut=self.batches.is_cut,
            group=self.team.group if self.team is not None else None,
            gather=prepared.parts.gather,
        )
        self._begin_from(accumulated)

    def _begin_from(self, accumulated: list[Accumulated]) -> None:
        """Takes up the sums that a saved state held, and makes the other replicas like this one.

        Where there are as many replicas as there were, each has its own again; else all of them are this one's.
        """
        replicas = self.team.size if self.team is not None else 1
        if accumulated and len(accumulated) != replicas:
            accumulated = [sum_of(accumulated)]
        self.step.accumulated = accumulated[0] if accumulated else None
        if self.team is None:
            return
        self.team.align(trained_state(self.model, self.optimizer))
        if accumulated:
            others = accumulated[1:] or [nothing_like(accumulated[0])] * (replicas - 1)
            self.team.hand_out([one.arrays() for one in others])

    # -- the loop -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Trains to the end, or to where it stops early, is stopped, or diverges (raises `TaskError`)."""
        use_memory_well()
        self._stay_awake()
        self.room.take(self._bytes_at_the_end())
        self._emit_started()
        try:
            reason = self._iterate()
            self._stay_with_folder()
            if reason == "paused":
                self._park()
            elif reason == "full":
                self._park_without_room()
            else:
                self._finish(reason)
        except UnsoundWeightsError as error:
            raise self._diverged(self.iteration, str(error)) from error
        except LostReplicaError as error:
            raise self._left_alone() from error
        except (OSError, RuntimeError) as error:
            if not is_full(error, self.run_dir.path):
                self._end_where_it_is(error)
            self._park_without_room()
        finally:
            self.keeper.release()
            self.room.give_back()
            self.folder.close()

    def _stay_awake(self) -> None:
        """Keeps the computer from sleeping while it trains, also when nobody's window is there."""
        if load_settings().keep_awake:
            self.keeper.hold(tr("{adapter_name} trains", adapter_name=self.config.adapter_name))

    def _iterate(self) -> str:
        config, last = self.config, self.config.iters
        # Of a run that was cut off, or found no room, after its last step: what that step still owes.
        is_turn = self.iteration % config.steps_per_eval == 0 or self.iteration == last
        if is_turn and self.measured_at != self.iteration and self._validate_and_stop():
            return "stopped" if self.control.is_stopping() else "early_stopping"
        if self.iteration and self.iteration % config.save_every == 0 and not self.kept.has_saved(self.iteration):
            self._save()
        batch: Batch | None = None
        for iteration in range(self.iteration + 1, last + 1):
            began = time.perf_counter()
            batch = batch or self._batch(iteration)
            if batch is None:
                return "stopped"
            built = time.perf_counter()
            if batch.samples:
                self.meter.sampling(batch, built - began)
            entering = self.kept.entering(iteration)
            update = iteration % config.grad_accumulation_steps == 0 or iteration == last
            outcome = self._step(iteration, batch, update=update)
            # The next batch is put together while this one is computed.
            following = self.batches.batch(iteration + 1) if self.batches.is_ahead and iteration < last else None
            loss = scalar(outcome.loss)
            self.meter.step(batch, time.perf_counter() - built)
            figures = self.report.add(batch, loss, time.perf_counter() - began, outcome.figures)
            self._judge(iteration, loss, outcome, entering)
            self._tell_samples(iteration, batch, figures)
            self.iteration, batch = iteration, following
            self._stay_with_folder()
            if self.channel.is_full:
                return "full"

            if self._is_report_due():
                self._emit_report()
            if (iteration % config.steps_per_eval == 0 or iteration == last) and self._validate_and_stop():
                return "stopped" if self.control.is_stopping() else "early_stopping"
            if iteration % config.save_every == 0 or self.control.take_save():
                self._save()
            if self.control.take_pause():
                self._pause()
            if self.control.is_stopping() and iteration < last:
                return "stopped"
            if self.control.take_park() and iteration < last:
                return "paused"
        return "completed"

    def _step(self, iteration: int, batch: Batch, *, update: bool) -> StepOutcome:
        if self.team is None:
            return self.step(batch.parts, update=update, beside=batch.beside)
        seed = random_seed()
        try:
            outcome = self.step(self.team.share(iteration, batch, update=update), update=update)
        except LostReplicaError:
            mx.random.seed(seed)  # as if the iteration had not begun
            raise
        self.team.check(iteration, scalar(self.step.weight), batch)
        return outcome

    def _left_alone(self) -> TaskError:
        """Saves what is whole when another replica is gone. In the middle of an accumulation that is the state that
        was saved last: what the others had added up is gone with the group."""
        assert self.team is not None
        problem = self.team.lost()
        self.team = None
        if self.step.accumulated is None and self.iteration:
            self._save()
        saved = max((int(one.name) for one in self.run_dir.state.glob("[0-9]*") if one.name.isdecimal()), default=0)
        kept = (
            tr("The run is saved at iteration {saved:,}.", saved=saved) if saved else tr("Nothing was saved yet.")
        )
        alone = tr("or without them: `luthier resume {path} --replicas 1`", path=self.run_dir.path)
        hint = (
            tr("{hint} Resume the run when all are there again, {alone}.", hint=problem.hint, alone=alone).strip()
            if saved
            else problem.hint
        )
        return TaskError(joined((problem.message, kept)), hint, self.iteration)

    def _batch(self, iteration: int) -> Batch | None:
        """The batch of an iteration; None if stop was asked for while answers to it were sampled."""
        try:
            return self.batches.batch(iteration)
        except StoppedError:
            return None
        except TaskError as error:
            raise self._interrupted(error) from error

    def _interrupted(self, error: TaskError) -> TaskError:
        """Saves the run as it stands when something outside of it (a reward file) fails."""
        self._save()
        return TaskError(error.message, error.hint, self.iteration)

    # -- judging --------------------------------------------------------------------------------------------------

    def _judge(
        self, iteration: int, loss: float, outcome: StepOutcome, entering: dict[str, mx.array] | None
    ) -> None:
        """Takes the loss of an iteration; the weights that it measured become the ones to fall back to."""
        self.grad_norm = math.nan if outcome.grad_norm is None else scalar(outcome.grad_norm)
        verdict = self.guard.judge(loss, 0.0 if outcome.grad_norm is None else self.grad_norm)
        if verdict is LossVerdict.DIVERGED:
            what = (
                tr("the loss is {loss}", loss=loss_text(loss))
                if math.isfinite(self.grad_norm)
                else tr("the gradient is not finite")
            )
            raise self._diverged(iteration, what)
        if verdict is LossVerdict.SPIKE:
            said = tr(
                "The loss jumped to {loss} at iteration {iteration:,}.", loss=loss_text(loss), iteration=iteration
            )
            self.channel.emit(event.Warned(message=said, hint=tr("One odd batch, or too high a learning rate.")))
        if entering is not None and not self.guard.is_suspicious:
            self.kept.fall_back_to(iteration - 1, entering)

    def _diverged(self, iteration: int, what: str) -> TaskError:
        """Ends the run with the last good weights in place: the best measured, else those of before the trouble."""
        if self.report.losses:
            self._emit_report(iteration)
        kept = self.kept.restore_good()
        if name := unsound_base(self.model):
            said = tr(
                "The base model's weights {name} are not finite: whatever is trained on them is not either.",
                name=name,
            )
            return TaskError(said, tr("Copy or download the model again."), iteration)
        said = tr("The training diverged at iteration {iteration:,}: {what}.", iteration=iteration, what=what)
        return TaskError(joined((said, kept)), calmer_hint(self.config), iteration)

    # -- measuring ------------------------------------------------------------------------------------------------

    def _validate_and_stop(self) -> bool:
        """Measures the weights as they are, keeps them if they are the best; true if the run should end here."""
        if self.valid is None:
            if self.yardstick is not None and self.iteration == 0:
                found = self.yardstick.measured(self.model, self.objective, self.control.is_stopping)
                self._set_reference(math.inf if found is None else found.loss)
            self._measure_neutral(None)
            self._speak()
            return False
        began = time.perf_counter()
        try:
            measured = self.valid.measured(self.model, self.objective, self.control.is_stopping)
        except TaskError as error:
            raise self._interrupted(error) from error
        if measured is None:
            return True
        self.meter.measuring(time.perf_counter() - began)
        self._set_reference(measured.loss)
        is_best = self._where_it_is(lambda: self.kept.take(self.iteration, measured))
        self.measured_at = self.iteration
        self.channel.emit(
            event.Validated(
                iteration=self.iteration,
                val_loss=measured.loss,
                val_time_s=time.perf_counter() - began,
                best=is_best,
                without_improvement=self.kept.best.without_improvement,
                epoch=self._epoch,
                trained_tokens=self.report.trained_tokens,
                elapsed_s=self._elapsed_s,
                figures=measured.figures,
            )
        )
        self._measure_neutral(measured)
        self._speak()
        if is_best:
            self.kept.tell_best(self.iteration)
        stopping = self.config.early_stopping
        is_hopeless = self.kept.best.without_improvement >= stopping.patience
        return stopping.enabled and is_hopeless and self.iteration < self.config.iters

    def _measure_neutral(self, measured: Measurement | None) -> None:
        """What the weights have forgotten, beside what a validation says that they learned."""
        found = self.trade.measured(self.iteration, measured)
        if found is not None:
            place = {
                "epoch": self._epoch,
                "trained_tokens": self.report.trained_tokens,
                "elapsed_s": self._elapsed_s,
            }
            self.channel.emit(found.model_copy(update=place))

    def _speak(self) -> None:
        """Answers held-out prompts, for people to read."""
        if not self.spoken:
            return
        try:
            found = self.spoken.sampled(self.model, self.iteration, self.control.is_stopping)
        except UnusableError as error:
            self.spoken = None
            self.channel.emit(event.Warned(message=error.problems[0].message, hint=tr("No answers are sampled.")))
            return
        if found is not None:
            self.channel.emit(found)

    def _set_reference(self, loss: float) -> None:
        """Lets the guard know what the untrained model can do."""
        if self.iteration == 0 and math.isfinite(loss):
            self.guard.reference = loss

    # -- saving ---------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """A numbered checkpoint, the current adapter, and the state to resume from."""
        began = time.perf_counter()
        if self._where_it_is(lambda: self.kept.save(self.iteration)):
            self._where_it_is(self._save_state)
            self.meter.saved.append(time.perf_counter() - began)
            self.kept.tell_numbered(self.iteration)

    def _save_state(self) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "provenance": self.provenance,
            "elapsed_s": self._elapsed_s,
            "measured_at": self.measured_at,
            "report": self.report.state(),
            "guard": self.guard.state(),
            "rollouts": self.batches.state(),
            "trade": self.trade.state(),
            "replicas": self.team.size if self.team is not None else 1,
        } | self.kept.state()
        others: list[Arrays] = []
        if self.team is not None:
            self.team.align(trained_state(self.model, self.optimizer))
            if self.step.accumulated is not None:
                others = self.team.collected(self.step.accumulated.arrays())
        save_checkpoint(self.run_dir.state, self.iteration, self.model, self.optimizer, self.step, state, others)

    def _restore(self, checkpoint: Checkpoint) -> list[Accumulated]:
        state = checkpoint.state
        if state["fingerprint"] != self.fingerprint:
            said = tr("The data are not those that the run was trained on so far; it cannot go on exactly.")
            raise UnusableError([Problem("data", said, hint=tr("Put the data back, or start a new run."))])
        self.iteration = checkpoint.iteration
        self.elapsed_before_s = state["elapsed_s"]
        self.measured_at = state["measured_at"]
        self.report.restore(state["report"])
        self.guard.restore(state["guard"])
        self.batches.restore(state["rollouts"])
        self.trade.restore(state.get("trade"))
        accumulated = restore(checkpoint, self.model, self.optimizer)
        self.kept.restore(state, self.iteration)
        if has_other_rewards(state.get("provenance") or {}, self.provenance):
            self.kept.forget_best()
            said = tr("The reward file was changed since the run was trained so far.")
            hint = tr(
                "Rewards of before do not compare with those from here on: the best weights are looked for anew."
            )
            self.channel.emit(event.Warned(message=said, hint=hint))
        self._tell_other_rate(((state.get("provenance") or {}).get("config") or {}).get("iters"))
        before, now = state.get("replicas", 1), self.team.size if self.team is not None else 1
        if before != now:
            said = tr(
                "The run was trained by {replicas} so far, and by {replicas2} now",
                replicas=plural(before, "replica"),
                replicas2=plural(now, "replica"),
            )
            self.channel.emit(
                event.Warned(message=tr("{said}: it goes on, but not bit for bit as it would have.", said=said))
            )
        return accumulated

    def _tell_other_rate(self, planned: int | None) -> None:
        """A schedule reaches to the end: with another end than was planned, the rate is another from here on."""
        if planned is None or planned == self.config.iters or self.config.has_own_steps:
            return
        before, after = scalar(self.optimizer.learning_rate), rate_at(self.config, int(scalar(self.optimizer.step)))
        if math.isclose(before, after, rel_tol=RATE_ALIKE):
            return
        said = tr(
            "The learning rate was {before:.3g} at iteration {iteration:,}, and goes on at {after:.3g}: its "
            "schedule reaches to iteration {iters:,} now.",
            before=before, iteration=self.iteration, after=after, iters=self.config.iters,
        )  # fmt: skip
        hint = tr("For a rate of your own choice, start a new run from this adapter instead.")
        self.channel.emit(event.Warned(message=said, hint=hint))

    def _pause(self) -> None:
        """Waits in place, with everything saved, until it may go on or should end."""
        self._save_state()
        self.channel.emit(event.Paused(iteration=self.iteration))
        self.keeper.release()
        paused_at = time.perf_counter()
        while not isinstance(command := self.control.wait(), (Resume, Park, *ENDING)):
            if isinstance(command, Save):
                self._stay_with_folder()
                self._save()
        self.started_at += time.perf_counter() - paused_at
        self._stay_awake()
        if not isinstance(command, Park):
            self.channel.emit(event.Resumed(iteration=self.iteration))

    def _park(self) -> None:
        """Leaves everything on disk that a resume needs; the process ends, and its memory is free meanwhile."""
        if self.report.losses:
            self._emit_report()
        self.kept.save_current()
        self._save_state()
        self._emit_finished(
            "paused", tr("Paused at iteration {iteration:,}; the memory is free.", iteration=self.iteration)
        )

    def _park_without_room(self) -> None:
        """The disk is full: the room that was set aside takes the state, and the run waits for more."""
        lacking = bytes_text(self._bytes_at_the_end())
        self.room.give_back()
        try:
            self.kept.save_current()
            self._save_state()
        except (OSError, RuntimeError) as error:  # others took that room as well: what was saved before is whole
            said = full_text(self.run_dir.path, lacking)
            raise TaskError(
                said, tr("{make_room} Its last saved state is whole.", make_room=MAKE_ROOM), self.iteration
            ) from error
        at = tr("The run is paused at iteration {iteration:,}, with its state safe.", iteration=self.iteration)
        self._emit_finished("paused", joined((full_text(self.run_dir.path, lacking), at, MAKE_ROOM)))

    def _bytes_at_the_end(self) -> int:
        """What the current adapter and the state take on the disk."""
        weights = sum(array.nbytes for array in trainable(self.model).values())
        moments = sum(array.nbytes for _, array in tree_flatten(self.optimizer.state))
        gradient = weights if self.config.grad_accumulation_steps > 1 else 0
        return 2 * weights + moments + gradient + OTHER_BYTES

    def _stay_with_folder(self) -> None:
        """Follows the run's folder where it was moved to; raises `TaskError` if it was deleted."""
        if self.folder.has_moved():
            self.run_dir = RunDir(self.folder.path)
            self.kept.follow(self.run_dir)
            self.room = Room(self.run_dir.path)
            self.channel.emit(
                event.Warned(
                    message=tr("The run's folder is now {path}; it goes on there.", path=self.run_dir.path)
                )
            )

    def _where_it_is(self, write: Callable[[], Written]) -> Written:
        """Writes into the run's folder, and once more where that was moved meanwhile."""
        self._stay_with_folder()
        place = self.run_dir.path
        try:
            return write()
        except (OSError, RuntimeError):
            self._stay_with_folder()
            if self.run_dir.path == place:
                raise
            return write()

    def _end_where_it_is(self, error: Exception) -> NoReturn:
        """Ends the run after a failed write: its folder is gone, was moved at that moment, or the disk says no."""
        before = self.run_dir.path
        self._stay_with_folder()
        if self.run_dir.path == before:
            raise error
        self._save()
        said = tr("The run's folder was moved to {path} while it was written to.", path=self.run_dir.path)
        raise TaskError(tr("{said} Its state is saved there.", said=said), tr("Resume the run."), self.iteration)

    def _finish(self, reason: str) -> None:
        """Saves what there is, puts the chosen weights in place, opens them again, and says how it ended."""
        if self.report.losses:
            self._emit_report()
            if self.kept.is_saved(self.iteration):
                self._save_state()  # what was saved before would report these losses again
        if not self.guard.is_suspicious:
            self._save()
        if self.is_whole and self.meter.is_enough and self.team is None:  # paces are one machine's
            keep_pace(self.speed, self.meter.pace())
        message = self.kept.place_final(self.iteration, self._balanced(), is_over=reason in WHOLE_ENDS)
        self._emit_finished(reason, STOPPED_BEFORE if reason == "stopped" and not self.iteration else message)

    def _balanced(self) -> Weighed | None:
        """The checkpoint and strength that the adapter is to hold, where the config asks for the best balance."""
        if self.config.final_adapter != "balanced" or self.guard.is_suspicious or not self.iteration:
            return None
        if hindrance := self.trade.hindrance():
            said = tr("The checkpoints cannot be balanced: {hindrance}.", hindrance=hindrance)
            self.channel.emit(event.Warned(message=said, hint=tr("The best weights are kept instead.")))
            return None
        progress = reported_progress(self.channel, tr("Weighing what was learned against what was forgotten"))
        found = self.trade.balanced(self.kept.checkpoints(self.iteration), self.control.is_stopping, progress)
        if found is None:
            said = tr("No checkpoint learned more than it forgot.")
            hint = tr("The best weights are kept instead. Try a lower learning rate, or more and other data.")
            self.channel.emit(event.Warned(message=said, hint=hint))
        return found

    def _emit_finished(self, reason: str, message: str) -> None:
        self.room.give_back()  # before the last word: a process that is killed after it leaves nothing
        standing = self.kept.placed or self.trade.of(self.kept.placed_at)
        self.channel.emit(
            event.Finished(
                reason=reason,
                iteration=self.iteration,
                elapsed_s=self._elapsed_s,
                best_iteration=self.kept.best.iteration,
                best_val_loss=self.kept.best.loss,
                learned=standing.learned if standing else None,
                forgot=standing.forgot if standing else None,
                message=message,
            )
        )

    # -- telling --------------------------------------------------------------------------------------------------

    @property
    def _elapsed_s(self) -> float:
        return self.elapsed_before_s + time.perf_counter() - self.started_at

    @property
    def _epoch(self) -> float:
        return self.iteration / self.batches.batches_per_epoch

    def _is_report_due(self) -> bool:
        edges = (1, self.config.iters)
        is_turn = self.iteration % self.config.steps_per_report == 0 or self.iteration in edges
        return is_turn or self.report.age_s >= REPORT_AT_LEAST_EVERY_S

    def _emit_report(self, iteration: int | None = None) -> None:
        rate = rate_of(self.optimizer)
        self.channel.emit(
            self.report.event(
                iteration if iteration is not None else self.iteration,
                rate,
                None if math.isnan(self.grad_norm) else self.grad_norm,
                self._epoch,
                self._elapsed_s,
            )
        )

    def _tell_samples(self, iteration: int, batch: Batch, figures: dict[str, float]) -> None:
        """The newly sampled answers, and what is alarming about them."""
        if batch.samples:
            self.channel.emit(event.Sampled(iteration=iteration, samples=batch.samples))
        for warned in self.alarms.judge(figures):
            self.channel.emit(warned)

    def _emit_started(self) -> None:
        if self.spoken is not None and not self.spoken:
            self.channel.emit(event.Warned(message=UNASKED))
        trained, _ = parameter_counts(self.model)
        examples = self.batches.examples
        self.channel.emit(
            event.Started(
                iteration=self.iteration,
                iterations=self.config.iters,
                iterations_per_epoch=float(self.batches.batches_per_epoch),
                train_examples=len(examples),
                valid_examples=len(self.valid.examples) if self.valid else 0,
                epoch_tokens=int(examples.inputs.sum()),
                trainable_parameters=trained,
                total_parameters=self.selection.total_parameters,  # as it was shown before Start
                adapted_modules=self.selection.adapted_modules,
                batch_size=self.config.batch_size,
                replicas=self.team.size if self.team is not None else 1,
            )
        )


def use_memory_well() -> None:
    """Wires the memory that Metal recommends, as mlx-lm does, where a run needs most of it and the settings allow
    it (Macs panicked over wired memory: https://github.com/ml-explore/mlx/issues/3186), and bounds what MLX keeps
    for reuse.

    mlx-lm empties the cache after every step instead, which makes every step allocate anew.
    """
    from mlx_lm.utils import maybe_set_recommended_wired_limit

    recommended = mx.device_info().get("max_recommended_working_set_size")
    if recommended is None:
        return
    if load_settings().wire_memory and mx.get_active_memory() > int(recommended) * WIRED_FROM:
        maybe_set_recommended_wired_limit()
    mx.set_cache_limit(int(recommended) // 8)
