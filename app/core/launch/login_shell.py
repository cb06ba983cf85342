"""The login shell's variables: Finder starts programs without them, and models, token and proxy seem gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

SHELL_LIMIT_S = 3.0  # a shell that takes longer is left alone: the window must not wait for it
_MARK = "luthier-variables"
# What is taken over; everything else of a shell is its own business.
SHELL_VARIABLES = frozenset((
    "PATH", "HF_HOME", "HF_TOKEN", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN_PATH", "XDG_CACHE_HOME",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "LUTHIER_HOME", *(name for word in ("http", "https", "all", "no")
                            for name in (f"{word}_proxy", f"{word}_proxy".upper())),
))  # fmt: skip


def shell_variables(environment: Mapping[str, str], limit_s: float = SHELL_LIMIT_S) -> dict[str, str]:
    """What the user's login shell says of `SHELL_VARIABLES`; empty where it says nothing in time."""
    shell = environment.get("SHELL") or _own_shell()
    if not shell:
        return {}
    command = [shell, "-i", "-l", "-c", f"echo {_MARK}; env; echo {_MARK}"]
    try:
        # In a session of its own: an interactive shell takes the terminal, and what it starts ends with it.
        asked = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip
    except OSError:
        return {}
    try:
        said, _ = asked.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(asked.pid, signal.SIGKILL)
        asked.communicate()
        return {}
    parts = said.decode("utf-8", "replace").split(f"{_MARK}\n")
    if len(parts) < 3:
        return {}
    pairs = (line.partition("=") for line in parts[-2].splitlines())
    return {name: value for name, _, value in pairs if name in SHELL_VARIABLES and value}


def adopt_shell_variables() -> None:
    """Puts them into this process's environment: its workers and programs get them too. What is set already stays;
    of PATH the shell's comes first."""
    for name, value in shell_variables(os.environ).items():
        if name == "PATH":
            own = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part]
            first = value.split(os.pathsep)
            value = os.pathsep.join([*first, *(part for part in own if part not in first)])
            os.environ["PATH"] = value
        else:
            os.environ.setdefault(name, value)


def _own_shell() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        return ""
