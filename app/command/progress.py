"""The live view of a run in a terminal: one moving line for a person, one line a report for a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from app.command import output
from app.core.method.figure import FIGURES
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.quantity import bytes_text, duration_text, loss_text, memory_text, plural
from app.core.run.history import Traded
from app.core.system.plain_text import harmless_text

MODULES = "modules adapted"


class TrainProgress(AbstractContextManager["TrainProgress"]):
    """Shows a run's events. Failures are not shown here: the verb that asked tells them."""

    def __init__(self) -> None:
        self._live: Any = None
        self._phase = ""
        self._iterations = 0
        self._validation = ""

    def __enter__(self) -> Self:
        if output.is_live():
            from rich.live import Live

            self._live = Live("", refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, said: Event) -> None:
        """Shows one event."""
        match said:
            case event.Hello():
                memory, mlx = memory_text(said.memory_gb), said.versions.get("mlx", "?")
                self._print(f"{said.device} · {memory} memory · MLX {mlx}")
            case event.Progressed():
                self._show_phase(said)
            case event.Warned():
                self._print(f"warning: {said.message}{f' {said.hint}' if said.hint else ''}")
            case event.Estimated():
                self._print(estimated_line(said))
            case event.Started():
                self._iterations = said.iterations
                self._print(started_line(said))
            case event.TrainReported():
                self._report(report_line(said, self._iterations, self._validation))
            case event.Validated():
                self._validation = f"validation {loss_text(said.val_loss)}"
                self._print(validated_line(said))
            case event.NeutralMeasured():
                self._print(neutral_line(said))
            case event.Paused():
                self._print(f"Paused at iteration {said.iteration:,}.")
            case event.Finished():
                self._print(finished_line(said))
            case _:
                pass

    def _show_phase(self, said: event.Progressed) -> None:
        done, total = (bytes_text(n) if said.in_bytes else f"{n:,}" for n in (said.done, said.total))
        count = f" {done} of {total}" if said.total else ""
        if self._live is not None:
            self._draw(f"{said.phase}{count}…")
        elif said.phase != self._phase:
            output.say(f"{said.phase}…")
        self._phase = said.phase

    def _report(self, line: str) -> None:
        if self._live is not None:
            self._draw(line)
        else:
            output.say(line)

    def _draw(self, line: str) -> None:
        """Draws over the moving line; what a narrow terminal has no room for is left out."""
        from rich.text import Text

        self._live.update(Text(harmless_text(line), no_wrap=True, overflow="ellipsis"))

    def _print(self, line: str) -> None:
        if self._live is not None:
            self._live.console.print(harmless_text(line), markup=False, highlight=False, soft_wrap=True)
        else:
            output.say(line)


def estimated_line(said: event.Estimated) -> str:
    """What the run will take."""
    limit = f" of {bytes_text(said.limit_bytes)} that MLX should stay within" if said.limit_bytes else ""
    memory = f"Estimated: {bytes_text(said.memory_bytes)} of memory{limit}"
    if said.seconds is None:
        return memory
    time = f"{'at most' if said.is_most else 'about'} {duration_text(said.seconds)}"
    return f"{memory} · {time}, going by an earlier run on this machine"


def started_line(said: event.Started) -> str:
    """What is trained, on what, for how long."""
    share = 100 * said.trainable_parameters / said.total_parameters if said.total_parameters else 0.0
    epochs = said.iterations / said.iterations_per_epoch if said.iterations_per_epoch else 0.0
    parts = [
        f"Training {said.trainable_parameters:,} of {said.total_parameters:,} parameters ({share:.2f} %)",
        f"{said.adapted_modules:,} {MODULES}" if said.adapted_modules else "",
        plural(said.train_examples, "example"),
        f"{plural(said.iterations, 'iteration')} ({epochs:.3g} {'epoch' if epochs == 1 else 'epochs'})",
        f"from iteration {said.iteration:,}" if said.iteration else "",
        f"{said.replicas} replicas" if said.replicas > 1 else "",
    ]
    return " · ".join(part for part in parts if part)


def report_line(said: event.TrainReported, iterations: int, validation: str = "") -> str:
    """Iteration, loss, the time that is left and speed: what matters most first, for narrow terminals."""
    left = (iterations - said.iteration) / said.iterations_per_second if said.iterations_per_second > 0 else 0.0
    parts = [
        f"iteration {said.iteration:,} of {iterations:,}",
        f"loss {loss_text(said.train_loss)}",
        *figure_parts(said.figures),
        validation,
        f"{duration_text(left)} left" if left > 0 else "",
        f"{said.tokens_per_second:,.0f} tokens/s",
        memory_text(said.peak_memory_gb),
        f"learning rate {said.learning_rate:.3g}",
    ]
    return " · ".join(part for part in parts if part)


def validated_line(said: event.Validated) -> str:
    """The validation loss, and whether it is the best so far."""
    if said.best:
        more = " · the best so far"
    elif said.without_improvement:
        more = f" · {said.without_improvement} without improvement"
    else:
        more = ""
    figures = "".join(f" · {part}" for part in figure_parts(said.figures))
    return f"iteration {said.iteration:,} · validation loss {loss_text(said.val_loss)}{figures}{more}"


def neutral_line(said: event.NeutralMeasured) -> str:
    """What was learned and what was forgotten by then, in nats a token."""
    return f"iteration {said.iteration:,} · {Traded(said.learned, said.forgot).text()}"


def figure_parts(figures: Mapping[str, float]) -> list[str]:
    """The figures that tell most of a preference or reward run; empty of a supervised one."""
    # What rounds to nothing is nothing: no reader is helped by a margin of -3e-08.
    told = (name for name, figure in FIGURES.items() if figure.is_telling and name in figures)
    return [f"{name} {round(figures[name], 6) + 0:.3g}" for name in told]


def finished_line(said: event.Finished) -> str:
    """How it ended."""
    if said.reason == "stopped" and not (said.elapsed_s and said.iteration) and said.message:
        return said.message  # before it trained, so that nothing that changes the model was saved
    words = {
        "stopped": "Stopped and saved", "early_stopping": "Stopped early: no more improvement", "paused": "Paused",
    }  # fmt: skip
    at = f" at iteration {said.iteration:,}" if said.iteration is not None else ""
    best = ""
    if said.best_val_loss is not None and said.best_iteration is not None:
        best = f" · best validation loss {loss_text(said.best_val_loss)} at iteration {said.best_iteration:,}"
    traded = f" · {Traded(said.learned, said.forgot).text()}" if said.forgot is not None else ""
    return f"{words.get(said.reason, 'Finished')}{at} after {duration_text(said.elapsed_s)}{best}{traded}"
