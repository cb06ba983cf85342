"""``luthier bench``: this machine's own table against stock mlx-lm, and a file of it to share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import check_place
from app.command.output import FailedError
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.command.stock.alternation import SpeedCase, TrainerRunner
    from app.core.data.prepare import PreparedData
    from app.core.model.inspection import Inspection
    from app.core.stock.speed_plan import Pilot
    from app.core.stock.speed_table import Alternation, SpeedTable

application = typer.Typer(add_completion=False, rich_markup_mode=None)

SHARED_SUFFIXES = (".json", ".md")
LATE = 1.1  # times the asked time, from which on it is told
MOST_ALTERNATIONS = 5
WORKERS_OF_A_CASE = 4  # three trainers, and the validation losses
MADE_ROWS = "rows made of the starter's words, about as long as Dolly's"
OWN_ROWS = "own rows"
TRAINABLE = ("chat", "completion", "text")


@application.command()
def bench(
    model: Annotated[
        str, typer.Option(help="A model folder or the name of a cached model; the starter unless given.")
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(help="A file or folder of examples, of which some are drawn; made rows unless given."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="About how long it may take.")] = 5.0,
    save: Annotated[
        Path | None, typer.Option(help="Where to put the table to share: FILE.json and FILE.md, without any names.")
    ] = None,
    max_seq_length: Annotated[int, typer.Option(min=32, help="Longer examples are cut, in tokens.")] = 1024,
    beside: Annotated[bool, typer.Option("--beside", help="Measure although a run trains now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Trains a few examples with Luthier and with stock mlx-lm by turns, and prints how they compare here."""
    from tempfile import TemporaryDirectory

    from app.core.system.leftover import temporary_prefix

    files = share_files(save)
    if not beside:
        refuse_beside()
    with TemporaryDirectory(prefix=temporary_prefix("bench")) as folder:
        table = _Bench(model, data, minutes * 60, max_seq_length, Path(folder)).table()
    _share(table, files)
    if as_json:
        output.say_json(table.as_dict() | {"files": [str(file) for file in files]})
        return 0
    _tell(table)
    for file in files:
        output.say(f"Saved: {file}")
    return 0


def share_files(save: Path | None) -> tuple[Path, ...]:
    """The files to write, which must not be there; raises `UnusableError` before anything is measured."""
    from app.core.problem import Problem, UnusableError

    if save is None:
        return ()
    path = typed_path(save).resolve()
    if path.is_dir():
        said = f"{path} is a folder, and a name for the files is needed."
        raise UnusableError([Problem("--save", said, hint=f"Such as {path / 'bench'}.")])
    stem = path.with_suffix("") if path.suffix.lower() in SHARED_SUFFIXES else path
    files = tuple(stem.with_name(stem.name + suffix) for suffix in SHARED_SUFFIXES)
    problems = [
        Problem("--save", f"{file} is there already.", hint="Give another name.") for file in files if file.exists()
    ]
    if not path.parent.is_dir():
        problems.append(Problem("--save", f"The folder {path.parent} does not exist.", hint="Make it first."))
    if problems:
        raise UnusableError(problems)
    check_place("--save", files[0])
    return files


def refuse_beside() -> None:
    """Raises `FailedError` while a run trains: both would be slower, and the table of another machine."""
    from app.core.live.training_list import training_beside

    if (other := training_beside()) is not None:
        said = f"{other.name} is training already: what is measured beside it would say nothing of this machine."
        raise FailedError(f"{said} Not done: `--beside` does it all the same.")


def _share(table: SpeedTable, files: Sequence[Path]) -> None:
    import json

    from app.core.system.atomic_file import write_text

    for file in files:
        text = json.dumps(table.as_dict(), indent=1) + "\n" if file.suffix == ".json" else table.markdown()
        write_text(file, text)


def _tell(table: SpeedTable) -> None:
    """The table for a terminal: each case as a few lines, since its columns are more than fit."""
    from app.core.stock.speed_table import SPEED_COLUMNS

    for line in table.head_lines():
        output.say(line)
    for row in table.rows:
        case, against, *cells = row.cells()
        output.say(f"\n{case}, against {against}")
        width = max(len(name) for name in SPEED_COLUMNS[2:])
        for name, cell in zip(SPEED_COLUMNS[2:], cells, strict=True):
            output.say(f"  {name:{width}}  {cell}")
    output.say()
    for remark in table.remarks():
        output.say(remark.replace("*", ""))


@dataclass(slots=True)
class _Bench:
    """What is measured, on what, and what came of it so far."""

    model: str
    data: Path | None
    seconds: float
    longest: int
    folder: Path
    began: float = field(default_factory=time.monotonic)
    prepared: PreparedData | None = None
    tokens: int = 0
    rows: int = 0

    def table(self) -> SpeedTable:
        """Measures until the time is over, or Ctrl-C, and puts the table together."""
        from app.command.stock.alternation import AbortedError, TrainerRunner
        from app.command.worker import absolute, inspected
        from app.core.model.folder import locate_model
        from app.core.problem import Problem, UnusableError
        from app.core.stock.speed_table import TRAINER_NAMES
        from app.core.system.starter import model_dir

        model = locate_model(absolute(self.model)) if self.model else model_dir()
        inspection = inspected(str(model))
        if inspection.untrainable:
            raise UnusableError([Problem("--model", inspection.untrainable)])
        self._prepare_data()
        found: dict[str, list[Alternation]] = {}
        left_out: list[str] = []

        def failed(case: SpeedCase, trainer: str, why: str) -> None:
            output.remark(f"warning: {case.name}: {TRAINER_NAMES[trainer]} failed. {why}")
            left_out.append(f"At {case.name} {TRAINER_NAMES[trainer]} failed.")  # what it said may name paths

        settings = self._settings(inspection)
        runner = TrainerRunner(model.resolve(), self.folder, settings, self._progress, failed)
        try:
            self._measure(runner, inspection, found, left_out)
        except (AbortedError, KeyboardInterrupt):
            if not found:
                raise FailedError("Stopped before anything was measured.") from None
            left_out.append("It was stopped before its time: there are fewer alternations.")
        return self._table(runner, inspection, found, left_out)

    def _prepare_data(self) -> None:
        """Reads one's own data into mlx-lm's form; raises `UnusableError` for what stock cannot train."""
        if self.data is None:
            return
        from app.core.config.train_config import TrainConfig
        from app.core.data.prepare import prepare_data
        from app.core.problem import Problem, UnusableError

        path = typed_path(self.data).resolve()
        if not path.exists():
            raise UnusableError([Problem("--data", f"{path} does not exist.")])
        output.remark("Reading the data …")
        self.prepared = prepare_data(TrainConfig(data=str(path)), self.folder / "own")
        if self.prepared.format not in TRAINABLE:
            said = f"These are rows of the format {self.prepared.format}, which stock mlx-lm does not train."
            raise UnusableError([Problem("--data", said, hint="Give chats, questions with answers, or texts.")])
        if (there := self.prepared.counts.get("train", 0)) < 8:
            said = f"At least 8 rows to train on are needed, and the number of them is {there}."
            raise UnusableError([Problem("--data", said, hint="Leave --data out: rows are made then.")])

    def _settings(self, inspection: Inspection) -> dict[str, Any]:
        # A scale and a rate that train small and large models alike, for as few steps as these.
        return {
            "max_seq_length": self._length(inspection), "learning_rate": 1e-4,
            "lora_parameters": {"rank": 8, "scale": 4.0, "dropout": 0.0},
        }  # fmt: skip

    def _length(self, inspection: Inspection) -> int:
        return min(self.longest, inspection.max_length or self.longest)

    def _measure(
        self,
        runner: TrainerRunner,
        inspection: Inspection,
        found: dict[str, list[Alternation]],
        left_out: list[str],
    ) -> None:
        from app.core.quantity import duration_text
        from app.core.stock.speed_plan import rows_for, too_large

        pilot = self._pilot(runner, inspection)
        assert runner.hello is not None
        limit = runner.hello.working_set_gb * 1e9
        cases = []
        for case in self._cases(inspection):
            if said := too_large(inspection, case.batch_size, self._length(inspection), limit):
                if said not in left_out:
                    left_out.append(said)
            else:
                cases.append(case)
        if not cases:
            raise FailedError(f"Stock mlx-lm would not fit into this machine's memory. {' '.join(left_out)}")
        self.rows = rows_for(pilot, self._left_s, len(cases))
        if (least_s := WORKERS_OF_A_CASE * pilot.elapsed_s) > self._left_s:
            whole = duration_text(time.monotonic() - self.began + least_s)
            output.remark(
                f"warning: The smallest table takes about {whole} on this machine, more than --minutes gives."
            )
        self._alternate(runner, inspection, cases, found, left_out)
        took = time.monotonic() - self.began
        if took > self.seconds * LATE:
            asked = duration_text(self.seconds)
            left_out.append(
                f"It took {duration_text(took)} instead of {asked}: this is the smallest table there is."
            )

    @property
    def _left_s(self) -> float:
        return self.seconds - (time.monotonic() - self.began)

    def _cases(self, inspection: Inspection) -> list[SpeedCase]:
        """The most telling first: what does not fit into the time is left out from the end."""
        from app.command.stock.alternation import SpeedCase

        can_mask = self.prepared.format != "text" if self.prepared else inspection.has_chat_template
        cases = [SpeedCase("batch 4", 4, against=("stock", "stock_sorted"))]
        if can_mask:
            cases.append(SpeedCase("batch 4, answers alone trained", 4, masked=True))
        return [*cases, SpeedCase("batch 8", 8, against=("stock", "stock_sorted")), SpeedCase("batch 1", 1)]

    def _pilot(self, runner: TrainerRunner, inspection: Inspection) -> Pilot:
        """A short run that shows how fast this machine is. Where kernels are compiled by a compiler of their own,
        which takes longer than all else, both trainers have most of theirs by then."""
        from app.command.stock.alternation import SpeedCase
        from app.core.problem import UnusableError
        from app.core.protocol.program import compiles_kernels, mlx_build
        from app.core.stock.speed_plan import PILOT_ROWS, Pilot

        data = self._sample(inspection, PILOT_ROWS, seed=99)
        began = time.monotonic()
        case = SpeedCase("a first try", 4)
        measured, _ = runner.measure("luthier", case, data)
        found = Pilot(measured, time.monotonic() - began, PILOT_ROWS)
        if mlx_build() == "mlx-cpu" and compiles_kernels():
            with suppress(FailedError, UnusableError):  # what it cannot train is told where it is measured
                runner.measure("stock", case, data, epochs=1)
        return found

    def _alternate(
        self,
        runner: TrainerRunner,
        inspection: Inspection,
        cases: Sequence[SpeedCase],
        found: dict[str, list[Alternation]],
        left_out: list[str],
    ) -> None:
        """Case by case, then again from the first, as long as the next one is likely to end in time."""
        took: dict[str, float] = {}
        for seed in range(MOST_ALTERNATIONS):
            data = self._sample(inspection, self.rows, seed)
            for case in cases:
                if any(said.startswith(f"At {case.name} ") for said in left_out):
                    continue
                expected = took.get(case.name, max(took.values(), default=0.0))
                if took and expected > self._left_s:
                    if not seed:
                        left_out.append(f"There was no time for {case.name}; --minutes gives more.")
                    continue
                began = time.monotonic()
                alternation = runner.alternate(case, data, seed, backwards=bool(seed % 2))
                took[case.name] = time.monotonic() - began
                found.setdefault(case.name, []).append(alternation)
                self.tokens = alternation.measured["luthier"].tokens

    def _sample(self, inspection: Inspection, rows: int, seed: int) -> Path:
        """A data folder of so many rows, others for each seed."""
        from app.core.stock.row_sample import VALID_ROWS, drawn_rows, made_rows, write_sample

        folder = self.folder / f"sample-{rows}-{seed}"
        if self.prepared is None:
            chat = inspection.has_chat_template
            return write_sample(
                folder, made_rows(rows, seed, chat=chat), made_rows(VALID_ROWS, seed + 1000, chat=chat)
            )
        train = drawn_rows(self.prepared.train, rows, seed)
        valid = drawn_rows(self.prepared.valid or self.prepared.train, VALID_ROWS, seed)
        return write_sample(folder, train[: len(train) // 8 * 8], valid)

    def _progress(self, what: str) -> None:
        from app.core.quantity import duration_text

        gone, of = (duration_text(seconds) for seconds in (time.monotonic() - self.began, self.seconds))
        output.remark(f"{gone} of about {of} · {what}")

    def _table(
        self,
        runner: TrainerRunner,
        inspection: Inspection,
        found: dict[str, list[Alternation]],
        left_out: Sequence[str],
    ) -> SpeedTable:
        from app.core.protocol.program import mlx_build
        from app.core.stock.machine import machine_words
        from app.core.stock.speed_plan import data_words, model_words
        from app.core.stock.speed_table import SpeedTable, speed_rows

        assert runner.hello is not None
        if not any(one.losses for alternations in found.values() for one in alternations):
            raise FailedError("Stock mlx-lm trained nothing here, so there is nothing to compare with.")
        rows = [row for name, alternations in found.items() for row in speed_rows(name, alternations)]
        return SpeedTable(
            machine=machine_words(runner.hello),
            on_gpu=mlx_build() != "mlx-cpu",
            versions=dict(runner.hello.versions),
            model=model_words(inspection),
            data=data_words(MADE_ROWS if self.prepared is None else OWN_ROWS, self.rows, self.tokens),
            rows=tuple(rows),
            left_out=tuple(left_out),
        )
