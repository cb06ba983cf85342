"""The tensor types that a GGUF file can have: their size, what they are for, and who makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.export.option import ExportOption, OptionChoice, OptionValue
from app.core.export.size import OWN_FILES_BYTES, SourceSize
from app.core.language import tr


@dataclass(frozen=True, slots=True)
class GgufType:
    """``bits`` a weight, scales included. ``by_tool`` if llama.cpp's own ``llama-quantize`` has to make it."""

    name: str
    bits: float
    what: str
    by_tool: bool = False


GGUF_TYPES = {
    one.name: one
    for one in (
        GgufType("BF16", 16, tr("The numbers of most models as they are: nothing is lost.")),
        GgufType("F16", 16, tr("Half precision: nothing to speak of is lost, and every program reads it fast.")),
        GgufType("Q8_0", 8.5, tr("Eight bits: half the size, and answers hardly change.")),
        GgufType("Q5_1", 6, tr("Five bits with an offset: small, and close.")),
        GgufType(
            "Q4_0", 4.5, tr("Four bits: smallest, and quick everywhere; a small change by training can be lost.")
        ),
        GgufType("MXFP4", 4.25, tr("Four bits as floats, the form of gpt-oss.")),
        GgufType("Q6_K", 6.56, tr("Six bits; made by your llama.cpp."), by_tool=True),
        GgufType("Q5_K_M", 5.7, tr("Five bits where it matters most; made by your llama.cpp."), by_tool=True),
        GgufType("Q4_K_M", 4.85, tr("What most people download; made by your llama.cpp."), by_tool=True),
        GgufType("IQ4_XS", 4.3, tr("Four bits, small and slower; made by your llama.cpp."), by_tool=True),
        GgufType("Q3_K_M", 3.9, tr("Three bits, for large models; made by your llama.cpp."), by_tool=True),
    )
}


def gguf_type_option(default: str) -> ExportOption:
    """The option ``type`` of a format, with a default of its own."""
    choices = tuple(OptionChoice(one.name, one.name, one.what) for one in GGUF_TYPES.values())
    what = tr("How the numbers are packed. Fewer bits are smaller and faster, and lose some of what was learned.")
    return ExportOption("type", tr("Tensor type"), what, default, choices)


LLAMA_CPP = ExportOption(
    "llama_cpp",
    tr("llama.cpp's folder"),
    tr("Where llama.cpp lies, for what is not written here; empty for the tools that are found by themselves."),
    "",
)


def gguf_bytes(size: SourceSize, values: Mapping[str, OptionValue]) -> int:
    """A file of the option ``type``, and the one in 16 bits that llama.cpp makes it of."""
    chosen = GGUF_TYPES[str(values["type"])]
    between = size.parameters * 2 if chosen.by_tool else 0
    return int(size.parameters * chosen.bits / 8) + between + size.other_bytes + OWN_FILES_BYTES
