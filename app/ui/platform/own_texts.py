"""Qt's own texts (the buttons of its boxes, the menus of its fields), and its names of days and months, in the
language of this process."""

from __future__ import annotations

from datetime import date

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from app.core.language import LANGUAGES, language


def translate_qt(application: QCoreApplication) -> bool:
    """Installs Qt's catalogue; true where Qt brings one for the language, or needs none."""
    if language() == "en":
        return True
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    return translator.load(f"qtbase_{language()}", folder) and application.installTranslator(translator)


def month_name(day: date, *, short: bool = False) -> str:
    """*November*, or *Nov*; Python's own names follow the system, whose language may be another."""
    form = QLocale.FormatType.ShortFormat if short else QLocale.FormatType.LongFormat
    return _locale().standaloneMonthName(day.month, form)


def weekday_name(day: date) -> str:
    """*Sunday*."""
    return _locale().standaloneDayName(day.isoweekday())


def _locale() -> QLocale:
    return QLocale(language() if language() in LANGUAGES else "en")
