"""``luthier evaluate``: held-out loss and perplexity of a base model and of adapters on the same examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.command import output

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="A file of examples, or a folder with a test file.")],
    model: Annotated[str, typer.Option(help="A model folder or the name of a cached model.")],
    adapter_path: Annotated[
        list[Path] | None, typer.Option(help="An adapter, one of its checkpoints or a run; may be repeated.")
    ] = None,
    mask_prompt: Annotated[bool, typer.Option("--mask-prompt", help="Measure the answers only.")] = False,
    max_seq_length: Annotated[int, typer.Option(min=8, help="Longer examples are cut, in tokens.")] = 1024,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Measures the base model and each adapter on the same examples."""
    from app.command.worker import absolute, result_of
    from app.core.protocol.job import EvaluateJob

    adapters = (None, *(str(path.expanduser().resolve()) for path in adapter_path or []))
    config: dict[str, Any] = {"mask_prompt": mask_prompt, "max_seq_length": max_seq_length}
    found = result_of(EvaluateJob(model=absolute(model), adapters=adapters, data=test_file(data), config=config))
    if as_json:
        output.say_json(found)
        return 0
    rows = [
        [str(c["adapter"] or "base model"), f"{c['loss']:.4f}", f"{c['perplexity']:.3f}", f"{c['tokens']:,}"]
        for c in found["columns"]
    ]
    output.say(f"{found['examples']:,} examples of {found['data']}\n")
    output.table(["adapter", "loss", "perplexity", "tokens"], rows)
    return 0


def test_file(data: Path) -> Path:
    """The file of held-out examples that ``data`` means; raises `UnusableError` if there is none."""
    from app.core.problem import Problem, UnusableError

    data = data.expanduser().resolve()
    if data.is_file():
        return data
    for name in ("test.jsonl", "valid.jsonl"):
        if (data / name).is_file():
            return data / name
    hint = "Give the file itself." if data.exists() else ""
    what = "has neither test.jsonl nor valid.jsonl" if data.exists() else "does not exist"
    raise UnusableError([Problem("--data", f"{data} {what}.", hint=hint)])
