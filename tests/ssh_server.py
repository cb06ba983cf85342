"""A host on the loopback: an sshd of the test's own, and a bundle whose script says events."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from app.core.bundle.manifest import seal
from app.core.remote.host import SshHost

MARK = "LUTHIER_MUTATION"  # as `packaging/mutate.py` has it
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
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
RELAY = bool(os.environ.get("LUTHIER_RELAY"))
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
print("a word for the log", flush=True)
at = 0
with (run / "events.jsonl").open("ab", buffering=0) as file:
    def say(kind, **values):
        line = (json.dumps({"type": kind, "time": 1.0, **values}, ensure_ascii=RELAY) + "\\n").encode()
        if RELAY:
            global at
            print(f"@luthier {at} {line.decode()}", end="", flush=True)
            at += len(line)
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


@contextmanager
def ssh_server(folder: Path, shared: bool = False) -> Iterator[SshHost]:
    """The host; skips the test where sshd or rsync is not installed.

    ``shared``: all commands go over one connection, for tests that are not about the link; a connection takes most
    of the time.
    """
    if SSHD is None or shutil.which("rsync") is None:
        pytest.skip("sshd or rsync is not installed here")
    for name in ("host", "mine"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copyfile(folder / "mine.pub", folder / "authorized")
    (folder / "home").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Whatever is asked for is done from a home of the test's own. A bash that sshd starts reads the ~/.bashrc of
    # whoever runs the tests, unless it believes to be inside another; and its python3 is this one, which has venv.
    (folder / "forced").write_text(f'cd {folder / "home"} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\n"
        f"SetEnv {session_variables()}\n"
        f"ForceCommand sh {folder / 'forced'}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root shuts itself in
    options = f"-F /dev/null -p {port} -i {folder / 'mine'} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no"
    with TemporaryDirectory(prefix="ssh") as link:  # short, as the path of a socket must be
        if shared:
            options += f" -o ControlMaster=auto -o ControlPath={link}/%C -o ControlPersist=60"
        host = SshHost.of(f"{getpass.getuser()}@127.0.0.1", f"ssh {options} -o UserKnownHostsFile=/dev/null -q")
        with subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE) as server:
            assert server.stderr is not None
            assert b"listening" in server.stderr.readline()
            yield host
            for socket_file in Path(link).iterdir():
                close = ["ssh", "-q", "-o", f"ControlPath={socket_file}", "-O", "exit", "127.0.0.1"]
                subprocess.run(close, check=False, capture_output=True)
            server.terminate()


def session_variables() -> str:
    """What a session gets beside what sshd gives it, as ``SetEnv`` takes it.

    sshd hands on nothing of its own environment: what ends the processes of a mutation by its mark must find those
    of its sessions, too.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    mark = [f"{MARK}={os.environ[MARK]}"] if MARK in os.environ else []
    return " ".join(f'"{one}"' for one in ("SHLVL=2", f"PATH={path}", *mark))


def home(host: SshHost) -> Path:
    """The home folder of whoever logs in there."""
    return Path(host.ssh[host.ssh.index("-i") + 1]).with_name("home")


def empty_home(host: SshHost) -> None:
    """A fresh home for the next test: runs are named by their second, and that of the one before may be the same.

    What still runs in the old one goes on there.
    """
    old = home(host)
    old.rename(Path(mkdtemp(dir=old.parent)) / "home")
    old.mkdir()


def bundle(folder: Path, count: int) -> Path:
    """A sealed folder whose script says so many events and a last one."""
    folder.mkdir(exist_ok=True)
    model = {
        "id": "org/name",
        "revision": "",
        "folder": "",
        "bytes": 1_000_000_000,
        "licence": "",
        "four_bit": False,
    }
    recipe = {"name": "from afar", "model": model, "data": {"form": "text"}, "label": "SFT"}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "config.yaml").write_text("model: m\ndata: d\n")
    (folder / "train.py").write_text(SCRIPT.replace("COUNT", str(count)))
    (folder / "notebook.ipynb").write_text("{}")
    (folder / "requirements.txt").write_text("")
    seal(folder, {})
    return folder
