"""``luthier demo``: the whole main job on the bundled starter model and data, with the proof that it worked."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import Beside, ask_beside, check_place
from app.command.output import FailedError
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
    from app.core.protocol.event import Event
    from app.core.run.folder import RunDir

application = typer.Typer(add_completion=False, rich_markup_mode=None)

STYLE_TARGET = 0.9
KEPT_TARGET = 0.9
SAMPLES = 3
MAX_TOKENS = 96
SCREENSHOT_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")  # what Qt writes everywhere


@dataclass(frozen=True, slots=True)
class Answer:
    """What base and tuned model answer to the same held-out prompt, always taking the likeliest token.

    `expected` is the right answer, in plain words.
    """

    prompt: str
    expected: str
    base: str
    tuned: str

    @property
    def base_right(self) -> bool:
        """Whether the base gives the right answer, word for word."""
        return self.base.strip() == self.expected

    @property
    def tuned_right(self) -> bool:
        """Whether the tuned model does, as a song or plainly."""
        from app.core.system.starter import plain_answer

        answer = plain_answer(self.tuned)
        return (self.tuned.strip() if answer is None else answer.strip()) == self.expected


@dataclass(frozen=True, slots=True)
class StyleMeasurement:
    """Base against tuned, on examples that were not trained on. Losses are in nats a token."""

    base_loss: float
    tuned_loss: float
    answers: tuple[Answer, ...]

    @property
    def base_share(self) -> float:
        """Share of the base's answers that are in the new style."""
        return self._share([answer.base for answer in self.answers])

    @property
    def tuned_share(self) -> float:
        """Share of the tuned model's answers that are in the new style."""
        return self._share([answer.tuned for answer in self.answers])

    @property
    def known(self) -> int:
        """How many of the prompts the base answers right."""
        return sum(answer.base_right for answer in self.answers)

    @property
    def kept(self) -> int:
        """How many of those the tuned model still answers right."""
        return sum(answer.base_right and answer.tuned_right for answer in self.answers)

    @property
    def kept_share(self) -> float:
        """Share of the base's facts that the tuned model kept."""
        return self.kept / self.known if self.known else 0.0

    @property
    def learned(self) -> bool:
        """Whether the tuned model has learned the style, and the base never had it."""
        return self.tuned_share >= STYLE_TARGET and self.base_share == 0

    @property
    def reached(self) -> bool:
        """Whether it has, and has kept what the base knew."""
        return self.learned and self.kept_share >= KEPT_TARGET

    @staticmethod
    def _share(texts: list[str]) -> float:
        from app.core.system.starter import in_style

        return sum(in_style(text) for text in texts) / len(texts) if texts else 0.0


@application.command()
def demo(
    screenshot: Annotated[
        Path | None, typer.Option(help="Where to put a picture of the window with the finished run (PNG).")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="The folder of the run; a new one among the runs unless given.")
    ] = None,
    beside: Beside = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Trains the bundled starter model on the bundled data and measures base against tuned, in about a minute."""
    from app.command.train import make_run
    from app.core.run.folder import missing_folders
    from app.core.run.name import with_name
    from app.core.setup.config_file import load_config
    from app.core.system.starter import demo_config

    if screenshot is not None:
        _check_picture(typed_path(screenshot).resolve())
    ask_beside(beside)
    started = time.monotonic()
    loaded = load_config(demo_config())
    config = with_name(loaded.config, loaded.named)
    new = missing_folders(typed_path(run_dir)) if run_dir is not None else None
    run = make_run(config, run_dir)
    last = _train(run, as_json)
    if last.reason == "stopped":
        said = "Stopped before the end, so nothing was measured."
        raise FailedError(f"{said} {_what_is_left(run, last, [run.path] if new is None else new)}")
    trained_s = time.monotonic() - started
    measurement = measure_style(run, config)
    figures = _figures(run, measurement) | {"train_s": trained_s, "elapsed_s": time.monotonic() - started}
    if not as_json:
        _tell(run, measurement, trained_s, figures["elapsed_s"])
    if screenshot is not None:
        figures["screenshot"] = _take(run, screenshot, as_json)
    if as_json:
        output.say_json(figures)
    return 0 if measurement.reached else 1


def _train(run: RunDir, as_json: bool) -> Any:
    """Trains with live progress and returns the `Finished` event; raises on failure."""
    from app.command.progress import TrainProgress
    from app.command.train import work
    from app.command.worker import failure
    from app.core.protocol import event

    if as_json:
        last = work(run, _ignore)
    else:
        with TrainProgress() as progress:
            last = work(run, progress.show)
    if isinstance(last, event.Failed):
        if last.unusable:
            raise failure(last)
        raise FailedError(f"{last.text} {_what_is_left(run, last, ())}")
    return last


def _what_is_left(run: RunDir, last: Event, new: Iterable[Path]) -> str:
    """What became of a run that did not come to its end; of one that trained nothing, the folder goes as well."""
    from app.command.train import clear_run, has_trained
    from app.core.protocol import event

    if isinstance(last, event.Finished) and not has_trained(run, last):
        clear_run(run, new)
        return "Nothing was trained, and nothing is left of the run."
    folder = shlex.quote(str(run.path))
    goes_on = f"`luthier resume {folder}` goes on with it, `luthier runs delete {folder}` removes it"
    return f"The run is in {run.path}: {goes_on}."


def _ignore(_: Event) -> None:
    """With ``--json`` only the result is printed."""


def measure_style(run: RunDir, config: TrainConfig) -> StyleMeasurement:
    """Held-out loss and answers of base and adapter, on the starter's test examples."""
    from app.command.worker import result_of
    from app.core.protocol.job import EvaluateJob
    from app.core.system.starter import examples_dir, model_dir

    test, model, adapters = examples_dir() / "test.jsonl", str(model_dir()), (None, str(run.adapters))
    losses = result_of(
        EvaluateJob(model=model, adapters=adapters, data=test, config=config.model_dump(mode="json"))
    )
    base, tuned = losses["columns"]
    rows = [json.loads(line)["messages"] for line in test.read_text(encoding="utf-8").splitlines() if line.strip()]
    return StyleMeasurement(base["loss"], tuned["loss"], tuple(held_out_answers(model, adapters, rows)))


def held_out_answers(
    model: str, adapters: tuple[str | None, ...], rows: list[list[dict[str, str]]]
) -> list[Answer]:
    """The answers of two columns to each row without its last message, from one worker with one base model."""
    from app.command.worker import checked
    from app.core.protocol import event
    from app.core.protocol.client import started_job
    from app.core.protocol.command import asked_together
    from app.core.protocol.job import GenerateJob
    from app.core.system.starter import plain_answer

    prompts = [row[:-1] for row in rows]
    expected = [plain_answer(row[-1]["content"]) or row[-1]["content"] for row in rows]
    texts = [["", ""] for _ in prompts]
    waiting = 2 * len(prompts)
    with (
        started_job(GenerateJob(model=model, adapters=adapters)) as worker,
        worker.stopped_by_interrupt() as interrupt,
    ):
        for said in checked(worker.events()):
            if isinstance(said, event.Ready):
                worker.send(asked_together(prompts, max_tokens=MAX_TOKENS, seed=0))
            elif isinstance(said, event.Answered):
                texts[said.request][said.column] += said.text
                if said.finish_reason in ("unusable", "error", "stopped"):
                    raise FailedError(f"The answers could not be measured: {said.message or 'stopped'}.")
                waiting -= said.done
                if not waiting:
                    break
    if interrupt.pressed:
        raise KeyboardInterrupt
    return [
        Answer(messages[-1]["content"], right, base, tuned)
        for messages, right, (base, tuned) in zip(prompts, expected, texts, strict=True)
    ]


def _figures(run: RunDir, measurement: StyleMeasurement) -> dict[str, Any]:
    samples = [{"prompt": a.prompt, "base": a.base, "tuned": a.tuned} for a in measurement.answers[:SAMPLES]]
    return {
        "run": str(run.path),
        "adapter": str(run.adapters),
        "held_out_prompts": len(measurement.answers),
        "base_loss": measurement.base_loss,
        "tuned_loss": measurement.tuned_loss,
        "base_style_share": measurement.base_share,
        "tuned_style_share": measurement.tuned_share,
        "base_facts": measurement.known,
        "kept_facts": measurement.kept,
        "kept_share": measurement.kept_share,
        "reached": measurement.reached,
        "samples": samples,
    }


def _tell(run: RunDir, measurement: StyleMeasurement, trained_s: float, elapsed_s: float) -> None:
    from app.command.train import next_steps

    output.say(f"\nThree of {len(measurement.answers)} prompts that it has never seen:\n")
    for answer in measurement.answers[:SAMPLES]:
        output.say(f"  {answer.prompt}")
        output.say(f"    base   {_indented(answer.base)}")
        output.say(f"    tuned  {_indented(answer.tuned)}\n")
    output.table(
        ["on held-out examples", "base", "tuned"],
        [
            ["loss (nats a token)", f"{measurement.base_loss:.3f}", f"{measurement.tuned_loss:.3f}"],
            ["answers in the new style", f"{measurement.base_share:.0%}", f"{measurement.tuned_share:.0%}"],
            ["facts that the base knows", f"{measurement.known}", f"{measurement.kept}"],
        ],
    )
    kept = f"{measurement.kept_share:.0%}"
    output.say(f"\nIt kept {kept} of what the base knows; none of these answers is in the training data.")
    verdict = _verdict(measurement)
    output.say(f"{verdict} {trained_s:.0f} s of training, {elapsed_s:.0f} s in all.")
    output.say(next_steps(run))


def _verdict(measurement: StyleMeasurement) -> str:
    if not measurement.learned:
        return "The style was not learned as it should be."
    if not measurement.reached:
        return "The style was learned, but too many facts were lost."
    return "The style was learned, and the facts were kept."


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n           ")


def _check_picture(target: Path) -> None:
    from app.core.problem import Problem, UnusableError

    if target.suffix.lower() not in SCREENSHOT_SUFFIXES:
        said = f"{target.name}: the ending says the format of the picture."
        raise UnusableError([Problem("--screenshot", said, hint="Use .png.")])
    check_place("--screenshot", target)


def _take(run: RunDir, picture: Path, as_json: bool) -> str:
    from app.ui.window.application import screenshot

    target = typed_path(picture).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    screenshot(run.path, target)
    if not as_json:
        output.say(f"The window: {target}")
    return str(target)
