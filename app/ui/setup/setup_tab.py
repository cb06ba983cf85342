"""The Setup tab: supervised training, all that such a run is made of."""

from __future__ import annotations

from app.core.language import tr
from app.ui.setup.config_tab import ConfigTab


class SetupTab(ConfigTab):
    """The form of a supervised run."""

    name = "setup_tab"
    title = tr("Setup")
    line = tr("A model, examples of what it should say, and how to train it.")
