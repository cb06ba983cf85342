"""``luthier models``: searches the hub, downloads, lists what is here, and converts for MLX."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson
from app.core.refusal import reason_of
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.protocol import event
    from app.core.protocol.client import WorkerClient
    from app.core.protocol.job import Job

application = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@application.callback()
def models() -> None:
    """Searches, downloads, lists and converts models, and gives them chat templates."""


@application.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Words, a name (organization/model) or a page's address.")],
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    mlx: Annotated[bool, typer.Option("--mlx", help="Only models made for MLX.")] = False,
    as_json: AsJson = False,
) -> int:
    """Searches the hub for models with safetensors weights, the most downloaded first."""
    from app.core.model.hub import HubModel, fit
    from app.core.protocol.job import HubSearchJob

    job = HubSearchJob(query=" ".join(words), limit=limit, mlx_only=mlx)
    data, hello = _run(job, quiet=as_json)
    working_set = hello.working_set_gb * 1e9
    found = [HubModel.from_dict(tree) for tree in data["models"]]
    fits = [fit(model.size_bytes, working_set).value for model in found]
    if as_json:
        trees = [model.as_dict() | {"fits": word} for model, word in zip(found, fits, strict=True)]
        output.say_json({"query": data["query"], "models": trees})
    elif found:
        headers = ["model", "size", "quantization", "fits here", "downloads", "likes"]
        output.table(headers, [_row(model, word) for model, word in zip(found, fits, strict=True)])
    else:
        output.say("Nothing was found. Fewer words find more.")
    return 0


@application.command()
def download(
    model: Annotated[str, typer.Argument(help="organization/model, @revision if wanted, or a page's address.")],
    to: Annotated[
        Path | None, typer.Option(help="A folder for models, instead of that of the settings.", file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Downloads a model; run it again after an interruption, and it goes on where it stopped."""
    from app.core.protocol.job import HubDownloadJob

    models_dir = str(typed_path(to).resolve()) if to is not None else None
    data, _ = _run(HubDownloadJob(model=model, models_dir=models_dir), quiet=as_json)
    if as_json:
        output.say_json(data)
    else:
        output.say(f"{data['model']} is here: {data['path']}")
    return 0


@application.command("list")
def list_models(as_json: AsJson = False) -> int:
    """Lists the models on this machine: the hub's cache, the chosen folders, LM Studio's."""
    from app.core.model.folder import find_models
    from app.core.model.hub import model_folders
    from app.core.quantity import bytes_text
    from app.core.system.setting import load_settings

    entries = find_models(model_folders(load_settings()))
    if as_json:
        trees = [
            {
                "name": entry.name,
                "path": str(entry.path),
                "size_bytes": entry.size_bytes,
                "model_type": entry.model_type,
                "cached": entry.cached,
            }
            for entry in entries
        ]
        output.say_json({"models": trees})
    elif entries:
        rows = [[e.name, bytes_text(e.size_bytes), e.model_type or "–", str(e.path)] for e in entries]
        output.table(["model", "size", "type", "folder"], rows)
    else:
        output.say("There are no models here yet. `luthier models search WORDS` finds some.")
    return 0


@application.command()
def convert(
    model: Annotated[str, typer.Argument(help="A model folder, or a cached model's name.")],
    to: Annotated[Path | None, typer.Option(help="The new folder; it must not exist.")] = None,
    quantization: Annotated[str, typer.Option(help="4bit, 5bit, 6bit, 8bit or mxfp4.")] = "4bit",
    as_json: AsJson = False,
) -> int:
    """Quantizes a Hugging Face model for MLX, into a new folder."""
    from app.command.worker import absolute
    from app.core.model import conversion
    from app.core.model.hub import models_place
    from app.core.protocol.job import ConvertJob
    from app.core.quantity import bytes_text
    from app.core.system.setting import load_settings

    chosen = conversion.quantization(quantization)
    out = to if to is not None else conversion.converted_folder(model, chosen, models_place(load_settings()))
    job = ConvertJob(model=absolute(model), out=typed_path(out).resolve(), quantization=quantization)
    data, _ = _run(job, quiet=as_json)
    if as_json:
        output.say_json(data)
    else:
        output.say(f"{data['path']}: {bytes_text(data['bytes'])} instead of {bytes_text(data['source_bytes'])}")
    return 0


@application.command()
def template(
    model: Annotated[str, typer.Argument(help="A model's folder, or the name of a cached one.")],
    file: Annotated[
        Path | None, typer.Option(help="A Jinja template, instead of the one that is offered.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Gives a base model a chat template: a folder of links to its files with the template beside them."""
    from app.core.model.folder import locate_model
    from app.core.model.template import template_offers, template_text, with_template
    from app.core.problem import Problem, UnusableError

    base = locate_model(model)
    offer = template_offers(base)[0]
    try:
        text = file.read_text(encoding="utf-8") if file is not None else offer.text
        folder = with_template(base, text)
    except ValueError as error:
        raise UnusableError([Problem("file", str(error), file=str(file or ""))]) from error
    except OSError as error:
        said = f"{reason_of(error)} ({error.filename})."
        raise UnusableError([Problem("file", said)]) from error
    label = file.name if file is not None else offer.label
    if as_json:
        output.say_json({"path": str(folder), "template": label, "example": template_text(text)})
    else:
        output.say(f"{folder}\n\nThe model with the template {label}. It reads:\n{template_text(text)}")
    return 0


@application.command()
def login(as_json: AsJson = False) -> int:
    """Stores an access token for gated and private models; it is asked for, or read from standard input."""
    from app.core.protocol.job import HubLoginJob

    token = getpass.getpass("Token (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
    data, _ = _run(HubLoginJob(action="login"), quiet=as_json, token=token.strip())
    return _tell_token(data, as_json)


@application.command()
def logout(as_json: AsJson = False) -> int:
    """Forgets the stored access token."""
    from app.core.protocol.job import HubLoginJob

    data, _ = _run(HubLoginJob(action="logout"), quiet=as_json)
    return _tell_token(data, as_json)


def _tell_token(data: dict[str, Any], as_json: bool) -> int:
    if as_json:
        output.say_json(data)
    elif data["user"]:
        where = "in the system's keychain" if data["in_keychain"] else "in a file that only you can read"
        output.say(f"The token of {data['user']} is stored {where}.")
    elif data["from_environment"]:
        output.say("No token is stored; the one in the environment variable HF_TOKEN is used.")
    else:
        output.say("No token is stored.")
    return 0


def _row(model: Any, fits: str) -> list[str]:
    from app.core.quantity import bytes_text, short_count

    size = bytes_text(model.size_bytes) if model.size_bytes else "–"
    name = f"{model.id} (gated)" if model.gated else model.id
    figures = [short_count(model.downloads), short_count(model.likes)]
    return [name, size, model.quantization or "–", fits, *figures]


def _run(job: Job, *, quiet: bool, token: str = "") -> tuple[dict[str, Any], event.Hello]:
    """The data of the job's `Result`, and the worker's `Hello`. Ctrl-C stops it; a token goes in as a command."""
    from app.command.worker import checked
    from app.core.protocol import event
    from app.core.protocol.client import started_job

    hello, data, last = event.Hello(task=job.task), None, event.Finished()
    with started_job(job) as worker, worker.stopped_by_interrupt():
        progress = _Progress(quiet)
        for said in checked(worker.events(), quiet=quiet):
            match said:
                case event.Hello():
                    hello = said
                case event.Ready():
                    _send_token(worker, token)
                case event.Progressed():
                    progress.show(said)
                case event.Result():
                    data = said.data
                case event.Finished():
                    last = said
        progress.end()
    if data is None:
        raise _stopped(last.message or "Stopped before there was a result.", quiet)
    return data, hello


def _stopped(message: str, as_json: bool) -> typer.Exit:
    """A stop on request is no failure: exit code 0, with no result."""
    if as_json:
        output.say_json({"stopped": True, "message": message})
    else:
        output.remark(message)
    return typer.Exit(0)


def _send_token(worker: WorkerClient, token: str) -> None:
    from app.core.protocol.command import GiveToken

    worker.send(GiveToken(token=token))


class _Progress:
    """One moving line for a person; for a pipe the phases, and a line at each tenth of what is counted."""

    def __init__(self, quiet: bool) -> None:
        from app.core.system.transfer_rate import TransferRate

        self._quiet, self._live = quiet, output.is_live()
        self._rate = TransferRate()
        self._phase, self._tenth, self._drawn = "", -1, False

    def show(self, said: event.Progressed) -> None:
        """Shows one step."""
        if self._quiet:
            return
        if said.total:
            self._rate.add(said.done, said.total)
            self._count(f"{said.phase}: {self._rate.sentence(said.in_bytes)}", 10 * said.done // said.total)
        elif said.phase != self._phase:
            self.end()
            output.say(f"{said.phase}…")
        self._phase = said.phase

    def end(self) -> None:
        """Leaves the moving line."""
        if self._drawn:
            output.say()
        self._drawn = False

    def _count(self, line: str, tenth: int) -> None:
        if self._live:
            output.say(line, start="\r\x1b[K", end="")
            self._drawn = True
        elif tenth > self._tenth:
            self._tenth = tenth
            output.say(line)
