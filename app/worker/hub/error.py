"""What the hub's refusals and a failing network mean, in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from app.core.problem import Problem, TaskError, UnusableError
from app.core.system.setting import load_settings
from app.worker.process.room import FULL_ERRORS

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
GO_ON = "Run it again: it goes on where it stopped."


def refuse_offline() -> None:
    """Raises `UnusableError` if the settings or ``HF_HUB_OFFLINE`` forbid requests, or the hub's address is not
    private; none has been made then."""
    if load_settings().offline:
        said = "Luthier is set to work strictly offline, so the hub is not asked."
        raise UnusableError([Problem("offline", said, hint="Turn “strictly offline” off to search or download.")])
    if constants.is_offline_mode():
        said = "The environment variable HF_HUB_OFFLINE forbids requests to the hub."
        raise UnusableError([Problem("", said, hint="Unset it, then start Luthier again.")])
    address = urlsplit(constants.ENDPOINT)
    if address.scheme != "https" and address.hostname not in OWN_HOSTS:
        said = f"The hub at {constants.ENDPOINT} is not spoken to over HTTPS: the token could be read."
        raise UnusableError([Problem("", said, hint="Give HF_ENDPOINT an address that begins with https://.")])


@contextmanager
def told(model: str = "") -> Iterator[None]:
    """Turns what the hub, the network or the disk raise inside into `UnusableError` or `TaskError` in words."""
    try:
        yield
    except (HfHubHTTPError, httpx2.TransportError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise in_words(error, model) from error
    except HFValidationError as error:
        raise _unusable(f"{model} is no name of a model on the hub.", "A name reads organization/model.") from error
    except OSError as error:
        if error.errno not in FULL_ERRORS:
            raise
        raise TaskError("The disk is full.", f"Free some space, then r{GO_ON[1:]}") from error


def in_words(error: Exception, model: str) -> UnusableError | TaskError:
    """One such error as what happened and what to do."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, HfHubHTTPError):
        error = error.__cause__  # huggingface_hub looked in its cache after the hub had refused
    match error:
        case GatedRepoError():
            return _gated(model)
        case RepositoryNotFoundError():
            return _not_found(model)
        case RevisionNotFoundError():
            return _unusable(f"{model} has no such branch, tag or commit.", "Leave out what follows the @.")
        case EntryNotFoundError() if isinstance(error, HfHubHTTPError):
            return TaskError(f"A file of {model} is no longer on the hub.", "Look the model up again.")
        case HfHubHTTPError() if error.response is not None:
            return _status(error.response.status_code, model)
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.ReadTimeout():
            return TaskError("The connection broke, several times.", GO_ON)
        case _:
            return TaskError(
                f"The hub ({host()}) cannot be reached.",
                "Check the network, then run it again. Models that are on this machine work without it.",
            )


def host() -> str:
    """The hub's host, as it is shown."""
    return constants.ENDPOINT.partition("://")[2]


def _gated(model: str) -> UnusableError:
    page = f"{constants.ENDPOINT}/{model.partition('@')[0]}"
    if _has_token():
        hint = f"Accept its licence at {page} with the account of your token (some take a while to be granted)."
    else:
        hint = f"Accept its licence at {page}, then set a token of that account here."
    return _unusable(f"{model} is gated: its owner gives it only to those who accepted its licence.", hint)


def _not_found(model: str) -> UnusableError:
    hint = "Check the spelling: organization/model." if _has_token() else (
        "Check the spelling: organization/model. If it is private, set a token that may read it."
    )  # fmt: skip
    return _unusable(f"There is no model {model} on the hub.", hint)


def _status(code: int, model: str) -> UnusableError | TaskError:
    if code == 401:
        return _unusable("The hub does not know the token.", "Set a new one: tokens can expire or be revoked.")
    if code == 403:
        return _unusable(
            f"The hub refuses {model or 'this'} to your account.",
            "The token may lack the right to read it (gated models need that right in fine-grained tokens).",
        )
    if code == 404:
        return _not_found(model)
    if code == 429:
        return TaskError(
            "The hub asks to slow down (HTTP 429).", f"Wait some minutes; with a token more is allowed. {GO_ON}"
        )
    if code >= 500:
        return TaskError(f"The hub has trouble at the moment (HTTP {code}).", f"Wait a little. {GO_ON}")
    return TaskError(f"The hub refused the request (HTTP {code}).", "The log tells more.")


def _unusable(message: str, hint: str) -> UnusableError:
    return UnusableError([Problem("", message, hint=hint)])


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(os.environ.get("HF_TOKEN")) or get_token() is not None
