"""YAML text with bounds: what stands in a file of a few bytes must not fill the memory, or a day.

An alias may stand for a whole tree, and a tree of aliases of aliases is as large as the person who wrote it likes
("billion laughs"); brackets in brackets go as deep as the file is long. Both are counted over the parser's events,
before anything is built.
"""

from __future__ import annotations

from typing import Any

import yaml

from app.core.language import tr

MOST_CHARACTERS = 4_000_000
MOST_NODES = 200_000  # with every alias counted as what it stands for
MOST_LEVELS = 60

QUICK_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML has it

# What PyYAML's constructors raise beside its own errors: a thirteenth month, `!!bool maybe`, an empty `!!int`.
BUILD_FAULTS = (ValueError, TypeError, OverflowError, LookupError, AttributeError)


class _Dumper(yaml.SafeDumper):
    """Also takes texts that know of what they were made, as plain text."""


class _QuickDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The same by libyaml, four times as fast: long lines are broken elsewhere, and all is read back alike."""


def _plain(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Libyaml writes no text of another class, and what such a one says of itself may be one again."""
    return dumper.represent_str(str.__str__(text))


for _each in (_Dumper, _QuickDumper):
    _each.add_multi_representer(str, _plain)
_SMALL = 20_000  # characters: less, without an anchor, cannot hold too many nodes


class BoundError(yaml.YAMLError):
    """The text is within YAML's rules and beyond the bounds. ``problem`` says which, as PyYAML's own errors do."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem)
        self.problem, self.problem_mark = problem, mark


def dumped_yaml(tree: Any, *, sort_keys: bool = False, width: int | None = None, in_unicode: bool = True) -> str:
    """A tree of plain values as YAML, keys as they come unless they are sorted."""

    def by(dumper: type[yaml.SafeDumper]) -> str:
        return str(yaml.dump(tree, Dumper=dumper, sort_keys=sort_keys, allow_unicode=in_unicode, width=width))

    try:
        text = by(_QuickDumper)
    except UnicodeEncodeError:  # a name of a file that is no text
        return by(_Dumper)
    # 😀 is a code to libyaml. PyYAML writes the line's end U+0085 as one that reads back as another.
    return by(_Dumper) if in_unicode and "\\U" in text and "\\N" not in text else text


def bounded_yaml(text: str, loader: Any = QUICK_LOADER) -> Any:
    """What the text says, built by a loader of PyYAML (a safe one, unless told otherwise).

    Raises `yaml.YAMLError` for what is no YAML, or is beyond the bounds.
    """
    check_bounds(text)
    try:
        return yaml.load(text, Loader=loader)  # nosec B506 # of the safe ones
    except (*BUILD_FAULTS, RecursionError) as error:
        raise BoundError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def check_bounds(text: str) -> None:
    """Raises `yaml.YAMLError` if building the text would take far more than its length promises."""
    if len(text) > MOST_CHARACTERS:
        raise BoundError(
            tr(
                "it is {text:,} characters long, and a config has at most {most_characters:,}",
                text=len(text),
                most_characters=MOST_CHARACTERS,
            )
        )
    if len(text) < _SMALL and "&" not in text and text.count("[") + text.count("{") < MOST_LEVELS:
        deepest = max((len(line) - len(line.lstrip(" -")) for line in text.splitlines()), default=0)
        if deepest < MOST_LEVELS:
            return
    try:
        try:
            _count(text, QUICK_LOADER)
        except BoundError:
            raise
        except yaml.YAMLError:  # libyaml knows no escape of half a character, as JSON writes them
            _count(text, yaml.SafeLoader)
    except RecursionError as error:
        raise BoundError(tr("it is nested too deeply")) from error


def _count(text: str, loader: Any) -> None:
    """Counts nodes, an alias as all that its anchor stands for."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # its anchor, and the count before it
    total = 0
    for found in yaml.parse(text, Loader=loader):
        if isinstance(found, yaml.AliasEvent):
            if any(anchor == found.anchor for anchor, _ in open_nodes):
                raise BoundError(tr("the anchor {anchor!r} holds itself", anchor=found.anchor), found.start_mark)
            total += sizes.get(found.anchor or "", 1)
        elif isinstance(found, yaml.ScalarEvent):
            total += 1
            if found.anchor:
                sizes[found.anchor] = 1
        elif isinstance(found, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            open_nodes.append((found.anchor, total))
            total += 1
            if len(open_nodes) > MOST_LEVELS:
                raise BoundError(
                    tr("it is nested more than {most_levels} levels deep", most_levels=MOST_LEVELS),
                    found.start_mark,
                )
        elif isinstance(found, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        if total > MOST_NODES:
            raise BoundError(tr("its aliases stand for far more than a config can hold"), found.start_mark)
