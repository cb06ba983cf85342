"""What a person wrote about a run: its name, tags and notes, in the ``notes.md`` of its folder.

The file is Markdown with a YAML head between two lines of ``---``, as other tools for notes write it. A file
without such a head is all notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.core.run.folder import RunDir
from app.core.system.atomic_file import write_text
from app.core.system.yaml_text import bounded_yaml, dumped_yaml

HEADER_FENCE = "---"
NAME_LENGTH = 80
_NAME_LINE = re.compile(r"^adapter_name: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RunNote:
    """``name`` is empty while the run goes by its adapter's name; ``other`` holds further keys of the head."""

    name: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.name or self.tags or self.text.strip() or self.other)


def parse_tags(words: str | Iterable[object]) -> tuple[str, ...]:
    """Tags of ``a, b`` or of a list: without blanks around them, each once, in the order they came."""
    parts = words.split(",") if isinstance(words, str) else [str(word) for word in words]
    found: dict[str, str] = {}
    for part in parts:
        tag = " ".join(part.replace(",", " ").split()).lstrip("#")
        if tag:
            found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


def load_note(run: RunDir) -> RunNote:
    """The run's note; an empty one if there is none. A head that is no YAML counts as text: nothing is lost."""
    try:
        text = run.notes.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return RunNote()
    return parse_note(text)


def given_name(run: RunDir) -> str:
    """The name that a person gave a run; empty while it goes by its adapter's."""
    return load_note(run).name if run.notes.is_file() else ""


def own_name(run: RunDir) -> str:
    """The adapter's name as the run's config has it, of which the folder's name is made; empty without a config."""
    try:
        found = _NAME_LINE.search(run.setup_or_config.read_text(encoding="utf-8", errors="replace"))
        value = yaml.safe_load(found[1]) if found else ""
    except (OSError, yaml.YAMLError):
        return ""
    return value if isinstance(value, str) else ""


def known_name(run: RunDir) -> str:
    """What a run is called where it is spoken of: as a person named it, else by its adapter or its folder."""
    return given_name(run) or own_name(run) or run.name


def parse_note(text: str) -> RunNote:
    """A note from the text of its file."""
    lines = text.split("\n")
    if lines[0].strip() != HEADER_FENCE:
        return RunNote(text=text)
    end = next((i for i, line in enumerate(lines[1:], start=1) if line.strip() == HEADER_FENCE), None)
    if end is None:
        return RunNote(text=text)
    try:
        head = bounded_yaml("\n".join(lines[1:end])) or {}
    except yaml.YAMLError:
        return RunNote(text=text)
    if not isinstance(head, dict):
        return RunNote(text=text)
    tags = head.pop("tags", None) or ()
    return RunNote(
        name=str(head.pop("name", None) or "").strip(),
        tags=parse_tags(tags if isinstance(tags, (str, list, tuple)) else [tags]),
        text="\n".join(lines[end + 1 :]).lstrip("\n"),
        other=head,
    )


def save_note(run: RunDir, note: RunNote) -> None:
    """Writes ``notes.md`` completely or not at all; an empty note removes it. Raises `OSError`."""
    if note.is_empty:
        run.notes.unlink(missing_ok=True)
        return
    head = {"name": note.name, "tags": list(note.tags)} | dict(note.other)
    kept = {key: value for key, value in head.items() if value not in ("", [])}
    front = f"{HEADER_FENCE}\n{dumped_yaml(kept)}{HEADER_FENCE}\n" if kept else ""
    # Text that itself begins with a fence would be read as a head: an empty head before it says that it is none.
    if not front and note.text.startswith(HEADER_FENCE):
        front = f"{HEADER_FENCE}\n{HEADER_FENCE}\n"
    write_text(run.notes, front + note.text)
