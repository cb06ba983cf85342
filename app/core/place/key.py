"""The key of a place: a secret of the user's account, in the environment or the system's keychain, in no file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from app.core.system.keychain import kept_secret


@dataclass(frozen=True, slots=True)
class PlaceKey:
    """``account`` is its name in the keychain, in every language the same; ``variable`` is the environment's, which
    goes first; ``page`` is where one is made."""

    account: str
    variable: str
    page: str

    def read(self) -> str:
        """The key; empty if there is none."""
        return os.environ.get(self.variable, "").strip() or kept_secret(self.account)


HUB_TOKEN = PlaceKey("hub access token", "HF_TOKEN", "huggingface.co/settings/tokens")
