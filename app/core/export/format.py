"""The formats that a tuned model can leave the app in: a table, which window and command line are made of.

A new format is a row here and a writer in `app.worker.export` (see `app.worker.export.writer`).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.export.gguf_type import LLAMA_CPP, gguf_bytes, gguf_type_option
from app.core.export.option import ExportOption, OptionChoice
from app.core.export.size import KEPT_NAME, SizeEstimate, adapter_bytes, float_model_bytes, fused_bytes, hub_bytes
from app.core.language import tr
from app.core.model.conversion import QUANTIZATIONS
from app.core.problem import Problem, UnusableError

SCALE = ExportOption(
    "scale",
    tr("Strength of the adapter"),
    tr("How strongly the adapter acts: 1 as trained, 0.5 half as strong, 0 as the base."),
    1.0,
    least=0.0,
    most=4.0,
)
FLOAT_BITS = OptionChoice("16bit", "16-bit", tr("The base's own floats: nothing of the tuning is lost."))
KEPT_BITS = OptionChoice(
    KEPT_NAME,
    tr("4.8-bit, tuned"),
    tr(
        "Four bits, more where they matter, tuned so that what was learned stays; it takes its time, "
        "as training does."
    ),
)
FUSED_BITS = ExportOption(
    "bits",
    tr("Weights"),
    tr("How the weights are stored. Fewer bits are smaller and faster, and lose some of what was learned."),
    FLOAT_BITS.value,
    (FLOAT_BITS, *(OptionChoice(way.name, way.label, way.help) for way in QUANTIZATIONS.values()), KEPT_BITS),
)
LOSSY = ExportOption(
    "lossy",
    tr("Write it even if learning is lost"),
    tr("Otherwise few bits that would lose more than 5 % of what was learned are refused before they are written."),
    False,
)


OLLAMA_CREATE = ExportOption(
    "create",
    tr("Make it in Ollama"),
    tr("Run `ollama create` at the end, so that `ollama run` knows the model."),
    False,
)
OLLAMA_NAME = ExportOption(
    "name", tr("Name in Ollama"), tr("What the model is called there; empty for the run's name."), ""
)

HUB = "hub"
HUB_OPTIONS = (
    ExportOption(
        "repository", tr("Name on the hub"), tr("organization/model, as it is to be called."), "", required=True
    ),
    ExportOption(
        "content",
        tr("What is uploaded"),
        tr("The format of the files."),
        "adapter",
        (
            OptionChoice("adapter", tr("Adapter for MLX")),
            OptionChoice("peft", tr("Adapter for PEFT")),
            OptionChoice("fused", tr("Fused model for MLX")),
            OptionChoice("hf", tr("Fused model for transformers")),
        ),
    ),
    ExportOption("public", tr("Everybody may see it"), tr("Otherwise it is private: only you can see it."), False),
    ExportOption("upload", tr("Upload it"), tr("Otherwise the folder with its card is only made here."), False),
)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One format.

    ``title`` and ``what`` say what it is and what it is for, ``opens`` which programs can open it, ``refuses`` what
    cannot be exported so, and why. ``size`` estimates its bytes.
    """

    name: str
    title: str
    what: str
    opens: tuple[str, ...]
    refuses: str
    options: tuple[ExportOption, ...]
    size: SizeEstimate


EXPORT_FORMATS = {
    one.name: one
    for one in (
        ExportFormat(
            "adapter",
            tr("Adapter for MLX"),
            tr("The adapter alone, as mlx-lm has it: small, and used together with its base model."),
            ("mlx-lm", "mlx-lm-lora", tr("Luthier on another Mac")),
            tr("The strength of a DoRA adapter cannot be changed: its magnitudes were trained with it."),
            (SCALE,),
            adapter_bytes,
        ),
        ExportFormat(
            "fused",
            tr("Fused model for MLX"),
            tr("One model, the adapter in its weights: nothing else is needed to use it."),
            ("mlx-lm", tr("LM Studio (MLX)"), "mlx_lm.server"),
            tr("Few bits that would lose more than 5 % of what was learned are refused, unless you say so."),
            (SCALE, FUSED_BITS, LOSSY),
            fused_bytes,
        ),
        ExportFormat(
            "peft",
            tr("Adapter for PEFT"),
            tr(
                "The adapter alone, as Hugging Face's PEFT has it: for GPUs, and for servers that "
                "hold many adapters."
            ),
            ("PEFT", "transformers", "vLLM", tr("llama.cpp's adapter converter")),
            tr(
                "Not for full fine-tunes, which have no adapter, nor for embeddings that are also the model's head."
            ),
            (SCALE,),
            adapter_bytes,
        ),
        ExportFormat(
            "hf",
            tr("Fused model for transformers"),
            tr("One model in Hugging Face's own form: for GPUs, servers, and converters of other programs."),
            ("transformers", "vLLM", "SGLang", tr("llama.cpp's converter")),
            tr("Not for architectures that transformers does not know by name, nor for models that see or hear."),
            (SCALE,),
            float_model_bytes,
        ),
        ExportFormat(
            "gguf",
            "GGUF",
            tr(
                "One file with everything: model, tokenizer and chat template, for llama.cpp and what stands on it."
            ),
            ("llama.cpp", tr("LM Studio"), tr("Ollama"), tr("Jan"), "KoboldCpp"),
            tr("Architectures and types that are not written here need your own llama.cpp."),
            (SCALE, gguf_type_option("BF16"), LLAMA_CPP),
            gguf_bytes,
        ),
        ExportFormat(
            "gguf-adapter",
            tr("GGUF adapter"),
            tr("The adapter alone, as llama.cpp puts it on the GGUF file of its base."),
            (tr("llama.cpp (--lora)"),),
            tr("Not for DoRA, full fine-tunes, and architectures that are not written as GGUF here."),
            (SCALE,),
            adapter_bytes,
        ),
        ExportFormat(
            "lmstudio",
            tr("LM Studio"),
            tr("A GGUF file in LM Studio's own models folder: it stands in its list at once."),
            (tr("LM Studio"),),
            tr("Not for what GGUF is not for. LM Studio must have been started on this Mac once."),
            (SCALE, gguf_type_option("Q8_0"), LLAMA_CPP),
            gguf_bytes,
        ),
        ExportFormat(
            "ollama",
            tr("Ollama"),
            tr("A GGUF file with a Modelfile: template, samplers and where an answer ends."),
            (tr("Ollama"),),
            tr("Not for what GGUF is not for."),
            (SCALE, gguf_type_option("Q8_0"), LLAMA_CPP, OLLAMA_CREATE, OLLAMA_NAME),
            gguf_bytes,
        ),
        ExportFormat(
            HUB,
            tr("Hugging Face hub"),
            tr(
                "A folder with a model card (base, licence, data, figures, certificate), and its "
                "upload if you say so."
            ),
            (tr("whoever you let see it"),),
            tr("Not for what its files' format is not for. What differs from the run's model is not uploaded."),
            (*HUB_OPTIONS, SCALE, FUSED_BITS, LOSSY),
            hub_bytes,
        ),
    )
}


def export_format(name: str) -> ExportFormat:
    """The format of that name; raises `UnusableError` that lists them."""
    found = EXPORT_FORMATS.get(name)
    if found is None:
        said = tr("“{name}” is no format that Luthier exports.", name=name)
        raise UnusableError(
            [
                Problem(
                    "format",
                    said,
                    hint=tr("Choose one of {export_formats}.", export_formats=", ".join(EXPORT_FORMATS)),
                )
            ]
        )
    return found
