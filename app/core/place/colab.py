"""Google Colab, through Google's own program `colab` (google-colab-cli): a session with a GPU, and a shell in it.

Without the program there is the bundle's notebook, which a person opens there.
"""

from __future__ import annotations

import json
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.core.bundle.archive import unpack
from app.core.installation import program_hint
from app.core.language import tr
from app.core.place.place import Asked, Offer, Place, PlaceStanding, Tell
from app.core.place.program import program_problem, run_client
from app.core.problem import Problem, UnusableError
from app.core.remote.control import (
    fetch_there,
    is_alive_there,
    log_tail_there,
    send_bundle,
    start_there,
    stop_there,
)
from app.core.remote.follower import Link
from app.core.remote.record import RemoteRun
from app.core.system.leftover import temporary_prefix

COLAB = "colab"
HOME = "/content"
_PACK = "luthier.tar.gz"
_MARK = "luthier-answer "
# GPUs by the program's own names; what they cost is told in compute units by Colab only.
GPUS = (("T4", 16.0), ("L4", 24.0), ("A100", 40.0), ("H100", 80.0))
_ASK = """
import json, subprocess
done = subprocess.run(["sh", "-c", {script}], capture_output=True, text=True, errors="replace", cwd={home})
print({mark} + json.dumps([done.returncode, done.stdout, done.stderr[-2000:]]))
"""


class ColabShell:
    """The shell of a session: what is asked runs in its kernel, one thing after the other."""

    def __init__(self, session: str, home: str = HOME) -> None:
        self._session, self._home = session, home

    def run(self, script: str) -> str:
        """What a script says; raises `UnusableError` where it fails."""
        code = _ASK.format(script=json.dumps(script), home=json.dumps(self._home), mark=json.dumps(_MARK))
        printed = self._colab(["exec", "-s", self._session], code)
        for line in printed.splitlines():
            if line.startswith(_MARK):
                code_there, said, wrong = json.loads(line.removeprefix(_MARK))
                if code_there:
                    lines = str(wrong).strip().splitlines() or [
                        tr("it ended with {code_there}", code_there=code_there)
                    ]
                    raise UnusableError([Problem("place", tr("The Colab session: {lines}", lines=lines[-1]))])
                return str(said)
        raise UnusableError(
            [Problem("place", tr("The Colab session {session} did not answer.", session=self._session))]
        )

    def copy_there(self, folder: Path, place: str) -> None:
        """Sends a folder as one file, and unpacks it there."""
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("colab")) as temporary:
            packed = Path(temporary) / _PACK
            with tarfile.open(packed, "w:gz") as archive:
                archive.add(folder, ".")
            remote = f"{self._home}/{_PACK}"
            self._colab(["upload", "-s", self._session, str(packed), remote])
            there = shlex.quote(place)
            self.run(f"mkdir -p {there} && tar -xzf {_PACK} -C {there} && rm {_PACK}")

    def copy_here(self, place: str, folder: Path, leave_out: Sequence[str] = ()) -> None:
        """Brings a folder as one file."""
        leave = " ".join(f"--exclude={shlex.quote('./' + one)}" for one in leave_out)
        self.run(f"tar -czf {_PACK} {leave} -C {shlex.quote(place)} .")
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("colab")) as temporary:
            packed = Path(temporary) / _PACK
            self._colab(["download", "-s", self._session, f"{self._home}/{_PACK}", str(packed)])
            folder.mkdir(parents=True, exist_ok=True)
            unpack(packed, folder)

    def _colab(self, words: list[str], given: str = "") -> str:
        return run_client([COLAB, *words], "Colab", given=given)


class _ColabLink(Link):
    """Asks again and again: a session has no line that stays open."""

    def __init__(self, run: RemoteRun, shell: ColabShell, pause_s: float) -> None:
        super().__init__()
        self._run, self._shell, self._pause_s = run, shell, pause_s

    def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:
        import time

        folder = shlex.quote(self._run.folder)
        while True:
            try:
                # Whether it lives is asked first, or its last words could be missed.
                alive = is_alive_there(self._shell, self._run)
                said = self._shell.run(f"tail -c +{at + 1} {folder}/run/events.jsonl 2>/dev/null || true")
            except UnusableError as error:
                self.said = error.problems[0].message
                return
            piece = said.encode()
            if piece:
                yield at, piece
                at += len(piece)
            elif not alive:
                self.has_ended = True
                return
            else:
                time.sleep(self._pause_s)


class ColabPlace(Place):
    """One session for each run."""

    name = "colab"
    label = "Google Colab"
    sends_to = tr("Google's data centers")
    has_offers = True
    needs = tr(
        "Google's program `colab`, logged in with a Google "
        "account. Without it: File › Export Setup as Bundle, and open the bundle's notebook at "
        "colab.research.google.com."
    )
    costs = tr(
        "Colab's compute units an hour, more for larger GPUs; a T4 may be free for a while. "
        "Colab alone tells the price, and ends a session after a day at the latest. Luthier ends "
        "it when the run is here."
    )
    stops = tr("It saves its adapter and ends; then it is brought here, and the session is ended.")
    polls_s = 3.0
    home = HOME

    def missing(self) -> list[Problem]:
        how = tr(
            "{gets} Then `colab new` once to log in; or use the bundle's notebook.",
            gets=program_hint(COLAB, "google-colab-cli"),
        )
        return [*super().missing(), *program_problem(COLAB, "Google", how)]

    def offers(self) -> list[Offer]:
        note = tr("paid in compute units, whose price Colab tells")
        return [Offer(name, name, memory, None, note) for name, memory in GPUS]

    def _shell(self, run: RemoteRun) -> ColabShell:
        return ColabShell(str(run.details["session"]), self.home)

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        offer = self.chosen(asked)
        session = f"luthier-{run.name}"
        run = run.with_details(
            session=session,
            folder=f"{self.home}/luthier/{run.name}",
            where=tr("Colab, {label}", label=offer.label),
            offer=offer.name,
        )
        try:
            told(tr("Asking Colab for a {label}", label=offer.label))
            run_client([COLAB, "new", "-s", session, "--gpu", offer.name], "Colab")
            told(tr("Sending the bundle"))
            send_bundle(self._shell(run), folder, run)
            told(tr("Starting it there"))
            start_there(self._shell(run), run, asked.python)
        except BaseException:
            try:
                self.release(run)
            except UnusableError:
                run.with_details(trouble=tr("It did not start, and its session could not be ended."))
            else:
                run.discard()
            raise
        return run

    def standing(self, run: RemoteRun) -> PlaceStanding:
        said = run_client([COLAB, "status", "-s", str(run.details["session"])], "Colab").strip()
        gone = "not found" in said
        return PlaceStanding(
            not gone, said.removeprefix("[colab] ") or tr("Colab says nothing of it."), is_gone=gone
        )

    def connect(self, run: RemoteRun, pause_s: float) -> Link:
        return _ColabLink(run, self._shell(run), max(pause_s, self.polls_s))

    def stop(self, run: RemoteRun) -> bool:
        return stop_there(self._shell(run), run)

    def fetch(self, run: RemoteRun) -> Path:
        return fetch_there(self._shell(run), run)

    def release(self, run: RemoteRun) -> None:
        run_client([COLAB, "stop", "-s", str(run.details["session"])], "Colab")

    def log_tail(self, run: RemoteRun) -> str:
        return log_tail_there(self._shell(run), run)
