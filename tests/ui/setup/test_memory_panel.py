"""The memory of a run on the form: the bar, what is said of it, and what would make it fit."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.setup.memory import MemoryEstimate, MemoryFit, Remedy
from app.ui.setup.memory_panel import MemoryBar, MemoryPanel
from app.ui.widget import theme
from tests.ui.child import child

MB = 1_000_000
FEW: dict[str, Any] = {
    "weights": 40 * MB,
    "adapter": 0,
    "gradients": 0,
    "optimizer": 20 * MB,
    "activations": 40 * MB,
}


def estimated(**parts: Any) -> MemoryEstimate:
    return MemoryEstimate(**{**FEW, "logits": 0, **parts})


@pytest.fixture
def panel(qtbot: QtBot) -> MemoryPanel:
    found = MemoryPanel()
    qtbot.addWidget(found)
    return found


def told(panel: MemoryPanel) -> tuple[str, str, bool, str]:
    """The verdict with its role, whether it is there, and the sentence."""
    verdict = child(panel, QLabel, "memory.verdict")
    role = str(verdict.property("role"))
    return verdict.text(), role, not verdict.isHidden(), child(panel, QLabel, "memory.text").text()


def test_it_says_what_a_run_takes_of_what_is_there(panel: MemoryPanel) -> None:
    assert panel.isHidden()
    panel.show_estimate(estimated())
    assert not panel.isHidden()
    assert told(panel) == ("", "pill", False, "Estimated: <b>100\u00a0MB</b>")
    limit = {"limit": 200 * MB}
    of_limit = " of 200\u00a0MB that MLX should stay within."
    panel.show_estimate(estimated(verdict=MemoryFit.FITS, calibrated=True, **limit))
    assert told(panel) == ("Fits", "pill-good", True, f"By a probe: <b>100\u00a0MB</b>{of_limit}")
    panel.show_estimate(estimated(verdict=MemoryFit.TIGHT, apart=30 * MB, **limit))
    apart = " Sampling and judging, in turn with training, take 30\u00a0MB beside what stays."
    assert told(panel) == ("Tight", "pill-warning", True, f"Estimated: <b>100\u00a0MB</b>{of_limit}{apart}")
    large, said = estimated(verdict=MemoryFit.WONT_FIT, **limit), f"Estimated: <b>100\u00a0MB</b>{of_limit}"
    panel.show_estimate(large, searching=True)
    search = " Looking for what would make it fit …"
    assert told(panel) == ("Will not fit", "pill-error", True, f"{said}{search}")
    panel.show_estimate(large)
    assert told(panel)[3] == f"{said} Nothing on this form would make it fit."
    panel.show_estimate(None)
    assert panel.isHidden()


def test_what_would_make_it_fit_is_offered_and_asked_for(panel: MemoryPanel) -> None:
    remedies = (
        Remedy("Batch size 1 < 2", {"batch_size": 1, "grad_accumulation_steps": 2}, 60 * MB),
        Remedy("Gradient checkpointing", {"grad_checkpoint": True}, 50 * MB),
    )
    asked: list[dict[str, Any]] = []
    panel.remedy_chosen.connect(asked.append)
    found = estimated(verdict=MemoryFit.WONT_FIT, limit=90 * MB, remedies=remedies)
    panel.show_estimate(found, searching=True)
    assert told(panel)[3].endswith(" What would make it fit:")
    first, second = (child(panel, QPushButton, f"memory.remedy.{number}") for number in (0, 1))
    assert (first.text(), first.accessibleName(), first.toolTip()) == (
        "Apply", "Apply: Batch size 1 < 2", "Sets batch_size to 1, grad_accumulation_steps to 2",
    )  # fmt: skip
    said = [label.text() for label in panel.findChildren(QLabel) if "→" in label.text()]
    assert said == ["Batch size 1 &lt; 2 → <b>60\u00a0MB</b>", "Gradient checkpointing → <b>50\u00a0MB</b>"]
    second.click()
    first.click()
    assert asked == [{"grad_checkpoint": True}, {"batch_size": 1, "grad_accumulation_steps": 2}]
    panel.show_estimate(found)
    assert child(panel, QPushButton, "memory.remedy.0") is first, "what is the same stays, under the pointer too"
    assert panel._buttons.count() == 2
    panel.show_estimate(estimated())
    assert panel._buttons.count() == 0


def test_the_bar_draws_each_part_in_its_color_and_a_mark_at_the_limit(panel: MemoryPanel, qtbot: QtBot) -> None:
    panel.show_estimate(estimated(limit=80 * MB, verdict=MemoryFit.WONT_FIT))
    series, c = theme.colors().series, theme.colors()
    assert panel.bar.toolTip().splitlines() == [
        "Weights: 40\u00a0MB", "Optimizer: 20\u00a0MB", "Activations: 40\u00a0MB", "Peak: 100\u00a0MB",
        "Limit: 80\u00a0MB",
    ]  # fmt: skip
    assert panel.bar.accessibleName() == "Memory: 100\u00a0MB"
    assert panel._legend.text().split("&nbsp;&nbsp; ") == [
        f"<span style='color:{series[0]}'>■</span>&nbsp;Weights&nbsp;40\u00a0MB",
        f"<span style='color:{series[2]}'>■</span>&nbsp;Optimizer&nbsp;20\u00a0MB",
        f"<span style='color:{series[4]}'>■</span>&nbsp;Activations&nbsp;40\u00a0MB",
    ]
    bar = MemoryBar()
    qtbot.addWidget(bar)
    bar.resize(200, 14)

    def colors(*places: int) -> list[str]:
        image = bar.grab().toImage()
        scale = image.devicePixelRatio()
        return [image.pixelColor(round(x * scale), round(7 * scale)).name() for x in places]

    bar.show_estimate(estimated(limit=80 * MB))
    names = [QColor(series[number]).name() for number in (0, 2, 4)]
    assert colors(40, 100, 140, 180) == [names[0], names[1], names[2], names[2]]
    assert colors(160) == [QColor(c.error).name()], "80 of 100"
    bar.show_estimate(estimated(limit=200 * MB))
    assert colors(20, 50, 80, 150, 199) == [*names, QColor(c.border).name(), QColor(c.border).name()]
    bar.show_estimate(estimated())
    assert (bar.toolTip().splitlines()[-1], colors(199)) == ("Peak: 100\u00a0MB", [names[2]])
    bar.show_estimate(MemoryEstimate(0, 0, 0, 0, 0, 0))
    assert (bar.scale, colors(100)) == (200.0, [QColor(c.border).name()])


def test_another_scheme_has_its_own_colors_in_the_legend(panel: MemoryPanel) -> None:
    panel.show_estimate(estimated())
    before = panel._legend.text()
    theme.apply_theme("dark")
    assert panel._legend.text() == before.replace(theme.LIGHT.series[0], theme.DARK.series[0]).replace(
        theme.LIGHT.series[2], theme.DARK.series[2]
    ).replace(theme.LIGHT.series[4], theme.DARK.series[4])
