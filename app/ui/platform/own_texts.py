"""Qt's own texts (the buttons of its boxes, the menus of its fields) in the language of this process."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QTranslator

from app.core.language import language


def translate_qt(application: QCoreApplication) -> bool:
    """Installs Qt's catalogue; true where Qt brings one for the language, or needs none."""
    if language() == "en":
        return True
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    return translator.load(f"qtbase_{language()}", folder) and application.installTranslator(translator)
