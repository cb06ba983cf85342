"""The crew, of replicas that are small scripts: what starts one, what it is told, and why it went, in words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from app.core.problem import Problem, UnusableError
from app.core.protocol import event, program
from app.core.protocol.command import Join, Reach
from app.core.protocol.job import ReplicaJob
from app.core.protocol.wire import PROTOCOL_VERSION
from app.core.replica import crew as module
from app.core.replica.crew import LOST, NOT_FOUND, Crew, Replica, from_home, replica_command
from app.core.replica.hostfile import Hostfile, ReplicaHost, hosts_here

HELLO = event.Hello(task="replica", device="M9", pid=7)
Made = Callable[..., Crew]


def job(number: int = 1) -> ReplicaJob:
    addresses = (("127.0.0.1:1",), ("127.0.0.1:2",))
    config: dict[str, JsonValue] = {
        "adapter_name": "starter · r4 😀"
    }  # what is no ASCII, as every name that Luthier makes
    return ReplicaJob(number=number, size=2, model="/é", backend="ring", addresses=addresses, config=config)


def says(*events: event.Event) -> str:
    return "".join(f"printf '%s\\n' '{one.to_line()}'\n" for one in events)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """A crew whose replicas run these scripts, each behind ssh where it has a name; what it logs is in ``said``."""

    def make(*scripts: str, ssh: str = "localhost", said: list[str] | None = None) -> Crew:
        waiting = list(scripts)
        monkeypatch.setattr(module, "replica_command", lambda *_: ["sh", "-c", waiting.pop(0)])
        hosts = (ReplicaHost("localhost"), *(ReplicaHost(ssh) for _ in scripts))
        jobs = [job(number) for number in range(1, len(scripts) + 1)]
        return Crew(Hostfile(hosts), jobs, (said if said is not None else []).append)

    return make


def test_a_replica_gets_its_job_then_commands_and_is_heard(made: Made, tmp_path: Path) -> None:
    said: list[str] = []
    result = event.Result(name="speed", data={"a": 1})
    failures = [event.Failed(message="First."), event.Failed(message="Second.")]
    crew = made(
        f"IFS= read -r job; printf '%s\\n' \"$job\" >{tmp_path}/job; echo noise; echo '  a word  ' >&2; echo >&2\n"
        f"{says(HELLO, event.Warned(message='Odd.'), event.Ready(), event.Ready(), result, *failures)}"
        f"IFS= read -r told; printf '%s\\n' \"$told\" >{tmp_path}/told; cat >/dev/null",
        said=said,
    )
    (one,) = crew.replicas
    assert crew.wait_for(lambda replica: replica.failed is not None)
    assert (one.hello, one.ready, one.results) == (HELLO, 2, {"speed": {"a": 1}})
    assert one.failed == failures[0]
    assert not one.ended
    crew.tell(Join())
    crew.close()
    assert (one.exit_code, one.ended) == (0, True)
    assert json.loads((tmp_path / "job").read_text()) == job().model_dump(mode="json")
    assert (tmp_path / "told").read_bytes() == Join().to_line()
    crew.tell(Reach())  # nobody hears it, which is no fault
    assert sorted(said) == ["[1]   a word", "[1] replica 1 (this machine): M9, process 7", "[1] warning: Odd."]


ENDS = [
    ("localhost", f"exit {NOT_FOUND}", "Replica 1 (this machine): there is no luthier.",
     "Install it there, or name the program's place in the hostfile (`luthier`)."),
    ("far", f"exit {NOT_FOUND}", "Replica 1 (far): there is no luthier.",
     "Install it there, or name the program's place in the hostfile (`luthier`)."),
    ("far", "echo 'noise' >&2; echo 'it is  refused.' >&2; exit 255",
     "Replica 1 (far) is not reached: it is refused.",
     "Try `ssh far` by hand: it must get in without asking for anything."),
    ("far", "exit 255", "Replica 1 (far) is not reached: ssh ended with 255.",
     "Try `ssh far` by hand: it must get in without asking for anything."),
    ("far", f"{says(HELLO)}echo oh >&2; exit 3",
     "Replica 1 (far) ended with exit code 3. The last line of its log: oh.", ""),
    ("localhost", "exit 3", "Replica 1 (this machine) ended with exit code 3.", ""),
    ("localhost", f"{says(HELLO)}exit {NOT_FOUND}", "Replica 1 (this machine) ended with exit code 127.", ""),
    ("localhost", "exit 137", "Replica 1 (this machine) ended by signal SIGKILL.", ""),
    ("localhost", "kill -TERM $$", "Replica 1 (this machine) ended by signal SIGTERM.", ""),
    ("localhost", says(event.Failed(message="model: There is none. Get it.", hint="Get it.", where="model")),
     "Replica 1 (this machine): There is none.", "Get it."),
]  # fmt: skip


@pytest.mark.parametrize(("ssh", "script", "said", "hint"), ENDS)
def test_why_a_replica_ended_is_told(ssh: str, script: str, said: str, hint: str, made: Made) -> None:
    crew = made(script, ssh=ssh)
    crew.wait_for_one(crew.replicas[0], lambda _: False, lambda: None, 60.0)
    crew.close()
    assert crew.faults() == [Problem("", said, hint=hint)]
    with pytest.raises(UnusableError, match=r"^Replica 1"):
        crew.require()


def test_a_replica_of_another_version_is_refused(made: Made) -> None:
    crew = made(f"{says(HELLO.model_copy(update={'protocol': PROTOCOL_VERSION + 1}))}cat >/dev/null")
    assert crew.wait_for(lambda one: one.hello is not None)
    assert "speaks version" in crew.faults()[0].message
    crew.close()


def test_of_those_that_went_because_of_another_nothing_is_said(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAUSE_WITHIN_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    lost = event.Failed(message="Another one is gone.", path=LOST)
    crew = made(f"{says(lost)}cat >/dev/null", f"{says(event.Failed(message='It is full.'))}cat >/dev/null")
    first, second = crew.replicas
    for one in (first, second):
        crew.wait_for_one(one, lambda replica: replica.failed is not None, lambda: None, 60.0)
    full = Problem("", "Replica 2 (this machine): It is full.")
    assert (crew.faults(), crew.cause()) == ([full], full)
    second.failed = None
    assert [one.message for one in crew.faults()] == ["Replica 1 (this machine): Another one is gone."]
    first.failed = None
    assert (crew.faults(), crew.cause()) == ([], Problem("", "The connection between the replicas was lost."))
    crew.require()
    crew.close()
    assert [one.exit_code for one in crew.replicas] == [0, 0]


def test_a_wait_ends_by_itself_or_by_who_waits(made: Made) -> None:
    crew = made("cat >/dev/null", "cat >/dev/null")
    looked: list[int] = []
    assert not crew.wait_for(lambda _: False, lambda: looked.append(1), within_s=0.0)
    assert looked == [1]
    assert crew.wait_for(lambda _: True)

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crew.wait_for(lambda one: one.number == 1, cancel)
    with pytest.raises(KeyboardInterrupt):
        crew.wait_for_one(crew.replicas[0], lambda _: False, cancel, 60.0)
    crew.wait_for_one(crew.replicas[0], lambda _: False, cancel, 0.0)
    crew.close()


def test_what_does_not_end_by_itself_is_ended(made: Made) -> None:
    crew = made("trap '' TERM; sleep 60")
    (one,) = crew.replicas
    one.close(0.05)
    assert one.exit_code == -signal.SIGKILL


def test_a_replica_here_is_this_program_and_one_behind_ssh_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replica_command(ReplicaHost("localhost", luthier="/my luthier"), ["A=1 2", "B=x=y"])
    assert here[:2] == ["sh", "-c"]
    assert "\nexport A='1 2'\nexport B=x=y\n'/my luthier' --worker \"$d\"; code=$?\n" in here[2]
    assert "command -v" not in here[2]
    own = replica_command(ReplicaHost("127.0.0.1"))[2]
    assert f' {program.WORKER_FLAG} "$d"; code=$?\n' in own
    assert sys.executable in own
    *words, script = replica_command(ReplicaHost("me@far"), ["A=1"])
    assert words[0] == "ssh"
    assert words[-2:] == ["--", "me@far"]
    assert "in luthier " in script
    assert '"$HOME"/.local/bin/luthier /opt/homebrew/bin/luthier; do' in script
    assert f"export {program.WORKER_VARIABLE}=1\n" in script
    assert "export TOKENIZERS_PARALLELISM=true\nexport A=1\n" in script
    named = replica_command(ReplicaHost("me@far", luthier="~/my luthier"))[-1]
    assert '"$HOME"/' in named
    assert "/opt/homebrew" not in named
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (from_home(tmp_path / "a" / "b"), from_home(Path("/elsewhere"))) == ("~/a/b", "/elsewhere")


def test_the_script_gives_the_job_to_the_program_and_ends_as_it_does(tmp_path: Path) -> None:
    worker = tmp_path / "luthier"
    worker.write_text(
        f'#!/bin/sh\ncat "$2/job.json" >{tmp_path}/job; echo "$1 $A $2" >{tmp_path}/words; cat; exit 5\n'
    )
    worker.chmod(0o755)
    words = replica_command(ReplicaHost("localhost", luthier=str(worker)), ["A=1"])
    done = subprocess.run(words, input='{"a": 1}\ncommands\n', capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, "commands\n", "")
    assert (tmp_path / "job").read_text() == '{"a": 1}\n'
    flag, variable, folder = (tmp_path / "words").read_text().split()
    assert (flag, variable, Path(folder).exists()) == ("--worker", "1", False)


def test_each_host_but_the_first_has_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str, tuple[str, ...]]] = []

    class Noted(Replica):
        def __init__(
            self, number: int, host: ReplicaHost, _job: ReplicaJob, envs: tuple[str, ...], _crew: Crew
        ) -> None:
            asked.append((number, host.ssh, envs))

    monkeypatch.setattr(module, "Replica", Noted)
    hosts = Hostfile((ReplicaHost("a"), ReplicaHost("b"), ReplicaHost("c")), envs=("A=1",))
    Crew(hosts, [job(1), job(2)], lambda _: None)
    assert asked == [(1, "b", ("A=1",)), (2, "c", ("A=1",))]
    with pytest.raises(ValueError, match="argument"):
        Crew(hosts_here(3), [job(1)], lambda _: None)
