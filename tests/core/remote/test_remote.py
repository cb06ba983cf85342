"""Runs on a host that ssh reaches: started, followed over a link that breaks, stopped, fetched; and never lost.

The host is this machine, by an sshd of the test's own on the loopback; what trains is a script that says events.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.bundle.manifest import seal
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.remote import follower
from app.core.remote.control import fetch_remote, start_remote, stop_remote
from app.core.remote.follower import follow_remote
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, remote_run, remote_runs
from app.core.run.catalog import RunCatalog
from app.core.run.folder import runs_dir

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
CUTS = 5
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
run = Path("run")
run.mkdir(exist_ok=True)
(run / "config.yaml").write_text("model: m\\ndata: d\\n")
(run / "adapters").mkdir(exist_ok=True)
(run / "checkpoints").mkdir(exist_ok=True)
(run / "checkpoints" / "large").write_text("x")
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
print("a word for the log", flush=True)
with (run / "events.jsonl").open("ab", buffering=0) as file:
    def say(kind, **values):
        line = (json.dumps({"type": kind, "time": 1.0, **values}, ensure_ascii=False) + "\\n").encode()
        half = len(line) // 2
        file.write(line[:half])  # a reader may come at any byte
        file.write(line[half:])
    say("hello", task="train", protocol=5, pid=os.getpid())
    for number in range(COUNT):
        say("warned", message=f"{number} é" + "." * (number % 300))
        time.sleep(0.002)
        if asked or Path("enough").exists():
            break
    say("finished", reason="stopped" if asked else "completed", iteration=number)
"""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    if SSHD is None or shutil.which("rsync") is None:
        pytest.skip("sshd or rsync is not installed here")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "mine"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copyfile(folder / "mine.pub", folder / "authorized")
    (folder / "home").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Whatever is asked for is done from a home of the test's own.
    (folder / "forced").write_text(f'cd {folder / "home"} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\nForceCommand sh {folder / 'forced'}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root shuts itself in
    options = f"-F /dev/null -p {port} -i {folder / 'mine'} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no"
    host = SshHost.of(f"{getpass.getuser()}@127.0.0.1", f"ssh {options} -o UserKnownHostsFile=/dev/null -q")
    with subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert b"listening" in server.stderr.readline()
        yield host
        server.terminate()


def home(sshd: SshHost) -> Path:
    return Path(sshd.ssh[sshd.ssh.index("-i") + 1]).with_name("home")


def bundle(folder: Path, count: int) -> Path:
    """A sealed folder whose script says so many events and a last one."""
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"name": "from afar"}))
    (folder / "train.py").write_text(SCRIPT.replace("COUNT", str(count)))
    (folder / "requirements.txt").write_text("")
    seal(folder, {})
    return folder


def started(sshd: SshHost, tmp_path: Path, count: int = 300) -> RemoteRun:
    return start_remote(bundle(tmp_path / "bundle", count), sshd, sys.executable)


def heard(run: RemoteRun) -> list[Event]:
    """Everything that comes, over a link that never waits long."""
    return list(follow_remote(run, lambda _: None, pause_s=0.02, waits_s=(0.0,)))


def test_a_run_is_followed_over_a_link_that_breaks_again_and_again(
    sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[follower._Link] = []

    class Kept(follower._Link):
        def __init__(self, run: RemoteRun, pause_s: float) -> None:
            super().__init__(run, pause_s)
            links.append(self)

    monkeypatch.setattr(follower, "_Link", Kept)
    cuts = int(os.environ.get("LUTHIER_LINK_CUTS", str(CUTS)))
    run = started(sshd, tmp_path, count=1_000_000)
    source = random.Random(1)
    breaks: list[str] = []
    found: list[Event] = []
    until = source.randint(1, 40)
    for said in follow_remote(run, breaks.append, pause_s=0.01, waits_s=(0.0,)):
        found.append(said)
        until -= 1
        if until <= 0 and links[-1]._process.poll() is None and len(links) <= cuts:
            links[-1]._process.kill()  # the link, not the run
            until = source.randint(1, 40)
        if len(links) > cuts:
            (home(sshd) / run.place / "enough").touch()
    assert len(breaks) == cuts
    there = (home(sshd) / run.place / "run" / "events.jsonl").read_bytes()
    assert run.events_file.read_bytes() == there
    numbers = [int(said.message.partition(" ")[0]) for said in found if isinstance(said, event.Warned)]
    assert numbers == list(range(len(numbers)))
    assert isinstance(found[-1], event.Finished)
    assert run.state == "finished"


def test_who_comes_back_hears_the_rest(sshd: SshHost, tmp_path: Path) -> None:
    """The first watcher leaves; the run goes on, and is found again by its name or its host."""
    run = started(sshd, tmp_path, count=1_000_000)
    first = follow_remote(run, lambda _: None, pause_s=0.02)
    assert isinstance(next(first), event.Hello)
    with pytest.raises(UnusableError, match="is watched already"):
        next(follow_remote(run, lambda _: None))
    first.close()
    again = remote_run(sshd.name)
    assert again == run == remote_run(run.name) == remote_runs()[0]
    (home(sshd) / run.place / "enough").touch()
    rest = heard(again)
    assert isinstance(rest[-1], event.Finished)
    assert run.events_file.read_bytes() == (home(sshd) / run.place / "run" / "events.jsonl").read_bytes()
    assert heard(run) == []


def test_a_run_is_stopped_and_fetched(sshd: SshHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = started(sshd, tmp_path, count=100_000)
    coming = follow_remote(run, lambda _: None, pause_s=0.02)
    assert isinstance(next(coming), event.Hello)
    assert run_command(["remote", "stop", run.name]) == 0
    last = list(coming)[-1]
    assert isinstance(last, event.Finished)
    assert last.reason == "stopped"
    assert not stop_remote(run)
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
    coming = follow_remote(run, lambda _: None, pause_s=0.02)
    hello = next(coming)
    assert isinstance(hello, event.Hello)
    os.kill(hello.pid, signal.SIGKILL)
    assert all(not isinstance(said, event.Finished) for said in coming)
    assert run_command(["remote", "watch", run.name]) == 1
    assert "ended without a word. Its log ends with:\na word for the log" in capfd.readouterr().err
    assert run_command(["remote", "list", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)["runs"]
    assert {"name": run.name, "host": sshd.name, "state": "running"} in told


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
        start_remote(folder, sshd, sys.executable)
    with pytest.raises(UnusableError, match="has written nothing yet"):
        fetch_remote(RemoteRun(tmp_path / "unknown", sshd))


def test_a_host_that_is_not_reached_is_told(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed here")
    with socket.socket() as held:  # bound, but nobody listens
        held.bind(("127.0.0.1", 0))
        ssh = f"ssh -F /dev/null -p {held.getsockname()[1]}"
        with pytest.raises(UnusableError, match=r"me@127\.0\.0\.1 is not reached: .*refused"):
            start_remote(bundle(tmp_path / "bundle", 3), SshHost.of("me@127.0.0.1", ssh))
    with pytest.raises(UnusableError, match="names no host"):
        SshHost.of("-oProxyCommand=evil", "ssh")
    assert run_command(["remote", "watch", "nobody"]) == 2
