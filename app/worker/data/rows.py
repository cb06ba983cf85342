"""The row server: rows of a data file as they stand in it, and edits of them saved as a new file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.edit import Edits, read_window, save_edited, survey
from app.core.data.prepare import CancelledError
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import ReadRows, SaveRows, SurveyRows
from app.core.protocol.job import RowsJob
from app.core.refusal import reason_of
from app.core.source.finding import RowFault
from app.core.source.reading import FileReading
from app.core.source.source import UnusableFileError, inspect_file
from app.core.source.stream import open_bytes
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING
from app.worker.process.job import job_config
from app.worker.process.progress import Reporter

RAW_LIMIT = 200_000  # characters of a row that cannot be read


def rows(channel: Channel, _job_dir: Path, job: RowsJob) -> None:
    """The task ``rows``; after `Ready` it answers until ``stop`` or the end of input.

    It takes `ReadRows`, `SurveyRows` and `SaveRows`; what cannot be done is answered with what is in its way.
    """
    path, config = job.file, job_config(job.config)
    channel.emit(event.Ready())
    while not isinstance(command := channel.wait(), ENDING):
        try:
            if isinstance(command, ReadRows):
                channel.emit(event.Result(name="rows", data=window(path, command.line, command.count, config)))
            elif isinstance(command, SaveRows):
                channel.emit(event.Result(name="saved", data=_save(channel, path, command, config)))
            elif isinstance(command, SurveyRows):
                found = asdict(survey(command.file, config, command.roles)) | {"file": str(command.file)}
                channel.emit(event.Result(name="survey", data=found))
            else:
                channel.decline(command)
        except CancelledError:
            break
        except UnusableError as error:
            said = [problem.sentence() for problem in error.problems]
            channel.emit(event.Result(name="refused", data={"problems": said}))
        except OSError as error:
            said = [f"{error.filename or path}: {reason_of(error)}."]
            channel.emit(event.Result(name="refused", data={"problems": said}))
    channel.emit(event.Finished(reason="stopped"))


def window(path: Path, first: int, count: int, config: TrainConfig | None = None) -> dict[str, Any]:
    """Rows from a line on: each with its line and its text as JSON, or as it stands with what is wrong with it."""
    found = read_window(path, first, count + 1, config)
    shown = found[:count]
    raw = _raw_lines(path, {line for line, value in shown if isinstance(value, RowFault)}, config or TrainConfig())
    items = [
        {"line": line, "text": raw.get(line, ""), "fault": value.reason}
        if isinstance(value, RowFault)
        else {"line": line, "text": json.dumps(value, ensure_ascii=False, default=str), "fault": ""}
        for line, value in shown
    ]
    return {"first": first, "rows": items, "more": len(found) > count}


def _raw_lines(path: Path, wanted: set[int], config: TrainConfig) -> dict[int, str]:
    """The lines of a text file as they stand in it; empty for other kinds of files, which have none."""
    try:
        source = inspect_file(path, FileReading.of(config))
    except UnusableFileError:
        return {}
    if not wanted or source.kind != "jsonl":
        return {}
    encoding = source.encoding if source.encoding.startswith("utf-8") else ""
    found = {}
    with open_bytes(path, source.compression) as stream:
        for number, line in enumerate(stream, 1):
            if number in wanted:
                found[number] = line.decode(encoding or "latin-1", "replace").rstrip("\r\n")[:RAW_LIMIT]
            if number >= max(wanted):
                break
    return found


def _save(channel: Channel, path: Path, command: SaveRows, config: TrainConfig) -> dict[str, Any]:
    edits = Edits(
        dict(command.changed), set(command.dropped), list(command.added), command.roles, list(command.appended)
    )
    reporter = Reporter(channel)
    outcome = save_edited(
        path, edits, command.target, config=config, drop_bad_rows=command.drop_bad_rows,
        progress=reporter.phase(tr("Saving")), cancelled=reporter.stopped,
    )  # fmt: skip
    return {"target": str(command.target), "rows": outcome.rows, "unreadable": outcome.unreadable}
