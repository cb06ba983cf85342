"""Kaggle, through its own program `kaggle`: the bundle as a private data set, its notebook as a private kernel.

Written for the program's version 2.2 (`kernels push`, `kernels logs --follow`, `kernels output`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.core.bundle.launch import KAGGLE_DATA, KERNEL, kaggle_of
from app.core.bundle.notebook import NOTEBOOK
from app.core.bundle.recipe import RECIPE
from app.core.installation import program_hint
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.place.key import PlaceKey
from app.core.place.log_link import LogLink, plain_log
from app.core.place.place import Asked, Offer, Place, PlaceStanding, Tell
from app.core.place.program import last_words, program_environment, program_problem, run_client
from app.core.place.service import wait_until
from app.core.problem import Problem, UnusableError
from app.core.protocol.job import LOG_FILE, RUN_CONFIG
from app.core.remote.control import CHECKPOINTS, NothingYetError
from app.core.remote.follower import Link
from app.core.remote.record import RemoteRun
from app.core.system.leftover import temporary_prefix

KAGGLE = "kaggle"
PAGE = "https://www.kaggle.com/code"
# By Kaggle's own names, as its program lists them in September 2026; other GPUs are for those whom Kaggle lets.
GPUS_THERE = (("NvidiaTeslaT4", "T4", 16.0), ("NvidiaL4X1", "L4", 24.0))
_STATUS = re.compile(r'has status "(?:\w+\.)?(\w+)"')
_GOING = ("queued", "running", "new_script")


class KagglePlace(Place):
    """One kernel for each run. It cannot be stopped from here: Kaggle's program has no word for it."""

    name = "kaggle"
    label = tr("Kaggle")
    sends_to = tr("Kaggle (Google)")
    key = PlaceKey("Kaggle API token", "KAGGLE_API_TOKEN", "kaggle.com/settings/api")
    has_offers = True
    needs_user = True
    needs = tr(
        "Kaggle's program `kaggle`, an account whose telephone number is verified, "
        "its name, and an API token (or `kaggle auth login`). The bundle becomes a private data "
        "set there, and its notebook a private kernel."
    )
    costs = tr(
        "No money: hours of the account's weekly quota of GPUs, which `kaggle quota` tells; a "
        "session ends after 12 hours at the latest. What was uploaded is deleted there when the "
        "run is here."
    )
    stops = tr("Kaggle's program cannot stop a session: it is stopped on its page.")
    ready_within_s = 900.0
    pause_s = 10.0

    def missing(self) -> list[Problem]:
        found = super().missing()
        folder = Path.home() / ".kaggle"
        if any((folder / name).is_file() for name in ("access_token", "kaggle.json", "credentials.json")):
            found = [problem for problem in found if problem.path != "key"]  # its program is logged in by itself
        return [*found, *program_problem(KAGGLE, tr("Kaggle"), program_hint(KAGGLE, KAGGLE))]

    def offers(self) -> list[Offer]:
        note = tr("of the weekly quota")
        with suppress(UnusableError):
            hours = re.search(r"GPU\s+([\d.]+)h\s+([\d.]+)h\s+([\d.]+)h", self._kaggle(["quota"]))
            if hours:
                note = tr("{hours} of {hours2} hours are left this week", hours=hours[2], hours2=hours[3])
        return [Offer(name, label, memory, 0.0, note) for name, label, memory in GPUS_THERE]

    def _secrets(self) -> dict[str, str]:
        assert self.key is not None
        return {self.key.variable: self.key.read()}

    def _kaggle(self, words: list[str], at: Path | None = None) -> str:
        return run_client([KAGGLE, *words], tr("Kaggle"), self._secrets(), at=at)

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", asked.user):
            said = tr("Kaggle needs the account's name, which stands in the address of its page.")
            raise UnusableError([Problem("user", said, hint=tr("--user NAME gives it."))])
        offer = self.chosen(asked)
        recipe = parsed_json((folder / RECIPE).read_text(encoding="utf-8"))
        kernel, data = kaggle_of(recipe, asked.user, _slug(run.name))
        run = run.with_details(
            kernel=kernel["id"],
            data=data["id"],
            where=tr("Kaggle, {label}", label=offer.label),
            page=f"{PAGE}/{kernel['id']}",
        )
        try:
            self._upload(folder, kernel, data, offer.name, told)
        except BaseException:
            with suppress(UnusableError):
                self.release(run)
            run.discard()
            raise
        return run

    def _upload(
        self, folder: Path, kernel: dict[str, object], data: dict[str, object], gpu: str, told: Tell
    ) -> None:
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("kaggle")) as temporary:
            told(tr("Sending the bundle to Kaggle"))
            sent = Path(temporary) / "data"
            shutil.copytree(folder, sent)
            (sent / KAGGLE_DATA).write_text(json.dumps(data), encoding="utf-8")
            said = self._kaggle(["datasets", "create", "-p", str(sent), "-r", "zip"])
            if "error" in said.casefold():
                raise UnusableError([Problem("place", tr("Kaggle: {last_words}", last_words=last_words(said)))])

            def ready() -> bool | None:
                told(tr("Waiting for Kaggle to unpack it"))
                return True if "ready" in self._kaggle(["datasets", "status", str(data["id"])]) else None

            if wait_until(ready, self.ready_within_s, self.pause_s) is None:
                raise UnusableError(
                    [Problem("place", tr("Kaggle did not unpack the bundle in a quarter of an hour."))]
                )
            told(tr("Starting it there"))
            pushed = Path(temporary) / "kernel"
            pushed.mkdir()
            shutil.copyfile(folder / NOTEBOOK, pushed / NOTEBOOK)
            (pushed / KERNEL).write_text(json.dumps(kernel), encoding="utf-8")
            said = self._kaggle(["kernels", "push", "-p", str(pushed), "--accelerator", gpu])
            if "successfully pushed" not in said or "not valid dataset sources" in said:
                raise UnusableError([Problem("place", tr("Kaggle: {last_words}", last_words=last_words(said)))])

    def status(self, run: RemoteRun) -> str:
        """Kaggle's own word: queued, running, complete, error, cancel_acknowledged."""
        found = _STATUS.search(self._kaggle(["kernels", "status", str(run.details["kernel"])]))
        return found[1].lower() if found else "unknown"

    def standing(self, run: RemoteRun) -> PlaceStanding:
        status = self.status(run)
        return PlaceStanding(
            status in _GOING,
            tr("The kernel {kernel} says {status}.", kernel=run.details["kernel"], status=status),
            0.0,
        )

    def connect(self, run: RemoteRun, pause_s: float) -> Link:  # noqa: ARG002  # its log comes by itself
        return _KaggleLink(self, run)

    def log_process(self, run: RemoteRun) -> subprocess.Popen[str]:
        """The program that prints the kernel's log as it comes, from its beginning."""
        words = [KAGGLE, "kernels", "logs", str(run.details["kernel"]), "--follow"]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env=program_environment(self._secrets()),
        )  # fmt: skip

    def stop(self, run: RemoteRun) -> bool:
        if self.status(run) not in _GOING:
            return False
        said = tr("Kaggle's program cannot stop a session. Stop it at {page}", page=run.details["page"])
        raise UnusableError(
            [Problem("name", said, hint=tr("What it has written by then comes with `luthier remote fetch`."))]
        )

    def fetch(self, run: RemoteRun) -> Path:
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("kaggle")) as temporary:
            self._kaggle(["kernels", "output", str(run.details["kernel"]), "-p", temporary, "-o", "-q"])
            made = Path(temporary) / "run"
            for log in Path(temporary).glob("*.log"):
                said = plain_log(iter(log.read_text(encoding="utf-8", errors="replace").splitlines()))
                (run.path / LOG_FILE).write_text(said, encoding="utf-8")
            if not (made / RUN_CONFIG).is_file():
                raise NothingYetError(run)
            shutil.copytree(made, run.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CHECKPOINTS))
        return run.path

    def release(self, run: RemoteRun) -> None:
        """Deletes what was uploaded: the user's data is nobody's there any more."""
        for words in (["kernels", "delete", str(run.details["kernel"]), "--yes"],
                      ["datasets", "delete", str(run.details["data"]), "--yes"]):  # fmt: skip
            with suppress(UnusableError):  # not there, or of an older program: nothing costs
                self._kaggle(words)

    def log_tail(self, run: RemoteRun) -> str:
        lines = self._kaggle(["kernels", "logs", str(run.details["kernel"])]).splitlines()
        return "\n".join(plain_log(iter(lines)).splitlines()[-15:])


class _KaggleLink(LogLink):
    def __init__(self, place: KagglePlace, run: RemoteRun) -> None:
        super().__init__()
        self._place, self._run = place, run
        self._process: subprocess.Popen[str] | None = None

    def lines(self) -> Iterator[str]:
        self._process = self._place.log_process(self._run)
        assert self._process.stdout is not None
        last = ""
        for line in self._process.stdout:
            last = line.strip() or last
            yield line
        self._process.wait()
        try:
            self.has_ended = self._place.status(self._run) not in _GOING
        except UnusableError as error:
            last = error.problems[0].message
        self.said = last or self.said

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


def _slug(name: str) -> str:
    """A run's name as Kaggle takes it: small letters, digits and dashes, not too long."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"luthier-{word}"[:42].strip("-")
