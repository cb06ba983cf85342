"""Scrolling: what two fingers on a trackpad are over stays as it is, and what a wheel turns is meant."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QSlider, QTabBar, QTabWidget, QWidget


def is_turned(field: QWidget, wheel: QWheelEvent) -> bool:
    """Whether a wheel changes a field's value: a wheel with notches, over the field that has the keyboard.

    A trackpad's scrolling has phases; it moves the page, also over that field. What does not turn is ignored, so
    that it reaches the page.
    """
    turned = field.hasFocus() and wheel.phase() == Qt.ScrollPhase.NoScrollPhase
    if not turned:
        wheel.ignore()
    return turned


class CalmSlider(QSlider):
    """A slider that scrolling does not move."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if is_turned(self, event):
            super().wheelEvent(event)


class CalmBox(QComboBox):
    """A choice that scrolling does not change."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if is_turned(self, event):
            super().wheelEvent(event)


class CalmTabBar(QTabBar):
    """Tabs that no wheel turns: they are pressed, or gone through with the arrows."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def calm_tabs(name: str, told: str, parent: QWidget) -> QTabWidget:
    """Pages under such tabs; ``name`` is the object's, ``told`` what a screen reader says."""
    tabs = QTabWidget(parent)
    tabs.setTabBar(CalmTabBar(tabs))
    tabs.setObjectName(name)
    tabs.setAccessibleName(told)
    tabs.tabBar().setAccessibleName(told)
    return tabs
