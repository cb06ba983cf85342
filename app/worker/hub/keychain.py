"""The keychain: the hub's access token in the system's own store of secrets, where it has one.

macOS has its keychain, Linux desktops a secret service; both through ``keyring``. Where there is none (a server, a
bare container), huggingface_hub's own file holds the token, which only its owner can read.
"""

from __future__ import annotations

import os
from contextlib import suppress

SERVICE, ACCOUNT = "Luthier", "hub access token"
TOKEN_VARIABLE = "HF_TOKEN"  # what huggingface_hub reads before its own file


def kept_token() -> str:
    """The token that the keychain has; empty if it has none, or there is no keychain, or it is locked."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        return keyring.get_password(SERVICE, ACCOUNT) or ""
    return ""


def keep_token(token: str) -> bool:
    """Puts it into the keychain; false where there is none that takes it."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        keyring.set_password(SERVICE, ACCOUNT, token)
        return kept_token() == token
    return False


def drop_token() -> None:
    """Takes it out of the keychain, if it is there."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        if keyring.get_password(SERVICE, ACCOUNT) is not None:
            keyring.delete_password(SERVICE, ACCOUNT)


def use_kept_token() -> None:
    """Lets huggingface_hub find the keychain's token in this process; one of the environment goes before it."""
    if not os.environ.get(TOKEN_VARIABLE) and (token := kept_token()):
        os.environ[TOKEN_VARIABLE] = token
