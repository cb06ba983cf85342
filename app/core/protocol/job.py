"""What a worker is asked to do: `job.json` in the folder that it works in."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.protocol.wire import PROTOCOL_VERSION, RefusedError, Strength, WirePart, refusal_text

# In the folder that a worker works in: what it is asked, what it says, and what its libraries print.
JOB_FILE, EVENTS_FILE, LOG_FILE = "job.json", "events.jsonl", "log.txt"
RUN_CONFIG = "config.yaml"  # in a run's folder: exactly what ran
RUN_ADAPTERS, RUN_DATA = "adapters", "data"  # in a run's folder, too
LOG_TAIL_LINES = 40
AS_BEFORE = "as_before"  # the field named by a refusal that going on with the old values answers

# A config as a tree of values, or as YAML text. What is in it is checked where configs are read.
ConfigSource: TypeAlias = dict[str, JsonValue] | str


class Job(WirePart):
    """Base of all jobs. ``task`` names what is done, ``protocol`` the version that the job is written in."""

    task: str
    protocol: int = PROTOCOL_VERSION


class TrainJob(Job):
    """Trains the run whose folder this is.

    ``resume`` goes on from the saved state, ``extend_to`` does so up to a new number of iterations.
    ``as_before`` goes on with the config that the state was saved with, whatever the file says by now.
    ``stock_padding`` pads as mlx-lm does (see `app.worker.batch.plan.BatchPlan`). ``reward_file_sha256`` says that
    the config's reward file may run if it has this content.
    ``outlives_parent``: it goes on when whoever started it is gone, and is told through the run's door what to do.
    ``most_positions`` bounds a piece of several examples; 0 is the usual bound.
    ``data_changed``: the files of the data are others than when the setup was queued, which is told.
    """

    task: Literal["train"] = "train"
    resume: bool = False
    extend_to: int | None = None
    as_before: bool = False
    stock_padding: bool = False
    reward_file_sha256: str = ""
    outlives_parent: bool = False
    most_positions: int = Field(0, ge=0)
    data_changed: bool = False


class ProbeJob(Job):
    """Measures two steps of a training at its longest batch; without ``config`` that of the folder's run."""

    task: Literal["probe"] = "probe"
    config: dict[str, JsonValue] | None = None


class InspectJob(Job):
    """Tells what a model (a folder or a cached name) is made of."""

    task: Literal["inspect"] = "inspect"
    model: str


class CheckJob(Job):
    """Checks files, or without any the data of the config; with a model also as its tokenizer sees the rows, of
    which the first ``show`` are given as they are rendered."""

    task: Literal["check"] = "check"
    files: tuple[Path, ...] = ()
    valid: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()
    model: str = ""
    show: int = Field(0, ge=0)
    config: ConfigSource = Field(default_factory=dict)


class TokenizeJob(Job):
    """Counts the tokens of the config's data."""

    task: Literal["tokenize"] = "tokenize"
    config: ConfigSource


class PreviewJob(Job):
    """Shows examples of the config's data as the model will see them, one a command."""

    task: Literal["preview"] = "preview"
    config: ConfigSource


class RowsJob(Job):
    """Shows rows of a file as they stand in it, read as the config says, and saves edits of them."""

    task: Literal["rows"] = "rows"
    file: Path
    config: ConfigSource = Field(default_factory=dict)


class GenerateJob(Job):
    """Answers questions, one a command: a column for each adapter, None for the base itself.

    ``strengths`` say how much of each adapter is put on the base, one for each; none at all is 1 for all.
    """

    task: Literal["generate"] = "generate"
    model: str
    adapters: tuple[str | None, ...] = (None,)
    strengths: tuple[Strength, ...] = ()


class AskedScores(WirePart):
    """Which reward functions score the answers to how many examples; ``max_tokens`` is the longest answer."""

    functions: tuple[str, ...] = ()
    limit: Annotated[int, Field(ge=1)] = 50
    max_tokens: Annotated[int, Field(ge=1)] = 128


class EvaluateJob(Job):
    """Measures losses (and scores, where functions are named) of a base and of adapters on the rows of a file.

    ``strengths`` are those of `GenerateJob`. With neutral tokens in the config also what each has forgotten.
    """

    task: Literal["evaluate"] = "evaluate"
    model: str
    adapters: tuple[str | None, ...] = (None,)
    strengths: tuple[Strength, ...] = ()
    data: Path
    config: ConfigSource = Field(default_factory=dict)
    scores: AskedScores = AskedScores()
    reward_file_sha256: str = ""


class HubSearchJob(Job):
    """Asks the hub for models: by words, a name, or a page's address."""

    task: Literal["hub_search"] = "hub_search"
    query: str = ""
    mlx_only: bool = False
    limit: int = 30


class HubDownloadJob(Job):
    """Downloads a model; ``models_dir`` empty is the hub's own cache, None what the settings say."""

    task: Literal["hub_download"] = "hub_download"
    model: str
    models_dir: str | None = None


class HubLoginJob(Job):
    """Looks after the access token: ``login`` waits for the command that gives it."""

    task: Literal["hub_login"] = "hub_login"
    action: Literal["login", "logout", "status"] = "login"


class ConvertJob(Job):
    """Quantizes a model into the folder ``out``; ``quantization`` is a name in `app.core.model.conversion`."""

    task: Literal["convert"] = "convert"
    model: str
    out: Path
    quantization: str = "4bit"


class ExportJob(Job):
    """Writes a tuned model into the new folder ``out`` in a ``format`` of `app.core.export.format`.

    ``source`` is a run, an adapter's folder or a checkpoint's file, ``checkpoint`` one of a run's (best, last or an
    iteration; empty: what the run keeps). ``model`` is the base, if it is not where run or adapter say.
    The certificate is made with at most ``prompts`` prompts; 0 makes none.
    """

    task: Literal["export"] = "export"
    source: Path
    checkpoint: str = ""
    model: str = ""
    format: str
    out: Path
    options: dict[str, str | float | bool] = Field(default_factory=dict)
    prompts: int = Field(50, ge=0, le=50)


class BundleJob(Job):
    """Seals a setup for another machine as ``out``: a folder, or an archive if its name ends like one.

    ``with_model`` takes the model's files along; else it is loaded from the hub there, as ``torch_model`` where
    that is given. ``four_bit`` loads it in 4 bit. With a ``kaggle_user`` Kaggle's own files are there as well.
    ``same_start`` brings the values that the adapter begins with here.
    """

    task: Literal["bundle"] = "bundle"
    config: ConfigSource
    out: Path
    with_model: bool = False
    torch_model: str = ""
    four_bit: bool = False
    kaggle_user: str = ""
    same_start: bool = True


class RemoteStartJob(Job):
    """Seals a setup as `BundleJob` does and starts it at a place.

    ``offer`` is the name of its hardware, ``host`` and ``ssh`` are for a machine that ssh reaches; ``python`` is
    one there that has all, ``user`` a name at the place.
    """

    task: Literal["remote_start"] = "remote_start"
    config: ConfigSource
    place: str
    offer: str = ""
    host: str = ""
    ssh: str = "ssh"
    python: str = ""
    user: str = ""
    with_model: bool = False
    torch_model: str = ""
    four_bit: bool = False


class RemoteJob(Job):
    """Asks about a place or a run elsewhere: ``offers`` and ``key`` (which waits for `GiveToken`) of a ``place``;
    ``attend`` (follows until it is here), ``stop``, ``status``, ``close`` (gives its machine back) of a ``run``."""

    task: Literal["remote"] = "remote"
    action: Literal["offers", "key", "attend", "stop", "status", "close"]
    place: str = ""
    run: Path | None = None


class ServeJob(Job):
    """Serves a tuned model on this machine until it is told to stop; ``source`` is that of `ExportJob`.

    ``port`` 0 finds a free one, an empty ``key`` makes one. The rest is what a request gets that does not say
    otherwise; ``temp`` 0 always takes the likeliest token.
    """

    task: Literal["serve"] = "serve"
    source: Path
    checkpoint: str = ""
    model: str = ""
    strength: Strength = 1.0
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    key: str = ""
    temp: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 512


class MergeJob(Job):
    """Merges adapters of one base (runs, folders or checkpoints), measures all of them, and writes the new one.

    ``method`` is a name in `app.core.export.merge`; ``weights`` are one for each, none at all is 1 for all.
    ``rank`` None is the sum of the ranks for linear, else the largest. Without ``out`` nothing is written.
    ``data`` None are the held-out rows of the first run.
    """

    task: Literal["merge"] = "merge"
    adapters: tuple[Path, ...]
    weights: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    method: str = "linear"
    density: Annotated[float, Field(gt=0, le=1)] = 0.5
    rank: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    model: str = ""
    data: Path | None = None
    config: ConfigSource = Field(default_factory=dict)
    out: Path | None = None


class BenchmarkJob(Job):
    """Measures tasks of lm-eval on a base and on adapters. ``strengths`` are those of `GenerateJob`.

    ``include_path`` is a folder with tasks of one's own. ``shots`` and ``limit`` None are the tasks' own. ``chat``
    writes requests with the model's chat template. Data is downloaded only where ``download`` allows it.
    """

    task: Literal["benchmark"] = "benchmark"
    model: str
    adapters: tuple[str | None, ...] = (None,)
    strengths: tuple[Strength, ...] = ()
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    include_path: Path | None = None
    shots: Annotated[int, Field(ge=0)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    chat: bool = False
    download: bool = False
    seed: int = 0


class TrackJob(Job):
    """Gives the figures of a run of the past to trackers; ``report_to`` and ``project`` are a config's.

    Files go to ``out``, by default into the run's own folder.
    """

    task: Literal["track"] = "track"
    run: Path
    report_to: str = "tensorboard"
    project: str = ""
    out: Path | None = None


class RewardJob(Job):
    """Runs the user's own reward functions, each score within ``timeout_s`` seconds."""

    task: Literal["reward"] = "reward"
    file: Path
    timeout_s: float


class ReplicaJob(Job):
    """Computes shares of the batches of a run that number 0 trains; ``number`` is this replica's, ``size`` all.

    ``model`` is the base's folder (from the home folder on where it begins with ``~``), ``config`` the run's
    concrete one. ``addresses`` are ``ip:port`` of each replica's connections, ``devices`` JACCL's RDMA devices.
    """

    task: Literal["replica"] = "replica"
    number: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=2)]
    model: str
    config: dict[str, JsonValue] | None = None
    backend: str
    addresses: tuple[tuple[str, ...], ...]
    devices: tuple[JsonValue, ...] = ()


class HostsJob(Job):
    """Starts a replica on each host of a hostfile (its content), compares versions and the model, joins them in one
    group and measures how fast they exchange."""

    task: Literal["hosts"] = "hosts"
    hostfile: dict[str, JsonValue]
    model: str


class MeasureJob(Job):
    """Trains the folder's run for whole epochs with one trainer of the speed table, and says what each epoch took.

    ``stock`` is mlx-lm's own trainer as it comes, ``stock_sorted`` the same with its rows sorted by their lengths,
    as it means to sort them.
    """

    task: Literal["measure"] = "measure"
    trainer: Literal["luthier", "stock", "stock_sorted"] = "luthier"
    epochs: Annotated[int, Field(ge=1)] = 2


AnyJob: TypeAlias = (
    TrainJob | ProbeJob | InspectJob | CheckJob | TokenizeJob | PreviewJob | RowsJob | GenerateJob
    | EvaluateJob | HubSearchJob | HubDownloadJob | HubLoginJob | ConvertJob | ExportJob | BundleJob
    | RemoteStartJob | RemoteJob | ServeJob | MergeJob | BenchmarkJob | TrackJob | RewardJob | ReplicaJob
    | HostsJob | MeasureJob
)  # fmt: skip


@cache
def _adapter() -> TypeAdapter[AnyJob]:
    """Made when something is first read: the window opens before."""
    return TypeAdapter(Annotated[AnyJob, Field(discriminator="task")])


JOBS: dict[str, type[AnyJob]] = {kind.model_fields["task"].default: kind for kind in get_args(AnyJob)}


def write_job(folder: Path, job: Job) -> None:
    """Writes ``job.json``: what the worker is to do."""
    folder.mkdir(parents=True, exist_ok=True)
    # ASCII: the name of a file may hold bytes that are no UTF-8, which Python keeps as lone surrogates.
    (folder / JOB_FILE).write_text(json.dumps(job.model_dump(mode="json"), indent=1), encoding="ascii")


def read_job(folder: Path) -> AnyJob:
    """The job in a folder. Raises `RefusedError` in words, `OSError` if there is no file.

    A job that an older version wrote, as a run that waits may have one, loses the fields that are no more; one of
    this version must not have any that is unknown, and none of a newer version is begun half understood.
    """
    try:
        tree = parsed_json((folder / JOB_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(tr("It is no JSON: {error}.", error=error)) from error
    if not isinstance(tree, dict):
        raise RefusedError(tr("It is no JSON object."))
    return parse_job(tree)


def parse_job(tree: dict[str, Any]) -> AnyJob:
    """The job of a JSON object, as `read_job` reads it."""
    task, written = tree.get("task"), tree.get("protocol", 1)
    if not isinstance(task, str):
        raise RefusedError(tr("It names no task."))
    if task not in JOBS:
        raise RefusedError(tr("There is no task `{task}`.", task=task))
    if isinstance(written, int) and written > PROTOCOL_VERSION:
        raise RefusedError(
            tr(
                "It is of version {written} of the protocol; this Luthier knows {protocol_version}.",
                written=written,
                protocol_version=PROTOCOL_VERSION,
            )
        )
    if isinstance(written, int) and written < PROTOCOL_VERSION:
        known = JOBS[task].model_fields
        tree = {name: value for name, value in tree.items() if name in known} | {"protocol": written}
    try:
        return _adapter().validate_python(tree)
    except ValidationError as error:
        raise RefusedError(refusal_text(tr("the job `{task}`", task=task), error)) from error
