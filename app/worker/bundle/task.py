"""The task ``bundle``: a setup sealed into a folder or an archive that appears only when it is complete."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.bundle.archive import archive_stem, archive_suffix, pack
from app.core.bundle.base_model import base_model
from app.core.bundle.manifest import Manifest, seal
from app.core.bundle.recipe import BundledModel, BundledRates, bundle_problems, recipe_of, write_recipe
from app.core.bundle.script import write_scripts
from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError
from app.core.export.destination import destination_problems
from app.core.installation import package_version
from app.core.language import tr
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.protocol import event
from app.core.protocol.job import RUN_CONFIG, BundleJob, TrainJob
from app.core.run.folder import RUN_SETUP, prepare_run
from app.core.setup.config_file import save_config
from app.core.typed_path import typed_path
from app.worker.bundle.model import bring_model, bundled_model
from app.worker.bundle.rows import write_rows
from app.worker.bundle.schedule import schedule_of
from app.worker.bundle.start import write_first_values, write_given_start
from app.worker.bundle.target import bundled_targets
from app.worker.export.task import staged
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.process.job import job_config
from app.worker.process.progress import Reporter
from app.worker.train.preparation import PreparedRows, prepare_rows

START_FOLDER = "start"


def bundle(channel: Channel, _job_dir: Path, job: BundleJob) -> None:
    """The task ``bundle``. ``stop`` leaves nothing behind.

    Ends with a `Result` (``path``, ``bytes``, ``files``, ``model`` as `BundledModel` says it, ``modules``,
    ``iterations``, ``train`` and ``valid`` rows).
    """
    began = time.monotonic()
    config = job_config(job.config)
    out = typed_path(job.out).resolve()
    try:
        data = sealed_bundle(channel, config, out, job)
    except (CancelledError, StoppedError):
        channel.emit(event.Finished(reason="stopped", message=tr("Stopped; nothing was written.")))
        return
    channel.emit(event.Result(name="bundle", data=data))
    channel.emit(event.Finished(elapsed_s=time.monotonic() - began))


def _refuse(config: TrainConfig, out: Path, job: BundleJob) -> None:
    problems = bundle_problems(config)
    try:
        needed = base_model(config.model).needed_bytes(with_files=job.with_model)
    except UnusableError as error:
        problems += error.problems
    else:
        problems += destination_problems(out, needed)
    if found := errors(problems):
        raise UnusableError(found)


def sealed_bundle(channel: Channel, config: TrainConfig, out: Path, job: BundleJob) -> dict[str, Any]:
    """Writes the bundle ``out``; what the task tells of it.

    Raises `UnusableError` before any work, `CancelledError` or `StoppedError` with nothing written.
    """
    _refuse(config, out, job)
    suffix = archive_suffix(out)
    with _place(out, suffix) as folder:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-rows-", dir=folder.parent) as temporary:
            run = prepare_run(config, Path(temporary) / "run")
            found = prepare_rows(channel, Control(channel), run, TrainJob())
            try:
                model, modules = _written(channel, config, found, folder, job)
            finally:
                found.rows.close()
        manifest = seal(folder, _versions())
        size = manifest.size_bytes
        if suffix:
            size = _packed(channel, folder, out, suffix)
    return _told(out, size, manifest, model, modules, found)


@contextmanager
def _place(out: Path, suffix: str) -> Iterator[Path]:
    """The empty folder that is filled: it becomes ``out``, or is packed into it and goes."""
    if not suffix:
        with staged(out) as folder:
            yield folder
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", suffix=".part", dir=out.parent) as temporary:
        folder = Path(temporary) / "bundle"
        folder.mkdir()
        yield folder


def _packed(channel: Channel, folder: Path, out: Path, suffix: str) -> int:
    file = folder.parent / f"packed{suffix}"
    pack(folder, file, archive_stem(out), suffix, Reporter(channel).phase(tr("Packing"), in_bytes=True))
    size = file.stat().st_size
    file.rename(out)
    return size


def _written(
    channel: Channel, asked: TrainConfig, found: PreparedRows, folder: Path, job: BundleJob
) -> tuple[BundledModel, tuple[str, ...]]:
    """Writes everything but the manifest; what the model is, and the names of the modules."""
    config, reporter = found.config, Reporter(channel)
    base = Path(config.model)
    model = bundled_model(
        asked.model, found.inspection, with_files=job.with_model, instead=job.torch_model, four_bit=job.four_bit
    )  # fmt: skip
    targets = bundled_targets(base, found.selection)
    for warning in _warnings(config, model):
        channel.emit(event.Warned(message=warning.message, hint=warning.hint))
    if model.folder:
        bring_model(base, folder / model.folder, reporter.phase(tr("Copying the model"), in_bytes=True))
    rows = write_rows(folder, config, found.rows, reporter.phase(tr("Writing the tokens")))
    has_start = bool(config.resume_adapter_file) or job.same_start
    if config.resume_adapter_file:
        write_given_start(config, folder / START_FOLDER, reporter.phase)
    elif has_start:
        write_first_values(config, folder / START_FOLDER)
    ends = sorted(int(token) for token in found.tokenizer.eos_token_ids)
    schedule: BundledRates = schedule_of(config)
    recipe = recipe_of(config, model, targets, rows, schedule, ends, has_start=has_start)
    write_recipe(folder, recipe)
    # What a run's folder holds of its setup: the run opens here when it comes back.
    save_config(asked.with_value("adapter_path", ""), folder / RUN_SETUP)
    save_config(config.with_values({"adapter_path": "", "data": asked.data}), folder / RUN_CONFIG)
    if config.reward_functions_file:
        shutil.copyfile(typed_path(config.reward_functions_file), folder / "own_rewards.py")
    write_scripts(folder, recipe, job.kaggle_user)
    return model, targets.modules


def _warnings(config: TrainConfig, model: BundledModel) -> list[Problem]:
    """What is not the same on the other side."""
    said = []
    if config.final_adapter == "balanced":
        said.append(tr("Elsewhere the best weights by validation loss are kept: forgetting is not measured there."))
    elif config.neutral_tokens:
        said.append(tr("What the run forgets is not measured elsewhere."))
    if config.sampled_prompts:
        said.append(tr("Answers to held-out prompts are not sampled elsewhere."))
    if config.report_to:
        said.append(tr("`report_to` is for this machine: elsewhere the figures go into the run's own events."))
    if model.four_bit:
        said.append(tr("The base is loaded in 4 bit (NF4) there, whose losses are not those of the model here."))
    if config.adapter_dtype == "base" and model.dtype != "float32":
        said.append(tr("PEFT multiplies adapters in float32 where Luthier does it in the base's own precision."))
    return [Problem("bundle", one, Severity.WARNING) for one in said]


def _versions() -> dict[str, str]:
    return {name: package_version(name) for name in ("mlx", "mlx-lm", "transformers", "tokenizers")}


def _told(
    out: Path, size: int, manifest: Manifest, model: BundledModel, modules: tuple[str, ...], found: PreparedRows
) -> dict[str, Any]:
    return {
        "path": str(out),
        "bytes": size,
        "files": len(manifest.files) + 1,
        "model": {
            "id": model.id, "revision": model.revision, "folder": model.folder, "bytes": model.bytes,
            "licence": model.licence, "four_bit": model.four_bit,
        },
        "modules": list(modules),
        "target_modules": list(found.selection.names),
        "iterations": found.config.iters,
        "train": len(found.rows),
        "valid": found.rows.valid_examples(),
    }  # fmt: skip
