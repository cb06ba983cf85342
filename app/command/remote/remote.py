"""``luthier remote``: a bundle trained at another place: what that needs and costs, start, watch, stop, fetch."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.place.place import Asked, Place

application = typer.Typer(add_completion=False, rich_markup_mode=None)

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The name that start told, or a place or host: then its newest run.")
]
PlaceName = Annotated[str, typer.Argument(metavar="PLACE", help="One of those that `luthier remote places` lists.")]


@application.callback()
def remote() -> None:
    """A bundle trained at another place, by ssh or rented; it goes on when nobody watches."""


@application.command()
def places(
    name: Annotated[
        str, typer.Argument(metavar="[PLACE]", help="Asks this one what it has, and for how much.")
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Says what each place needs and costs; of one, which GPUs it has now. Asks nobody unless one is named."""
    from dataclasses import asdict

    from app.core.place.table import all_places, place_named

    shown = [place_named(name)] if name else all_places()
    if name and (missing := shown[0].missing()):
        output.complain(missing)
    offers = shown[0].offers() if name and not missing else []
    if as_json:
        said = [{"name": one.name, "label": one.label, "needs": one.needs, "costs": one.costs} for one in shown]
        output.say_json({"places": said, "offers": [asdict(offer) for offer in offers]})
        return 0
    for one in shown:
        output.say(f"{one.name}  ({one.label})\n  needs  {one.needs}\n  costs  {one.costs}\n  stop   {one.stops}\n")
    if offers:
        output.table(["gpu", "what"], [[offer.name, offer.sentence] for offer in offers])
    return 0


@application.command()
def key(
    name: PlaceName,
    forget: Annotated[bool, typer.Option(help="Take the key out of the keychain.")] = False,
    as_json: AsJson = False,
) -> int:
    """Keeps a place's key in the system's keychain: asked for unseen, or read from stdin where that is a pipe."""
    import getpass
    import sys

    from app.core.place.table import place_named
    from app.core.problem import Problem, UnusableError
    from app.core.system.keychain import drop_secret, keep_secret

    place = place_named(name)
    if place.key is None:
        raise UnusableError([Problem("place", f"{place.label} needs no key of its own.")])
    if forget:
        drop_secret(place.key.account)
        said = f"The keychain has no key for {place.label} any more."
        _say(said, as_json, place=place.name, in_keychain=False)
        return 0
    asked = f"Key for {place.label} (not shown): "
    given = (getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not given:
        raise UnusableError([Problem("key", "No key was given.", hint=f"Make one at {place.key.page}.")])
    if not keep_secret(place.key.account, given):
        hint = f"Set the environment variable {place.key.variable} instead: no file of ours takes secrets."
        raise UnusableError([Problem("key", "There is no keychain here that takes it.", hint=hint)])
    said = f"The key for {place.label} is in the system's keychain."
    _say(said, as_json, place=place.name, in_keychain=True)
    return 0


def _say(said: str, as_json: bool, **facts: Any) -> None:
    """A sentence for people, or what it says as one JSON object."""
    if as_json:
        output.say_json(facts)
    else:
        output.say(said)


@application.command()
def start(
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="runpod, lambda, hf, colab, kaggle; else a host that ssh takes.")
    ],
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="What `luthier bundle` made: folder or archive.")
    ],
    gpu: Annotated[str, typer.Option(metavar="NAME", help="Which GPU; else the cheapest that is enough.")] = "",
    user: Annotated[str, typer.Option(metavar="NAME", help="Your name at the place, where it needs it.")] = "",
    python: Annotated[
        str, typer.Option(metavar="PATH", help="A Python there that has all it needs; else one is made.")
    ] = "",
    ssh: Annotated[str, typer.Option(metavar="COMMAND", help="ssh with options, such as 'ssh -p 2222'.")] = "ssh",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Rent without asking once more.")] = False,
    as_json: AsJson = False,
) -> int:
    """Sends a bundle to a place and starts it there, detached. What it costs is said before anything is rented."""
    from app.core.place.place import Asked
    from app.core.place.table import PLACE_CLASSES, place_named

    host = "" if place in PLACE_CLASSES and place != "ssh" else place.removeprefix("ssh:")
    chosen = place_named("ssh" if host else place)
    asked = Asked(offer=gpu, host=host, ssh=ssh, python=python, user=user)
    if not host:
        asked = _agreed(chosen, bundle, asked, yes)
    run = chosen.start(
        typed_path(bundle).resolve(), asked, lambda said: None if as_json else output.remark(f"{said} …")
    )
    if as_json:
        output.say_json({"name": run.name, "place": run.place, "where": run.where, "folder": str(run.path)})
    else:
        output.say(f"{run.name} runs: {run.where}.")
        output.say(f"Watch it  luthier remote watch {run.name}")
    return 0


def _agreed(place: Place, bundle: Path, asked: Asked, yes: bool) -> Asked:
    """What is rented, after its price was said and agreed to. Raises `UnusableError`."""
    import sys
    from dataclasses import replace

    from app.core.bundle.launch import memory_gb
    from app.core.bundle.recipe import RECIPE
    from app.core.json_text import parsed_json
    from app.core.problem import Problem, UnusableError
    from app.core.remote.control import opened_bundle

    if missing := place.missing():
        raise UnusableError(missing)
    with opened_bundle(typed_path(bundle).resolve()) as folder:
        recipe = parsed_json((folder / RECIPE).read_text(encoding="utf-8"))
    offer = place.chosen(replace(asked, need_gb=memory_gb(recipe)))
    output.remark(f"{place.label}: {offer.sentence}\nThe bundle goes to {place.sends_to}.\n{place.costs}")
    if not yes:
        if not sys.stdin.isatty():
            said = "Nobody is there to agree to the costs."
            raise UnusableError([Problem("yes", said, hint="--yes agrees to them.")])
        output.remark("Start it? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise output.FailedError("Nothing was started.")
    return replace(asked, offer=offer.name)


@application.command()
def watch(
    name: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the events, one JSON object a line.")] = False,
) -> int:
    """Shows how a run goes, from its beginning, and brings it here when it has ended. Ctrl-C leaves it running."""
    from app.command.progress import TrainProgress
    from app.core.place.table import place_of
    from app.core.protocol import event
    from app.core.remote.follower import has_ended
    from app.core.remote.record import remote_run

    run = remote_run(name)
    place = place_of(run)

    def lost(said: str) -> None:
        output.remark(f"The link broke ({said}); trying again. The run goes on meanwhile.")

    coming = chain(run.events(), () if run.is_closed else place.attend(run, lost))
    if as_json:
        for said in coming:
            output.say(said.to_line())
    else:
        with TrainProgress() as progress:
            for said in coming:
                progress.show(said)
    events = run.events()
    if not has_ended(events):
        log = run.path / "log.txt"
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:]) if log.exists() else ""
        raise output.FailedError(f"{run.name} ended without a word. Its log ends with:\n{tail}")
    last = events[-1]
    if isinstance(last, event.Failed):
        raise output.FailedError(last.text)
    if not as_json:
        output.say(f"It is here  {run.path}")
    return 0


@application.command()
def stop(
    name: RunName,
    now: Annotated[bool, typer.Option(help="End its machine at once; what is not here is lost.")] = False,
    as_json: AsJson = False,
) -> int:
    """Asks a run to save and end. What was rented is given back when the run is here: watch or fetch does that."""
    from app.core.place.table import place_of
    from app.core.remote.record import remote_run

    run = remote_run(name)
    place = place_of(run)
    if now:
        place.close(run)
        said, state = f"{run.where}: given back. What was not here is lost.", "given back"
    elif place.stop(run):
        said = f"{run.name}: {place.stops}\nWatch it  luthier remote watch {run.name}"
        state = "stopping"
    else:
        said, state = f"{run.name} does not run any more.", "not running"
    _say(said, as_json, run=run.name, where=run.where, state=state)
    return 0


@application.command()
def fetch(name: RunName, as_json: AsJson = False) -> int:
    """Brings what a run has made by now: curves, log and adapters. One that has ended gives its machine back."""
    import shlex

    from app.core.place.table import place_of
    from app.core.remote.record import remote_run

    run = remote_run(name)
    place = place_of(run)
    if not run.is_closed:
        place.bring_now(run)
    if as_json:
        output.say_json({"path": str(run.path)})
    else:
        output.say(f"{run.path}\nLook at it  luthier {shlex.quote(str(run.path))}")
    return 0


@application.command()
def status(name: RunName, as_json: AsJson = False) -> int:
    """Asks a run's place how its machine or job stands, and what it costs now."""
    from app.core.place.table import place_of
    from app.core.remote.record import remote_run

    run = remote_run(name)
    standing = place_of(run).standing(run)
    if as_json:
        output.say_json({"name": run.name, "alive": standing.alive, "said": standing.said, "costs": standing.costs})
    else:
        output.say(standing.said)
    return 0


@application.command("list")
def list_(as_json: AsJson = False) -> int:
    """Lists the runs elsewhere that were started here, as they were heard of last."""
    from app.core.remote.record import remote_runs

    runs = remote_runs()
    if as_json:
        tree = [{"name": r.name, "place": r.place, "where": r.where, "state": r.state, "closed": r.is_closed}
                for r in runs]  # fmt: skip
        output.say_json({"runs": tree})
    elif runs:
        rows = [[run.name, run.where, run.state, "here" if run.is_closed else "there"] for run in runs]
        output.table(["run", "where", "heard last", "what it made is"], rows)
    else:
        output.say("No run was started elsewhere from here.")
    return 0
