"""The format ``gguf-adapter``: the adapter alone, as llama.cpp puts it on a base's own file."""

from __future__ import annotations

from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.gguf.adapter import write_gguf_adapter
from app.worker.gguf.architecture import architecture_of
from app.worker.process.progress import Phases

_HINT = tr("Export the whole model as gguf instead.")


class GgufAdapterWriter:
    """Writes ``NAME-adapter.gguf``."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What is no LoRA, and architectures that are not written here."""
        problems = []
        if plan.kind != "lora":
            words = {"dora": "DoRA", "full": tr("a full fine-tune")}.get(plan.kind, plan.kind)
            problems.append(
                Problem(
                    "format", tr("llama.cpp's adapters are LoRA; this one is {words}.", words=words), hint=_HINT
                )
            )
        try:
            architecture_of(plan.base_config)
        except UnusableError as error:
            problems += error.problems
        return problems

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, _progress: Phases) -> None:
        """One small file. Raises `UnusableError` for modules that llama.cpp has no name for."""
        out = folder / f"{plan.source.word}-adapter.gguf"
        write_gguf_adapter(out, tuned.use_tuned(), plan.base_config, tuned.adapter.parts, plan.source.word)
