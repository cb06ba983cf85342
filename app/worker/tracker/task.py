"""The task ``track``: the figures of a run of the past given to trackers, as `report_to` does while one trains.

It ends with ``Result(name="track")``: ``{"run", "to", "out": folder of files, "figures": how many}``.
"""

from __future__ import annotations

from pathlib import Path

from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.protocol.job import TrackJob
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.core.tracker.tracker import tracker_problems
from app.core.tracker.tracking import LOG_FOLDER, tracked_events
from app.worker.process.channel import Channel


def track(channel: Channel, _job_dir: Path, job: TrackJob) -> None:
    """Raises `UnusableError` where a tracker is not there, `TaskError` where it fails."""
    run = RunDir(job.run)
    asked = load_config(run.config).config.with_values({"report_to": job.report_to, "project_name": job.project})
    if problems := tracker_problems(asked):
        raise UnusableError(problems)
    out = job.out or run.path / LOG_FOLDER
    faults: list[str] = []
    written = tracked_events(asked, run.path, out, read_events(run.events), faults.append)
    if faults:
        raise TaskError(" ".join(faults))
    data = {"run": str(run.path), "to": job.report_to, "out": str(out), "figures": written}
    channel.emit(event.Result(name="track", data=data))
    channel.emit(event.Finished())
