"""The format ``lmstudio``: a GGUF file in LM Studio's models folder, where it is found by itself."""

from __future__ import annotations

from pathlib import Path

from app.core.export.lm_studio import PUBLISHER, has_lm_studio, lm_studio_models
from app.core.language import tr
from app.core.problem import Problem
from app.worker.export.gguf import GgufWriter, write_gguf_file
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Phases


class LmStudioWriter:
    """Writes ``MODELS/PUBLISHER/NAME/FILE.gguf``."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What `GgufWriter` says, a missing LM Studio, and a folder that it would not look into."""
        problems = GgufWriter().problems(plan)
        models = lm_studio_models()
        if not has_lm_studio():
            said = tr("LM Studio is not found here.")
            problems.append(
                Problem("format", said, hint=tr("Start it once, or export as gguf and add the file there."))
            )
        elif plan.out.parent.parent != models.resolve():
            said = tr(
                "LM Studio looks for models in {models}, as publisher/name; {out} is not there.",
                models=models,
                out=plan.out,
            )
            problems.append(
                Problem("out", said, hint=tr("Choose {models}.", models=models / PUBLISHER / plan.out.name))
            )
        return problems

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """The file alone: LM Studio reads everything else from it."""
        write_gguf_file(plan, tuned, folder, progress)
