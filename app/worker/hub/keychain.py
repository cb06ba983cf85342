"""The hub's access token in the system's keychain, where it has one.

Where there is none, huggingface_hub's own file holds the token, which only its owner can read.
"""

from __future__ import annotations

import os

from app.core.place.key import HUB_TOKEN
from app.core.system.keychain import drop_secret, keep_secret, kept_secret

ACCOUNT, TOKEN_VARIABLE = HUB_TOKEN.account, HUB_TOKEN.variable  # the variable: what huggingface_hub reads first


def kept_token() -> str:
    """The token that the keychain has; empty if it has none, or there is no keychain, or it is locked."""
    return kept_secret(ACCOUNT)


def keep_token(token: str) -> bool:
    """Puts it into the keychain; false where there is none that takes it."""
    return keep_secret(ACCOUNT, token)


def drop_token() -> None:
    """Takes it out of the keychain, if it is there."""
    drop_secret(ACCOUNT)


def use_kept_token() -> None:
    """Lets huggingface_hub find the keychain's token in this process; one of the environment goes before it."""
    if not os.environ.get(TOKEN_VARIABLE) and (token := kept_token()):
        os.environ[TOKEN_VARIABLE] = token
