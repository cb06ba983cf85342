"""Runs on a host that ssh reaches: started, followed over a link that breaks, stopped, fetched; and never lost.

The host is this machine, by an sshd of the test's own on the loopback; what trains is a script that says events.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.place.place import Asked
from app.core.place.ssh import SshPlace
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.remote.control import send_bundle
from app.core.remote.follower import ShellLink
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, remote_run, remote_runs
from app.core.run.catalog import RunCatalog
from app.core.run.folder import RunDir, run_state, runs_dir
from tests.ssh_server import bundle, empty_home, home, ssh_server

CUTS = 5
PLACE = SshPlace()
PLACE.waits_s = (0.0,)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as host:
        yield host


@pytest.fixture(autouse=True)
def own_home(sshd: SshHost) -> None:
    """Each test's runs are its own."""
    empty_home(sshd)


def started(sshd: SshHost, tmp_path: Path, count: int = 300) -> RemoteRun:
    return PLACE.start(bundle(tmp_path / "bundle", count), asked(sshd), lambda _: None)


def asked(sshd: SshHost) -> Asked:
    return Asked(host=sshd.name, ssh=shlex.join(sshd.ssh), python=sys.executable)


def heard(run: RemoteRun) -> list[Event]:
    """Everything that comes, over a link that never waits long."""
    return list(PLACE.attend(run, lambda _: None, pause_s=0.02))


def test_a_run_is_followed_over_a_link_that_breaks_again_and_again(
    sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[ShellLink] = []

    def connect(run: RemoteRun, pause_s: float) -> ShellLink:
        links.append(ShellLink(run, pause_s))
        return links[-1]

    monkeypatch.setattr(PLACE, "connect", connect)
    cuts = int(os.environ.get("LUTHIER_LINK_CUTS", str(CUTS)))
    run = started(sshd, tmp_path, count=1_000_000)
    source = random.Random(1)
    breaks: list[str] = []
    found: list[Event] = []
    until = source.randint(1, 40)
    for said in PLACE.attend(run, breaks.append, pause_s=0.01):
        found.append(said)
        until -= 1
        if until <= 0 and len(links) <= cuts and len(breaks) == len(links) - 1:
            links[-1].cut()
            until = source.randint(1, 40)
        if len(links) > cuts:
            (home(sshd) / run.folder / "enough").touch()
    assert len(breaks) == cuts
    there = (home(sshd) / run.folder / "run" / "events.jsonl").read_bytes()
    assert run.events_file.read_bytes() == there
    numbers = [int(said.message.partition(" ")[0]) for said in found if isinstance(said, event.Warned)]
    assert numbers == list(range(len(numbers)))
    assert isinstance(found[-1], event.Finished)
    assert run.state == "finished"


def test_who_comes_back_hears_the_rest(sshd: SshHost, tmp_path: Path) -> None:
    """The first watcher leaves; the run goes on, and is found again by its name or its host."""
    run = started(sshd, tmp_path, count=1_000_000)
    first = PLACE.attend(run, lambda _: None, pause_s=0.02)
    assert isinstance(next(first), event.Hello)
    assert run_state(RunDir(run.path), run.events()) == "preparing"
    with pytest.raises(UnusableError, match="is watched already"):
        next(PLACE.attend(run, lambda _: None))
    first.close()
    assert run_state(RunDir(run.path), run.events()) == "elsewhere"
    again = remote_run(sshd.name)
    assert again == run == remote_run(run.name) == remote_runs()[0]
    (home(sshd) / run.folder / "enough").touch()
    rest = heard(again)
    assert isinstance(rest[-1], event.Finished)
    assert run.events_file.read_bytes() == (home(sshd) / run.folder / "run" / "events.jsonl").read_bytes()
    assert heard(run) == []


def test_a_folder_that_is_there_is_no_other_runs(sshd: SshHost, tmp_path: Path) -> None:
    """Two machines may begin a run of one name in the same second: the events of both would be in one file."""
    run = started(sshd, tmp_path, count=3)
    assert len(heard(run)) == 5
    there = home(sshd) / run.folder
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    with pytest.raises(UnusableError, match="File exists"):
        send_bundle(run.host, tmp_path / "bundle", run)
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == before


def test_a_run_is_stopped_and_fetched(sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = started(sshd, tmp_path, count=100_000)
    coming = PLACE.attend(run, lambda _: None, pause_s=0.02)
    assert isinstance(next(coming), event.Hello)
    assert run_command(["remote", "stop", run.name]) == 0
    last = list(coming)[-1]
    assert isinstance(last, event.Finished)
    assert last.reason == "stopped"
    assert not PLACE.stop(run)
    assert run_command(["remote", "fetch", sshd.name, "--json"]) == 0
    said = capfd.readouterr().out
    folder = Path(json.loads(said[said.index("{") :])["path"])
    assert folder == runs_dir() / run.name
    assert (folder / "log.txt").read_text() == "a word for the log\n"
    assert not (folder / "checkpoints").exists()
    (summary,) = RunCatalog(index=tmp_path / "index").refresh()
    assert (summary.run.name, summary.recorded) == (run.name, "stopped")


def test_a_run_that_dies_without_a_word_is_told(
    sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = started(sshd, tmp_path, count=100_000)
    coming = PLACE.attend(run, lambda _: None, pause_s=0.02)
    hello = next(coming)
    assert isinstance(hello, event.Hello)
    os.kill(hello.pid, signal.SIGKILL)
    assert all(not isinstance(said, event.Finished) for said in coming)
    assert run_command(["remote", "watch", run.name]) == 1
    assert "ended without a word. Its log ends with:\na word for the log" in capfd.readouterr().err
    assert run_command(["remote", "list", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)["runs"]
    here = {"name": run.name, "place": "ssh", "where": sshd.name, "state": "crashed", "closed": True}
    assert here in told


def test_the_command_starts_an_archive_and_shows_how_it_goes(
    sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", bundle(tmp_path / "inside", 3).parent, "inside")
    asked = ["remote", "start", sshd.name, archive, "--ssh", shlex.join(sshd.ssh), "--python", sys.executable]
    assert run_command([*asked, "--json"]) == 0
    name = json.loads(capfd.readouterr().out)["name"]
    assert name.endswith("_from-afar")
    for _ in range(2):  # whoever comes later sees all of it, too
        assert run_command(["remote", "watch", name, "--json"]) == 0
        lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert [line["type"] for line in lines] == ["hello", "warned", "warned", "warned", "finished"]


def test_a_changed_bundle_does_not_leave_this_machine(sshd: SshHost, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", 3)
    (folder / "train.py").write_text("import antigravity")
    with pytest.raises(UnusableError, match=r"train\.py was changed since it was sealed"):
        PLACE.start(folder, asked(sshd), lambda _: None)
    assert remote_runs() == []
    with pytest.raises(UnusableError, match="has written nothing yet"):
        PLACE.fetch(RemoteRun(tmp_path / "unknown", "ssh", {"host": sshd.name, "ssh": list(sshd.ssh)}))


def test_a_host_that_is_not_reached_is_told(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed here")
    with socket.socket() as held:  # bound, but nobody listens
        held.bind(("127.0.0.1", 0))
        ssh = f"ssh -F /dev/null -p {held.getsockname()[1]}"
        with pytest.raises(UnusableError, match=r"me@127\.0\.0\.1 is not reached: .*refused"):
            PLACE.start(bundle(tmp_path / "bundle", 3), Asked(host="me@127.0.0.1", ssh=ssh), lambda _: None)
    assert not list(runs_dir().glob("*"))
    with pytest.raises(UnusableError, match="names no host"):
        SshHost.of("-oProxyCommand=evil", "ssh")
    assert run_command(["remote", "watch", "nobody"]) == 2


def test_a_link_takes_nothing_of_what_is_typed_here(tmp_path: Path) -> None:
    link = ShellLink(RemoteRun(tmp_path, "ssh", {"host": "far", "ssh": ["sh", "-c", "cat"]}), 0.01)
    ours, theirs = os.pipe()
    kept = os.dup(0)
    try:
        os.write(theirs, b"typed")
        os.close(theirs)
        os.dup2(ours, 0)
        assert list(link.pieces(0)) == []
        assert os.read(0, 100) == b"typed"
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(ours)
        link.close()
