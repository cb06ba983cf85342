"""The tasks about places and runs elsewhere: what a place is asked, and what is said of its answers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from app.core.place.key import PlaceKey
from app.core.place.place import Asked, Offer, Place, PlaceStanding, Tell
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Command, GiveToken, Stop
from app.core.protocol.job import RemoteJob, RemoteStartJob
from app.core.remote.follower import Link
from app.core.remote.record import RemoteRun, new_remote, read_remote
from app.worker.remote import task
from app.worker.remote.task import ask_elsewhere, start_elsewhere
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import Answer, Collector, config_for

KEY = PlaceKey("yard key", "YARD_KEY", "yard.example/keys")


class Yard(Place):
    """A place that answers at once."""

    name, label, needs, costs, stops = "yard", "The yard", "a key", "nothing", "It ends there."

    def __init__(self) -> None:
        self.runs = True
        self.released: list[RemoteRun] = []
        self.said: list[event.Event] = []
        self.breaks: list[str] = []

    def offers(self) -> list[Offer]:
        return [Offer("a10", "A10", 24.0, 0.75), Offer("old", "P40", note="slow")]

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        raise NotImplementedError

    def standing(self, run: RemoteRun) -> PlaceStanding:
        return PlaceStanding(self.runs, f"{run.name} runs.", 0.75)

    def connect(self, run: RemoteRun, pause_s: float) -> Link:
        raise NotImplementedError

    def follow(
        self,
        run: RemoteRun,
        lost: Tell,
        *,
        pause_s: float = 0.5,  # noqa: ARG002
    ) -> Generator[event.Event, None, None]:
        for said in self.breaks:
            lost(said)
        for one in self.said:
            with run.events_file.open("a", encoding="utf-8") as file:
                file.write(one.to_line() + "\n")
            yield one

    def stop(self, run: RemoteRun) -> bool:  # noqa: ARG002
        return self.runs

    def fetch(self, run: RemoteRun) -> Path:
        return run.path

    def release(self, run: RemoteRun) -> None:
        self.released.append(run)

    def log_tail(self, run: RemoteRun) -> str:  # noqa: ARG002
        return ""


class KeyedYard(Yard):
    """The same, which needs a key."""

    key = KEY
    has_offers = True


@pytest.fixture
def yard(monkeypatch: pytest.MonkeyPatch) -> Yard:
    found = Yard()
    monkeypatch.setattr(task, "place_named", {"yard": found, "keyed": KeyedYard()}.__getitem__)
    monkeypatch.setattr(task, "place_of", lambda _: found)
    return found


@pytest.fixture
def run() -> RemoteRun:
    found = new_remote("friendly", "yard", {"where": "a yard"})
    found.path.mkdir(parents=True, exist_ok=True)
    return found.with_details(number=7)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the keychain was given; it takes all but what is refused."""
    found: list[tuple[str, str]] = []

    def keep(account: str, secret: str) -> bool:
        found.append((account, secret))
        return secret != "too long"

    monkeypatch.setattr(task, "keep_secret", keep)
    return found


def heard(tmp_path: Path, command: Command | None = None, answer: Answer = lambda _: None, **job: Any) -> Collector:
    """Everything that the task says; ``command`` waits for it already."""
    channel = Collector(tmp_path / "events.jsonl", answer)
    if command is not None:
        channel._queue.put(command)
    ask_elsewhere(channel, tmp_path, RemoteJob(**job))
    return channel


def ended(channel: Collector) -> str:
    last = channel.events[-1]
    assert isinstance(last, event.Finished)
    return last.reason


def result(channel: Collector) -> dict[str, Any]:
    assert ended(channel) == "completed"
    (found,) = channel.of(event.Result)
    assert found.name == "remote"
    return found.data


def test_what_a_place_has_is_told_with_its_price(yard: Yard, tmp_path: Path) -> None:  # noqa: ARG001
    found = result(heard(tmp_path, action="offers", place="yard"))
    assert found["missing"] == []
    assert [(one["name"], one["price"], one["sentence"]) for one in found["offers"]] == [
        ("a10", 0.75, "A10 · 24\u00a0GB · $0.75 an hour"),
        ("old", None, "P40 · slow"),
    ]


def test_a_place_without_its_key_is_not_asked(
    yard: Yard,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert result(heard(tmp_path, action="offers", place="keyed")) == {
        "missing": [
            "There is no key for The yard. Make one at yard.example/keys, then `luthier remote key yard`; "
            "or set YARD_KEY."
        ],
        "offers": [],
    }
    monkeypatch.setenv("YARD_KEY", "secret")
    assert len(result(heard(tmp_path, action="offers", place="keyed"))["offers"]) == 2


def test_a_key_goes_into_the_keychain_and_nowhere_else(
    yard: Yard,  # noqa: ARG001
    kept: list[tuple[str, str]],
    tmp_path: Path,
) -> None:
    channel = heard(tmp_path, GiveToken(token=" a secret \n"), action="key", place="keyed")
    assert isinstance(channel.events[0], event.Ready)
    assert result(channel) == {"kept": True}
    assert kept == [("yard key", "a secret")]
    assert "a secret" not in (tmp_path / "events.jsonl").read_text()


def test_no_key_is_kept_where_none_comes_or_none_can_be(
    yard: Yard,  # noqa: ARG001
    kept: list[tuple[str, str]],
    tmp_path: Path,
) -> None:
    channel = heard(tmp_path, Stop(), action="key", place="keyed")
    assert [type(one) for one in channel.events] == [event.Ready, event.Finished]
    assert ended(channel) == "stopped"
    for place, token, said in (
        ("keyed", " ", "No key was given. Make one at yard.example/keys."),
        ("keyed", "too long", "There is no keychain here that takes it. Set the environment variable YARD_KEY"),
        ("yard", "a secret", "The yard needs no key of its own."),
    ):
        with pytest.raises(UnusableError) as caught:
            heard(tmp_path, GiveToken(token=token), action="key", place=place)
        assert said in str(caught.value)
    assert kept == [("yard key", "too long")]


def test_how_a_run_stands_is_told_it_is_stopped_and_given_back(yard: Yard, run: RemoteRun, tmp_path: Path) -> None:
    assert result(heard(tmp_path, action="status", run=run.path)) == {
        "said": f"{run.name} runs.", "alive": True, "costs": 0.75,
    }  # fmt: skip
    assert result(heard(tmp_path, action="stop", run=run.path)) == {"said": "It ends there."}
    yard.runs = False
    assert result(heard(tmp_path, action="stop", run=run.path)) == {"said": f"{run.name} does not run any more."}
    assert result(heard(tmp_path, action="status", run=run.path))["alive"] is False
    assert yard.released == []
    assert result(heard(tmp_path, action="close", run=run.path)) == {"said": "a yard: given back."}
    assert yard.released == [run]
    again = read_remote(run.path)
    assert again is not None
    assert again.is_closed
    with pytest.raises(UnusableError, match="is no run that trains elsewhere"):
        heard(tmp_path, action="status", run=tmp_path)


def test_a_run_is_followed_and_a_broken_link_is_told(yard: Yard, run: RemoteRun, tmp_path: Path) -> None:
    yard.breaks = ["no route"]
    yard.said = [event.Hello(task="train"), event.Finished()]
    channel = heard(tmp_path, action="attend", run=run.path)
    assert [one.phase for one in channel.of(event.Progressed)] == [
        "The link broke (no route); trying again",
        "Bringing it here",
    ]
    assert result(channel) == {"path": str(run.path)}


def test_who_stops_watching_a_broken_link_leaves_the_run(yard: Yard, run: RemoteRun, tmp_path: Path) -> None:
    yard.breaks = ["no route", "no route"]
    yard.said = [event.Hello(task="train"), event.Finished()]
    channel = heard(
        tmp_path, None, lambda said: "stop" if isinstance(said, event.Progressed) else None, action="attend",
        run=run.path,
    )  # fmt: skip
    assert len(channel.of(event.Progressed)) == 1
    assert ended(channel) == "stopped"
    assert channel.of(event.Result) == []
    assert not run.events_file.exists()


def test_a_run_that_ended_without_a_word_is_told_with_its_last_line(
    yard: Yard, run: RemoteRun, tmp_path: Path
) -> None:
    yard.said = [event.Hello(task="train")]
    for text, last in (("", "it printed nothing"), ("one\nout of memory\n\n", "out of memory")):
        (run.path / "log.txt").write_text(text)
        with pytest.raises(TaskError) as caught:
            heard(tmp_path, action="attend", run=run.path)
        assert f"{run.name} ended without a word on a yard." in str(caught.value)
        assert caught.value.hint == f"Its log ends with: {last}"


def test_all_that_was_chosen_reaches_the_place(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: dict[str, Any] = {
        "offer": "a10",
        "host": "me@yard",
        "ssh": "ssh -p 7",
        "python": "/there/python",
        "user": "ada",
    }
    found: list[tuple[Asked, Path]] = []

    def begin(folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        found.append((asked, folder))
        told("It begins.")
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    monkeypatch.setattr(yard, "_start", begin)
    config = config_for(write_model(tmp_path / "model"), write_data(tmp_path / "data"), adapter_name="friendly")
    channel = Collector(tmp_path / "events.jsonl")
    job = RemoteStartJob(config=config.model_dump(mode="json"), place="yard", with_model=True, **chosen)
    start_elsewhere(channel, tmp_path, job)
    ((asked, folder),) = found
    assert asked == Asked(**chosen)
    assert folder.name == "friendly"
    assert "It begins." in [said.phase for said in channel.of(event.Progressed)]
    (told,) = channel.of(event.Result)
    assert told.name == "remote_start"
    assert ended(channel) == "completed"
