"""Trust in reward files: they are code, and code runs only after a person's word, remembered by its content.

The word covers what a file imports from its own folder as well, as far as that can be read in it: a helper that was
changed since asks for the word again. What is imported in other ways the reward process refuses when it is loaded.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

from app.core.system.setting import keep_settings, load_settings
from app.core.typed_path import typed_path


def own_modules(file: Path) -> list[Path]:
    """The file and the modules of its folder that it imports, and those that they import, in a steady order.

    A file that is no Python is alone.
    """
    file = typed_path(file).resolve()
    folder, found, waiting = file.parent, {file}, [file]
    while waiting:
        for name in _imported(waiting.pop()):
            base = folder.joinpath(*name.split("."))
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if path.is_file() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return [file, *sorted(found - {file})]


def _imported(file: Path) -> set[str]:
    """The names of modules that a file imports, parents and what may be modules of packages included."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names |= {base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)}
    parts = {tuple(name.split(".")) for name in names if name and "*" not in name}
    return {".".join(part[: i + 1]) for part in parts for i in range(len(part))}


def content_hash(file: Path) -> str:
    """Names the content of a file and of its own modules; one changed letter, and the word is needed again."""
    first, *others = own_modules(file)
    digest = hashlib.sha256(first.read_bytes())
    for other in others:
        digest.update(f"\0{other.relative_to(first.parent)}\0".encode() + other.read_bytes())
    return digest.hexdigest()


def is_trusted(file: Path) -> bool:
    """True if somebody at this computer said that this very content may run."""
    return content_hash(file) in load_settings().trusted_reward_files


def trust(file: Path) -> str:
    """Remembers that the file's present content may run; returns its hash."""
    name, known = content_hash(file), load_settings().trusted_reward_files
    if name not in known:
        keep_settings(trusted_reward_files=(*known, name))
    return name
