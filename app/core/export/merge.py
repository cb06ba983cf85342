"""The merge of several adapters of one base into one: its methods, and what a person may say of each.

All of them work on what the adapters really add to a matrix (B A, times the scale), as PEFT's ``cat``, ``svd`` and
``…_svd`` do; PEFT's plain ``linear`` and ``ties`` average A and B apart, which mixes unlike things.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.core.config.field import FieldSpec
from app.core.export.source import ExportSource, export_source
from app.core.language import tr
from app.core.model.adapter_base import base_of
from app.core.problem import Problem, UnusableError

FEWEST = 2
DEFAULT_DENSITY = 0.5


@dataclass(frozen=True, slots=True)
class MergeMethod:
    """One way to merge. ``prunes``: it keeps a share of each adapter, the density; ``draws``: by chance."""

    name: str
    label: str
    what: str
    prunes: bool = False
    draws: bool = False


MERGE_METHODS = {
    method.name: method
    for method in (
        MergeMethod(
            "linear", "Linear",
            tr("The weighted sum. Exact: the ranks add up, or are cut to the one that is asked for."),
        ),
        MergeMethod(
            "ties", "TIES",
            tr("Keeps each adapter's largest changes, and of those that pull apart the stronger "
"sign's (2306.01708)."),
            prunes=True,
        ),
        MergeMethod(
            "dare_linear", "DARE",
            tr("Drops changes by chance, makes up for it with the others, and adds (2311.03099)."),
            prunes=True, draws=True,
        ),
        MergeMethod(
            "dare_ties", tr("DARE + TIES"), tr("Drops changes by chance, then elects the sign as TIES does."),
            prunes=True, draws=True,
        ),
    )
}  # fmt: skip
# The fields of a merge, for forms: they are no part of a config.
DENSITY = FieldSpec(
    "merge.density",
    tr("Density"),
    "float",
    DEFAULT_DENSITY,
    "",
    tr("Share of each adapter's changes that is kept"),
    tr("nearer to the sum"),
    tr("fewer conflicts"),
    "0.5",
    0.01,
    1.0,
)
RANK = FieldSpec(
    "merge.rank",
    tr("Rank"),
    "int",
    None,
    "",
    tr("Rank of the merged adapter; empty: the sum of the ranks for linear, else the largest"),
    tr("closer to the whole merge"),
    tr("a smaller file"),
    "empty",
    1,
    4096,
    optional=True,
)
MERGE_SEED = FieldSpec("merge.seed", tr("Seed"), "int", 0, "", tr("Of what is dropped by chance"),
                 minimum=0, maximum=2**32 - 1)  # fmt: skip
WEIGHT = FieldSpec(
    "merge.weight", tr("Weight"), "float", 1.0, "", tr("How much of the adapter is in it; below 0 takes it away"),
    "", "", tr("1, or 1 ÷ the number of adapters"), -10.0, 10.0,
)  # fmt: skip


def merge_method(name: str) -> MergeMethod:
    """Raises `UnusableError` for a name that is none."""
    if name not in MERGE_METHODS:
        hint = tr("There are {merge_methods}.", merge_methods=", ".join(MERGE_METHODS))
        raise UnusableError(
            [Problem("method", tr("There is no method “{name}” to merge with.", name=name), hint=hint)]
        )
    return MERGE_METHODS[name]


def merge_sources(paths: tuple[Path, ...], model: str = "") -> tuple[list[ExportSource], str]:
    """The adapters that are merged and the base that they share.

    Raises `UnusableError` if there are too few, or they are of different bases and ``model`` names none.
    """
    if len(paths) < FEWEST:
        raise UnusableError(
            [Problem("adapters", tr("One adapter has nothing to be merged with."), hint=tr("Name two."))]
        )
    sources = [export_source(path) for path in paths]
    bases = list(dict.fromkeys(source.base or base_of(source.folder) for source in sources))
    if model:
        return sources, model
    if len(bases) > 1:
        said = tr(
            "The adapters are of different bases: {names}.", names=", ".join(base or "unknown" for base in bases)
        )
        hint = tr("Adapters of one base only can be merged; --model names it where it lies in several places.")
        raise UnusableError([Problem("model", said, hint=hint)])
    if not bases[0]:
        raise UnusableError(
            [Problem("model", tr("The adapters do not say what their base is."), hint=tr("Name it."))]
        )
    return sources, bases[0]
