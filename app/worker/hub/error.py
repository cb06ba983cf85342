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

from app.core.language import tr
from app.core.problem import Problem, TaskError, UnusableError
from app.core.system.disk import FULL_ERRORS
from app.core.system.setting import load_settings

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
GO_ON = tr("Run it again: it goes on where it stopped.")


def refuse_offline() -> None:
    """Raises `UnusableError` if the settings or ``HF_HUB_OFFLINE`` forbid requests, or the hub's address is not
    private; none has been made then."""
    if load_settings().offline:
        said = tr("Luthier is set to work strictly offline, so the hub is not asked.")
        raise UnusableError(
            [Problem("offline", said, hint=tr("Turn “strictly offline” off to search or download."))]
        )
    if constants.is_offline_mode():
        said = tr("The environment variable HF_HUB_OFFLINE forbids requests to the hub.")
        raise UnusableError([Problem("", said, hint=tr("Unset it, then start Luthier again."))])
    address = urlsplit(constants.ENDPOINT)
    if address.scheme != "https" and address.hostname not in OWN_HOSTS:
        said = tr(
            "The hub at {endpoint} is not spoken to over HTTPS: the token could be read.",
            endpoint=constants.ENDPOINT,
        )
        raise UnusableError([Problem("", said, hint=tr("Give HF_ENDPOINT an address that begins with https://."))])


@contextmanager
def told(model: str = "") -> Iterator[None]:
    """Turns what the hub, the network or the disk raise inside into `UnusableError` or `TaskError` in words."""
    try:
        yield
    except (HfHubHTTPError, httpx2.TransportError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise in_words(error, model) from error
    except HFValidationError as error:
        raise _unusable(
            tr("{model} is no name of a model on the hub.", model=model), tr("A name reads organization/model.")
        ) from error
    except OSError as error:
        if error.errno not in FULL_ERRORS:
            raise
        raise TaskError(tr("The disk is full."), tr("Free some space. {go_on}", go_on=GO_ON)) from error


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
            return _unusable(
                tr("{model} has no such branch, tag or commit.", model=model), tr("Leave out what follows the @.")
            )
        case EntryNotFoundError() if isinstance(error, HfHubHTTPError):
            return TaskError(
                tr("A file of {model} is no longer on the hub.", model=model), tr("Look the model up again.")
            )
        case HfHubHTTPError() if error.response is not None:
            return _status(error.response.status_code, model)
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.ReadTimeout():
            return TaskError(tr("The connection broke, several times."), GO_ON)
        case _:
            return TaskError(
                tr("The hub ({host}) cannot be reached.", host=host()),
                tr("Check the network, then run it again. Models that are on this machine work without it."),
            )


def host() -> str:
    """The hub's host, as it is shown."""
    return constants.ENDPOINT.partition("://")[2]


def _gated(model: str) -> UnusableError:
    page = f"{constants.ENDPOINT}/{model.partition('@')[0]}"
    if _has_token():
        hint = tr(
            "Accept its licence at {page} with the account of your token (some take a while to be granted).",
            page=page,
        )
    else:
        hint = tr("Accept its licence at {page}, then set a token of that account here.", page=page)
    return _unusable(
        tr("{model} is gated: its owner gives it only to those who accepted its licence.", model=model), hint
    )


def _not_found(model: str) -> UnusableError:
    hint = tr("Check the spelling: organization/model.") if _has_token() else (
        tr("Check the spelling: organization/model. If it is private, set a token that may read it.")
    )  # fmt: skip
    return _unusable(tr("There is no model {model} on the hub.", model=model), hint)


def _status(code: int, model: str) -> UnusableError | TaskError:
    if code == 401:
        return _unusable(
            tr("The hub does not know the token."), tr("Set a new one: tokens can expire or be revoked.")
        )
    if code == 403:
        return _unusable(
            tr("The hub refuses {model} to your account.", model=model)
            if model
            else tr("The hub refuses this to your account."),
            tr("The token may lack the right to read it (gated models need that right in fine-grained tokens)."),
        )
    if code == 404:
        return _not_found(model)
    if code == 429:
        return TaskError(
            tr("The hub asks to slow down (HTTP 429)."),
            tr("Wait some minutes; with a token more is allowed. {go_on}", go_on=GO_ON),
        )
    if code >= 500:
        return TaskError(
            tr("The hub has trouble at the moment (HTTP {code}).", code=code),
            tr("Wait a little. {go_on}", go_on=GO_ON),
        )
    return TaskError(tr("The hub refused the request (HTTP {code}).", code=code), tr("The log tells more."))


def _unusable(message: str, hint: str) -> UnusableError:
    return UnusableError([Problem("", message, hint=hint)])


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(os.environ.get("HF_TOKEN")) or get_token() is not None
