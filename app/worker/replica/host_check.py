"""The check of a hostfile: what each host says of itself, whether they can train together, how fast they talk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import HostsJob
from app.core.quantity import memory_text
from app.core.replica.crew import Replica
from app.core.replica.hostfile import Hostfile, hostfile_of
from app.worker.exchange.team import MODEL, Team, differing_model, differing_versions
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.process.hello import hello
from app.worker.train.provenance import model_digests

CHECK_WITHIN_S = 120.0  # an ssh that does not get in says so long before


def check_hosts(channel: Channel, _job_dir: Path, job: HostsJob) -> None:
    """Emits one `Result` ``hosts``: for each host ``ok``, what it is or what is wrong, and of all of them whether
    they joined, with the seconds of a message and the bytes a second."""
    control = Control(channel)
    hostfile = hostfile_of(job.hostfile)
    model = locate_model(job.model)
    channel.emit(event.Progressed(phase=tr("Starting a replica on each host")))
    try:
        found = _checked(channel, control, hostfile, model)
    except StoppedError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="hosts", data=found))
    channel.emit(event.Finished())


def _checked(channel: Channel, control: Control, hostfile: Hostfile, model: Path) -> dict[str, Any]:
    here = hello("hosts")
    digests = model_digests(model)
    found: dict[str, Any] = {"hosts": [_row(here, [])], "joined": False, "problem": ""}
    try:
        team = Team(channel, hostfile, model, None)
    except UnusableError as error:
        found["hosts"][0] = _row(here, error.problems)
        return found
    try:
        crew = team.crew
        for one in crew.replicas:  # each is waited for: what is wrong with one says nothing of the others
            crew.wait_for_one(one, lambda one: one.ready >= 1, control.raise_if_stopped, CHECK_WITHIN_S)
        for one in crew.replicas:
            found["hosts"].append(_row(one.hello, _faults(one, here.versions, digests)))
        if not all(row["ok"] for row in found["hosts"]):
            return found
        channel.emit(event.Progressed(phase=tr("Joining them")))
        try:
            team.connect(control.raise_if_stopped)
            crew.wait_for(lambda one: one.ready >= 4, control.raise_if_stopped, CHECK_WITHIN_S)
            crew.require()
        except UnusableError as error:
            found["problem"] = " ".join(problem.sentence() for problem in error.problems)
            return found
        channel.emit(event.Progressed(phase=tr("Measuring how fast they exchange")))
        found |= {"joined": True} | team.measured()
    finally:
        team.close()
    return found


def _faults(one: Replica, versions: dict[str, str], digests: dict[str, str]) -> list[Problem]:
    found = differing_versions(one, versions)
    if MODEL in one.results:
        found += differing_model(one, digests)
    if not found and (one.failed is not None or one.ended):
        found.append(one.end_problem())
    if not found and not one.ready:
        found.append(
            Problem(
                "",
                tr(
                    "Nothing was heard of {name} within {check_within_s:.0f}\u00a0s.",
                    name=one.name,
                    check_within_s=CHECK_WITHIN_S,
                ),
            )
        )
    return found


def _row(said: event.Hello | None, problems: list[Problem]) -> dict[str, Any]:
    about = (
        tr(
            "{device} · {memory} · Luthier {luthier}",
            device=said.device,
            memory=memory_text(said.memory_gb),
            luthier=said.versions.get("luthier"),
        )
        if said
        else ""
    )
    return {
        "ok": not problems and said is not None,
        "about": about,
        "problems": [problem.text for problem in problems],
    }
