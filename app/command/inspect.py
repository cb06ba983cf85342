"""``luthier inspect``: what would be trained in a model, exactly, before anything is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
    from app.core.model.inspection import Inspection
    from app.core.problem import Problem
    from app.core.target.selection import Selection

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def inspect(
    model: Annotated[str, typer.Argument(help="A model folder (config.json is enough) or a cached model's name.")],
    targets: Annotated[
        str | None,
        typer.Option(help="full (unless given), attention, mlp, minimal, linear, or patterns separated by commas."),
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option(help="How many layers, counted from the top; -1, or not given, is all.")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, max=512, help="Width of the low-rank update; 32 unless given.")
    ] = None,
    fine_tune_type: Annotated[str | None, typer.Option(help="lora (unless given), dora or full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Tells which modules would be trained, and exactly how many parameters. Exit code 2 if it could not be."""
    from app.command.worker import absolute, inspected
    from app.core.problem import errors
    from app.core.setup.target_check import check_inspected
    from app.core.target.selection import resolve

    config = inspected_config(model, targets, num_layers, rank, fine_tune_type)
    inspection = inspected(absolute(model))
    selection = resolve(inspection, config)
    problems = check_inspected(inspection, config, selection)
    if as_json:
        output.say_json(tree(inspection, selection, config, problems))
    else:
        _show(inspection, selection, config, problems)
    return 2 if errors(problems) else 0


def tree(
    inspection: Inspection, selection: Selection, config: TrainConfig, problems: list[Problem]
) -> dict[str, Any]:
    """The result as plain JSON values."""
    modules = [{"path": m.path, "group": m.group.value, "shape": list(m.shape)} for m in selection.modules]
    return {
        "model": inspection.path,
        "model_type": inspection.model_type,
        "num_layers": inspection.num_layers,
        "total_parameters": inspection.total_parameters,
        "trainable_parameters": selection.trainable_parameters,
        "trainable_percent": selection.trainable_percent,
        "adapted_modules": selection.adapted_modules,
        "adapter_bytes": selection.adapter_bytes,
        "fine_tune_type": config.fine_tune_type,
        "rank": config.lora_parameters.rank,
        "keys": list(selection.keys),
        "target_modules": list(selection.names),
        "adapted_layers": selection.num_layers,
        "modules": modules,
        "unmatched": list(selection.unmatched),
        "refused": [{"path": m.path, "shape": list(m.shape), "reason": m.refused} for m in inspection.refused],
        "problems": [output.problem_tree(p) for p in problems],
        "quantization": inspection.quantization,
        "vocab_size": inspection.vocab_size,
        "notes": list(inspection.notes),
    }


def inspected_config(
    model: str,
    targets: str | None = None,
    num_layers: int | None = None,
    rank: int | None = None,
    fine_tune_type: str | None = None,
) -> TrainConfig:
    """The config that the options mean; what is not given is a new setup's own. Raises `UnusableError`."""
    from pydantic import ValidationError

    from app.core.config.train_config import TrainConfig
    from app.core.problem import UnusableError
    from app.core.setup.config_file import validation_problems
    from app.core.target.pattern import EMPTY_PATTERN

    asked = {
        "model": model,
        "targets": targets if targets is None else targets or EMPTY_PATTERN,
        "num_layers": num_layers,
        "fine_tune_type": fine_tune_type,
        "lora_parameters.rank": rank,
    }
    try:
        return TrainConfig().with_values({path: value for path, value in asked.items() if value is not None})
    except ValidationError as error:
        raise UnusableError(validation_problems(error)) from error


def _show(inspection: Inspection, selection: Selection, config: TrainConfig, problems: list[Problem]) -> None:
    from app.core.quantity import bytes_text, percent_text, plural

    kind = {"lora": "LoRA", "dora": "DoRA", "full": "full fine-tune"}[config.fine_tune_type]
    rank = "" if config.fine_tune_type == "full" else f" of rank {config.lora_parameters.rank}"
    facts = [
        inspection.model_type,
        plural(inspection.num_layers, "layer"),
        f"{inspection.total_parameters:,} parameters",
        inspection.quantization or inspection.dtype,
    ]
    output.say(" · ".join(fact for fact in facts if fact))
    output.say(
        f"{kind}{rank} trains {selection.trainable_parameters:,} parameters "
        f"({percent_text(selection.trainable_percent)}) in {plural(selection.adapted_modules, 'module')} · "
        f"adapter {bytes_text(selection.adapter_bytes)}\n"
    )
    counts = Counter((m.key, m.group.value, m.shape_text) for m in selection.modules)
    place = {key: index for index, key in enumerate(selection.matrices)}
    rows = [
        [key, group, shape, f"{count:,}"]
        for (key, group, shape), count in sorted(counts.items(), key=lambda item: place[item[0][0]])
    ]
    if rows:
        output.table(["matrix", "group", "shape (out × in)", "modules"], rows)
    if selection.kind != "full":
        output.say(selection.names_line)
    if inspection.refusals:
        output.say("\nWhat cannot be adapted:")
        for key, why, count in inspection.refusals:
            output.say(f"  {key}{f' (in {count} places)' if count > 1 else ''}: {why}")
    output.complain(problems)
    for note in inspection.notes:
        output.remark(f"note: {note}")
