"""``luthier serve``: a tuned model for other programs on this machine, in OpenAI's protocol, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.command import output
from app.command.option import AdapterStrength, AsJson, Beside, MinP, TopK, TopP, ask_beside

if TYPE_CHECKING:
    from app.core.export.endpoint import Endpoint
    from app.core.protocol.event import Served
    from app.core.protocol.job import ServeJob

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def serve(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run (its folder or name), an adapter's folder, or a checkpoint.")
    ],
    checkpoint: Annotated[
        str, typer.Option(help="best, last, kept or the number of an iteration; else what the run keeps.")
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 finds a free one.")] = 0,
    key: Annotated[str, typer.Option(help="The API key that programs must have; one is made unless given.")] = "",
    temp: Annotated[
        float, typer.Option(min=0.0, help="Sampling temperature of requests that name none; 0 takes the likeliest.")
    ] = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer to requests that name none.")] = 512,
    strength: AdapterStrength = 1.0,
    model: Annotated[str, typer.Option(help="The base model, if it is not where the run found it.")] = "",
    beside: Beside = False,
    as_json: AsJson = False,
) -> int:
    """Serves a tuned model at an address that only this machine reaches. Ctrl-C ends it."""
    from app.command.tuned.export import run_or_path
    from app.command.worker import absolute
    from app.core.export.source import export_source
    from app.core.protocol.job import ServeJob

    ask_beside(beside)
    source = run_or_path(run)
    export_source(source, checkpoint)
    job = ServeJob(
        source=source,
        checkpoint=checkpoint,
        model=absolute(model) if model else "",
        strength=strength,
        port=port,
        key=key,
        temp=temp,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        max_tokens=max_tokens,
    )
    _serve(job, as_json)
    return 0


def _serve(job: ServeJob, as_json: bool) -> None:
    from app.command.worker import checked
    from app.core.export.endpoint import Endpoint
    from app.core.protocol import event
    from app.core.protocol.client import started_job

    with started_job(job) as worker, worker.stopped_by_interrupt():
        for said in checked(worker.events()):
            if isinstance(said, event.Result):
                endpoint = Endpoint.from_dict(said.data)
                if as_json:
                    output.say_json(endpoint.as_dict() | {"curl": endpoint.curl(), "python": endpoint.python()})
                else:
                    _tell_endpoint(endpoint)
            elif isinstance(said, event.Served):
                output.remark(_request_line(said))


def _tell_endpoint(endpoint: Endpoint) -> None:
    output.say(f"Address  {endpoint.url}")
    output.say(f"API key  {endpoint.key}")
    output.say(f"Model    {endpoint.model}")
    output.say(f"\n{endpoint.curl()}\n\n{endpoint.python()}")
    output.say("Only this machine reaches it. Ctrl-C ends it.")


def _request_line(said: Served) -> str:
    from datetime import datetime

    clock = datetime.fromtimestamp(said.time).strftime("%H:%M:%S")
    return f"{clock}  {said.path}  {said.status}  {said.seconds:.1f} s"
