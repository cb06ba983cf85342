"""Data files: those that a path stands for, whatever it is, each for its split."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.core.language import code, joined, tr
from app.core.protocol.job import EVENTS_FILE, JOB_FILE, RUN_CONFIG
from app.core.refusal import reason_of
from app.core.source.archive import ArchiveError, archive_files, archive_kind, left_out
from app.core.source.collection import members
from app.core.source.container import SPLIT_WORDS
from app.core.source.exported_chat import is_slack_export
from app.core.source.finding import Findings
from app.core.source.reading import BY_CONTENT, FileReading
from app.core.source.refusal import A_MODEL
from app.core.source.source import (
    SPLITS,
    TABLE_SUFFIXES,
    TEXT_SUFFIXES,
    Source,
    Split,
    UnusableFileError,
    inspect_file,
    plain_suffix,
)
from app.core.system.disk import is_companion
from app.core.typed_path import typed_path

# What is about the data, by its name: it need not be told that it is not read.
_ABOUT_DATA = re.compile(
    r"(readme|licen[sc]e|changelog|citation|dataset_infos?|dataset_dict|state|adapter_config|config)(\.\w+)*", re.I
)
_CARD = re.compile(r"(readme|licen[sc]e|changelog|citation)\b", re.I)
_OF_TOOLS = re.compile(r"(package(-lock)?|tsconfig|composer)\.json", re.I)
# What ChatGPT and Claude export, by what lies beside it.
CHAT_EXPORT = re.compile(r"conversations([-_]?\d+)?\.json")
CHAT_EXPORT_COMPANIONS = frozenset(("chat.html", "user.json", "users.json", "projects.json",
                                    "message_feedback.json", "shared_conversations.json"))  # fmt: skip
# A model, adapter or checkpoint that lies among the data is known by one of these, and has the others beside it.
_OF_A_MODEL = frozenset(("config.json", "adapter_config.json", "tokenizer_config.json"))
_BESIDE_WEIGHTS = re.compile(
    r"(tokenizer(_config)?|generation_config|special_tokens_map|added_tokens|(pre)?processor_config|chat_template"
    r"|(video_)?preprocessor_config|vocab|quantize_config|modules|trainer_state|(train|eval|all)_results"
    r"|[\w.-]+\.index)\.json|merges\.txt|vocab\.txt",
    re.I,
)
FOLDER_DEPTH = 4
FOLDER_FILES = 10_000
NAMED_FILES = 8


def split_of(path: Path, root: Path | None = None) -> Split | None:
    """The split that a file's name (or the folder it lies in, below ``root``) tells; None if it tells none."""
    parts = [path.name]
    if root is not None and path != root:
        parts = list(path.relative_to(root).parts)[::-1]
    for part in parts:
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return None


def find_files(path: Path, findings: Findings) -> list[tuple[Path, Split | None]]:
    """The data files that a path stands for (a file, or a folder of any of the known layouts) with their splits."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe: whoever opens it waits for ever
        return [(path, split_of(path))]
    if is_slack_export(path) or not (path.is_dir() or archive_kind(path)):
        return [(path, split_of(path))]
    if not path.is_dir():
        _tell_left_in(path, findings)
        return _divided(path, archive_files(path), findings)
    folder = _snapshot(path)
    mlx = [(folder / f"{split}.jsonl", split) for split in SPLITS if (folder / f"{split}.jsonl").is_file()]
    if mlx and mlx[0][1] == "train":
        _tell_left_out(path, _walk(folder, []), [file for file, _ in mlx], findings)
        return [(file, split) for file, split in mlx]
    listed = _configured_files(folder) or _everything_of(folder, findings)
    if members(path) or not _data_files(listed):  # archives of a folder are data where there is nothing else
        for one in filter(_is_archive, listed):
            _tell_left_in(one, findings)
        listed = [file for one in listed for file in (archive_files(one) if _is_archive(one) else [one])]
    return _divided(folder, listed, findings, path)


def stored_files(path: Path) -> list[Path]:
    """The files of the file system that hold what `find_files` finds, told by their names alone: none is opened, so
    that an archive stands for what is in it. Raises `OSError`."""
    if not path.is_dir():
        return [path]
    folder = _snapshot(path)
    mlx = [folder / f"{split}.jsonl" for split in SPLITS]
    if mlx[0].is_file():
        return [file for file in mlx if file.is_file()]
    listed = _configured_files(folder) or list(_walk(folder, []))
    if members(path):
        return listed
    data = [file for file, _ in _divided(folder, listed, Findings(), path)]
    return data or [file for file in listed if not _is_about_data(file)]


def _data_files(listed: list[Path]) -> list[Path]:
    """The files of a folder or archive that are data: tables, else texts and documents."""
    models = {file.parent for file in listed if file.name in _OF_A_MODEL}
    runs = {file.parent for file in listed if file.name in (EVENTS_FILE, JOB_FILE)}
    runs &= {file.parent for file in listed if file.name == RUN_CONFIG}
    listed = [file for file in listed if file.parent not in models or not _is_of_model(file)]
    if runs:
        listed = [file for file in listed if runs.isdisjoint(file.parents)]
    names = {file.name for file in listed}
    if exported := [f for f in listed if CHAT_EXPORT.fullmatch(f.name) and names & CHAT_EXPORT_COMPANIONS]:
        return exported
    found = [file for file in listed if plain_suffix(file) in TABLE_SUFFIXES and not _is_about_data(file)]
    if not found:
        found = [f for f in listed if plain_suffix(f) in TEXT_SUFFIXES]
        named = [f for f in found if not _is_about_data(f)]
        found = named or found
    return found


def _is_about_data(file: Path) -> bool:
    """Whether a file's name says that it holds no examples. Rows do, whatever they are called, but for JSON, in
    which settings are, too; a text's name may begin with what is only about the data."""
    suffix = plain_suffix(file)
    if suffix in TABLE_SUFFIXES:
        return suffix == ".json" and bool(_ABOUT_DATA.fullmatch(file.name) or _OF_TOOLS.fullmatch(file.name))
    return bool(_CARD.match(file.name) or (suffix not in TEXT_SUFFIXES and _ABOUT_DATA.fullmatch(file.name)))


def _is_of_model(file: Path) -> bool:
    return _is_about_data(file) or bool(_BESIDE_WEIGHTS.fullmatch(file.name))


def _is_archive(file: Path) -> bool:
    return file.is_file() and bool(archive_kind(file))  # whoever opens a pipe waits for ever


def _divided(
    root: Path, listed: list[Path], findings: Findings, path: Path | None = None
) -> list[tuple[Path, Split | None]]:
    """The data files among those of a folder or archive, with their splits; the rest is told."""
    found = _data_files(listed)
    _tell_left_out(path or root, listed, found, findings)  # but for what a card leaves out itself
    pairs = [(file, split_of(file, root) if file.is_relative_to(root) else split_of(file)) for file in found]
    if any(split == "train" for _, split in pairs):
        for file, split in pairs:
            if split is None:
                findings.add(
                    "ignored_file", str(file), None, tr("Not used: other files are named as training data.")
                )
        pairs = [(file, split) for file, split in pairs if split is not None]
    elif path is None and not any(split for _, split in pairs):
        pairs = [(file, split_of(root)) for file, _ in pairs]  # an archive's own name
    return pairs


def _tell_left_out(folder: Path, there: Iterable[Path], used: Iterable[Path], findings: Findings) -> None:
    """Names the files of a folder that are not read, but for those that are about the data."""
    taken = set(used)
    left = [
        file
        for file in there
        if file not in taken and not (_is_about_data(file) and _ABOUT_DATA.fullmatch(file.name))
    ]
    if left and taken:
        findings.add("ignored_file", str(folder), None, tr("Not used: {shown}.", shown=_shown(left)))


def _tell_left_in(archive: Path, findings: Findings) -> None:
    """Names what an archive holds and is not read."""
    links, earlier = left_out(archive)
    if links:
        said = tr("Not used, being no files: {shown}.", shown=_shown([Path(name) for name in links]))
        findings.add("ignored_file", str(archive), None, said)
    if earlier:
        shown = _shown([Path(name) for name in earlier])
        said = tr("The archive holds {shown} more than once; the last one is read.", shown=shown)
        findings.add("ignored_file", str(archive), None, said)


def _shown(files: Sequence[Path]) -> str:
    shown = joined((code(file.name[:60]) for file in files[:NAMED_FILES]), ", ")
    more = tr(" and {files:,} more", files=len(files) - NAMED_FILES) if len(files) > NAMED_FILES else ""
    return joined((shown, more), "")


def _named(files: Sequence[Path]) -> str:
    return tr("; there are {shown}", shown=_shown(files)) if files else ""


def _everything_of(folder: Path, findings: Findings) -> list[Path]:
    """The files of a folder and those below; those that are too many or too deep are told."""
    unread: list[Path] = []
    listed = sorted(_walk(folder, unread))
    if deep := [one for one in unread if one.is_dir()]:
        said = tr(
            "Not looked into, more than {depth} folders deep: {shown}.", depth=FOLDER_DEPTH, shown=_shown(deep)
        )
        findings.add("ignored_file", str(folder), None, said)
    for parent, count in Counter(one.parent for one in unread if not one.is_dir()).items():
        said = tr(
            "Of the files here the first {limit:,} by name are read, and {count:,} are not.",
            limit=FOLDER_FILES,
            count=count,
        )
        findings.add("too_many_files", str(parent), None, said)
    return listed


def _walk(folder: Path, unread: list[Path], above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """Files of a folder and those below, hidden ones and caches left out, bounded in depth and number; ``unread``
    takes what is beyond. Links that lead nowhere, and what is no file, are among them: their examples are missed.
    """
    its = folder.stat()
    if (its.st_dev, its.st_ino) in above:  # a link that leads back
        return
    above = (*above, (its.st_dev, its.st_ino))
    count = 0
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.startswith((".", "__", "cache-")):
                continue
            if _is_folder(entry):
                if len(above) <= FOLDER_DEPTH:
                    yield from _walk(Path(entry.path), unread, above)
                else:
                    unread.append(Path(entry.path))
                continue
            count += 1
            if count > FOLDER_FILES:
                unread.append(Path(entry.path))
            else:
                yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _snapshot(folder: Path) -> Path:
    """The newest snapshot of a cached hub data set (``datasets--org--name``), else the folder itself."""
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return folder
    main = folder / "refs" / "main"
    if main.is_file():
        chosen = snapshots / main.read_text(encoding="utf-8", errors="replace").strip()
        if chosen.is_dir():
            return chosen
    there = sorted((p for p in snapshots.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    return there[-1] if there else folder


def _configured_files(folder: Path) -> list[Path]:
    """The files of the default configuration that a data set card (README.md) names, if it names any."""
    import yaml

    from app.core.system.yaml_text import bounded_yaml

    card = folder / "README.md"
    try:
        parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
        tree = bounded_yaml(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except (OSError, yaml.YAMLError):
        return []
    configs = tree.get("configs") if isinstance(tree, dict) else None
    if not isinstance(configs, list):
        return []
    named = [c for c in configs if isinstance(c, dict) and c.get("data_files")]
    chosen = next((c for c in named if c.get("default") or c.get("config_name") == "default"), None)
    chosen = chosen or next(iter(named), None)
    if chosen is None:
        return []
    return sorted({f for pattern in _patterns(chosen["data_files"]) for f in _matches(folder, pattern)})


def _patterns(data_files: Any) -> Iterator[str]:
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, dict):
        yield from _patterns(data_files.get("path"))
    elif isinstance(data_files, list):
        for item in data_files:
            yield from _patterns(item)


def _matches(folder: Path, pattern: str) -> list[Path]:
    if pattern.startswith(("/", "..")) or "://" in pattern:
        return []
    try:
        return [path for path in folder.glob(pattern) if path.is_file() and not is_companion(path.name)]
    except (ValueError, NotImplementedError):
        return []


def locate_data(name: str) -> Path:
    """The file or folder that a config's ``data`` names: a path, or a data set in the Hugging Face cache."""
    path = typed_path(name)
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return path
    home = typed_path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = typed_path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    cached = hub / f"datasets--{name.replace('/', '--')}"
    return cached if cached.is_dir() else path


def find_sources(
    paths: Iterable[Path],
    findings: Findings,
    *,
    valid: Iterable[Path] = (),
    test: Iterable[Path] = (),
    reading: FileReading = BY_CONTENT,
) -> list[Source]:
    """Every data file that the paths stand for, in the order train, valid, test; what cannot be used is a finding.

    ``valid`` and ``test`` are files or folders given for just that; then files of ``paths`` whose names say
    validation or test are taken as such only where none were given.
    """
    given = [pair for path in paths for pair in _files_or_finding(Path(path), findings)]
    if not any(split in (None, "train") for _, split in given):
        given = [(file, None) for file, _ in given]
    chosen: dict[Split, list[Path]] = {"train": [f for f, split in given if split in (None, "train")]}
    for split, explicit in (("valid", list(valid)), ("test", list(test))):
        named = [file for file, its in given if its == split]
        if explicit:
            named = [file for path in explicit for file, _ in _files_or_finding(Path(path), findings)]
        chosen[split] = named  # type: ignore[index]  # the two literals of the loop
    sources: list[Source] = []
    for split in SPLITS:
        for file in dict.fromkeys(chosen[split]):
            try:
                sources += _by_splits(inspect_file(file, reading), split, {s for s in SPLITS if chosen.get(s)})
            except UnusableFileError as error:
                findings.add(error.kind, str(file), error.line, error.reason)
    return sources


def _by_splits(source: Source, split: Split, others: set[Split]) -> list[Source]:
    """The source for its split; one of training data that holds a list a split as one a split, unless a split has
    files of its own."""
    parts: dict[Split, tuple[str, ...]] = {}
    for name in source.parts:
        its = SPLIT_WORDS[name.lower()]
        parts[its] = (*parts.get(its, ()), name)
    if split != "train" or "train" not in parts:
        return [replace(source, split=split, parts=parts.get(split, source.parts))]
    return [replace(source, split=its, parts=names) for its, names in parts.items()
            if its == "train" or its not in others]  # fmt: skip


def _files_or_finding(path: Path, findings: Findings) -> list[tuple[Path, Split | None]]:
    try:
        found = find_files(path, findings)
    except ArchiveError as error:
        findings.add(error.kind, str(path), None, error.reason)
        return []
    except OSError as error:
        findings.add(
            "unreadable_file", str(path), None, tr("It cannot be read: {reason_of}.", reason_of=reason_of(error))
        )
        return []
    if not found and any((path / name).is_file() for name in _OF_A_MODEL):
        findings.add("no_examples", str(path), None, A_MODEL)
    elif not found:
        what, there = (tr("folder"), "") if path.is_dir() else (tr("archive"), _named(archive_files(path)))
        findings.add(
            "no_examples", str(path), None, tr("The {what} holds no data file{there}.", what=what, there=there)
        )
    return found
