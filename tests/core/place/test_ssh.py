"""A host of one's own asked how a run stands, and watched from the command line over a link that breaks once."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.place.place import Asked
from app.core.place.ssh import SshPlace
from app.core.protocol import event
from app.core.remote.follower import ShellLink
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, read_remote
from app.core.run.folder import runs_dir
from tests.ssh_server import bundle, home

pytestmark = pytest.mark.usefixtures("own_home")

PLACE = SshPlace()
PLACE.waits_s = (0.0,)


def started(sshd: SshHost, tmp_path: Path) -> RemoteRun:
    """A run that goes on until it is told to end."""
    asked = Asked(host=sshd.name, ssh=shlex.join(sshd.ssh), python=sys.executable)
    return PLACE.start(bundle(tmp_path / "bundle", 1_000_000), asked, lambda _: None)


def test_a_link_that_breaks_while_one_watches_is_told(
    sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[ShellLink] = []

    class Breaking(ShellLink):
        def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:
            for piece in super().pieces(at):
                yield piece
                if not cut:
                    cut.append(self)
                    self.cut()
                    (home(sshd) / run.folder / "enough").touch()

    run = started(sshd, tmp_path)
    monkeypatch.setattr(SshPlace, "connect", lambda _, run, __: Breaking(run, 0.02))
    monkeypatch.setattr(SshPlace, "waits_s", (0.0,))
    assert run_command(["remote", "watch", run.name]) == 0
    said = capfd.readouterr()
    told = "The link broke (the connection was closed); trying again. The run goes on meanwhile."
    assert [line for line in said.err.splitlines() if "link" in line] == [told]
    assert said.out.endswith(f"It is here  {run.path}\n")


def test_how_a_run_stands_and_what_it_printed_last_is_asked(
    sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = started(sshd, tmp_path)
    log = home(sshd) / run.folder / "log.txt"
    coming = PLACE.attend(run, lambda _: None, pause_s=0.02)
    next(coming)
    assert PLACE.standing(run).alive
    assert run_command(["remote", "status", run.name]) == 0
    assert capfd.readouterr().out == f"It runs on {sshd.name}.\n"
    assert PLACE.log_tail(run) == "a word for the log\n"
    assert PLACE.stop(run)
    assert isinstance(list(coming)[-1], event.Finished)
    log.write_text("".join(f"line {number}\n" for number in range(20)))
    assert PLACE.log_tail(run) == "".join(f"line {number}\n" for number in range(5, 20))
    log.unlink()
    assert PLACE.log_tail(run) == ""
    assert run_command(["remote", "status", run.name, "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "name": run.name, "alive": False, "said": f"It does not run on {sshd.name} any more.", "costs": None,
    }  # fmt: skip


def test_a_host_that_is_not_reached_is_no_end_of_its_run() -> None:
    run = RemoteRun(
        runs_dir() / "mine", "ssh", {"host": "gpu-box", "ssh": ["/bin/sh", "-c", "echo gone >&2; exit 255"]}
    )
    standing = PLACE.standing(run)
    assert (standing.alive, standing.said) == (True, "gpu-box is not reached: gone.")


def test_a_log_of_any_bytes_comes_over(sshd: SshHost, tmp_path: Path) -> None:
    run = started(sshd, tmp_path)
    coming = PLACE.attend(run, lambda _: None, pause_s=0.02)
    next(coming)
    with (home(sshd) / run.folder / "log.txt").open("ab") as log:
        log.write(b"caf\xe9 50 % \xe2\x96")  # Latin-1, and a bar that was cut off with its program
    assert PLACE.log_tail(run).endswith("caf\ufffd 50 % \ufffd")
    assert PLACE.stop(run)
    assert isinstance(list(coming)[-1], event.Finished)
    assert (run.path / "log.txt").read_text().endswith("caf\ufffd 50 % \ufffd")
    known = read_remote(run.path)
    assert known is not None
    assert known.is_closed


def test_what_ends_while_it_is_fetched_comes_with_its_last_weights(
    sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(sshd, tmp_path)
    next(PLACE.attend(run, lambda _: None, pause_s=0.02))  # before its first word nothing can be fetched
    there = home(sshd) / run.folder
    copy_here = SshHost.copy_here

    def ending(host: SshHost, place: str, folder: Path, leave_out: Sequence[str] = ()) -> None:
        """Copies as rsync does, one file after the other: the run writes its last ones meanwhile."""
        copy_here(host, place, folder, [*leave_out, "events.jsonl"])
        if not (there / "enough").exists():
            (there / "run" / "adapters" / "adapters.safetensors").write_text("last")
            (there / "enough").touch()
            for _ in PLACE.follow(run, lambda _: None, pause_s=0.02):
                pass

    monkeypatch.setattr(SshHost, "copy_here", ending)
    assert run_command(["remote", "fetch", run.name]) == 0
    assert run.state == "finished"
    assert (run.path / "adapters" / "adapters.safetensors").read_text() == "last"
    known = read_remote(run.path)
    assert known is not None
    assert known.is_closed
