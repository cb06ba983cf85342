"""The keychain: secrets in the system's own store, where it has one.

macOS has its keychain, Linux desktops a secret service; both through ``keyring``. Where there is none (a server, a
bare container), nothing is kept.
"""

from __future__ import annotations

from contextlib import suppress

SERVICE = "Luthier"


def kept_secret(account: str) -> str:
    """What the keychain has for an account; empty if nothing, or there is no keychain, or it is locked."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        return keyring.get_password(SERVICE, account) or ""
    return ""


def keep_secret(account: str, secret: str) -> bool:
    """Puts it into the keychain; false where there is none that takes it."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        keyring.set_password(SERVICE, account, secret)
        return kept_secret(account) == secret
    return False


def drop_secret(account: str) -> None:
    """Takes it out of the keychain, if it is there."""
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, RuntimeError):
        if keyring.get_password(SERVICE, account) is not None:
            keyring.delete_password(SERVICE, account)
