"""Qt's own texts (the buttons of its boxes, the menus of its fields), and its names of days and months, in the
language of this process."""

from __future__ import annotations

import time
from datetime import date, datetime

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from app.core.language import LANGUAGES, language, tr

DAY_S = 86_400


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


def created_text(created: float, now: float | None = None) -> str:
    """``14:03`` today, ``12 Mar 14:03`` within a year, ``2024-03-12`` before."""
    when, present = datetime.fromtimestamp(created), datetime.fromtimestamp(now if now is not None else time.time())
    if when.date() == present.date():
        return tr("Today {when:%H:%M}", when=when)
    if abs((present - when).total_seconds()) < 300 * DAY_S:
        month = month_name(when, short=True)
        return tr("{day} {month} {when:%H:%M}", day=when.day, month=month, when=when)
    return f"{when:%Y-%m-%d}"


def _locale() -> QLocale:
    return QLocale(language() if language() in LANGUAGES else "en")
