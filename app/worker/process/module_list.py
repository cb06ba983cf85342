"""The list of the modules that transformers has, kept beside them: at each start it reads all its sources for it.

`transformers/__init__.py` and `transformers/models/__init__.py` each open some 1,600 files and look for the names
in them, more than half a second of the processor: as much as all else that a worker imports. The answer is the same
until the package is another, so it is kept where Python keeps the compiled modules, and read there the next time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from app.core.installation import is_frozen
from app.core.json_text import parsed_json
from app.core.system import place
from app.core.system.atomic_file import write_text

LISTER = "transformers.utils.import_utils"
LIST_FUNCTION = "define_import_structure"  # of version 4.46 and later
LARGE = 100  # folders: what has fewer is read in no time

# What is needed for a module -> modules -> their names.
ModuleList = dict[frozenset[str], dict[str, set[str]]]


def keep_module_list() -> None:
    """From here on transformers finds its list where it was kept. To be called before it is imported."""
    if LISTER not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Waits for the one module that makes the list."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the module as it is, which keeps its list as soon as it has been run."""
        if fullname != LISTER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_keep(module: ModuleType) -> None:
                run(module)
                made = getattr(module, LIST_FUNCTION, None)
                if callable(made):
                    setattr(module, LIST_FUNCTION, kept(made))

            spec.loader.exec_module = run_and_keep  # type: ignore[method-assign]
        return spec


def kept(make: Callable[..., ModuleList]) -> Callable[..., ModuleList]:
    """The function that lists a folder's modules, which asks for what was kept before it looks."""

    @wraps(make)
    def listed(module_path: str | os.PathLike[str], prefix: str | None = None) -> ModuleList:
        folder = Path(module_path)
        folder = folder.parent if folder.suffix == ".py" else folder
        try:
            state = _state(folder)
        except OSError:
            state = None
        if state is None:
            return make(module_path, prefix=prefix)
        file = _file(folder, prefix)
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            found = parsed_json(file.read_bytes())
            if found["state"] == state:
                return _unpacked(found["modules"])
        made = make(module_path, prefix=prefix)
        if _may_write():
            with contextlib.suppress(OSError, ValueError, TypeError):
                packed = _packed(made)
                if _unpacked(packed) == made:
                    write_text(file, json.dumps({"state": state, "modules": packed}))
        return made

    return listed


def _state(folder: Path) -> str | None:
    """What changes when the package is installed anew: its folders' times. None of a small one."""
    with os.scandir(folder) as entries:
        found = sorted((one.name, one.stat().st_mtime_ns) for one in entries if one.name != "__pycache__")
    if len(found) < LARGE:
        return None
    return hashlib.sha256(repr((str(folder), sys.version_info[:2], found)).encode()).hexdigest()


def _file(folder: Path, prefix: str | None) -> Path:
    """Where the list lies: beside the compiled modules, wherever Python was told to put these; that of an app which
    brings its Python along in the person's cache, for nothing may change inside of a signed one."""
    compiled = Path(importlib.util.cache_from_source(str(folder / "__init__.py")))
    home = place.cache_dir() if is_frozen() else compiled.parent
    return home / f"luthier-modules{f'-{prefix}' if prefix else ''}.json"


def _may_write() -> bool:
    return is_frozen() or not sys.dont_write_bytecode


def _packed(modules: ModuleList) -> list[Any]:
    return [[sorted(needs), {name: sorted(names) for name, names in of.items()}] for needs, of in modules.items()]


def _unpacked(packed: list[Any]) -> ModuleList:
    return {frozenset(needs): {name: set(names) for name, names in of.items()} for needs, of in packed}
