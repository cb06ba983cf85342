"""The hub's token in the system's keychain: what is written where, with a keychain of the test's own."""

from __future__ import annotations

import io
import json
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keyring
import pytest
from huggingface_hub import constants, get_token
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from app.core.problem import TaskError, UnusableError
from app.core.protocol.command import EndOfInput, GiveToken
from app.core.protocol.job import HubLoginJob, HubSearchJob
from app.core.system.keychain import SERVICE
from app.worker.hub import keychain
from app.worker.hub.access_token import login
from app.worker.hub.tasks import search
from app.worker.process.channel import Channel
from tests.hub_server import TOKEN, HubServer, hub_server


class Drawer(KeyringBackend):
    """Secrets in memory."""

    priority = 1

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__()
        self.secrets: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.secrets.pop((service, username), None) is None:
            raise PasswordDeleteError


@contextmanager
def own_drawer() -> Iterator[Drawer]:
    """The keychain of this process, until it ends."""
    before, mine = keyring.get_keyring(), Drawer()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    with own_drawer() as mine:
        yield mine


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_server() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.address)
        yield server
    os.environ.pop("HF_TOKEN", None)


def standing(action: str, token: str = "") -> dict[str, Any]:
    """What the task says at its end."""
    said = io.StringIO()
    commands: queue.Queue[Any] = queue.Queue()
    commands.put(GiveToken(token=token))
    login(Channel(said, commands), Path("unused"), HubLoginJob.model_validate({"action": action}))
    assert TOKEN not in said.getvalue()
    return next(json.loads(line)["data"] for line in said.getvalue().splitlines() if '"result"' in line)


@pytest.mark.usefixtures("hub")
def test_the_token_goes_into_the_keychain_and_into_no_file(drawer: Drawer, home: Path) -> None:
    kept = {"set": True, "user": "ada", "from_environment": False, "in_keychain": True}
    assert standing("login", TOKEN) == kept
    assert list(drawer.secrets.values()) == [TOKEN]
    assert get_token() is None  # huggingface_hub's own file has none
    assert [path for path in home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()] == []
    assert standing("status") == kept | {"user": ""}
    assert standing("logout") == {"set": False, "user": "", "from_environment": False, "in_keychain": False}
    assert drawer.secrets == {}
    assert standing("logout")["set"] is False


@pytest.mark.usefixtures("hub")
def test_a_locked_keychain_leaves_it_to_a_file_of_its_owner(drawer: Drawer) -> None:
    drawer.locked = True
    assert standing("login", TOKEN) == {
        "set": True, "user": "ada", "from_environment": False, "in_keychain": False
    }  # fmt: skip
    assert get_token() == TOKEN
    assert Path(constants.HF_TOKEN_PATH).stat().st_mode & 0o077 == 0
    drawer.locked = False  # the next login moves it
    assert standing("login", TOKEN)["in_keychain"] is True
    assert get_token() is None
    standing("logout")


def test_requests_carry_the_keychains_token_unless_the_environment_has_one(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    drawer.secrets[SERVICE, keychain.ACCOUNT] = TOKEN
    keychain.use_kept_token()
    assert get_token() == TOKEN
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_shell")
    keychain.use_kept_token()
    assert get_token() == "hf_of_the_shell"


def test_a_hub_without_https_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://hub.example.org")
    with pytest.raises(UnusableError, match="not spoken to over HTTPS"):
        search(Channel(io.StringIO(), queue.Queue()), Path("unused"), HubSearchJob(query="x"))


def answered(command: Any) -> list[dict[str, Any]]:
    """What the task says whose question is answered with a command."""
    said = io.StringIO()
    commands: queue.Queue[Any] = queue.Queue()
    commands.put(command)
    login(Channel(said, commands), Path("unused"), HubLoginJob(action="login"))
    return [json.loads(line) for line in said.getvalue().splitlines()]


@pytest.mark.usefixtures("hub")
def test_who_gives_no_token_logs_nobody_in(drawer: Drawer) -> None:
    assert [(one["type"], one.get("reason")) for one in answered(EndOfInput())] == [
        ("ready", None), ("finished", "stopped")
    ]  # fmt: skip
    with pytest.raises(UnusableError) as caught:
        answered(GiveToken(token=" \n"))
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == ("token", "No token was given.")
    assert problem.hint == "Copy one from your account's settings."
    assert drawer.secrets == {}


def test_a_hub_in_trouble_is_no_wrong_token(drawer: Drawer, hub: HubServer) -> None:
    for status, kind, words in ((503, TaskError, "trouble"), (403, UnusableError, "does not accept this token")):
        hub.status = {"/api/whoami": status}
        with pytest.raises(kind, match=words):
            answered(GiveToken(token=TOKEN))
    assert drawer.secrets == {}
    hub.status = {}
    said = answered(GiveToken(token=f" {TOKEN}\n"))
    assert [one["type"] for one in said] == ["ready", "result", "finished"]
    assert list(drawer.secrets.values()) == [TOKEN], "as it is, without what was copied with it"
