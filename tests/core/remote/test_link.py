"""A run elsewhere, without a machine: what a shell is asked, how links are gone on with, what a record says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.remote.control import (
    NothingYetError,
    bundle_name,
    fetch_there,
    is_alive_there,
    log_tail_there,
    opened_bundle,
    send_bundle,
    start_there,
    stop_there,
)
from app.core.remote.follower import Link, ShellLink, follow_remote, has_ended, watched
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, new_remote, read_remote, remote_run, remote_runs
from app.core.run.folder import RUN_REMOTE, runs_dir
from tests.ssh_server import bundle


class FakeShell:
    """Says what it is given, and keeps what it was asked."""

    def __init__(self, *says: str) -> None:
        self.says, self.asked = list(says), list[object]()

    def run(self, script: str) -> str:
        self.asked.append(script)
        return self.says.pop(0) if self.says else ""

    def copy_there(self, folder: Path, place: str) -> None:
        self.asked.append((folder, place))

    def copy_here(self, place: str, folder: Path, leave_out: Sequence[str] = ()) -> None:
        self.asked.append((place, folder, list(leave_out)))


@pytest.fixture
def run() -> RemoteRun:
    return RemoteRun(runs_dir() / "a run", "ssh", {"host": "gpu-box"})


def test_what_a_shell_is_asked(run: RemoteRun, tmp_path: Path) -> None:
    shell = FakeShell()
    send_bundle(shell, tmp_path, run)
    assert shell.asked == ["mkdir -p luthier && mkdir 'luthier/a run'", (tmp_path, "luthier/a run")]
    shell = FakeShell()
    start_there(shell, run, "/my python")
    start_there(shell, run)
    own, made = map(str, shell.asked)
    assert "\nexec '\"'\"'/my python'\"'\"' -u train.py' >log.txt" in own
    assert own.startswith("cd 'luthier/a run' && { nohup sh -c 'true\n")
    assert "env/bin/python -u train.py' >log.txt" in made
    assert "pip install" in made
    for said, stopped in (("asked\n", True), ("", False)):
        assert stop_there(FakeShell(said), run) is stopped
    for said, alive in (("alive\n", True), ("", False)):
        assert is_alive_there(FakeShell(said), run) is alive
    shell = FakeShell("a tail")
    assert log_tail_there(shell, run, 3) == "a tail"
    log_tail_there(shell, run)
    assert shell.asked == [f"tail -n {lines} 'luthier/a run'/log.txt 2>/dev/null || true" for lines in (3, 15)]


def test_what_is_fetched_is_the_log_and_the_run_without_its_checkpoints(run: RemoteRun) -> None:
    shell = FakeShell("a word\n", "")
    with pytest.raises(NothingYetError) as told:
        fetch_there(shell, run)
    assert told.value.problems == [
        Problem("name", "a run has written nothing yet.", hint="`luthier remote watch a run` shows how far it is.")
    ]
    assert (run.path / "log.txt").read_text() == "a word\n"
    shell = FakeShell("", "there\n")
    assert fetch_there(shell, run) == run.path
    assert shell.asked[2:] == [("luthier/a run/run", run.path, ["checkpoints"])]
    assert (run.path / "log.txt").read_text() == "a word\n", "one that is empty takes nothing away"


def test_a_bundle_is_opened_wherever_it_lies(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", 1)
    with opened_bundle(folder) as found:
        assert found == folder
    assert bundle_name(folder) == "from afar"
    for archive, words in (
        (tmp_path / "gone.zip", "There is no bundle at "),
        (tmp_path / "odd.zip", "cannot be unpacked: "),
    ):
        (tmp_path / "odd.zip").write_text("no archive")
        with pytest.raises(UnusableError, match=words), opened_bundle(archive):
            pytest.fail("there is none")
    import shutil

    for name, root in (("flat", folder), ("deep", tmp_path)):
        file = shutil.make_archive(str(tmp_path / name), "tar", root, None if name == "flat" else "bundle")
        with opened_bundle(Path(file)) as found:
            assert (found / "recipe.json").is_file()
        assert not found.exists()


class FakeLink(Link):
    """Gives pieces of the events from where it is asked, and may then break."""

    def __init__(self, pieces: list[tuple[int, bytes]], ended: bool = False, said: str = "") -> None:
        super().__init__()
        self._pieces, self._ended, self.closed, self.at = pieces, ended, 0, -1
        self.said = said or self.said

    def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:
        self.at = at
        yield from self._pieces
        self.has_ended = self._ended

    def close(self) -> None:
        self.closed += 1


def line(number: int) -> bytes:
    return (event.Warned(message=str(number), time=1.0).to_line() + "\n").encode()


def test_links_are_gone_on_with_from_the_byte_that_is_here(run: RemoteRun, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (line(number) for number in (1, 2, 3))
    odd = b"no event\n"
    whole = one + two + odd + three
    cut = len(one) + 5
    links = [
        FakeLink([(0, whole[:9]), (9, whole[9:cut])], said="a mouse"), FakeLink([], said="a cat"),
        FakeLink([(cut + 9, b"x")]),
        FakeLink([(0, whole[:cut]), (cut, whole[cut : cut + 20])]), FakeLink([(cut + 20, whole[cut + 20 :])], True),
    ]  # fmt: skip
    waiting, waits, lost = iter(links), list[float](), list[str]()
    monkeypatch.setattr("app.core.remote.follower.time.sleep", waits.append)
    found = list(follow_remote(run, lambda: next(waiting), lost.append))
    assert [said.message for said in found if isinstance(said, event.Warned)] == ["1", "2", "3"]
    assert run.events_file.read_bytes() == whole
    assert [link.at for link in links] == [0, cut, cut, cut, cut + 20]
    assert [link.closed for link in links] == [1] * 5
    assert lost == ["a mouse", "a cat", "a piece of the events is missing", "the connection was closed"]
    assert waits == [0.5, 1.0, 2.0, 5.0]


def test_a_run_that_is_over_and_not_reached_is_not_waited_for(
    run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    asked: list[bool] = []
    monkeypatch.setattr("app.core.remote.follower.time.sleep", waits.append)

    def is_over() -> bool:
        asked.append(len(asked) == 8)
        return asked[-1]

    assert list(follow_remote(run, lambda: FakeLink([]), lambda _: None, is_over=is_over)) == []
    assert len(asked) == 9
    assert waits == [1.0, 2.0, 5.0, 10.0, *[30.0] * 5]


ENDED: list[tuple[str, list[tuple[int, bytes]], bool, str]] = [
    ("printf abc; exit 3", [(7, b"abc")], True, "the connection was closed"),
    ("echo noise >&2; echo ' oh ' >&2; exit 4", [], False, "noise\n oh"),
    ("exit 255", [], False, "the connection was closed"),
]


@pytest.mark.parametrize(("script", "pieces", "has_ended", "said"), ENDED)
def test_why_a_connection_ended_is_known(
    script: str, pieces: list[tuple[int, bytes]], has_ended: bool, said: str, tmp_path: Path
) -> None:
    link = ShellLink(RemoteRun(tmp_path, "ssh", {"host": "far", "ssh": ["sh", "-c", script]}), 0.01)
    link.close()  # before there is one
    link.cut()
    assert list(link.pieces(7)) == pieces
    assert (link.has_ended, link.said) == (has_ended, said)
    link.close()


def test_one_process_watches_a_run(run: RemoteRun) -> None:
    with watched(run), pytest.raises(UnusableError) as told, watched(run):
        pytest.fail("nobody else may")
    assert told.value.problems == [
        Problem(
            "name", "a run is watched already, by another process on this machine.",
            hint="End that one, or look there.",
        )
    ]  # fmt: skip
    said: list[tuple[list[Event], bool]] = [
        ([], False), ([event.Finished()], True), ([event.Failed(message="")], True),
        ([event.Finished(), event.Hello(task="train")], False),
    ]  # fmt: skip
    assert [has_ended(events) for events, _ in said] == [ended for _, ended in said]


def test_what_a_record_says(run: RemoteRun) -> None:
    plain = RemoteRun(run.path, "hf")
    assert (plain.where, plain.folder, plain.is_closed, plain.state) == ("hf", "luthier/a run", False, "new")
    with pytest.raises(UnusableError) as told:
        _ = plain.host
    assert told.value.problems == [
        Problem("name", "a run has no machine yet.", hint="`luthier remote status a run` asks the place.")
    ]
    assert (run.where, run.host) == ("gpu-box", SshHost("gpu-box"))
    known = run.with_details(where="The shed", folder="/far", closed=True, ssh=["ssh", "-p", 22])
    assert (known.where, known.folder, known.is_closed) == ("The shed", "/far", True)
    assert known.state == "crashed"  # it is over, and never said a word
    known.events_file.write_text(event.Finished().to_line())
    assert known.state == "finished"
    assert known.host == SshHost("gpu-box", ("ssh", "-p", "22"))
    tree = {"place": "ssh", "host": "gpu-box", "where": "The shed", "folder": "/far", "closed": True,
            "ssh": ["ssh", "-p", 22]}  # fmt: skip
    assert (run.path / RUN_REMOTE).read_text() == json.dumps(tree, indent=1) + "\n"
    assert read_remote(run.path) == known
    known.discard()
    known.discard()
    assert not run.path.exists()


def test_a_new_run_has_a_name_of_its_own_and_the_setup_of_its_bundle(tmp_path: Path) -> None:
    first = new_remote("My Setup!", "hf", {"host": "a"})
    first.save()
    second, third = new_remote("My Setup!", "hf"), new_remote("My Setup!", "hf")
    assert first.name.endswith("_My-Setup")
    assert first.path.parent == runs_dir()
    assert len({first.path, second.path, third.path}) == 3
    if third.name.startswith(first.name):  # in the same second
        assert (second.name, third.name) == (f"{first.name}-2", f"{first.name}-3")
    assert (first.details, second.details) == ({"host": "a"}, {})
    (tmp_path / "config.yaml").write_text("model: m\n")
    (tmp_path / "recipe.json").write_text("{}")
    second.take_setup(tmp_path)
    assert [path.name for path in second.path.iterdir()] == ["config.yaml"]


def test_a_run_is_found_by_name_place_or_host_the_newest_first() -> None:
    made = {}
    for name, place, details in (
        ("2026-01_a", "ssh", {"host": "gpu-box"}), ("2026-02_b", "hf", {"where": "Hugging Face, A10"}),
        ("2026-03_c", "ssh", {"host": "other", "where": "The shed"}), ("2026-04_d", "ssh", {"ssh": "no list"}),
    ):  # fmt: skip
        made[name[-1]] = RemoteRun(runs_dir() / name, place, details)
        made[name[-1]].save()
    (runs_dir() / "2026-05_e").mkdir()
    (runs_dir() / "2026-05_e" / RUN_REMOTE).write_text("[]")
    assert [run.name for run in remote_runs()] == ["2026-03_c", "2026-02_b", "2026-01_a"]
    found = {word: remote_run(word).name[-1] for word in (
        "2026-01_a", "ssh", "hf", "gpu-box", "other", "The shed", "Hugging Face, A10",
    )}  # fmt: skip
    assert found == {
        "2026-01_a": "a", "ssh": "c", "hf": "b", "gpu-box": "a", "other": "c", "The shed": "c",
        "Hugging Face, A10": "b",
    }  # fmt: skip
    with pytest.raises(UnusableError) as told:
        remote_run("nobody")
    assert told.value.problems == [
        Problem(
            "name", "No run elsewhere is known by “nobody”, and none at a place or on a host of that name.",
            hint="`luthier remote list` names those that are.",
        )
    ]  # fmt: skip


def test_a_host_is_asked_by_the_words_of_ssh_and_answers_in_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = SshHost.of("me@far", "ssh -p '2 2'")
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10", "-o",
               "ServerAliveCountMax=3"]  # fmt: skip
    assert host.command("echo 'a'") == [
        "ssh",
        "-p",
        "2 2",
        *options,
        "--",
        "me@far",
        "sh -c 'echo '\"'\"'a'\"'\"''",
    ]
    assert SshHost.of("far", "") == SshHost("far", ("ssh",))
    for name in ("", " ", "-oProxyCommand=x"):
        with pytest.raises(UnusableError, match=f"“{name}” names no host"):
            SshHost.of(name, "ssh")
    asked: list[list[str]] = []
    done = [subprocess.CompletedProcess([], 0, "said", "")]

    def ask(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        assert options["stdin"] == subprocess.DEVNULL
        return done[0]

    monkeypatch.setattr("app.core.remote.host.subprocess.run", ask)
    monkeypatch.setattr("app.core.remote.host.shutil.which", lambda _: "/bin/it")
    assert host.run("true") == "said"
    host.copy_there(tmp_path, "there")
    host.copy_here("there", tmp_path / "new", ["big", "old"])
    rsync = ["rsync", "-a", "--partial", "-e", " ".join(["ssh", "-p", "'2 2'", *options])]
    assert asked[1:] == [
        [*rsync, f"{tmp_path}/", "me@far:there/"],
        [*rsync, "--exclude=big", "--exclude=old", "me@far:there/", f"{tmp_path}/new/"],
    ]
    assert (tmp_path / "new").is_dir()
    for code, said, problem in (
        (255, "noise\nrefused\n", Problem("host", "me@far is not reached: refused.",
         hint="Try `ssh me@far` by hand: it must get in without asking for anything.")),
        (3, "noise\nno such file\n", Problem("host", "me@far: no such file")),
        (3, "", Problem("host", "me@far: it ended with 3")),
    ):  # fmt: skip
        done[0] = subprocess.CompletedProcess([], code, "", said)
        for ask_it in (lambda: host.run("true"), lambda: host.copy_there(tmp_path, "there")):
            with pytest.raises(UnusableError) as told:
                ask_it()
            assert told.value.problems == [problem]
    monkeypatch.setattr("app.core.remote.host.shutil.which", lambda _: None)
    for what, ask_it in (("ssh", lambda: host.run("true")), ("rsync", lambda: host.copy_there(tmp_path, "there"))):
        with pytest.raises(UnusableError) as told:
            ask_it()
        assert told.value.problems == [
            Problem("host", f"{what} is not on this machine.", hint=f"Install {what}; macOS brings it along.")
        ]
