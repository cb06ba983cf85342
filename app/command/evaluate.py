"""``luthier evaluate``: held-out loss of a base model and of adapters, or what they reach in lm-eval's tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import Beside, ask_beside, strength_of
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.protocol.job import BenchmarkJob

Strengths = Annotated[
    list[float] | None,
    typer.Option(
        parser=strength_of,
        metavar="0..10",
        help="How much of each adapter is put on the base, 1 unless given; repeatable.",
    ),
]

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def evaluate(
    model: Annotated[str, typer.Option(help="A model folder or the name of a cached model.")],
    data: Annotated[Path | None, typer.Option(help="A file of examples, or a folder with a test file.")] = None,
    adapter_path: Annotated[
        list[Path] | None, typer.Option(help="An adapter, one of its checkpoints or a run; may be repeated.")
    ] = None,
    mask_prompt: Annotated[bool, typer.Option("--mask-prompt", help="Measure the answers only.")] = False,
    max_seq_length: Annotated[int, typer.Option(min=8, help="Longer examples are cut, in tokens.")] = 1024,
    strength: Strengths = None,
    tasks: Annotated[
        str, typer.Option(help="Tasks of lm-eval, with commas, instead of --data: arc_easy,hellaswag.")
    ] = "",
    include_path: Annotated[
        Path | None, typer.Option(help="A folder with tasks of your own (their YAML, and data beside it).")
    ] = None,
    num_fewshot: Annotated[int | None, typer.Option(min=0, help="Examples before each question of a task.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first questions of each task.")] = None,
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template", help="Ask tasks in the model's chat template.")
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Data of tasks may be fetched from the hub.")
    ] = False,
    beside: Beside = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Measures the base model and each adapter on the same examples."""
    from app.command.worker import absolute, result_of
    from app.core.problem import Problem, UnusableError
    from app.core.protocol.job import BenchmarkJob, EvaluateJob

    ask_beside(beside)
    adapters = (None, *(str(typed_path(path).resolve()) for path in adapter_path or []))
    if tasks.strip():
        return _benchmark(
            BenchmarkJob(
                model=absolute(model), adapters=adapters, strengths=strengths_of(adapters, strength),
                tasks=tuple(name.strip() for name in tasks.split(",") if name.strip()),
                include_path=typed_path(include_path).resolve() if include_path is not None else None,
                shots=num_fewshot, limit=limit, chat=apply_chat_template, download=download,
            ),
            as_json,
        )  # fmt: skip
    if data is None:
        raise UnusableError([Problem("--data", "Nothing says what to measure on.", hint="Give --data or --tasks.")])
    config: dict[str, Any] = {"mask_prompt": mask_prompt, "max_seq_length": max_seq_length}
    strengths = strengths_of(adapters, strength)
    found = result_of(
        EvaluateJob(
            model=absolute(model), adapters=adapters, strengths=strengths, data=test_file(data), config=config
        )
    )
    if as_json:
        output.say_json(found)
        return 0
    from app.core.quantity import plural

    measured = found["neutral"] is not None
    rows = [
        [str(c["adapter"] or "base model"), f"{c['loss']:.4f}", f"{c['perplexity']:.3f}", f"{c['tokens']:,}"]
        + ([f"{c['forgot']:.4f}"] if measured else [])
        for c in found["columns"]
    ]
    output.say(f"{plural(found['examples'], 'example')} of {found['data']}\n")
    output.table(["adapter", "loss", "perplexity", "tokens", *(["forgot"] if measured else [])], rows)
    return 0


def _benchmark(job: BenchmarkJob, as_json: bool) -> int:
    from app.command.worker import result_of
    from app.core.problem import UnusableError
    from app.core.run.benchmark import benchmark_figures, column_name, harness_problem

    if problem := harness_problem("--tasks"):
        raise UnusableError([problem])
    found = result_of(job, quiet=as_json)
    if as_json:
        output.say_json(found)
        return 0
    rows = [[one.task, one.metric, *one.texts()] for one in benchmark_figures(found["columns"])]
    output.table(["task", "metric", *(column_name(column) for column in found["columns"])], rows)
    for run in found["kept"]:
        output.say(f"\nKept in {run}")
    return 0


def strengths_of(adapters: tuple[str | None, ...], given: list[float] | None) -> tuple[float, ...]:
    """A strength for each column: the base's is 1, the adapters have those given, in order, or one for all of them.

    Raises `UnusableError` for another number of them.
    """
    from app.core.problem import Problem, UnusableError

    wanted = [adapter for adapter in adapters if adapter is not None]
    each = list(given or [1.0])
    if len(each) == 1:
        each *= len(wanted)
    if len(each) != len(wanted) or (given and not wanted):
        said = f"There are {len(given or ())} strengths for {len(wanted)} adapters."
        raise UnusableError([Problem("--strength", said, hint="Give one for each adapter, or one for all.")])
    left = iter(each)
    return tuple(1.0 if adapter is None else next(left) for adapter in adapters)


def test_file(data: Path) -> Path:
    """The file of held-out examples that ``data`` means; raises `UnusableError` if there is none."""
    from app.core.problem import Problem, UnusableError

    data = typed_path(data).resolve()
    if data.is_file():
        return data
    for name in ("test.jsonl", "valid.jsonl"):
        if (data / name).is_file():
            return data / name
    hint = "Give the file itself." if data.exists() else ""
    what = "has neither test.jsonl nor valid.jsonl" if data.exists() else "does not exist"
    raise UnusableError([Problem("--data", f"{data} {what}.", hint=hint)])
