"""Releases: whether there is a newer Luthier, asked of its releases page when a person wants that."""

from __future__ import annotations

import re
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app import __version__
from app.core.language import tr
from app.core.place.service import RefusedByServiceError, Service, understood

_GITHUB = re.compile(
    r"^(?:https://github\.com/|git@github\.com:|ssh://git@github\.com/)([\w.-]+)/([\w.-]+?)(?:\.git)?/?$"
)
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Release:
    """A published version, and the page that people get it from."""

    version: str
    page: str

    @property
    def is_newer(self) -> bool:
        """Whether it comes after this one."""
        return _order(self.version) > _order(__version__)


def releases_address(checkout: Path = _ROOT) -> str:
    """Where GitHub tells the newest release of what this copy was cloned from; empty where that is not known."""
    origin = ConfigParser(strict=False, interpolation=None)
    try:
        origin.read(checkout / ".git" / "config", encoding="utf-8")
        found = _GITHUB.match(origin.get('remote "origin"', "url"))
    except (ConfigError, OSError, UnicodeDecodeError):
        return ""
    return f"https://api.github.com/repos/{found[1]}/{found[2]}/releases/latest" if found else ""


def newest_release(address: str) -> Release | None:
    """The newest release at an address (GitHub's form: ``tag_name``, ``html_url``); None if there is none yet.

    Sends nothing but the request. Raises `UnusableError` that says why there is no answer.
    """
    service = Service("releases", tr("The releases page"), address, {"Accept": "application/vnd.github+json"})
    try:
        tree = service.get("")
    except RefusedByServiceError as error:
        if error.status == 404:
            return None
        raise
    with understood(tr("The releases page")):
        version, page = str(tree["tag_name"]).removeprefix("v"), str(tree["html_url"])
        if urlsplit(page).scheme not in ("https", "http"):
            raise ValueError(tr("the release's page is no web address"))
        return Release(version, page)


def _order(version: str) -> tuple[tuple[int, ...], bool]:
    """1.10.0 comes after 1.9, and 1.0 after 1.0rc1."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = tuple(int(part) for part in numbers[0].split(".")) if numbers else ()
    while parts and not parts[-1]:
        parts = parts[:-1]
    return parts, numbers is not None and numbers.end() == len(version)
