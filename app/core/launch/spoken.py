"""The language that the window starts in: the one that was chosen in Settings, or else the system's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

from app.core.language import LANGUAGES, VARIABLE, choose_language

DEFAULTS_LIMIT_S = 2.0
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # of POSIX, the first that is set counts


def speak() -> None:
    """Chooses the language of this process, unless its environment names one already."""
    if not os.environ.get(VARIABLE):
        from app.core.system.setting import load_settings  # with pydantic, which the overview must not wait for

        chosen = load_settings().language
        choose_language(system_language() if chosen == "system" else chosen)


def system_language(environment: Mapping[str, str] = os.environ) -> str:
    """The first of the person's languages that Luthier speaks; English where it speaks none of them.

    macOS has a list of them; elsewhere it is GNU's ``LANGUAGE`` (only beside a locale) and POSIX's variables.
    """
    wanted = _of_mac() if sys.platform == "darwin" else []
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    if not wanted and locale.partition(".")[0] not in ("", "C", "POSIX"):
        wanted = [*environment.get("LANGUAGE", "").split(":"), locale]
    spoken = (re.split(r"[-_.@]", one, maxsplit=1)[0].lower() for one in wanted)
    return next((one for one in spoken if one in LANGUAGES), "en")


def _of_mac() -> list[str]:
    """``AppleLanguages``, such as ``de-CH``: Finder gives programs no variable that names them."""
    try:
        asked = subprocess.run(
            ["/usr/bin/defaults", "read", "-g", "AppleLanguages"],
            capture_output=True, text=True, timeout=DEFAULTS_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return re.findall(r"[A-Za-z]{2,3}(?:-\w+)*", asked.stdout)
