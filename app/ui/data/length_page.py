"""The page "Lengths": the histogram of lengths, what the maximum length cuts, and the totals of the data."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.core.language import tr, trn
from app.core.quantity import count_text, plural, share_text
from app.core.setup.chosen_method import prompt_limit
from app.ui.data.inspector import DataInspector, SplitFigures
from app.ui.data.length_chart import LengthChart
from app.ui.data.split_bar import SPLIT_NAMES
from app.ui.data.split_text import PART_NAMES
from app.ui.form.field import Field
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.figure import CountFigure
from app.ui.widget.length_slider import LengthSlider

LENGTH_FIGURES = {
    "examples": tr("examples"),
    "tokens": tr("tokens"),
    "trained": tr("trained tokens"),
    "median": tr("median length"),
    "padding": tr("padding"),
    "parts": tr("prompt · chosen · rejected"),
    "left_out": tr("left out"),
    "iterations": tr("iterations an epoch"),
}
# Which of them tell something, by the kind of the rows.
FIGURES_SHOWN = {
    "examples": ("examples", "tokens", "trained", "median", "padding", "iterations"),
    "pairs": ("examples", "tokens", "trained", "parts", "iterations"),
    "answers": ("examples", "tokens", "trained", "parts", "iterations"),
    "prompts": ("examples", "tokens", "median", "left_out", "iterations"),
}
# What the longest sequence of a row is made of.
LENGTH_AXES = {
    "examples": tr("tokens in an example"),
    "pairs": tr("tokens of prompt and longer answer"),
    "answers": tr("tokens of prompt and answer"),
    "prompts": tr("tokens in a prompt"),
}


class DataLengthPage(QWidget):
    """Shows the figures of a `DataInspector` and edits ``max_seq_length`` and ``batch_size`` of a `ConfigStore`."""

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_length_page")
        self._store, self._inspector = store, inspector
        self._build()
        inspector.reported.connect(self.refresh)
        inspector.progressed.connect(self._show_state)
        store.changed.connect(self._on_changed)
        self.refresh()

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addLayout(self._head())
        layout.addWidget(self._chart_card(), 1)
        layout.addLayout(self._controls())
        layout.addWidget(self._totals())

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.split_box = ChoiceBox(tuple(SPLIT_NAMES.items()), self)
        self.split_box.setObjectName("lengths.split")
        self.split_box.setAccessibleName(tr("Part of the data"))
        self.split_box.setToolTip(tr("Whose lengths to show"))
        self.split_box.edited.connect(self._on_split)
        row.addWidget(self.split_box)
        row.addSpacing(theme.SPACE)
        self.cut_label = QLabel(self)
        self.cut_label.setObjectName("lengths.cut")
        self.cut_label.setWordWrap(True)
        row.addWidget(self.cut_label, 1)
        return row

    def _chart_card(self) -> QFrame:
        card = QFrame(self)
        card.setProperty("role", "card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(*[theme.SPACE] * 4)
        self.chart = LengthChart(card)
        self.chart.maximum_chosen.connect(self._on_line)
        self.state_label = QLabel(card)
        self.state_label.setObjectName("lengths.state")
        self.state_label.setProperty("role", "muted")
        self.state_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.state_label.setWordWrap(True)
        layout.addWidget(self.chart, 1)
        layout.addWidget(self.state_label, 1)
        return card

    def _controls(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE * 2)
        self.fields = {
            "max_seq_length": Field("max_seq_length", self._store, self),
            "batch_size": Field("batch_size", self._store, self),
        }
        self.slider = LengthSlider(self)
        self.slider.setObjectName("max_seq_length.slider")
        self.slider.setAccessibleName(tr("Maximum length"))
        self.slider.setToolTip(tr("Maximum length in tokens; the line in the chart can be dragged, too"))
        self.slider.chosen.connect(self._on_maximum)
        grid.addWidget(self.slider, 0, 0, Qt.AlignmentFlag.AlignBottom)
        grid.addWidget(self.fields["max_seq_length"], 0, 1)
        grid.addWidget(self.fields["batch_size"], 0, 2)
        grid.setColumnStretch(0, 1)
        for column in (1, 2):
            grid.setColumnMinimumWidth(column, 168)
        return grid

    def _totals(self) -> QFrame:
        well = QFrame(self)
        well.setProperty("role", "well")
        row = QHBoxLayout(well)
        row.setContentsMargins(theme.SPACE * 2, theme.SPACE, theme.SPACE * 2, theme.SPACE)
        row.setSpacing(theme.SPACE * 2)
        self.figures = {name: CountFigure(f"lengths.{name}", label, well) for name, label in LENGTH_FIGURES.items()}
        for figure in self.figures.values():
            row.addWidget(figure, 1)
        return well

    # -- showing ----------------------------------------------------------------------------------------------

    @property
    def split(self) -> str:
        """Whose lengths are shown."""
        return str(self.split_box.value() or "train")

    def refresh(self) -> None:
        """Shows everything anew."""
        config = self._store.config
        self.slider.set_length(config.max_seq_length)
        found = self._inspector.figures.get(self.split)
        for index in range(self.split_box.count()):
            known = self.split_box.itemData(index) in self._inspector.figures
            self.split_box.model().item(index).setEnabled(known or index == 0)  # type: ignore[attr-defined]
        self.chart.show_figures(found)
        kind = found.kind if found is not None else "examples"
        self.chart.set_words(LENGTH_AXES[kind], trn(2, kind.removesuffix("s"), kind))
        sampled = kind == "prompts"
        self.chart.set_maximum(self._limit(kind), tr("room for a prompt") if sampled else tr("maximum"))
        self.chart.setVisible(found is not None)
        self.state_label.setVisible(found is None)
        self._show_state()
        self._show_totals(found)
        self._show_cut(found)

    def _limit(self, kind: str) -> int:
        """The length that cuts rows, or leaves prompts out: an answer must fit behind them."""
        config = self._store.config
        return prompt_limit(config) if kind == "prompts" else config.max_seq_length

    def _show_state(self) -> None:
        inspector = self._inspector
        if not inspector.has_data:
            said = tr("There are no data to look at yet.")
        elif inspector.is_busy:
            share = f" · {inspector.share:.0%}" if inspector.share >= 0 else " …"
            said = f"{inspector.phase}{share}"
        elif not inspector.model:
            said = tr("Choose a model: lengths are counted in its tokens.")
        else:
            said = inspector.token_problem or tr("There are no examples to count yet.")
        self.state_label.setText(said)

    def _show_totals(self, found: SplitFigures | None) -> None:
        texts = dict.fromkeys(LENGTH_FIGURES, "")
        if found is not None:
            padding = found.padding_share.get(self._store.config.batching, 0.0)
            texts = {
                "examples": count_text(found.examples),
                "tokens": count_text(found.kept_tokens),
                "trained": count_text(found.trained_tokens),
                "median": count_text(found.median_length),
                "padding": share_text(padding),
                "parts": " · ".join(count_text(part["median"]) for part in found.parts.values()),
                "left_out": count_text(found.untrained_examples),
                "iterations": count_text(found.iterations_per_epoch),
            }
        tips = {
            "tokens": tr("Tokens of all examples, without what the maximum length cuts off"),
            "trained": tr("Tokens that count in the loss") + (f": {found.trained_share:.1%}" if found else ""),
            "padding": tr(
                "Share of what is computed that is no token, at batch size {batch_size}",
                batch_size=self._store.config.batch_size,
            ),
            "iterations": tr("At batch size {batch_size}", batch_size=self._store.config.batch_size),
        }
        if found is not None and found.kind != "examples":
            tips["tokens"] = tr(
                "Tokens that are read: of a pair the prompt with each answer, as far as it is not cut"
            )
            tips["left_out"] = tr("Prompts that leave no room for an answer")
            longest = ", ".join(
                tr("{name} {longest:,}", name=PART_NAMES[name], longest=part["longest"])
                for name, part in found.parts.items()
            )
            tips["parts"] = tr("Median lengths in tokens; the longest: {longest}", longest=longest)
            self.figures["parts"].set_label(" · ".join(PART_NAMES[name] for name in found.parts))
        kind = found.kind if found is not None else "examples"
        self.figures["examples"].set_label(trn(2, kind.removesuffix("s"), kind))
        for name, text in texts.items():
            self.figures[name].setVisible(name in FIGURES_SHOWN[kind])
            self.figures[name].show_value(text, tips.get(name, ""))
            self.figures[name].setEnabled(not self._inspector.is_stale)

    def _show_cut(self, found: SplitFigures | None) -> None:
        role, text = "muted", ""
        if found is not None and self._inspector.is_stale:
            text = tr("Counting …")
        elif found is not None and found.kind == "prompts":
            text, role = self._room_text(found)
        elif found is not None and found.kind != "examples":
            text, role = _pairs_text(found)
        elif found is not None and found.over_length:
            lost = share_text(found.cut_tokens / max(found.tokens, 1))
            text = tr(
                "{examples} longer than {max_seq_length:,}: ",
                examples=plural(found.over_length, "example"),
                max_seq_length=found.max_seq_length,
            )
            text += tr("{tokens} ({lost}) cut off.", tokens=plural(found.cut_tokens, "token"), lost=lost)
            role = "warning"
            if found.untrained_examples:
                text += tr(
                    " {examples} left with nothing to train.", examples=plural(found.untrained_examples, "example")
                )
        elif found is not None:
            text = tr("Nothing is cut: the longest example has {tokens}.", tokens=plural(found.longest, "token"))
        theme.set_role(self.cut_label, role=role)
        self.cut_label.setText(text)

    def _room_text(self, found: SplitFigures) -> tuple[str, str]:
        """Which prompts the run leaves out, and the role of saying so."""
        answer = plural(self._store.config.max_completion_length, "token")
        if not found.untrained_examples:
            longest = plural(found.longest, "token")
            return tr(
                "All fit with an answer of {answer}: the longest prompt has {longest}.",
                answer=answer,
                longest=longest,
            ), "muted"
        said = tr(
            "{prompts} longer than {limit:,} left out: ",
            prompts=plural(found.untrained_examples, "prompt"),
            limit=max(found.limit, 0),
        )
        return said + tr(
            "an answer of {answer} would not fit into {max_seq_length:,} with them.",
            answer=answer,
            max_seq_length=found.max_seq_length,
        ), "warning"

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_split(self, _split: str) -> None:
        self.refresh()

    def _on_maximum(self, tokens: int) -> None:
        self._store.set("max_seq_length", tokens)

    def _on_line(self, tokens: int) -> None:
        """Where the line of prompts is dragged to, answers come behind it."""
        found = self._inspector.figures.get(self.split)
        kind = found.kind if found is not None else "examples"
        self._on_maximum(tokens + self._store.config.max_seq_length - self._limit(kind))

    def _on_changed(self, path: str) -> None:
        if path in ("", "max_seq_length", "batch_size", "max_completion_length"):
            self.refresh()


def _pairs_text(found: SplitFigures) -> tuple[str, str]:
    """What the maximum length does to pairs, or to single answers, and the role of saying so."""
    noun = found.kind.removesuffix("s")
    cut = found.over_length - found.untrained_examples
    said = []
    if cut:
        lost = plural(found.cut_tokens, "token")
        said.append(
            tr(
                "{plural} longer than {limit:,}: {lost} at the end of answers cut off.",
                plural=plural(cut, noun),
                limit=found.limit,
                lost=lost,
            )
        )
    if found.untrained_examples:
        said.append(
            tr(
                "{plural} left out: the prompt leaves no room for an answer.",
                plural=plural(found.untrained_examples, noun),
            )
        )
    if said:
        return " ".join(said), "warning"
    return tr(
        "Nothing is cut: the longest {noun} has {tokens} with its prompt.",
        noun=trn(1, noun, f"{noun}s"),
        tokens=plural(found.longest, "token"),
    ), "muted"
