"""What a setup's data was when it was queued: hours may lie between that and its training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from app.core.config.train_config import TrainConfig


def data_stamp(config: TrainConfig) -> str:
    """Names the files that a setup trains on, with their sizes and times of change; hexadecimal.

    It changes whenever one of them does. A file that was written again with what it held changes it, too: to know
    that, all bytes would have to be read. What cannot be read, or is not there, is as it is. No file is opened: the
    window asks for it, and an archive may take minutes to unpack.
    """
    digest = hashlib.blake2b(digest_size=8)
    for field in ("data", "valid_data", "test_data"):
        digest.update(f"\0{field}".encode())
        if name := config.value(field).strip():
            for line in sorted(_files(name)):
                digest.update(line)
    return digest.hexdigest()


def _files(name: str) -> Iterator[bytes]:
    # It knows all formats, for which no start should wait.
    from app.core.source.data_file import locate_data, stored_files

    try:
        found = stored_files(locate_data(name))
    except (OSError, ValueError):
        found = [Path(name)]
    for file in found:
        try:
            state = file.stat()
        except (OSError, ValueError):
            yield str(file).encode("utf-8", "surrogatepass") + b" is not there"
        else:
            yield os.fsencode(file) + f" {state.st_size} {state.st_mtime_ns}\n".encode()
