"""What is exported: one adapter, of a run at a checkpoint or from a folder, and the base it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.core.compare.candidate import candidate_of
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_base import base_of, same_weights
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE, PEFT_FILE
from app.core.problem import Problem, UnusableError
from app.core.run.folder import RunDir
from app.core.run.name import folder_word
from app.core.run.note import given_name
from app.core.setup.config_file import load_config
from app.core.typed_path import typed_path

_BEST, _LAST, _KEPT = "best", "last", "kept"


@dataclass(frozen=True, slots=True)
class ExportSource:
    """``adapter`` is the weights file and ``folder`` that of its config; ``run`` the run that made it, if one did.

    ``base`` names the base model as run or adapter do. ``label`` is what people call it, ``word`` a name for files.
    """

    adapter: Path
    folder: Path
    base: str
    label: str
    word: str
    run: Path | None = None


def export_source(path: Path, checkpoint: str = "") -> ExportSource:
    """The adapter that ``path`` and ``checkpoint`` mean.

    ``path`` is a run, an adapter's folder, or a checkpoint's file; ``checkpoint`` chooses among those of a folder:
    ``best``, ``last``, ``kept`` where that is neither, or the number of an iteration, by default what its run
    keeps. Raises `UnusableError`.
    """
    place = typed_path(path)
    if not place.exists():
        raise UnusableError(
            [Problem("source", tr("There is no run or adapter {path}.", path=path), hint=tr("Check the path."))]
        )
    place = place.resolve()
    file = place if place.is_file() else _weights(place, checkpoint)
    folder = _config_folder(file)
    if folder is None:
        said = tr(
            "{place} is no adapter: {adapter_config} is not beside its weights.",
            place=place,
            adapter_config=ADAPTER_CONFIG,
        )
        raise UnusableError([Problem("source", said, hint=tr("Choose a run, or an adapter's folder."))])
    found = candidate_of(file if _number(file) is not None else file.parent)
    base = base_of(folder) if found.run is None else load_config(RunDir(found.run).config).config.model
    word = _run_word(RunDir(found.run)) if found.run is not None else _word(file.parent)
    return ExportSource(file, folder, base, found.label, word, found.run)


def checkpoints(path: Path) -> list[tuple[str, str]]:
    """What `export_source` takes as ``checkpoint`` for a run, each with its words; what the run keeps first."""
    return [(word, said) for word, (said, _) in _offered(_adapters(path)).items()]


def _weights(place: Path, checkpoint: str) -> Path:
    offered = _offered(_adapters(place))
    if not offered:
        said = tr("There is no adapter in {place}.", place=place)
        hint = tr("A run has one after its first checkpoint.")
        raise UnusableError([Problem("source", said, hint=hint)])
    chosen = checkpoint.strip() or next(iter(offered))
    if chosen.isdecimal():
        chosen = str(int(chosen))
    if chosen not in offered:
        said = tr("{place} has no checkpoint “{checkpoint}”.", place=place, checkpoint=checkpoint)
        raise UnusableError([Problem("checkpoint", said, hint=tr("It has {known}.", known=", ".join(offered)))])
    return offered[chosen][1]


def _offered(adapters: Path) -> dict[str, tuple[str, Path]]:
    """The weights of a folder by their words, each with what people read and its file; what is kept first.

    What the adapter's own file holds depends on how its run ended: a copy of the best, the best balance, or the
    last weights. So its content tells it; where it has others, the last ones are those of the newest checkpoint.
    """
    own, best = (_file_in(place) for place in (adapters, adapters / _BEST))
    numbered, wanted = _numbered(adapters), _wanted(adapters)
    newest = next(iter(numbered.values()), None)
    is_best = own is not None and best is not None and same_weights(own, best)
    last = own
    if own is None or ((is_best or wanted in ("best", "balanced")) and newest and not same_weights(own, newest)):
        last = newest
    elif newest is None and (wanted == "balanced" or (is_best and wanted == "best")):
        last = None  # its checkpoints are gone
    keeps_best = own is None or (is_best and wanted not in ("last", "balanced"))
    files = {_BEST: (tr("Best in validation"), best), _LAST: (tr("Last"), last)}
    if not keeps_best:
        word = _LAST if own == last else _KEPT
        files = {word: files.get(word, (tr("Kept"), own))} | files
    files |= {str(number): (tr("Iteration {number:,}", number=number), file) for number, file in numbered.items()}
    return {word: (said, file) for word, (said, file) in files.items() if file is not None}


def _file_in(folder: Path) -> Path | None:
    return next((file for name in (ADAPTER_FILE, PEFT_FILE) if (file := folder / name).is_file()), None)


def _wanted(adapters: Path) -> str:
    """Which weights the run was to end with; empty where nothing says so."""
    try:
        return str(parsed_json((adapters / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("final_adapter", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _adapters(place: Path) -> Path:
    return RunDir(place).adapters if (RunDir(place).adapters / ADAPTER_CONFIG).is_file() else place


def _numbered(adapters: Path) -> dict[int, Path]:
    """The numbered checkpoints, the newest first."""
    files = ((_number(file), file) for file in adapters.glob(f"*_{ADAPTER_FILE}"))
    found = ((number, file) for number, file in files if number is not None)
    return dict(sorted(found, reverse=True))


def _number(file: Path) -> int | None:
    word = file.name.removesuffix(f"_{ADAPTER_FILE}")
    return int(word) if word.isdecimal() else None


def _config_folder(file: Path) -> Path | None:
    """The folder with the adapter's config: the file's own, or (in a run) the one above it."""
    return next((place for place in (file.parent, file.parent.parent) if (place / ADAPTER_CONFIG).is_file()), None)


def _run_word(run: RunDir) -> str:
    """What a person called the run, else its folder."""
    name = given_name(run)
    return folder_word(name, run.name) if name else run.name


def _word(folder: Path) -> str:
    return folder.parent.name if folder.name in (_BEST, "adapters") and folder.parent.name else folder.name
