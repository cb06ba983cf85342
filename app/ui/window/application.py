"""The application: the process around the window, from its first moment to its last error."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent, QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from app import __version__
from app.core.language import tr
from app.core.launch.bundle_name import name_bundle
from app.core.resource import resource
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.core.setup.default import new_setup_problems
from app.core.system import place
from app.core.system.atomic_file import write_text
from app.core.system.leftover import sweep_all
from app.core.system.network import own_network
from app.core.system.setting import load_settings
from app.ui.form.store import ConfigStore, form_store
from app.ui.message.bar import MessageBar, Notice
from app.ui.method.choice import enhanced_store
from app.ui.platform.own_texts import translate_qt
from app.ui.platform.window_order import bring_to_front
from app.ui.run.session import RunSession
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.first_window import first_window
from app.ui.window.garbage_collector import GarbageCollector
from app.ui.window.main_window import MainWindow
from app.ui.worker.spare import SpareWorker

SIGNAL_POLL_MS = 300  # Python runs its signal handlers only between bytecodes: it needs a moment now and then
SCREENSHOT_WAIT_MS = 30_000
SETTLE_MS = 400


class FileOpener(QObject):
    """Catches the files that macOS hands to a running application ("open with", a drop on the dock icon)."""

    opened = Signal(list)  # list[str]

    def eventFilter(self, watched: QObject, found: QEvent) -> bool:
        if isinstance(found, QFileOpenEvent) and found.file():
            self.opened.emit([found.file()])
            return True
        return super().eventFilter(watched, found)


class ErrorPresenter(QObject):
    """The one place where errors that nobody foresaw are told: in the window, on stderr and in a file."""

    def __init__(self, messages: MessageBar) -> None:
        super().__init__(messages)
        self._messages = messages
        self._told: set[str] = set()

    def install(self) -> None:
        """Takes over Python's last door for errors."""
        sys.excepthook = self.present

    def present(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Tells of an error; the same one again only on stderr."""
        traceback.print_exception(kind, error, trace)
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        said = f"{kind.__name__}: {error}"
        if said in self._told:
            return
        self._told.add(said)
        report = place.cache_dir() / "last_error.txt"
        text = tr(
            "Luthier {version}, Python {split}, {platform}\n",
            version=__version__,
            split=sys.version.split()[0],
            platform=sys.platform,
        )
        text += "".join(traceback.format_exception(kind, error, trace))
        try:
            write_text(report, text)
            where = tr(" The details are in {report}.", report=report)
        except OSError:
            where = ""
        self._messages.tell(
            Notice(tr("Something went wrong in the window: {said}{where}", said=said, where=where), "error")
        )


def make_application() -> QApplication:
    """The process's application, with its name and icon; the one that is already there if there is one."""
    found = QApplication.instance()
    if found is None:
        name_bundle()
    application = found if isinstance(found, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("Luthier")
    application.setApplicationDisplayName("Luthier")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("luthier")
    application.setWindowIcon(window_icon())
    if found is None:
        translate_qt(application)
    return application


def window_icon() -> QIcon:
    """The program's icon."""
    return QIcon(str(resource("icons", "luthier.png")))


def run_window(files: list[str]) -> int:
    """Opens the window and returns when it was closed. ``files`` land where a drop would put them.

    Where a window is open already, that one comes to the front and takes the files.
    """
    application = make_application()
    first = first_window(files, application)
    if first is None:
        return 0
    sweep_all()
    own_network.follow(load_settings())
    appearance = Appearance(application)
    appearance.apply()
    store, session = form_store(application), RunSession(application)
    enhanced = enhanced_store(application)
    with theme.undressed():
        window = MainWindow(store, session, appearance, enhanced=enhanced)
    presenter = ErrorPresenter(window.messages)
    presenter.install()
    opener = FileOpener(application)
    opener.opened.connect(window.user_actions.take_files)
    application.installEventFilter(opener)
    _close_on_signals(window)
    for problem in [*store.restore_form(), *enhanced.restore_form()]:
        window.messages.tell(
            Notice(
                tr("The form of the last time was not restored: {sentence}", sentence=problem.sentence()), "warning"
            )
        )
    for problem in new_setup_problems(load_settings().default_setup):
        said = tr("New setups begin with Luthier's own values: {sentence}", sentence=problem.sentence())
        window.messages.tell(Notice(said, "warning"))
    _look_for_release(window)
    first.asked.connect(lambda more: _ask_again(window, more))
    window.kept_view.restore_place()
    window.user_actions.take_files(files)
    window.user_actions.queue.offer()
    window.welcome.offer()
    application.applicationStateChanged.connect(lambda state: _come_back(window, state))
    window.show()
    collector = GarbageCollector(window)
    spare = SpareWorker(application)
    code = application.exec()
    spare.shutdown()
    collector.deleteLater()
    first.close()
    if (
        window.is_kept and session.outlives_window
    ):  # ended by the menu-bar item's system, with the run left to itself
        session.let_go()
    window.attendant.shutdown()
    session.wait(SCREENSHOT_WAIT_MS)
    sys.excepthook = sys.__excepthook__
    return code


def _look_for_release(window: MainWindow) -> None:
    """Where that is switched on; else nothing of it is even imported."""
    if load_settings().check_updates:
        from app.ui.settings.release_check import ReleaseCheck

        check = ReleaseCheck(window)
        check.tell_news(window.messages)
        check.ask_if_wanted()


def _come_back(window: MainWindow, state: Qt.ApplicationState) -> None:
    """A click on the Dock's icon, while only the menu-bar item is there."""
    if sys.platform == "darwin" and window.is_kept and state is Qt.ApplicationState.ApplicationActive:
        bring_to_front(window)


def _ask_again(window: MainWindow, files: list[str]) -> None:
    """A later launch: the window comes to the front, with what that was given."""
    bring_to_front(window)
    window.user_actions.take_files(files)


def _close_on_signals(window: MainWindow) -> None:
    """Ctrl-C and a polite end by the system stop the run as closing the window does, without asking."""

    def leave(_number: int, _frame: object) -> None:
        # In the event loop: a window that closes before the loop begins would leave it without an end.
        QTimer.singleShot(0, window, window.leave)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    timer = QTimer(window)
    timer.timeout.connect(_let_python_run)
    timer.start(SIGNAL_POLL_MS)


def _let_python_run() -> None:
    """Nothing: being called is what matters."""


def first_paint(png: Path) -> tuple[int, int]:
    """Opens the window of a first start, paints it into a picture and closes it; returns its size in pixels.

    Works without a display. Raises `OSError` if the picture cannot be written.
    """
    if QGuiApplication.instance() is None and not _has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = make_application()
    appearance = Appearance(application)
    appearance.apply()
    with theme.undressed():
        window = MainWindow(ConfigStore(application), RunSession(application), appearance)
    window.show()
    application.processEvents()
    picture = window.grab()
    window.dispose()
    if not picture.save(str(png)):
        raise OSError(tr("{png} cannot be written.", png=png))
    return picture.width(), picture.height()


def screenshot(
    run_dir: Path, png: Path, *, scheme: theme.Scheme = "light", size: tuple[int, int] = (1440, 900)
) -> None:
    """Writes a picture of the window with a run open and its config in the form.

    Works without a display. Raises `OSError` if the picture cannot be written, `UnusableError` if the run has no
    readable config. In a process that has an application already, that one is used.
    """
    if QGuiApplication.instance() is None and not _has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = make_application()
    config = load_config(RunDir(run_dir).config).config
    appearance = Appearance(application)
    theme.apply_theme(scheme)
    store, session = ConfigStore(application), RunSession(application)
    window = MainWindow(store, session, appearance)
    window.resize(*size)
    window.forms.take_config(config)
    window.show()
    session.open(run_dir)
    _wait_until_known(window)
    png.parent.mkdir(parents=True, exist_ok=True)
    saved = window.grab().save(str(png))
    window.dispose()
    if not saved:
        raise OSError(tr("{png} cannot be written.", png=png))


def _wait_until_known(window: MainWindow) -> None:
    """Lets the window work until model, data and run are read, then a moment more for the last repaint."""
    waited, step_ms = 0, 50
    while waited < SCREENSHOT_WAIT_MS and window.is_busy:
        _work(step_ms)
        waited += step_ms
    _work(SETTLE_MS)


def _work(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _has_display() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM"))
