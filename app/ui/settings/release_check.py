"""The check for a newer Luthier, in a thread: only where a person switched it on, and at most once a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from PySide6.QtCore import QObject, QRunnable, QThreadPool, QUrl, Signal
from PySide6.QtGui import QDesktopServices

from app import __version__
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.system.setting import keep_settings, load_settings
from app.core.upkeep.release import newest_release, releases_address
from app.ui.message.bar import MessageBar, Notice


class ReleaseCheck(QObject):
    """``told(text, page)``: what was found, and the page of a newer release or nothing."""

    told = Signal(str, str)

    def __init__(self, parent: QObject | None = None, *, find: Callable[[], str] = releases_address) -> None:
        super().__init__(parent)
        self.address = find()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)

    def ask_if_wanted(self) -> None:
        """Asks where the settings say so and it was not asked today; offline it is not asked at all."""
        settings, today = load_settings(), date.today().isoformat()
        if settings.check_updates and not settings.offline and settings.updates_asked != today and self.address:
            keep_settings(updates_asked=today)
            self.ask()

    def ask(self) -> None:
        """Asks now."""
        if not self._pool.activeThreadCount():
            self._pool.start(_Asking(self))

    def tell_news(self, messages: MessageBar) -> None:
        """A newer version is told there, with its page; all else is for who looks into the settings."""

        def tell(text: str, page: str) -> None:
            if page:
                messages.tell(Notice(text, "info", tr("Show it"), lambda: QDesktopServices.openUrl(QUrl(page))))

        self.told.connect(tell)

    def shutdown(self) -> None:
        """Waits for the answer before the window closes."""
        self._pool.waitForDone()


class _Asking(QRunnable):
    def __init__(self, check: ReleaseCheck) -> None:
        super().__init__()
        self._check = check

    def run(self) -> None:
        try:
            found = newest_release(self._check.address)
        except UnusableError as error:
            self._check.told.emit(" ".join(one.text for one in error.problems), "")
            return
        if found is None:
            self._check.told.emit(tr("No version has been released yet."), "")
        elif found.is_newer:
            self._check.told.emit(
                tr("Luthier {version} is out; this is {version2}.", version=found.version, version2=__version__),
                found.page,
            )
        else:
            self._check.told.emit(tr("This is the newest version, {version}.", version=__version__), "")
