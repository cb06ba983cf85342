"""Exporting in a test's own process: the real task with a channel that collects events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import ExportJob
from app.worker.export.task import export_model
from tests.worker.training import Answer, Collector


def run_export(
    folder: Path, source: Path, to: str, answer: Answer = lambda _: None, **job: Any
) -> tuple[Path, list[Event]]:
    """Exports into ``folder/out``: that folder, and everything that was said."""
    out = job.pop("out", folder / "out")
    collector = Collector(folder / "events.jsonl", answer)
    export_model(collector, folder, ExportJob(source=source, format=to, out=out, **job))
    return out, collector.events


def exported(folder: Path, source: Path, to: str, **job: Any) -> Path:
    """The folder that the export wrote, which another program has found to be the run's model."""
    out, events = run_export(folder, source, to, **{"prompts": 2} | job)
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "completed"
    (told,) = [said.data for said in events if isinstance(said, event.Result)]
    certificate, options = told["certificate"], job.get("options", {})
    few_bits = (options.get("bits") or options.get("type") or "16bit") not in ("16bit", "BF16", "F16")
    assert certificate is None or certificate["agrees"] or few_bits, certificate["sentence"]
    return out


def stop_at(phase: str) -> Answer:
    """Asks to stop as soon as a phase begins."""
    return lambda said: "stop" if isinstance(said, event.Progressed) and said.phase == phase else None
