"""The format ``gguf``: one file for llama.cpp and what stands on it, written here or by the user's llama.cpp."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.nn as nn

from app.core.export.format import export_format
from app.core.export.gguf_type import GGUF_TYPES
from app.core.export.option import option_values
from app.core.language import tr
from app.core.model.vocabulary import end_tokens
from app.core.problem import Problem, UnusableError
from app.worker.export.llama_cpp import CONVERTER, QUANTIZER, convert_with, llama_cpp_tool, quantize_with
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.export.writer import writer_of
from app.worker.gguf.architecture import ARCHITECTURES
from app.worker.gguf.file import GgufPlan, plan_gguf, write_gguf
from app.worker.gguf.tensor_type import TensorType
from app.worker.gguf.vocabulary import PROBES
from app.worker.model.loading import load_model
from app.worker.process.progress import Phases
from app.worker.token.tokenizer import load_tokenizer

WRITING_GGUF, CONVERTING, PACKING = (
    tr("Writing the file"),
    tr("Converting with llama.cpp"),
    tr("Packing with llama.cpp"),
)
_FOREIGN_FORMAT = "hf"  # what llama.cpp's converter reads


class GgufWriter:
    """Writes ``NAME-TYPE.gguf``."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """Architectures and types that neither this program nor a llama.cpp that is found can make."""
        problems, folder = [], str(plan.values["llama_cpp"])
        if _is_foreign(plan):
            problems += _foreign_problems(plan, folder)
        else:
            try:
                _planned(plan, plan.architecture, load_tokenizer(str(plan.base)))
            except UnusableError as error:
                problems += error.problems
        if GGUF_TYPES[str(plan.values["type"])].by_tool and llama_cpp_tool(QUANTIZER, folder) is None:
            own = ", ".join(name for name, one in GGUF_TYPES.items() if not one.by_tool)
            said = tr(
                "{type} is made by llama.cpp's {quantizer}, which is not found.",
                type=plan.values["type"],
                quantizer=QUANTIZER,
            )
            problems.append(
                Problem("type", said, hint=tr("Install llama.cpp or name its folder, or choose {own}.", own=own))
            )
        return problems

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """One file in ``folder``."""
        write_gguf_file(plan, tuned, folder, progress)


def write_gguf_file(plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> Path:
    """Writes the file that ``plan`` asks for into ``folder``: its path. Raises `TaskError` if llama.cpp fails."""
    kind, tools = str(plan.values["type"]), str(plan.values["llama_cpp"])
    out = folder / f"{plan.source.word}-{kind}.gguf"
    packed_by_tool = GGUF_TYPES[kind].by_tool
    first = out.with_name("16bit.gguf") if packed_by_tool else out
    if _is_foreign(plan):
        _convert(plan, tuned, folder, out.with_name("16bit.gguf"), progress)
        if kind == TensorType.BF16:
            out.with_name("16bit.gguf").rename(out)
            return out
        packed_by_tool, first = True, out.with_name("16bit.gguf")
    else:
        made = _planned(plan, tuned.use_tuned(), tuned.tokenizer)
        for note in made.notes:
            print(note, file=sys.stderr)
        write_gguf(made, first, progress(WRITING_GGUF, in_bytes=True))
    if packed_by_tool:
        quantizer = llama_cpp_tool(QUANTIZER, tools)
        assert quantizer is not None, "problems() has found it"
        quantize_with(quantizer, first, out, kind, progress(PACKING))
        first.unlink()
    return out


def write_gguf_base(plan: ExportPlan, folder: Path) -> Path:
    """Writes the base alone, which ``plan``'s adapter is put on, in 16 bits: its path."""
    model, tokenizer = load_model(plan.base)
    path = folder / "base.gguf"
    write_gguf(_planned(plan, model, tokenizer), path)
    return path


def _planned(plan: ExportPlan, model: nn.Module, tokenizer: Any) -> GgufPlan:
    kind = str(plan.values.get("type", TensorType.BF16))
    own = TensorType.BF16 if GGUF_TYPES[kind].by_tool else TensorType(kind)
    return plan_gguf(
        model, plan.base_config, tokenizer, own,
        name=plan.source.word, ends=tuple(sorted(end_tokens(plan.base))), texts=_conversations(tokenizer),
    )  # fmt: skip


def _conversations(tokenizer: Any) -> Sequence[str]:
    """Short conversations as the chat template writes them; none if it has none, or refuses them."""
    if not getattr(tokenizer, "has_chat_template", False):
        return ()
    try:
        return [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            for text in PROBES
        ]
    except Exception:  # a template raises whatever it likes for a conversation that it does not take
        return ()


def _is_foreign(plan: ExportPlan) -> bool:
    return plan.model_type not in ARCHITECTURES


def _foreign_problems(plan: ExportPlan, folder: str) -> list[Problem]:
    """What keeps llama.cpp's converter from making the file of an architecture that is not written here."""
    known = ", ".join(sorted(ARCHITECTURES))
    if llama_cpp_tool(CONVERTER, folder) is None:
        said = tr(
            "Models of the type {model_type} are not written here ({known} are), and llama.cpp's",
            model_type=plan.model_type,
            known=known,
        )
        hint = tr("Install llama.cpp or name its folder, or export as hf.")
        return [Problem("model", tr("{said} {converter} is not found.", said=said, converter=CONVERTER), hint=hint)]
    problems: list[Problem] = []
    kind = str(plan.values["type"])
    if kind != TensorType.BF16 and llama_cpp_tool(QUANTIZER, folder) is None:
        said = tr(
            "llama.cpp's converter writes BF16, and {quantizer}, which makes {kind} of it, is not found.",
            quantizer=QUANTIZER,
            kind=kind,
        )
        problems.append(Problem("type", said, hint=tr("Choose BF16, or install the whole of llama.cpp.")))
    return problems + writer_of(_FOREIGN_FORMAT).problems(_foreign_plan(plan))


def _foreign_plan(plan: ExportPlan) -> ExportPlan:
    chosen = export_format(_FOREIGN_FORMAT)
    return replace(plan, format=chosen, values=option_values(chosen.options, {"scale": plan.scale}))


def _convert(plan: ExportPlan, tuned: TunedModel, folder: Path, out: Path, progress: Phases) -> None:
    import shutil

    between = folder / _FOREIGN_FORMAT
    between.mkdir()
    writer_of(_FOREIGN_FORMAT).write(_foreign_plan(plan), tuned, between, progress)
    converter = llama_cpp_tool(CONVERTER, str(plan.values["llama_cpp"]))
    assert converter is not None, "problems() has found it"
    convert_with(converter, between, out, progress(CONVERTING))
    shutil.rmtree(between)
