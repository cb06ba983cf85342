"""The task ``benchmark``: lm-eval's tasks, asked of a base and of adapters by one model in memory.

It ends with ``Result(name="benchmark")``: ``{"harness": version, "model", "tasks", "shots", "limit", "chat",
"columns": [{"adapter": path or null, "strength", "results": {TASK: {METRIC: {"value", "stderr": number or
null}}}}], "kept": [folders of runs]}``. A run whose adapter was measured keeps it (`app.core.run.benchmark`).
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from app.core.compare.candidate import candidate_of
from app.core.data.prepare import CancelledError
from app.core.installation import package_version
from app.core.language import tr
from app.core.model.folder import locate_model, read_config
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import BenchmarkJob
from app.core.run.benchmark import HARNESS, harness_problem, keep_benchmark
from app.worker.model.adapter_switch import AdapterSwitch, base_warning
from app.worker.model.loading import load_model
from app.worker.process.channel import Channel
from app.worker.process.progress import Reporter

LONGEST_READ = 8192  # tokens, for models that could read more


def benchmark(channel: Channel, _job_dir: Path, job: BenchmarkJob) -> None:
    """Measures every column. Raises `UnusableError` where lm-eval, a task or its data is not there."""
    started = time.perf_counter()
    if problem := harness_problem():
        raise UnusableError([problem])
    from app.worker.benchmark.harness import CandidateModel, check_tasks, measured_tasks

    channel.emit(event.Progressed(phase=tr("Looking for the tasks")))
    manager = check_tasks(job)
    reporter = Reporter(channel)
    base = locate_model(job.model)
    names = [None if name is None else Path(name) for name in job.adapters]
    strengths = [*job.strengths, *[1.0] * (len(names) - len(job.strengths))]
    channel.emit(event.Progressed(phase=tr("Loading the model")))
    model, tokenizer = load_model(base)
    switch = AdapterSwitch(model)
    adapters = [
        None if name is None else switch.load(name).at(strength)
        for name, strength in zip(names, strengths, strict=False)
    ]
    for said in filter(None, (base_warning(name, base) for name in names if name is not None)):
        channel.emit(event.Warned(message=said))
    lm = CandidateModel(model, tokenizer, longest_read(base), reporter.phase)
    columns: list[dict[str, Any]] = []
    try:
        for name, adapter, strength in zip(names, adapters, strengths, strict=False):
            switch.use(adapter)
            model.eval()
            lm.who = tr("the base model") if name is None else candidate_of(name).label
            found = measured_tasks(lm, job, manager)
            columns.append({"adapter": str(name) if name else None, "strength": strength, "results": found})
    except CancelledError:
        channel.emit(event.Finished(reason="stopped", elapsed_s=time.perf_counter() - started))
        return
    told: dict[str, Any] = {
        "harness": package_version(HARNESS), "model": str(base), "tasks": list(job.tasks),
        "shots": job.shots, "limit": job.limit, "chat": job.chat, "columns": columns,
    }  # fmt: skip
    runs = list(dict.fromkeys(run for name in names if name is not None and (run := candidate_of(name).run)))
    for run in runs:
        keep_benchmark(run, {"time": datetime.now().isoformat(timespec="seconds")} | told)
    channel.emit(event.Result(name="benchmark", data=told | {"kept": [str(run) for run in runs]}))
    channel.emit(event.Finished(elapsed_s=time.perf_counter() - started))


def longest_read(model: Path) -> int:
    """How many tokens of a row are read: what the model's config allows, within bounds."""
    config = read_config(model)
    inner = config.get("text_config")
    most = config.get("max_position_embeddings") or (inner or {}).get("max_position_embeddings")
    return min(int(most), LONGEST_READ) if isinstance(most, int) and most > 0 else LONGEST_READ
