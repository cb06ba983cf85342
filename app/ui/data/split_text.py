"""The data and their parts in words: what was chosen, how it is divided, and where each part comes from."""

from __future__ import annotations

from app.core.data.report import DataReport
from app.core.language import tr
from app.core.quantity import plural
from app.core.setup import plan
from app.core.setup.plan import Parts
from app.core.source.collection import members, shown_path
from app.ui.data.inspector import DataInspector
from app.ui.data.split_bar import SPLIT_NAMES
from app.ui.form.store import ConfigStore

# What pairs and single answers are made of.
PART_NAMES = {
    "prompt": tr("prompt"), "chosen": tr("chosen"), "rejected": tr("rejected"), "answer": tr("answer"),
}  # fmt: skip


def split_parts(inspector: DataInspector, store: ConfigStore) -> Parts | None:
    """The division: exact once the data were prepared, before that as it is planned."""
    found = inspector.figures
    if found and not inspector.is_stale:
        return Parts(*(found[name].examples if name in found else 0 for name in SPLIT_NAMES))
    return plan.parts(store.config, inspector.last_report)


def split_origin(report: DataReport, store: ConfigStore, split: str) -> str:
    """Where the examples of a part come from, in words."""
    given = report.splits.get(split)
    if given is not None and given.files:
        if len(given.files) == 1:
            return shown_path(given.files[0]).name
        names = ", ".join(shown_path(file).name for file in given.files[:2])
        more = len(given.files) - 2
        return tr("{names} and {more} more", names=names, more=more) if more > 0 else names
    return tr("set aside, seed {seed}", seed=store.config.seed)


def data_text(path: str) -> str:
    """The chosen data in words: a file's name, or how many files were put together."""
    files = members(shown_path(path)) or []
    return plural(len(files), "file") if files else shown_path(path).name
