"""Whether a process of this machine lives."""

from __future__ import annotations

import os


def is_alive(process: int) -> bool:
    """True while there is a process of this number, whoever's it is; also one that ended and was not waited for."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
