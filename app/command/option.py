"""Options that many verbs have. Apart from `output`, because the overview must not wait for typer."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
