"""The network as the settings want it: through a proxy, or not to the hub at all; for workers and this process."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from app.core.language import tr
from app.core.protocol.program import OFFLINE_VARIABLES
from app.core.system.setting import Settings

GPU_VARIABLE = "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NOT_BY_PROXY = "localhost,127.0.0.1,::1"  # served models, and what replicas and tests say to each other
_SCHEMES = ("http", "https", "socks5", "socks5h")
_MOST_PORT = 65535


def network_environment(settings: Settings, base: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that the settings add to ``base``; what they leave open is the environment's own business."""
    found = dict.fromkeys(OFFLINE_VARIABLES, "1") if settings.offline else {}
    if settings.proxy and not proxy_fault(settings.proxy):
        kept = base.get("NO_PROXY") or base.get("no_proxy")
        there = dict.fromkeys(_PROXY_VARIABLES, settings.proxy)
        there["NO_PROXY"] = (
            f"{kept},{_NOT_BY_PROXY}" if kept and _NOT_BY_PROXY not in kept else kept or _NOT_BY_PROXY
        )
        # Programs read one spelling or the other, and curl the small one alone.
        found |= there | {name.lower(): value for name, value in there.items()}
    return found


def gpu_environment(settings: Settings, platform: str = sys.platform) -> dict[str, str]:
    """The variable by which macOS's driver lets the GPU's work take longer, where the settings say so."""
    return {GPU_VARIABLE: "1"} if settings.relax_gpu_limit and platform == "darwin" else {}


class OwnNetwork:
    """This process's environment, as the settings want it and as it was before."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def follow(self, settings: Settings) -> None:
        """Takes the settings over; what they no longer say is as it was when the process started."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        wanted = network_environment(settings) | gpu_environment(settings)
        self._before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)


own_network = OwnNetwork()


def proxy_fault(text: str) -> str:
    """Why a text is no proxy's address; empty if it is one, or nothing."""
    if not text:
        return ""
    try:
        address = urlsplit(text)
        port = address.port
    except ValueError:
        return tr("The port is no number from 1 to 65535.")
    if address.scheme not in _SCHEMES or not address.hostname:
        return tr("An address reads http://host:port (or https, socks5, socks5h).")
    if address.username or address.password:
        return tr(
            "A name and password do not belong in the settings, which are a plain file: set "
            "HTTPS_PROXY where you start Luthier instead."
        )
    if port is None or not 0 < port <= _MOST_PORT:
        return tr("The port is missing: http://host:port.")
    return ""
