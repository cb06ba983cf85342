"""The rows of a table of figures: what the ``evaluate`` result says of each candidate, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.compare.comparison import FigureDifference
from app.core.language import tr
from app.core.quantity import duration_text, short_count

NONE = "–"


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of every candidate; ``what`` explains it."""

    label: str
    cells: tuple[str, ...]
    what: str = ""


def figure_rows(found: dict[str, Any]) -> list[FigureRow]:
    """The rows of a result of the task `evaluate`, a cell each column; rows without a figure are left out."""
    columns = found["columns"]
    trained = any(column.get("trained_on") for column in columns)
    rows = [
        _row(
            tr("Loss") if trained else tr("Held-out loss"),
            columns,
            lambda c: f"{c['loss']:.4f}",
            tr("Mean loss in nats a target token; lower is better"),
        ),
        _row(tr("Trained on"), columns, lambda c: _trained_on(c, found), tr("Of these examples: they flatter it")),
        _row(tr("Perplexity"), columns, lambda c: f"{c['perplexity']:.3f}", tr("The exponential of the loss")),
        _row(
            tr("Difference"),
            columns,
            lambda c: signed(c["difference"]["difference"]) if c["difference"] else NONE,
            tr("Loss minus that of the first column, on the same examples"),
        ),
        *_interval_rows(columns, lambda c: c["difference"], tr("the loss")),
        _row(
            tr("Better / worse"),
            columns,
            lambda c: counts(c["difference"]),
            tr("Examples with a lower and a higher loss"),
        ),
    ]
    is_whole = all(column.get("strength", 1.0) == 1 for column in columns)
    rows += [
        _row(
            tr("Strength"),
            columns,
            lambda c: NONE if is_whole else _strength(c),
            tr("How much of the adapter was put on the base"),
        ),
        _row(
            tr("Learned"),
            columns,
            lambda c: _nats(c, "learned"),
            tr("How far the loss lies below the base model's"),
        ),
        _row(tr("Forgot"), columns, lambda c: _nats(c, "forgot"), _neutral_words(found)),
    ]
    for name in (found.get("scored") or {}).get("functions", []):
        rows += _score_rows(name, columns)
    rows += [
        _row(tr("Trained parameters"), columns, _parameters, tr("Numbers that training changed")),
        _row(tr("Targets"), columns, lambda c: _of_run(c, "targets", str), tr("What the run adapted")),
        _row(
            tr("Peak memory"),
            columns,
            lambda c: _of_run(c, "peak_memory_gb", lambda gb: tr("{gb:.3g} GB", gb=gb)),
            tr("The most that training took"),
        ),
        _row(
            tr("Training time"), columns, lambda c: _of_run(c, "elapsed_s", duration_text), tr("Of the whole run")
        ),
    ]
    return [row for row in rows if any(cell != NONE for cell in row.cells)]


def verdicts(found: dict[str, Any], labels: Sequence[str]) -> list[str]:
    """A sentence for every candidate but the first, which the others are compared with; and what it forgot."""
    return [
        f"{label}: {FigureDifference.from_dict(column['difference']).verdict()}"
        f"{_traded(column)}{_flattered(column, found)}"
        for label, column in zip(labels, found["columns"], strict=True)
        if column["difference"]
    ]


def _trained_on(column: dict[str, Any], found: dict[str, Any]) -> str:
    seen = column.get("trained_on")
    return tr("{seen:,} of {examples:,}", seen=seen, examples=found["examples"]) if seen else NONE


def _flattered(column: dict[str, Any], found: dict[str, Any]) -> str:
    seen = column.get("trained_on")
    if not seen:
        return ""
    of = (
        tr("these very examples")
        if seen == found["examples"]
        else tr("{seen:,} of these {examples:,} examples", seen=seen, examples=found["examples"])
    )
    return tr(" It was trained on {of}, so this is no held-out figure.", of=of)


def _traded(column: dict[str, Any]) -> str:
    """`` Learned 0.82, forgot 0.03.``; nothing where it was not measured, or of the base itself."""
    if column.get("forgot") is None or column["adapter"] is None:
        return ""
    if column["learned"] is None:
        return tr(" Forgot {forgot:.2f}.", forgot=column["forgot"])
    return tr(" Learned {learned:.2f}, forgot {forgot:.2f}.", learned=column["learned"], forgot=column["forgot"])


def _strength(column: dict[str, Any]) -> str:
    return NONE if column["adapter"] is None else f"{column.get('strength', 1.0):g}"


def _nats(column: dict[str, Any], name: str) -> str:
    value = column.get(name)
    return NONE if value is None or column["adapter"] is None else signed(value)


def _neutral_words(found: dict[str, Any]) -> str:
    neutral = found.get("neutral") or {"tokens": 0, "source": ""}
    whose = tr("plain answers of the starter's") if neutral["source"] == "starter" else tr("text of the base's own")
    return tr(
        "How far the loss on {tokens:,} tokens of {whose} lies above the base model's, nats a token",
        tokens=neutral["tokens"],
        whose=whose,
    )


def signed(value: float) -> str:
    """``−0.1234``, ``+0.0021``; a zero has no sign."""
    text = f"{value:+.4f}".replace("-", "−")
    return text if float(text.replace("−", "-")) else text[1:]


def end(difference: dict[str, Any] | None, side: str) -> str:
    """One end of the interval, ``low`` or ``high``."""
    return NONE if difference is None else signed(difference[side])


def counts(difference: dict[str, Any] | None) -> str:
    """``41 / 6 of 50``."""
    if difference is None:
        return NONE
    total = difference["better"] + difference["worse"] + difference["same"]
    return tr(
        "{better:,} / {worse:,} of {total:,}", better=difference["better"], worse=difference["worse"], total=total
    )


def _score_rows(name: str, columns: list[dict[str, Any]]) -> list[FigureRow]:
    def cell(column: dict[str, Any]) -> str:
        return f"{column['scores'][name]['mean']:.3g}"

    means = _row(name, columns, cell, tr("Mean score of the answers; higher is better"))
    return [means, *_interval_rows(columns, lambda c: c["scores"][name]["difference"], name)]


def _interval_rows(columns: list[dict[str, Any]], difference: Any, of: str) -> list[FigureRow]:
    """The ends of an interval in a row each: in one cell they would not fit beside three other columns."""
    what = tr(
        "An end of the 95 % interval of the difference in {of} to the first column, by resampling examples", of=of
    )
    return [
        _row(tr("… 95 % from"), columns, lambda c: end(difference(c), "low"), what),
        _row(tr("… 95 % to"), columns, lambda c: end(difference(c), "high"), what),
    ]


def _parameters(column: dict[str, Any]) -> str:
    number = _trained(column)
    return short_count(number) if number else NONE


def _trained(column: dict[str, Any]) -> int:
    """What the run says that it trained, else what is in the adapter; the two differ for full fine-tunes."""
    run = column.get("run") or {}
    return int(run.get("trainable_parameters") or column.get("parameters") or 0)


def _of_run(column: dict[str, Any], key: str, text: Any) -> str:
    value = (column.get("run") or {}).get(key)
    return str(text(value)) if value else NONE


def _row(label: str, columns: list[dict[str, Any]], cell: Any, what: str) -> FigureRow:
    return FigureRow(label, tuple(cell(column) for column in columns), what)
