"""The reward process: the user's own reward functions, in a process of their own with a time limit.

Whatever the file does (raise, loop for ever, crash, return nonsense) ends that process at worst, and comes back as
a sentence with the file's line. The limit is kept by a thread of the C library (`faulthandler`), so that it holds
even for code that never lets another Python thread run.
"""

from __future__ import annotations

import faulthandler
import math
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.method.reward import REGISTERED, register_reward_function
from app.core.problem import TaskError
from app.core.protocol import event
from app.core.protocol.client import WorkerClient
from app.core.protocol.command import ScoreAnswers
from app.core.protocol.job import RewardJob, write_job
from app.core.quantity import plural
from app.core.system.leftover import temporary_prefix
from app.core.system.reward_trust import own_modules
from app.core.typed_path import typed_path
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING

TRACE_FILE = "trace.txt"
# Where mlx-lm-lora's users import the decorator from.
FOREIGN_MODULES = ("mlx_lm_lora", "mlx_lm_lora.reward_functions", "mlx_lm_lora.trainer",
                   "mlx_lm_lora.trainer.grpo_reward_functions")  # fmt: skip
MODULE_NAME = "luthier_reward_file"
HINT = tr("Correct the file; the run goes on with 'resume' from where it stopped.")

Scores = dict[str, list[float]]
NO_LISTS = (str, bytes, Mapping, Set)
# Gradients that grow with a score overflow beyond it, their squares being added up in float32.
LARGEST_SCORE = 1e12


class RewardProcess:
    """The parent's end: starts the process when it is first asked, and ends it with `close`."""

    def __init__(self, file: Path, timeout_s: float) -> None:
        self._file, self._timeout_s = typed_path(file).resolve(), timeout_s
        self._folder: Path | None = None
        self._client: WorkerClient | None = None
        self._events: Any = None

    def score(
        self, names: Sequence[str], prompts: list[str], completions: list[str], answers: list[str], types: list[Any]
    ) -> Scores:
        """The scores by function; raises `TaskError` with file and line if there are none."""
        client = self._client or self._start()
        client.send(
            ScoreAnswers(
                names=tuple(names),
                prompts=tuple(prompts),
                completions=tuple(completions),
                answers=tuple(answers),
                types=tuple(types),
            )
        )
        for said in self._events:
            if isinstance(said, event.Result) and said.name == "scores":
                scores: Scores = said.data["scores"]
                return scores
            if isinstance(said, event.Result) and said.name == "fault":
                raise TaskError(str(said.data["message"]), HINT)
            if isinstance(said, event.Failed):
                break
        raise TaskError(self._silence(), HINT)

    def close(self) -> None:
        """Ends the process."""
        if self._client is not None:
            self._client.kill()
            self._client.close()
            self._client = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> WorkerClient:
        self._folder = Path(tempfile.mkdtemp(prefix=temporary_prefix("reward")))
        write_job(self._folder, RewardJob(file=self._file, timeout_s=self._timeout_s))
        self._client = WorkerClient(self._folder)
        self._events = self._client.events()
        return self._client

    def _silence(self) -> str:
        """Why the process ended without an answer."""
        assert self._folder is not None
        assert self._client is not None
        self._client.close()
        trace = self._folder / TRACE_FILE
        text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
        if "Timeout" in text:
            at = re.search(rf'File "{re.escape(str(self._file))}", line (\d+)', text)
            where = f"{self._file}:{at[1]}" if at else str(self._file)
            return tr(
                "{where}: The rewards took longer than {timeout_s:g}\u00a0s.",
                where=where,
                timeout_s=self._timeout_s,
            )
        code = self._client.exit_code
        return tr(
            "{file}: The process of the reward functions ended by itself (exit code {code}).",
            file=self._file,
            code=code,
        )


# -- the child's end ----------------------------------------------------------------------------------------------


def serve_rewards(channel: Channel, job_dir: Path, job: RewardJob) -> None:
    """The task ``reward``: answers every `ScoreAnswers` until the end of input."""
    file, timeout_s = job.file, job.timeout_s
    functions: dict[str, Callable[..., Any]] | None = None
    _limit_memory()
    with (job_dir / TRACE_FILE).open("w", encoding="utf-8") as trace:
        while not isinstance(command := channel.wait(), ENDING):
            if not isinstance(command, ScoreAnswers):
                channel.decline(command)
                continue
            faulthandler.dump_traceback_later(timeout_s, exit=True, file=trace)
            try:
                functions = functions if functions is not None else _load(file)
                data = {"scores": _scores(functions, file, command)}
                channel.emit(event.Result(name="scores", data=data))
            except _FaultError as error:
                channel.emit(event.Result(name="fault", data={"message": str(error)}))
            finally:
                faulthandler.cancel_dump_traceback_later()
    channel.emit(event.Finished())


class _FaultError(Exception):
    """What is wrong with the user's file, as a sentence with file and line."""


def _load(file: Path) -> dict[str, Callable[..., Any]]:
    """Runs the file; its registered functions, and all others that it defines, by name."""
    for name in FOREIGN_MODULES:
        module = types.ModuleType(name)
        vars(module)["register_reward_function"] = register_reward_function
        sys.modules[name] = module
    module = types.ModuleType(MODULE_NAME)
    module.__file__ = str(file)
    vars(module)["register_reward_function"] = register_reward_function
    sys.modules[MODULE_NAME] = module
    sys.path.insert(0, str(file.parent))
    allowed = {*own_modules(file)}
    sys.meta_path.insert(0, _OwnFolder(file.parent, allowed))
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), vars(module))  # nosec B102 # allowed by the person
    except BaseException as error:  # SystemExit too: whatever the file does is told
        raise _FaultError(_told(error, file)) from error
    defined = {name: item for name, item in vars(module).items() if isinstance(item, types.FunctionType)}
    return defined | REGISTERED


class _OwnFolder(MetaPathFinder):
    """Refuses modules of the file's folder that could not be seen when a person said that the file may run."""

    def __init__(self, folder: Path, allowed: set[Path]) -> None:
        self._folder, self._allowed = folder, allowed

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> None:  # noqa: ARG002
        found = PathFinder.find_spec(fullname, path)
        place = Path(found.origin).resolve() if found is not None and found.origin else None
        if place is not None and place.is_relative_to(self._folder) and place not in self._allowed:
            raise ImportError(
                tr(
                    "{place} is imported in a way that nobody could see beforehand: write `import {fullname}`",
                    place=place,
                    fullname=fullname,
                )
            )


def _limit_memory() -> None:
    """Half of the machine's memory, where the system keeps such limits: the rest is the training's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (total // 2 if most < 0 else min(total // 2, most), most))


def _scores(functions: dict[str, Callable[..., Any]], file: Path, command: ScoreAnswers) -> Scores:
    found: Scores = {}
    for name in command.names:
        if name not in functions:
            raise _FaultError(tr("{file}: There is no function {name}.", file=file, name=name))
        function = functions[name]
        given = [list(texts) for texts in (command.prompts, command.completions, command.answers)]
        try:
            values = function(*given, types=list(command.types))
            if isinstance(values, Iterator):  # what it makes of the answers only when it is read
                values = list(islice(values, len(command.completions) + 1))
        except BaseException as error:
            raise _FaultError(_told(error, file)) from error
        found[name] = _checked(values, len(command.completions), f"{file}:{_first_line(function)}: {name}")
    return found


def _first_line(function: Callable[..., Any]) -> int:
    """Where it begins; 1 for what is called like a function and is none."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else 1


def _checked(values: Any, count: int, where: str) -> list[float]:
    """One finite number an answer; None, which means that a function does not judge an answer, counts as 0.

    What has no order of its own, or holds something else beside its numbers, is no list of them.
    """
    if isinstance(values, NO_LISTS):
        raise _FaultError(
            tr("{where} returns no list of numbers: it is {kind}.", where=where, kind=type(values).__name__)
        )
    try:
        scores = [0.0 if value is None else float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise _FaultError(tr("{where} returns no list of numbers: {error}.", where=where, error=error)) from error
    if len(scores) != count:
        raise _FaultError(
            tr(
                "{where} returns {scores} for {count}.",
                where=where,
                scores=plural(len(scores), "score"),
                count=plural(count, "answer"),
            )
        )
    if not all(math.isfinite(score) for score in scores):
        raise _FaultError(tr("{where} returns a score that is not finite.", where=where))
    if any(abs(score) > LARGEST_SCORE for score in scores):
        said = tr("{where} returns {score:g}: scores beyond {largest:g} cannot be trained on.", where=where,
                  score=max(scores, key=abs), largest=LARGEST_SCORE)  # fmt: skip
        raise _FaultError(said)
    return scores


def _told(error: BaseException, file: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    where = f"{file}:{line}" if line is not None else str(file)
    return f"{where}: {type(error).__name__}: {error}"
