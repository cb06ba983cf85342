"""``luthier generate``: one answer of a model, with or without an adapter, streamed; mlx-lm's flags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AdapterStrength, AsJson, Beside, MinP, TopK, TopP, ask_beside
from app.core.json_text import parsed_json
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.protocol.client import Interrupt, WorkerClient
    from app.core.protocol.event import Answered
    from app.core.protocol.question import Question

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def generate(
    model: Annotated[
        str, typer.Option(help="A model folder or the name of a cached model; the adapter's own unless given.")
    ] = "",
    adapter_path: Annotated[
        Path | None, typer.Option(help="The adapter: its folder, one of its checkpoints, or a run.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help="What to answer; - reads it from standard input.")
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="The system prompt of the chat template.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", "-m", min=1, help="Longest answer, in tokens.")] = 100,
    temp: Annotated[float, typer.Option(min=0.0, help="Sampling temperature; 0 always takes the likeliest.")] = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: Annotated[float | None, typer.Option(min=0.0, help="Above 1 avoids repetition.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same answer.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Give the prompt as it is, without the chat template.")
    ] = False,
    strength: AdapterStrength = 1.0,
    beside: Beside = False,
    as_json: AsJson = False,
) -> int:
    """Answers a prompt. Ctrl-C stops the answer."""
    from app.command.worker import absolute
    from app.core.protocol.client import started_job
    from app.core.protocol.job import GenerateJob
    from app.core.protocol.question import chat_of

    ask_beside(beside)
    adapter = str(typed_path(adapter_path).resolve()) if adapter_path is not None else None
    question = _question(
        messages=chat_of([{"role": "system", "content": system_prompt}] if system_prompt is not None else []),
        prompt=_prompt(prompt),
        max_tokens=max_tokens,
        temp=temp,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        raw=raw,
    )
    base = absolute(model or _model_of(adapter_path))
    job = GenerateJob(model=base, adapters=(adapter,), strengths=(strength,))
    with started_job(job) as worker, worker.stopped_by_interrupt() as interrupt:
        text, last = _answer(worker, question, interrupt, streamed=not as_json)
    if last is None and interrupt.pressed:
        raise KeyboardInterrupt
    _raise_if_failed(last)
    _tell(text, last, as_json)
    return 0


def _question(**values: Any) -> Question:
    """The question of these options; raises `UnusableError` for what is out of its range."""
    from pydantic import ValidationError

    from app.core.problem import UnusableError
    from app.core.protocol.question import Question

    try:
        return Question(**values)
    except ValidationError as error:
        from dataclasses import replace

        from app.core.setup.config_file import validation_problems

        # The hints are of a config's fields: its seed has another range than a question's.
        raise UnusableError([replace(one, hint="") for one in validation_problems(error)]) from error


def _prompt(prompt: str | None) -> str:
    from app.core.problem import Problem, UnusableError

    if prompt == "-" or (prompt is None and not sys.stdin.isatty()):
        prompt = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not prompt:
        raise UnusableError([Problem("--prompt", "There is no prompt.", hint="Give one, or - to read it.")])
    return prompt


def _model_of(adapter: Path | None) -> str:
    """The base model that an adapter's config names; raises `UnusableError` if there is none."""

    from app.core.model.adapter_file import ADAPTER_CONFIG
    from app.core.problem import Problem, UnusableError

    for folder in (adapter, adapter / "adapters", adapter.parent) if adapter is not None else ():
        try:
            named = parsed_json((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("model")
        except (OSError, ValueError, AttributeError):
            continue
        if named:
            return str(named)
    raise UnusableError([Problem("--model", "There is no model.", hint="Give a model folder with --model.")])


def _answer(
    worker: WorkerClient, question: Question, interrupt: Interrupt, *, streamed: bool
) -> tuple[str, Answered | None]:
    from app.command.worker import checked
    from app.core.protocol import event
    from app.core.protocol.command import Ask

    pieces: list[str] = []
    for said in checked(worker.events()):
        if isinstance(said, event.Ready):
            if interrupt.pressed:  # while the model was loaded, when there was no answer yet to be stopped
                break
            worker.send(Ask(question=question))
        elif isinstance(said, event.Answered):
            pieces.append(said.text)
            if streamed:
                output.say(said.text, end="")
            if said.done:
                return "".join(pieces), said
    return "".join(pieces), None


def _raise_if_failed(last: Answered | None) -> None:
    from app.core.problem import Problem, UnusableError

    if last is not None and last.finish_reason == "unusable":
        raise UnusableError([Problem("", last.message)])
    if last is not None and last.finish_reason == "error":
        raise output.FailedError(last.message)


def _tell(text: str, last: Answered | None, as_json: bool) -> None:
    if as_json:
        figures = {
            "prompt_tokens": last.prompt_tokens if last else 0,
            "generation_tokens": last.generation_tokens if last else 0,
            "tokens_per_second": last.tokens_per_second if last else 0.0,
            "first_token_s": last.first_token_s if last else 0.0,
            "peak_memory_gb": last.peak_memory_gb if last else 0.0,
            "finish_reason": last.finish_reason if last else "stopped",
        }
        output.say_json({"text": text} | figures)
        return
    output.say()
    if last is not None and sys.stderr.isatty():
        output.remark(
            f"{last.prompt_tokens:,} + {last.generation_tokens:,} tokens · "
            f"{last.tokens_per_second:,.1f} tokens/s · first after {last.first_token_s:.2f} s · "
            f"{last.peak_memory_gb:.2f} GB"
        )
