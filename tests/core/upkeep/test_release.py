"""Newer releases: asked of a releases page on the loopback, compared, and told in words when there is no answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from app import __version__
from app.core.problem import UnusableError
from app.core.upkeep.release import Release, newest_release, releases_address
from tests.loopback_server import serving

PAGE = "https://example.org/luthier/releases/9"
Answer = Callable[[int, object], None]


@pytest.fixture
def releases() -> Iterator[tuple[str, Answer, list[str]]]:
    """An address, what sets its answer, and the paths that were asked for."""
    answer: list[tuple[int, bytes]] = []
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answer[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address + "/latest", lambda status, tree: answer.append((status, json.dumps(tree).encode())), asked


def test_the_newest_release_is_read(releases: tuple[str, Answer, list[str]]) -> None:
    address, answer, asked = releases
    answer(200, {"tag_name": "v9.0.1", "html_url": PAGE})
    found = newest_release(address)
    assert found == Release("9.0.1", PAGE)
    assert found.is_newer
    answer(404, {"message": "Not Found"})
    assert newest_release(address) is None
    assert asked == ["/latest", "/latest"]
    answer(403, {"message": "Too many."})
    with pytest.raises(UnusableError, match="The releases page"):
        newest_release(address)


@pytest.mark.parametrize("tree", [{}, [], {"tag_name": "v9", "html_url": "file:///etc/passwd"}, None])
def test_an_answer_of_another_form_is_told(releases: tuple[str, Answer, list[str]], tree: object) -> None:
    address, answer, _ = releases
    answer(200, tree)
    with pytest.raises(UnusableError, match="The releases page answered something"):
        newest_release(address)


def test_only_https_is_asked() -> None:
    with pytest.raises(UnusableError, match="not spoken to over HTTPS"):
        newest_release("http://example.org/latest")


@pytest.mark.parametrize(
    ("version", "newer"),
    [(__version__, False), (f"{__version__}.0", False), ("0.0.9", False), ("0.1.10", True), ("0.10", True),
     ("1.0rc1", True), (f"{__version__}rc1", False), ("nightly", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str, newer: bool) -> None:
    assert Release(version, PAGE).is_newer is newer


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/some-one/luthier.git", "https://api.github.com/repos/some-one/luthier/releases/latest"),
        ("git@github.com:some-one/luthier", "https://api.github.com/repos/some-one/luthier/releases/latest"),
        ("/srv/git/luthier", ""), ("https://example.org/luthier.git", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_address_is_that_of_the_clone(tmp_path: Path, url: str, address: str) -> None:
    (tmp_path / ".git").mkdir()
    if url:
        (tmp_path / ".git" / "config").write_text(f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n')
    assert releases_address(tmp_path) == address
    assert releases_address(tmp_path / "no checkout") == ""
