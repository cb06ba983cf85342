"""The window: Qt widgets over core; it starts workers and draws their events."""

# Before Qt: PySide6 reads the source of every module that is imported after it, to see whether it names PySide6.
import app.core.queue.queue
import app.core.setup.check
import app.core.setup.path_kind
import app.core.setup.step_plan  # noqa: F401
from app.ui.window.reference_count import keep_constants

keep_constants()
