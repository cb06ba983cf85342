"""The bundled list of known models parses, is in order, and tells what fits machines of known sizes."""

from __future__ import annotations

import pytest

from app.core.model.hub import Fit, fit, parse_model_id
from app.core.model.known_model import known_models, machine_memory_bytes, working_set_of

GIB = 2**30


def fitting(memory_gib: int) -> set[str]:
    limit = working_set_of(memory_gib * GIB)
    return {
        model.id.split("/")[1]
        for model in known_models().models
        if fit(model.size_bytes, limit) in (Fit.FITS, Fit.TIGHT)
    }


def test_the_list_parses() -> None:
    known = known_models()
    sizes = [model.size_bytes for model in known.models]
    assert known.as_of.isoformat() == "2026-11-28"
    assert 15 <= len(sizes) <= 30
    assert sizes == sorted(sizes)
    assert len({model.id for model in known.models}) == len(sizes)
    for model in known.models:
        assert parse_model_id(model.id) is not None
        assert model.stored == ("bf16" if model.bits == 16 else "4-bit")
        assert model.licence
        assert 0 < len(model.good_for) < 60
        assert model.as_hub_model().size_bytes == model.size_bytes


def test_sizes_are_those_of_parameters_by_bits() -> None:
    sizes = {model.id.split("/")[1]: model.size_bytes / 1e9 for model in known_models().models}
    assert sizes["SmolLM2-135M-Instruct"] == pytest.approx(0.269, abs=0.001)  # 134.5 M × 2 bytes
    assert sizes["Qwen3-8B-4bit"] == pytest.approx(4.61, abs=0.01)  # 8.19 B × 4.5 / 8 bytes


def test_what_fits_at_8_16_and_64_gb() -> None:
    assert working_set_of(8 * GIB) == pytest.approx(5.73e9, rel=0.01)
    assert working_set_of(64 * GIB) == 48 * GIB
    small, middle, large = fitting(8), fitting(16), fitting(64)
    assert small < middle <= large
    assert {"Qwen2.5-0.5B-Instruct-bf16", "Qwen3-4B-4bit"} <= small
    assert not {"Qwen2.5-7B-Instruct-4bit", "SmolLM3-3B"} & small
    assert {"Qwen3-8B-4bit", "gemma-2-9b-it-4bit", "SmolLM3-3B"} <= middle
    assert large == {model.id.split("/")[1] for model in known_models().models}
    assert machine_memory_bytes() > GIB
