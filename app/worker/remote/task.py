"""The tasks ``remote_start`` and ``remote``: what takes its time at a place is waited for here."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.place.place import Asked, Place
from app.core.place.table import place_named, place_of
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.command import GiveToken
from app.core.protocol.job import BundleJob, RemoteJob, RemoteStartJob
from app.core.remote.record import RemoteRun, read_remote
from app.core.run.folder import OPEN_STATES, RunDir
from app.core.run.name import folder_word
from app.core.system.keychain import keep_secret
from app.core.system.leftover import temporary_prefix
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError

STOPPED = tr("Stopped; nothing runs there, and nothing was kept there.")


def start_elsewhere(channel: Channel, _job_dir: Path, job: RemoteStartJob) -> None:
    """The task ``remote_start``. ``stop`` gives back what was rented.

    Ends with a `Result`: ``path`` of the run's folder here, ``where`` it trains.
    """
    # All that trains is behind these imports: whoever only follows does without.
    from app.core.data.prepare import CancelledError
    from app.worker.bundle.task import sealed_bundle
    from app.worker.process.job import job_config

    place, config = place_named(job.place), job_config(job.config)
    if missing := place.missing():
        raise UnusableError(missing)
    control = Control(channel)

    def told(said: str) -> None:
        control.raise_if_stopped()
        channel.emit(event.Progressed(phase=said))

    try:
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("remote")) as temporary:
            out = Path(temporary) / folder_word(config.adapter_name, "setup")
            asked = BundleJob(
                config=job.config, out=out, with_model=job.with_model, torch_model=job.torch_model,
                four_bit=job.four_bit,
            )  # fmt: skip
            sealed_bundle(channel, config, out, asked)
            chosen = Asked(offer=job.offer, host=job.host, ssh=job.ssh, python=job.python, user=job.user)
            run = place.start(out, chosen, told)
    except (CancelledError, StoppedError):
        channel.emit(event.Finished(reason="stopped", message=STOPPED))
        return
    channel.emit(event.Result(name="remote_start", data={"path": str(run.path), "where": run.where}))
    channel.emit(event.Finished())


def ask_elsewhere(channel: Channel, _job_dir: Path, job: RemoteJob) -> None:
    """The task ``remote``. ``offers`` ends with a `Result` of ``missing`` (problems) and ``offers``, ``key`` with
    ``kept``, ``stop`` with ``said``, ``status`` with ``said``, ``alive`` and ``costs``; the others with none."""
    if job.action in ("offers", "key"):
        place = place_named(job.place)
        data = _offers(place) if job.action == "offers" else _keep_key(channel, place)
    else:
        run = _run_of(job)
        data = _ACTIONS[job.action](channel, place_of(run), run)
    if data is not None:
        channel.emit(event.Result(name="remote", data=data))
        channel.emit(event.Finished())


def _offers(place: Place) -> dict[str, Any]:
    missing = place.missing()
    offers = [] if missing else [asdict(offer) | {"sentence": offer.sentence} for offer in place.offers()]
    return {"missing": [one.text for one in missing], "offers": offers}


def _keep_key(channel: Channel, place: Place) -> dict[str, Any] | None:
    """Waits for the key, which never stands in a job, an event or the log."""
    if place.key is None:
        raise UnusableError([Problem("place", tr("{label} needs no key of its own.", label=place.label))])
    channel.emit(event.Ready())
    command = channel.wait()
    if not isinstance(command, GiveToken):
        channel.emit(event.Finished(reason="stopped"))
        return None
    if not command.token.strip():
        raise UnusableError(
            [Problem("key", tr("No key was given."), hint=tr("Make one at {page}.", page=place.key.page))]
        )
    if not keep_secret(place.key.account, command.token.strip()):
        hint = tr(
            "Set the environment variable {variable} instead: no file of ours takes secrets.",
            variable=place.key.variable,
        )
        raise UnusableError([Problem("key", tr("There is no keychain here that takes it."), hint=hint)])
    return {"kept": True}


def _attend(channel: Channel, place: Place, run: RemoteRun) -> dict[str, Any] | None:
    """The events go into the run's folder, where whoever looks at it finds them; only what is about the link is
    said."""
    control = Control(channel)

    def lost(said: str) -> None:
        control.raise_if_stopped()
        channel.emit(event.Progressed(phase=tr("The link broke ({said}); trying again", said=said)))

    def told(said: str) -> None:
        channel.emit(event.Progressed(phase=said))

    try:
        for _ in place.attend(run, lost, told):
            control.raise_if_stopped()
    except StoppedError:
        channel.emit(event.Finished(reason="stopped"))
        return None
    if run.state in (*OPEN_STATES, "crashed"):
        tail = RunDir(run.path).log_tail()
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), tr("it printed nothing"))
        raise TaskError(
            tr("{name} ended without a word on {where}.", name=run.name, where=run.where),
            tr("Its log ends with: {last}", last=last[:300]),
        )
    return {"path": str(run.path)}


def _stop(_channel: Channel, place: Place, run: RemoteRun) -> dict[str, Any]:
    return {"said": place.stops if place.stop(run) else tr("{name} does not run any more.", name=run.name)}


def _status(_channel: Channel, place: Place, run: RemoteRun) -> dict[str, Any]:
    standing = place.standing(run)
    return {"said": standing.said, "alive": standing.alive, "costs": standing.costs}


def _close(_channel: Channel, place: Place, run: RemoteRun) -> dict[str, Any]:
    place.close(run)
    return {"said": tr("{where}: given back.", where=run.where)}


_ACTIONS = {"attend": _attend, "stop": _stop, "status": _status, "close": _close}


def _run_of(job: RemoteJob) -> RemoteRun:
    run = read_remote(job.run) if job.run is not None else None
    if run is None:
        raise UnusableError([Problem("run", tr("{run} is no run that trains elsewhere.", run=job.run))])
    return run
