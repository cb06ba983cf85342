"""Certifying: readings of the run's model before an export, and of what another program opened after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlx.core as mx

from app.core.export.certificate import CERTIFICATE_FILE, Certificate, Readings, certify
from app.core.export.format import FLOAT_BITS
from app.core.export.size import float_model_bytes, source_size
from app.core.language import tr
from app.core.model.safetensors_header import read_header, weight_files
from app.core.system.disk import free_bytes
from app.worker.certificate.engine import Engine, read_with, row_log_probabilities
from app.worker.certificate.llama_engine import LlamaEngine, broken_tokens, has_llama_cpp
from app.worker.certificate.material import Material, answered, material_of, narrowed
from app.worker.certificate.mlx_engine import MlxEngine
from app.worker.certificate.torch_engine import TorchEngine, has_peft, has_transformers
from app.worker.export.gguf import write_gguf_base
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.gguf.adapter_reader import put_gguf_adapter
from app.worker.model.loading import load_model
from app.worker.process.progress import Phases
from app.worker.token.tokenizer import known_ids, load_tokenizer

READING, REOPENING = tr("Reading prompts with the run's model"), tr("Opening the export again")

GGUF_FILES = ("gguf", "lmstudio", "ollama")
LLAMA_FORMATS = (*GGUF_FILES, "gguf-adapter")  # what llama.cpp opens
TOKEN_BY_TOKEN = (12, 24)  # rows, and tokens of each, that llama.cpp is asked for one by one

# A program with the export open, and whether it is only our own reader because no other program could.
Opened = tuple[Engine, bool]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the run's model and its base make of the material."""

    material: Material
    tuned: Readings
    base: Readings


def evidence_of(plan: ExportPlan, tuned: TunedModel, prompts: int, progress: Phases) -> Evidence:
    """Reads with the run's model, then the rows with its base; leaves ``tuned`` as it was."""
    material = material_of(plan.source.run, tuned.tokenizer, prompts)
    if plan.content in LLAMA_FORMATS:
        material = narrowed(material, *TOKEN_BY_TOKEN)
    tuned.use_tuned()
    readings = read_with(
        MlxEngine(tuned.model, tuned.tokenizer, tr("the run's model")), material, progress(READING)
    )
    if not material.rows:
        material = answered(material, readings.answers)
        engine = MlxEngine(tuned.model, tuned.tokenizer, tr("the run's model"))
        readings.log_probabilities.extend(row_log_probabilities(engine, material, progress(READING)))
    tuned.use_base()
    engine = MlxEngine(tuned.model, tuned.tokenizer, tr("the base"))
    base = Readings(tr("the base"), log_probabilities=row_log_probabilities(engine, material, progress(READING)))
    tuned.use_tuned()
    return Evidence(material, readings, base)


def certified(plan: ExportPlan, folder: Path, evidence: Evidence, progress: Phases) -> Certificate | None:
    """Opens ``folder`` with another program and writes ``certificate.json``; None where nothing can open it."""
    opener = OPENERS.get(plan.content)
    if opener is None:
        return None
    mx.clear_cache()
    report = progress(REOPENING)
    report(0, 1)
    opened = opener(plan, folder)
    if opened is None:
        return None
    engine, own = opened
    found = read_with(engine, evidence.material, report)
    certificate = certify(
        evidence.tuned,
        evidence.base,
        found,
        float_bytes=2 if plan.content in LLAMA_FORMATS else float_bytes(plan),
        lossy=is_lossy(plan),
        own_reader=own,
        material=evidence.material.source,
    )
    write_certificate(folder, plan, certificate)
    return certificate


def write_certificate(folder: Path, plan: ExportPlan, certificate: Certificate) -> None:
    """``certificate.json``: what was compared and found, and of what export."""
    about = {
        "format": plan.format.name,
        "options": dict(plan.values),
        "base": plan.source.base,
        "source": plan.source.label,
    }
    text = json.dumps(about | certificate.as_dict(), indent=2, ensure_ascii=False)
    (folder / CERTIFICATE_FILE).write_text(text + "\n", encoding="utf-8")


def is_lossy(plan: ExportPlan) -> bool:
    """Whether the export's weights have fewer bits than floats."""
    if plan.content in ("adapter", "peft", "hf", "gguf-adapter"):
        return False
    stored = plan.values.get("bits") or plan.values.get("type") or FLOAT_BITS.value
    return stored not in (FLOAT_BITS.value, "BF16", "F16")


def float_bytes(plan: ExportPlan) -> int:
    """The bytes of the base's floats: of its largest tensors that are no packed ones."""
    kinds = [tensor.dtype for file in weight_files(plan.base) for tensor in read_header(file)]
    return 4 if kinds and all(kind == "F32" for kind in kinds) else 2


def _adapter(plan: ExportPlan, folder: Path) -> Opened:
    return MlxEngine.opened(plan.base, folder), False


def _fused(_plan: ExportPlan, folder: Path) -> Opened:
    return MlxEngine.opened(folder), False


def _hf(_plan: ExportPlan, folder: Path) -> Opened:
    return (TorchEngine(folder), False) if has_transformers() else (MlxEngine.opened(folder), True)


def _peft(plan: ExportPlan, folder: Path) -> Opened:
    """PEFT needs the base in transformers' own form: one that was packed for MLX is opened here."""
    if has_peft() and not plan.base_config.get("quantization"):
        return TorchEngine(plan.base, folder), False
    tuned = TunedModel(plan.base, folder)
    return MlxEngine(tuned.model, tuned.tokenizer, "Luthier"), True


def _gguf(plan: ExportPlan, folder: Path) -> Opened | None:
    """llama.cpp alone reads what it reads: there is no reader of our own to stand in for it."""
    if not has_llama_cpp():
        return None
    return LlamaEngine(next(folder.glob("*.gguf")), _broken(plan)), False


def _gguf_adapter(plan: ExportPlan, folder: Path) -> Opened:
    """On a file of the base, which is written for that and goes again; where it has no room, by our own reader."""
    room = float_model_bytes(source_size(plan.base, plan.source.adapter), plan.values)
    if not has_llama_cpp() or free_bytes(folder) < room:
        model, tokenizer = load_model(plan.base)
        put_gguf_adapter(next(folder.glob("*.gguf")), model, plan.base_config)
        return MlxEngine(model, tokenizer, "Luthier"), True
    # Beside the adapter, so that an export that is killed leaves nothing that the next one would not sweep away.
    with TemporaryDirectory(prefix=".base-", dir=folder) as place:
        base = write_gguf_base(plan, Path(place))
        return LlamaEngine(base, _broken(plan), next(folder.glob("*.gguf"))), False


def _broken(plan: ExportPlan) -> list[int]:
    tokenizer = load_tokenizer(str(plan.base))
    return broken_tokens(tokenizer, known_ids(tokenizer) or len(tokenizer))


# How each format is opened again.
OPENERS: dict[str, Callable[[ExportPlan, Path], Opened | None]] = {
    "adapter": _adapter,
    "fused": _fused,
    "peft": _peft,
    "hf": _hf,
    "gguf-adapter": _gguf_adapter,
    **dict.fromkeys(GGUF_FILES, _gguf),
}
