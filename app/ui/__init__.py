"""The window: Qt widgets over core; it starts workers and draws their events."""

# Before Qt: PySide6 reads the source of every module that is imported after it, to see whether it names PySide6.
import html  # noqa: F401
import shlex  # noqa: F401
import tomllib  # noqa: F401

import app.core.compare.before_after
import app.core.data.format
import app.core.export.served
import app.core.live.training_list
import app.core.live.watchdog
import app.core.model.hub
import app.core.model.template
import app.core.power.awake
import app.core.power.condition
import app.core.power.sleep
import app.core.queue.queue
import app.core.remote.record
import app.core.replica.hostfile
import app.core.setup.check
import app.core.setup.default
import app.core.setup.disk
import app.core.setup.path_kind
import app.core.setup.step_plan
import app.core.setup.trial
import app.core.source.collection  # noqa: F401
from app.ui.window.reference_count import keep_constants

keep_constants()
