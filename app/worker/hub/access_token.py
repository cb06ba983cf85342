"""The task that looks after the hub's access token.

The token comes as a command, is checked, and goes into the system's keychain, or huggingface_hub's own file where
there is none. It never stands in a job, a config, an event or the log.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from huggingface_hub import get_token, whoami
from huggingface_hub import login as store_token
from huggingface_hub import logout as forget_token
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.command import GiveToken
from app.core.protocol.job import HubLoginJob
from app.worker.hub.error import refuse_offline, told
from app.worker.hub.keychain import TOKEN_VARIABLE, drop_token, keep_token, kept_token
from app.worker.process.channel import Channel


def login(channel: Channel, _job_dir: Path, job: HubLoginJob) -> None:
    """The task ``hub_login``: logs in (and waits for the command ``give_token``), logs out, or tells how it stands.

    Ends with a `Result`: ``set`` (there is a token), ``user`` (if the hub was asked), ``from_environment``, and
    ``in_keychain``.
    """
    match job.action:
        case "logout":
            drop_token()
            _forget_file()
            _tell(channel, "")
        case "status":
            _tell(channel, "")
        case _:
            _login(channel)


def _login(channel: Channel) -> None:
    refuse_offline()
    channel.emit(event.Ready())
    command = channel.wait()
    if not isinstance(command, GiveToken):
        channel.emit(event.Finished(reason="stopped"))
        return
    token = command.token.strip()
    if not token:
        raise UnusableError(
            [Problem("token", tr("No token was given."), hint=tr("Copy one from your account's settings."))]
        )
    with told():
        user = _checked(token)
        if keep_token(token):
            _forget_file()  # of an earlier login
        else:
            store_token(token=token, add_to_git_credential=False)
    _tell(channel, user)


def _forget_file() -> None:
    with contextlib.suppress(LocalTokenNotFoundError):  # nothing is stored: what was asked for is so
        forget_token()


def _checked(token: str) -> str:
    """The name of the token's account. The error of an unknown token must not carry the token."""
    try:
        return str(whoami(token)["name"])
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code not in (400, 401, 403):
            raise
        said = tr("The hub does not accept this token.")
        hint = tr(
            "Copy it again from your account's settings (it begins with hf_), or make a new one that may read."
        )
        raise UnusableError([Problem("token", said, hint=hint)]) from None


def _tell(channel: Channel, user: str) -> None:
    kept = bool(kept_token())
    data = {
        "set": kept or get_token() is not None,
        "user": user,
        "from_environment": bool(os.environ.get(TOKEN_VARIABLE)),
        "in_keychain": kept,
    }
    channel.emit(event.Result(name="hub_login", data=data))
    channel.emit(event.Finished())
