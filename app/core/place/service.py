"""A service on the web that is asked over HTTPS with a key: its answers as JSON, its refusals in words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError

if TYPE_CHECKING:
    import ssl

Found = TypeVar("Found")
_OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
_TRIES, _PATIENCE_S, _WAIT_S = 4, 30.0, 1.0


class RefusedByServiceError(UnusableError):
    """What a service refused: ``status`` is HTTP's, ``code`` the service's own word for it."""

    def __init__(self, problem: Problem, status: int, code: str) -> None:
        super().__init__([problem])
        self.status, self.code = status, code


class NotReachedError(UnusableError):
    """A service did not answer: what was asked for may have been done all the same."""


class Service:
    """Speaks to one. ``base`` may be another address by the environment's LUTHIER_…_URL, over HTTPS all the same
    (but for this machine). What only asks is tried several times, what makes or ends something once."""

    def __init__(self, place: str, label: str, base: str, headers: Mapping[str, str]) -> None:
        self._place, self._label = place, label
        self._base = os.environ.get(f"LUTHIER_{place.upper()}_URL", base).rstrip("/")
        self._headers = dict(headers)
        address = urlsplit(self._base)
        if address.scheme != "https" and address.hostname not in _OWN_HOSTS:
            said = tr(
                "{label} at {base} is not spoken to over HTTPS: the key could be read.",
                label=label,
                base=self._base,
            )
            raise UnusableError([Problem("place", said, hint=tr("Give an address that begins with https://."))])

    def get(self, path: str) -> Any:
        """What is at a path."""
        for attempt in range(1, _TRIES):
            try:
                return self._asked("GET", path, None)
            except NotReachedError:
                time.sleep(_WAIT_S * attempt)
            except RefusedByServiceError as error:
                if error.status != 429 and error.status < 500:
                    raise
                time.sleep(_WAIT_S * attempt)
        return self._asked("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What comes of a request that does something."""
        return self._asked("POST", path, body)

    def delete(self, path: str) -> Any:
        """What comes of taking something away; that it is gone already is as good."""
        try:
            return self._asked("DELETE", path, None)
        except RefusedByServiceError as error:
            if error.status != 404:
                raise
            return None

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        import httpx2

        try:
            with httpx2.Client(verify=_trusted(), timeout=_PATIENCE_S, follow_redirects=False) as client:
                answer = client.request(method, f"{self._base}{path}", headers=self._headers, json=body)
        except httpx2.TransportError as error:
            said = tr(
                "{label} ({hostname}) is not reached: {name}.",
                label=self._label,
                hostname=urlsplit(self._base).hostname,
                name=type(error).__name__,
            )
            raise NotReachedError([Problem("place", said, hint=tr("Check the network, then try again."))]) from None
        if answer.status_code >= 300:
            raise self._refusal(answer.status_code, _tree(answer.content))
        return _tree(answer.content)

    def _refusal(self, status: int, tree: Any) -> RefusedByServiceError:
        code, words, hint = _words(tree)
        if status == 401:
            said = tr("{label} does not accept the key.", label=self._label)
            hint = tr("Make a new one there, then `luthier remote key {place}`.", place=self._place)
        elif status == 402:
            said = tr("{label}: the account's balance is too low. {words}", label=self._label, words=words).strip()
            hint = tr("Add credit there, then start again.")
        elif status == 403:
            said = tr(
                "{label}: the key or the account may not do this. {words}", label=self._label, words=words
            ).strip()
            hint = hint or tr("Give the key the right to make and end machines.")
        elif status == 429:
            said = tr(
                "{label} is asked too often, or the account's quota is used up. {words}",
                label=self._label,
                words=words,
            ).strip()
            hint = hint or tr("Try again in a while.")
        elif status >= 500:
            said = tr(
                "{label} has a fault of its own ({status}). {words}", label=self._label, status=status, words=words
            ).strip()
            hint = hint or tr("Try again in a while.")
        else:
            said = tr(
                "{label}: {words}", label=self._label, words=words or tr("it answered {status}.", status=status)
            )
        return RefusedByServiceError(Problem("place", said, hint=hint), status, code)


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed. They are read once: that takes longer than many an answer."""
    import httpx2

    return httpx2.create_ssl_context()


@contextmanager
def understood(label: str) -> Iterator[None]:
    """Reads an answer: one that lacks what it should have, or has it in another form, is told in words. Raises
    `NotReachedError`, for what was asked may have been done all the same."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        what = tr("no `{args}` in it", args=error.args[0]) if isinstance(error, KeyError) else str(error)
        said = tr("{label} answered something that Luthier does not know ({what}).", label=label, what=what)
        hint = tr(
            "Its interface may have changed: look at what runs there on its own page, and for a newer Luthier."
        )
        raise NotReachedError([Problem("place", said, hint=hint)]) from error


def _tree(content: bytes) -> Any:
    try:
        return parsed_json(content) if content else None
    except ValueError:
        return None


def _words(tree: Any) -> tuple[str, str, str]:
    """(code, what happened, what to do) of an error's body, in the forms that services have."""
    if not isinstance(tree, dict):
        return "", "", ""
    inner = tree.get("error")
    if isinstance(inner, dict):
        found = str(inner.get("code", "")), str(inner.get("message", "")), str(inner.get("suggestion") or "")
    else:
        errors = tree.get("errors")
        more = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
        detail = str(tree.get("detail") or tree.get("message") or inner or tree.get("title") or "")
        found = str(tree.get("title", "")), f"{detail} {more}".strip(), ""
    code, words, hint = found
    return code, words[:400], hint[:400]


def wait_until(ready: Callable[[], Found | None], patience_s: float, pause_s: float) -> Found | None:
    """What ``ready()`` says as soon as it is something; None if that takes too long."""
    until = time.monotonic() + patience_s
    while (found := ready()) is None and time.monotonic() < until:
        time.sleep(pause_s)
    return found
