"""What writes an export: one class a format, behind one small interface.

How an export runs (`app.worker.export.task`):

1. The job names a run or adapter, a format, options and the folder ``out``. They become an `ExportPlan`, whose
   ``values`` have every option that the format declares in `app.core.export.format`.
2. `ExportWriter.problems` says everything that is in the way, *before any work*: it reads configs, headers and the
   architecture (``plan.architecture``: the base's modules without weights), never the weights. What it finds
   is refused together with what `app.core.export.destination` finds (the folder exists, the disk is too full).
3. `ExportWriter.write` fills ``folder``, which is empty, lies beside ``out`` and is renamed to it when everything
   in it is complete: so a writer writes plainly, and what is killed, cancelled or out of disk leaves nothing under
   the final name. ``tuned`` is the run's model (base and adapter, `app.worker.export.tuned_model`); ``progress``
   of a phase's name gives a callback (done, total): call it between arrays, because that is also where a stop is
   noticed (it raises).
4. The folder is opened again by another program, and held against the run's model: a certificate. How a format is
   opened stands in ``OPENERS`` of `app.worker.export.certifying`; what a program has to offer, in
   `app.worker.certificate.engine`.

A format: its row in `app.core.export.format` (with a ``size`` of `app.core.export.size`), a module here with a
class that has these methods, its line in `EXPORT_WRITERS`. What can only be asked of this machine (is the program
there?) is asked in ``problems``, not found out half-way.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from app.core.problem import Problem
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Phases


class ExportWriter(Protocol):
    """What a format's module has to offer."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """Everything that is in the way, with what to do; found without reading a weight."""
        ...

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """Writes the export into ``folder``. May change ``tuned`` (fuse it): nobody needs it afterwards."""
        ...


# The class of a format is imported only when it is asked for.
EXPORT_WRITERS = {
    "adapter": "app.worker.export.adapter:AdapterWriter",
    "gguf": "app.worker.export.gguf:GgufWriter",
    "gguf-adapter": "app.worker.export.gguf_adapter:GgufAdapterWriter",
    "lmstudio": "app.worker.export.lm_studio:LmStudioWriter",
    "ollama": "app.worker.export.ollama:OllamaWriter",
    "fused": "app.worker.export.fused:FusedWriter",
    "peft": "app.worker.export.peft:PeftWriter",
    "hf": "app.worker.export.hf:HfWriter",
    "hub": "app.worker.export.hub:HubWriter",
}


def writer_of(name: str) -> ExportWriter:
    """The writer of a format of `app.core.export.format`."""
    module, kind = EXPORT_WRITERS[name].split(":")
    return cast(ExportWriter, getattr(importlib.import_module(module), kind)())
