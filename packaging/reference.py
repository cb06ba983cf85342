"""The reference pages: what the code declares, written out for readers, and the check that they are up to date.

python packaging/reference.py            # writes docs/reference/*.md
python packaging/reference.py --check    # exit code 1 if a page is not what the code says, and its name
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from typer.main import get_command

from app.command.output import exit_code_text
from app.command.verb import EACH_LINE, VERBS
from app.core.config.field import FieldSpec
from app.core.config.spec import field_specs
from app.core.method.method import Method
from app.core.method.table import METHODS
from app.core.protocol.command import COMMANDS
from app.core.protocol.event import EVENTS
from app.core.protocol.job import JOBS
from app.core.protocol.wire import PROTOCOL_VERSION

FOLDER = ROOT / "docs" / "reference"
WIDTH = 100  # columns of the help texts
NOTE = "<!-- Written by packaging/reference.py from the code: change that, not this page. -->"


# -- config --------------------------------------------------------------------------------------------------------


def config_page() -> str:
    """Every field of the config by its dotted path."""
    rows = [
        (f"`{path}`", spec.label, _default(spec), _range(spec), spec.unit, spec.help)
        for path, spec in field_specs().items()
    ]
    return _page(
        "The config",
        "Every value of a run, as it stands in `config.yaml`; a dot leads into a group. Keys that mlx-lm knows "
        "have its names and its meaning. What a file leaves out has its default, or what its method sets "
        "([methods](method.md)). Keys that are not listed here are kept, and written back.",
        _table(("key", "label", "default", "range", "unit", "help"), rows),
    )  # fmt: skip


def _default(spec: FieldSpec) -> str:
    value = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _range(spec: FieldSpec) -> str:
    if spec.choices:
        return " · ".join(f"`{value}` {label}" for value, label in spec.choices)
    found = spec.range_text or {"bool": "yes or no", "path": "a path"}.get(spec.kind, "")
    return ", or nothing".join((found, "")) if spec.optional and found else found


# -- methods -------------------------------------------------------------------------------------------------------


def method_page() -> str:
    """Every method with what it needs and what it sets."""
    parts = [_method(method) for method in METHODS.values()]
    return _page(
        "The methods",
        "What training can optimize. *Sets* is what choosing the method writes into the config, and what a file "
        "that names the method has where it says nothing; *reads* are the keys that only such methods look at.",
        *parts,
    )


def _method(method: Method) -> str:
    paper = f"[arXiv {method.paper}](https://arxiv.org/abs/{method.paper})" if method.paper else ""
    rows = {
        "when": method.when,
        "cost": method.cost,
        "data": " · ".join(part for part in (method.data, method.rows) if part),
        "raises": f"`{method.figure}`" if method.figure else "nothing but the loss is watched",
        "sets": ", ".join(f"`{path}: {_yaml(value)}`" for path, value in method.settings.items()),
        "reads": ", ".join(f"`{path}`" for path in method.parameters),
        "paper": paper,
    }
    shown = [(name, text) for name, text in rows.items() if text]
    return f"## {method.title}\n\n{method.what}\n\n{_table((f'`{method.name}`', ''), shown)}"


def _yaml(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- the command line ----------------------------------------------------------------------------------------------


def command_page() -> str:
    """Every verb as its own help tells it."""
    parts = []
    for name, verb in VERBS.items():
        command: Any = get_command(importlib.import_module(verb.module).application)
        parts.append(f"## luthier {name}\n\n" + "\n\n".join(_helps(command, f"luthier {name}")))
    return _page(
        "The command line",
        "`luthier FILE…` opens the window; with a verb the work is done here. With `--json` a verb prints one JSON "
        f"object ({EACH_LINE}: one a line, of a run its [events](event.md)) and nothing else; one that could not "
        f"be done has `error` and, where something is at fault, `problems`. {exit_code_text()}",
        *parts,
    )


def _helps(command: Any, path: str) -> Iterator[str]:
    """The help of a command and of those below it."""
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    text = re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE).strip()
    yield f"```text\n{text}\n```"
    for name, child in getattr(command, "commands", {}).items():
        yield from _helps(child, f"{path} {name}")


# -- what is said between the window and a worker ------------------------------------------------------------------


def event_page() -> str:
    """Every event with its fields."""
    return _page(
        "Events",
        f"What a worker says, one JSON object a line, on its stdout; what a training says also stands in the run's "
        f"`events.jsonl`. `type` names the event, `time` is seconds since 1970, UTC. Version {PROTOCOL_VERSION} of "
        "the protocol. Numbers that are not finite are `NaN` and `Infinity`, as Python's JSON writes them.",
        *_messages(EVENTS, left_out=("type", "time")),
    )


def job_page() -> str:
    """Every job and every command with its fields."""
    return _page(
        "Jobs and commands",
        "What a worker is asked to do stands in `job.json`, in the folder that `luthier --worker FOLDER` is given: "
        f"`task` names the job, `protocol` is the version of the protocol, now {PROTOCOL_VERSION}. While it "
        "works it is told commands on stdin, one JSON object a line; `command` names each.",
        *_messages(JOBS, left_out=("task", "protocol"), title="Job"),
        *_messages(COMMANDS, left_out=("command",), title="Command"),
    )


def _messages(kinds: Mapping[str, type[Any]], left_out: Iterable[str], title: str = "") -> Iterator[str]:
    for name, kind in kinds.items():
        told = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
        fields = [row for row in _fields(kind) if row[0].strip("`") not in left_out]
        table = _table(("field", "type", "default"), fields) if fields else ""
        yield "\n\n".join(part for part in (f"## {title} {name}".replace("  ", " "), told, table) if part)


def _fields(kind: type[Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and default of each; a field without a default must be there."""
    getattr(kind, "model_rebuild", bool)()  # a model of the wire is built when it is used
    hints = get_type_hints(kind, include_extras=False)
    for name, parameter in inspect.signature(kind).parameters.items():
        default = parameter.default
        shown = "" if default is parameter.empty else "empty" if "factory" in repr(default) else f"`{default!r}`"
        yield f"`{name}`", f"`{_type_name(hints[name])}`", shown


def _type_name(hint: Any) -> str:
    """``dict[str, float]`` without the modules that the names come from."""
    if hint is type(None):
        return "None"
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, types.UnionType) or "Union" in str(origin):
        return " | ".join(map(_type_name, inner))
    if origin is None:
        return str(getattr(hint, "__name__", hint))
    arguments = ", ".join(
        "…" if one is ... else repr(one) if isinstance(one, str) else _type_name(one) for one in inner
    )
    return f"{getattr(origin, '__name__', str(origin).rpartition('.')[2])}[{arguments}]"


# -- pages ---------------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "config.md": config_page, "method.md": method_page, "command.md": command_page, "event.md": event_page,
    "job.md": job_page,
}  # fmt: skip


def _page(title: str, said: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", NOTE, said, *parts)) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def stale_pages(folder: Path = FOLDER) -> list[str]:
    """The names of the pages that are not what the code says, and of those that nothing writes."""
    known = [name for name, page in PAGES.items() if _read(folder / name) != page()]
    return known + sorted(path.name for path in folder.glob("*.md") if path.name not in PAGES)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write_pages(folder: Path = FOLDER) -> None:
    """Writes all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is stale")
    if not parser.parse_args().check:
        write_pages()
        return 0
    stale = stale_pages()
    for name in stale:
        print(f"docs/reference/{name} is not what the code says: run `python packaging/reference.py`.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
