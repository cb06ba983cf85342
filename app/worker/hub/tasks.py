"""The tasks that ask the hub: search for models, and download one so that an interruption costs nothing."""

from __future__ import annotations

import glob
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, ModelInfo, constants, hf_hub_url, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from app.core.language import tr
from app.core.model.folder import MODEL_CONFIG
from app.core.model.hub import (
    DISK_MARGIN_BYTES,
    Destination,
    HubModel,
    ModelId,
    model_id,
    parse_model_id,
    quantization_text,
    wanted_files,
    weight_bytes,
)
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.job import HubDownloadJob, HubSearchJob
from app.core.quantity import bytes_text, plural
from app.core.system.atomic_file import write_text
from app.core.system.disk import free_bytes
from app.core.system.lock import held_alone
from app.core.system.setting import load_settings
from app.worker.hub.error import GO_ON, refuse_offline, told
from app.worker.hub.keychain import use_kept_token
from app.worker.hub.transfer import SILENCE_S, LargeFile, Transfer, fetch_all
from app.worker.process.channel import Channel
from app.worker.process.control import StoppedError

DOWNLOADING = tr("Downloading")

_Told = Literal[
    "config", "downloads", "gated", "lastModified", "library_name", "likes", "pipeline_tag", "safetensors", "tags"
]
_TOLD: list[_Told] = [
    "config", "downloads", "gated", "lastModified", "library_name", "likes", "pipeline_tag", "safetensors", "tags",
]  # fmt: skip


# -- search ---------------------------------------------------------------------------------------------------


def search(channel: Channel, _job_dir: Path, job: HubSearchJob) -> None:
    """The task ``hub_search``: what the hub has by these words, this name or this address.

    Ends with a `Result` whose ``models`` are `HubModel` trees: the very model first if the query names one, then by
    downloads. Only repositories with safetensors weights are told, since nothing else can be trained.
    """
    refuse_offline()
    use_kept_token()
    query = job.query.strip()
    named = parse_model_id(query)
    with told(str(named or query)):
        found = _named(named) if named is not None else []
        tags = ["safetensors", "mlx"] if job.mlx_only else ["safetensors"]
        listed = HfApi().list_models(
            search=named.id if named is not None else query or None,
            filter=tags,
            sort="downloads",
            limit=job.limit,
            expand=list(_TOLD),
        )
        known = {model.id for model in found}
        found += [model for info in listed if (model := hub_model(info)).id not in known]
    channel.emit(event.Result(name="hub_search", data={"query": query, "models": [m.as_dict() for m in found]}))
    channel.emit(event.Finished())


def _named(named: ModelId) -> list[HubModel]:
    """The model of that name, if there is one."""
    try:
        info = HfApi().model_info(named.id, revision=named.revision or None, timeout=SILENCE_S, files_metadata=True)
    except GatedRepoError:
        return [HubModel(id=str(named), gated=True)]
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return []
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()}
    weights = sum(sizes[path] for path in wanted_files(sizes) if path.endswith(".safetensors"))
    return [hub_model(info, name=str(named), size_bytes=weights)]


def hub_model(info: ModelInfo, *, name: str = "", size_bytes: int = 0) -> HubModel:
    """What the hub tells of a model, as plain data."""
    parameters = dict(info.safetensors.parameters) if info.safetensors is not None else {}
    config = info.config if isinstance(info.config, dict) else {}
    return HubModel(
        id=name or info.id,
        size_bytes=size_bytes or weight_bytes(parameters),
        downloads=info.downloads or 0,
        likes=info.likes or 0,
        quantization=quantization_text(config, info.tags or (), parameters),
        model_type=str(config.get("model_type", "")),
        gated=bool(info.gated),
        updated=info.last_modified.date().isoformat() if info.last_modified else "",
    )


# -- download -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download is made of: the exact commit, its wanted files with sizes, and the large ones' SHA-256."""

    destination: Destination
    commit: str
    sizes: dict[str, int]
    sha256: dict[str, str]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def place(self, path: str) -> Path:
        """Where a file is when the download is done."""
        root = self.destination.root
        return root / path if self.destination.folder is not None else root / "snapshots" / self.commit / path

    def blob(self, path: str) -> Path:
        """Where the content of a large file lies: the cache names it by its SHA-256, a folder by its name."""
        root = self.destination.root
        return root / path if self.destination.folder is not None else root / "blobs" / self.sha256[path]

    def is_here(self, path: str) -> bool:
        """True if a file is there in full."""
        places = [self.place(path), *([self.blob(path)] if path in self.sha256 else [])]
        return any(place.is_file() and place.stat().st_size == self.sizes[path] for place in places)

    def missing(self) -> list[str]:
        """The files that are still to come."""
        return [path for path in self.sizes if not self.is_here(path)]

    def large_files(self) -> list[LargeFile]:
        """The missing files to fetch in pieces; those over 50 GB come only by huggingface_hub's own protocol."""
        limit = constants.MAX_HTTP_DOWNLOAD_SIZE
        return [self._large(path) for path in self.missing() if path in self.sha256 and self.sizes[path] <= limit]

    def _large(self, path: str) -> LargeFile:
        url = hf_hub_url(self.destination.model.id, path, revision=self.commit)
        partial = self.destination.partial / f"{self.sha256[path]}.incomplete"
        return LargeFile(url, self.blob(path), partial, self.sizes[path], self.sha256[path])


def download(channel: Channel, _job_dir: Path, job: HubDownloadJob) -> None:
    """The task ``hub_download``: a model (``org/name[@revision]``, an address) into a folder or the cache.

    Tells `Progressed` in bytes. ``stop`` keeps what has arrived; the same job again goes on from there. Ends with a
    `Result` (``model``: what the config takes, ``path``, ``bytes``).
    """
    refuse_offline()
    use_kept_token()
    started = time.monotonic()
    models_dir = job.models_dir if job.models_dir is not None else load_settings().models_dir
    destination = Destination.of(model_id(job.model), models_dir)
    try:
        with told(str(destination.model)):
            channel.emit(event.Progressed(phase=tr("Looking up {model}", model=destination.model)))
            plan = make_plan(destination)
            with _alone(destination):
                _check_space(plan, channel)
                path = _download(plan, channel)
    except StoppedError:
        channel.emit(event.Finished(reason="stopped", message=tr("Stopped. {go_on}", go_on=GO_ON)))
        return
    data = {"model": destination.name, "path": str(path), "bytes": plan.total}
    channel.emit(event.Result(name="hub_download", data=data))
    channel.emit(event.Finished(elapsed_s=time.monotonic() - started))


def make_plan(destination: Destination) -> DownloadPlan:
    """Asks the hub for the model's files. Raises `UnusableError` if it has no weights that are safe to open."""
    model = destination.model
    info = HfApi().model_info(model.id, revision=model.revision or None, timeout=SILENCE_S, files_metadata=True)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    wanted = wanted_files(siblings)
    if info.sha is None or not any(path.endswith(".safetensors") for path in wanted):
        raise UnusableError([_no_weights(model, list(siblings))])
    sizes = {path: siblings[path].size or 0 for path in wanted}
    lfs = {path: siblings[path].lfs for path in wanted}
    return DownloadPlan(
        destination, info.sha, sizes, {path: told.sha256 for path, told in lfs.items() if told is not None}
    )


def _no_weights(model: ModelId, files: list[str]) -> Problem:
    said = tr("{model} has no safetensors weights", model=model)
    if any(path.endswith(".gguf") for path in files):
        return Problem(
            "",
            tr("{said}, only GGUF files, which cannot be trained.", said=said),
            hint=tr("Choose the model it was made from."),
        )
    if any(path.endswith((".bin", ".pt", ".pth")) for path in files):
        said += tr(", only pickle files, which can run any code when opened and are never fetched")
        return Problem("", f"{said}.", hint=tr("Look for a copy of it in safetensors."))
    return Problem("", f"{said}.", hint=tr("It may hold only an adapter or a tokenizer; choose its base model."))


def _check_space(plan: DownloadPlan, channel: Channel) -> None:
    """Says what is to come and what is free; raises `UnusableError` if the disk has not enough room."""
    left = sum(plan.sizes[path] for path in plan.missing()) - plan.destination.partial_bytes()
    free = free_bytes(plan.destination.root)
    if left + DISK_MARGIN_BYTES > free:
        said = tr(
            "{model} needs {left} more on the disk, and {free} are free.",
            model=plan.destination.model,
            left=bytes_text(left),
            free=bytes_text(free),
        )
        hint = tr("Free some space, or choose another folder for models.")
        raise UnusableError([Problem("models_dir", said, hint=hint, file=str(plan.destination.root))])
    files = plural(len(plan.sizes), "file")
    channel.emit(
        event.Progressed(
            phase=tr(
                "{files}, {left} to come; {free} free on the disk",
                files=files,
                left=bytes_text(left),
                free=bytes_text(free),
            )
        )
    )


def _download(plan: DownloadPlan, channel: Channel) -> Path:
    here = sum(size for path, size in plan.sizes.items() if plan.is_here(path))
    transfer = Transfer(plan.total)
    transfer.add(here)

    def work() -> None:
        fetch_all(plan.large_files(), transfer, _log)
        _lay_out(plan, transfer)

    transfer.run(work, channel, DOWNLOADING)
    if missing := plan.missing():
        raise TaskError(
            tr("{files} did not arrive ({missing}).", files=plural(len(missing), "file"), missing=missing[0]), GO_ON
        )
    channel.emit(event.Progressed(phase=DOWNLOADING, done=plan.total, total=plan.total, in_bytes=True))
    return plan.place(MODEL_CONFIG).parent


def _lay_out(plan: DownloadPlan, transfer: Transfer) -> None:
    """Fetches the small files and puts everything where huggingface_hub and mlx-lm look for it.

    The large ones come first and the config last, so that a folder that looks like a model is one.
    """
    options: dict[str, Any] = {
        "allow_patterns": [glob.escape(path) for path in plan.sizes],
        "tqdm_class": transfer.bar(),
    }
    folder, model = plan.destination.folder, plan.destination.model
    if folder is not None:
        snapshot_download(model.id, revision=plan.commit, local_dir=folder, **options)
        return
    cache = plan.destination.root.parent
    snapshot_download(model.id, revision=plan.commit, cache_dir=cache, **options)
    # The name of the branch is written last: the cache then says which snapshot is its newest.
    reference = plan.destination.root / "refs" / (model.revision or constants.DEFAULT_REVISION)
    if model.revision != plan.commit:
        write_text(reference, plan.commit)


def _alone(destination: Destination) -> AbstractContextManager[None]:
    """Two processes that append to the same file would spoil it."""
    said = tr("{model} is being downloaded already.", model=destination.model)
    taken = Problem("", said, hint=tr("Wait for the other download, or stop it."))
    return held_alone(destination.lock, taken)


def _log(text: str) -> None:
    print(text, file=sys.stderr)
