"""The check for a newer version: each answer of the releases page in words, and a page only of a newer one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest
from pytestqt.qtbot import QtBot

from app import __version__
from app.ui.message.bar import MessageBar
from app.ui.settings.release_check import ReleaseCheck
from tests.loopback_server import serving

PAGE = "https://example.org/luthier"


class Page(BaseHTTPRequestHandler):
    """Answers as the test says."""

    status = 200
    tree: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        body = json.dumps(self.tree).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def check(qapp: object) -> Iterator[ReleaseCheck]:
    assert qapp
    with serving(Page) as address:
        found = ReleaseCheck(find=lambda: address)
        yield found
        found.shutdown()


@pytest.mark.parametrize(
    ("status", "tag", "said", "page"),
    [
        (200, "v99.1", f"Luthier 99.1 is out; this is {__version__}.", PAGE),
        (200, f"v{__version__}", f"This is the newest version, {__version__}.", ""),
        (200, "v0.0.1", f"This is the newest version, {__version__}.", ""),
        (404, "", "No version has been released yet.", ""),
    ],
)
def test_each_answer_is_told_in_words_and_only_news_as_a_message(
    qtbot: QtBot,
    check: ReleaseCheck,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    tag: str,
    said: str,
    page: str,
) -> None:
    monkeypatch.setattr(Page, "status", status)
    monkeypatch.setattr(Page, "tree", {"tag_name": tag, "html_url": PAGE})
    messages = MessageBar()
    qtbot.addWidget(messages)
    check.tell_news(messages)
    with qtbot.waitSignal(check.told) as told:
        check.ask()
    assert told.args == [said, page]
    assert [one.text for one in messages.messages()] == ([said] if page else [])


def test_a_page_that_does_not_answer_as_one_is_told(
    qtbot: QtBot, check: ReleaseCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Page, "tree", {"name": "something else"})
    with qtbot.waitSignal(check.told) as told:
        check.ask()
    assert told.args[0].startswith("The releases page answered something")
    assert told.args[1] == ""
