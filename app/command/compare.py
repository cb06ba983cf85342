"""``luthier compare``: base and adapters on the same examples and prompts, and what of it could be chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.evaluate import Strengths
from app.command.option import Beside, ask_beside
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.compare.candidate import Candidate
    from app.core.compare.prompt_set import Prompt
    from app.core.protocol.job import GenerateJob

application = typer.Typer(add_completion=False, rich_markup_mode=None)

BASE_NAME = "base model"


@application.command()
def compare(
    data: Annotated[Path, typer.Option(help="A file of held-out examples, or a folder with a test file.")],
    model: Annotated[str, typer.Option(help="A model folder or the name of a cached model.")],
    adapter_path: Annotated[
        list[Path] | None, typer.Option(help="An adapter, one of its checkpoints or a run; may be repeated.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts (JSON lines): the answers are printed side by side.")
    ] = None,
    reward_function: Annotated[
        list[str] | None, typer.Option(help="Score the answers to the examples; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many examples are answered to be scored.")] = 50,
    max_tokens: Annotated[int, typer.Option("--max-tokens", "-m", min=1, help="Longest answer, in tokens.")] = 128,
    mask_prompt: Annotated[
        bool | None, typer.Option("--mask-prompt/--whole", help="Measure the answers only; else as trained.")
    ] = None,
    max_seq_length: Annotated[
        int | None, typer.Option(min=8, help="Longer examples are cut, in tokens; else as trained.")
    ] = None,
    strength: Strengths = None,
    beside: Beside = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Compares the base model and each adapter, the base first: losses, scores and answers."""
    from app.command.evaluate import strengths_of, test_file
    from app.command.worker import absolute, result_of
    from app.core.compare.candidate import candidate_of
    from app.core.compare.prompt_set import LONGEST_SET, read_prompts
    from app.core.protocol.job import AskedScores, EvaluateJob, GenerateJob

    ask_beside(beside)
    asked = list(read_prompts(typed_path(prompts), beyond=1)) if prompts is not None else []
    if len(asked) > LONGEST_SET:
        asked = asked[:LONGEST_SET]
        output.remark(f"warning: only the first {LONGEST_SET:,} prompts of {prompts} are asked.")
    candidates = [candidate_of(typed_path(path).resolve()) for path in adapter_path or []]
    given = {"mask_prompt": mask_prompt, "max_seq_length": max_seq_length}
    config = _config(candidates) | {key: value for key, value in given.items() if value is not None}
    base, adapters = absolute(model), (None, *(str(one.adapter) for one in candidates))
    strengths = strengths_of(adapters, strength)
    candidates = [replace(one, strength=of) for one, of in zip(candidates, strengths[1:], strict=True)]
    scores = AskedScores(functions=tuple(reward_function or ()), limit=limit, max_tokens=max_tokens)
    found = result_of(
        EvaluateJob(
            model=base, adapters=adapters, strengths=strengths, data=test_file(data), config=config, scores=scores
        )
    )
    labels = [BASE_NAME, *(one.title for one in candidates)]
    answers = (
        _answers(GenerateJob(model=base, adapters=adapters, strengths=strengths), asked, max_tokens)
        if asked
        else []
    )
    if as_json:
        output.say_json(_tree(found, labels, asked, answers))
    else:
        _tell(found, labels, asked, answers)
    return 0


def _config(candidates: list[Candidate]) -> dict[str, Any]:
    """How the first run read its data; nothing if no adapter is a run's."""
    from app.core.run.folder import RunDir
    from app.core.setup.config_file import load_config

    run = next((one.run for one in candidates if one.run is not None), None)
    return load_config(RunDir(run).config).config.model_dump(mode="json") if run is not None else {}


def _answers(job: GenerateJob, prompts: list[Prompt], max_tokens: int) -> list[list[str]]:
    """What every candidate answers to each prompt, always taking the likeliest token, from one base in memory."""
    from app.command.worker import checked
    from app.core.protocol import event
    from app.core.protocol.client import started_job
    from app.core.protocol.command import asked_together

    texts = [["" for _ in job.adapters] for _ in prompts]
    cut = 0
    waiting = len(job.adapters) * len(prompts)
    with started_job(job) as worker, worker.stopped_by_interrupt() as interrupt:
        for said in checked(worker.events()):
            if isinstance(said, event.Ready):
                chats = [[*prompt.opening, {"role": "user", "content": prompt.text}] for prompt in prompts]
                worker.send(asked_together(chats, max_tokens=max_tokens, seed=0))
            elif isinstance(said, event.Answered):
                texts[said.request][said.column] += said.text
                if said.finish_reason in ("unusable", "error"):
                    raise output.FailedError(said.message)
                if said.finish_reason == "stopped":
                    raise output.FailedError("Stopped before all prompts were answered.")
                cut += said.finish_reason == "length"
                waiting -= said.done
                if not waiting:
                    break
    if interrupt.pressed:
        raise KeyboardInterrupt
    if cut:
        from app.core.quantity import plural

        every = len(job.adapters) * len(prompts)
        longest = plural(max_tokens, "token")
        output.remark(f"warning: {cut:,} of {every:,} answers are cut at {longest} (--max-tokens).")
    return texts


def _tree(
    found: dict[str, Any], labels: list[str], prompts: list[Prompt], answers: list[list[str]]
) -> dict[str, Any]:
    """The figures as `app.worker.compare.evaluate` gives them, each column with its label, and the answers."""
    columns = [{"label": label} | column for label, column in zip(labels, found["columns"], strict=True)]
    said = [
        {"prompt": prompt.text, "opening": list(prompt.opening), "answers": texts}
        for prompt, texts in zip(prompts, answers, strict=True)
    ]
    return found | {"columns": columns, "answers": said}


def _tell(found: dict[str, Any], labels: list[str], prompts: list[Prompt], answers: list[list[str]]) -> None:
    from app.core.compare.figure_row import figure_rows, verdicts
    from app.core.quantity import plural

    output.say(f"{plural(found['examples'], 'example')} of {found['data']}\n")
    output.table(["", *labels], [[row.label, *row.cells] for row in figure_rows(found)])
    output.say()
    for verdict in verdicts(found, labels):
        output.say(verdict)
    for prompt, texts in zip(prompts, answers, strict=True):
        output.say(f"\n> {prompt.text.strip()}")
        for label, text in zip(labels, texts, strict=True):
            output.say(f"\n{label}:\n  " + text.strip().replace("\n", "\n  "))
