"""A title: how a model, a data set or any other path is told in a few letters."""

from __future__ import annotations

import re
from pathlib import PurePath

from app.core.system.plain_text import harmless_text

# Names that say what kind of thing lies there, and not which one: the folder around them is told instead.
GENERIC = frozenset(("model", "models", "data", "dataset", "datasets", "train", "training", "snapshots"))
_HUB_FOLDER = re.compile(r"^(?:models|datasets)--(?:.+?--)?(.+)$")  # how the hub's cache names a repository
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_DATA_SUFFIX = re.compile(r"\.(?:jsonl?|csv|tsv|parquet|arrow|txt|md|zip|xlsx|gz|docx|pdf|epub)$", re.IGNORECASE)


def path_title(path: str) -> str:
    """``qwen2.5-0.5b`` for a folder, a file or a hub's name of that; one called ``model`` by its parent's name.

    Endings of data files do not count, and bytes that are no text are replaced. Empty for an empty path.
    """
    parts = [part for part in PurePath(harmless_text(path.strip())).parts if part.strip("/\\.")]
    names = [_DATA_SUFFIX.sub("", part) for part in parts]
    for name in reversed(names):
        if _COMMIT.match(name) or name.casefold() in GENERIC:
            continue
        found = _HUB_FOLDER.match(name)
        return found[1] if found else name
    return names[-1] if names else ""
