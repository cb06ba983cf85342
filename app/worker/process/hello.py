"""Hello: the first event of every worker, with its versions, its device and its memory."""

from __future__ import annotations

import os
import sys
from typing import Any

from app import __version__
from app.core.installation import package_version
from app.core.protocol import event


def hello(task: str) -> event.Hello:
    """The first event: versions, device, memory."""
    import mlx.core as mx

    from app.worker.process.gauge import memory_sizes

    info: dict[str, Any] = dict(mx.device_info())
    memory, working_set = memory_sizes()
    versions = {"luthier": __version__, "python": sys.version.split()[0], "mlx": package_version("mlx")}
    versions["mlx-lm"] = package_version("mlx-lm")
    return event.Hello(
        task=task,
        versions=versions,
        device=str(info.get("device_name") or info.get("architecture") or mx.default_device()),
        memory_gb=memory / 1e9,
        working_set_gb=working_set / 1e9,
        pid=os.getpid(),
    )
