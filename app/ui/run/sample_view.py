"""The newest sampled answers of a run, each with its reward and what every function gave for it."""

from __future__ import annotations

from html import escape
from typing import Any

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QTextBrowser, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.protocol import event
from app.core.quantity import loss_text, plural
from app.ui.widget import theme

ANSWER_CHARACTERS = 1500  # characters of an answer that are shown


class SampleView(QWidget):
    """Shows one `event.Sampled`: a group of answers to one prompt. Nothing is drawn while it is hidden."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: event.Sampled | None = None
        self._drawn: event.Sampled | None = None
        self.browser = QTextBrowser(self)
        self.browser.setObjectName("samples")
        self.browser.setAccessibleName(tr("Newest sampled answers"))
        self.browser.setOpenLinks(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.browser)
        theme.theme().changed.connect(self._redraw)

    def show_sampled(self, found: event.Sampled | None) -> None:
        """Shows another group, where the reader was."""
        self._found = found
        if self.isVisible() and found is not self._drawn:
            self._redraw()

    def _redraw(self) -> None:
        self._drawn = self._found
        place = self.browser.verticalScrollBar().value()
        self.browser.setHtml(sampled_html(self._found) if self._found is not None else "")
        self.browser.verticalScrollBar().setValue(place)

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        if self._found is not self._drawn:
            self._redraw()


def sampled_html(found: event.Sampled) -> str:
    """The group as a text with the best answer first."""
    c = theme.colors()
    if not found.samples:
        return ""
    first = found.samples[0]
    if "reward" not in first:
        return "".join(
            [
                tr(
                    "<p style='color:{muted}'>Iteration {iteration:,}, held-out prompts</p>",
                    muted=c.muted,
                    iteration=found.iteration,
                )
            ]
            + [_spoken_html(sample) for sample in found.samples]
        )
    parts = [
        tr("<p style='color:{muted}'>Iteration {iteration:,}</p>", muted=c.muted, iteration=found.iteration),
        f"<p><b>{_text(first.get('prompt', ''))}</b></p>",
    ]
    if first.get("answer"):
        parts.append(
            tr(
                "<p style='color:{muted}'>Reference answer: {answer}</p>",
                muted=c.muted,
                answer=_text(first["answer"]),
            )
        )
    best_first = sorted(found.samples, key=lambda sample: float(sample.get("reward", 0.0)), reverse=True)
    highest = float(best_first[0].get("reward", 0.0))
    parts += [_sample_html(sample, highest) for sample in best_first]
    return "".join(parts)


def _sample_html(sample: dict[str, Any], highest: float) -> str:
    c = theme.colors()
    reward = float(sample.get("reward", 0.0))
    color = c.good if reward == highest and reward > 0 else c.muted
    scores = sample.get("rewards", {})
    each = [f"{escape(name)} {loss_text(value)}" for name, value in scores.items()] if len(scores) > 1 else []
    length = plural(int(sample.get("tokens", 0)), "token") + (tr(", cut") if sample.get("cut") else "")
    told = " · ".join([*each, length])
    said = _text(sample.get("completion", "")) or tr("<i style='color:{warning}'>empty</i>", warning=c.warning)
    return (
        f"<p style='margin-bottom:2px'><b style='color:{color}'>{loss_text(reward)}</b> "
        f"<span style='color:{c.muted}'>{told}</span></p><p style='margin-top:0'>{said}</p>"
    )


def _spoken_html(sample: dict[str, Any]) -> str:
    c = theme.colors()
    said = _text(sample.get("completion", "")) or tr("<i style='color:{warning}'>empty</i>", warning=c.warning)
    cut = tr(" <span style='color:{muted}'>(cut)</span>", muted=c.muted) if sample.get("cut") else ""
    reference = (
        tr("<p style='color:{muted}'>Reference answer: {answer}</p>", muted=c.muted, answer=_text(sample["answer"]))
        if sample.get("answer")
        else ""
    )
    return f"<p style='margin-bottom:2px'><b>{_text(sample.get('prompt', ''))}</b></p><p>{said}{cut}</p>{reference}"


def _text(value: object) -> str:
    text = str(value).strip()
    return escape(text[:ANSWER_CHARACTERS] + (" …" if len(text) > ANSWER_CHARACTERS else "")).replace("\n", "<br>")
