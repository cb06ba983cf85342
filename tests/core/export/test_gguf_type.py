"""GGUF's types: their bits are those of llama.cpp's blocks, and a file takes what its numbers sum to."""

from __future__ import annotations

import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from app.core.export.gguf_type import GGUF_TYPES, gguf_bytes, gguf_type_option
from app.core.export.size import OWN_FILES_BYTES, SourceSize

MIXED = {"Q5_K_M": ("Q5_K", "Q6_K"), "Q4_K_M": ("Q4_K", "Q6_K"), "Q3_K_M": ("Q3_K", "Q5_K")}  # lowest and highest


def block_bits(name: str) -> float:
    numbers, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    return 8 * size / numbers


@pytest.mark.parametrize("name", GGUF_TYPES)
def test_bits_are_those_of_the_blocks(name: str) -> None:
    bits = GGUF_TYPES[name].bits
    if name in MIXED:
        low, high = map(block_bits, MIXED[name])
        assert low < bits < high
    else:
        assert bits == pytest.approx(block_bits(name), rel=0.02)


def test_what_llama_cpp_makes_is_said_to_be_so() -> None:
    made = [name for name, one in GGUF_TYPES.items() if one.by_tool]
    assert made == ["Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M"]
    option = gguf_type_option("Q8_0")
    assert (option.name, option.default) == ("type", "Q8_0")
    assert [one.value for one in option.choices] == list(GGUF_TYPES)


def test_a_file_takes_its_numbers_and_what_llama_cpp_reads_on_the_way() -> None:
    size = SourceSize(parameters=1_000_000, float_bytes=2, adapter_bytes=7, other_bytes=500)
    own = 500 + OWN_FILES_BYTES
    assert gguf_bytes(size, {"type": "BF16"}) == 2_000_000 + own
    assert gguf_bytes(size, {"type": "Q8_0"}) == 1_062_500 + own
    assert gguf_bytes(size, {"type": "Q4_K_M"}) == 606_250 + 2_000_000 + own
