"""The ways to merge adapters: what each asks for, and adapters that cannot be merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.export.merge import (
    DENSITY,
    MERGE_METHODS,
    MERGE_SEED,
    RANK,
    WEIGHT,
    merge_method,
    merge_sources,
)
from app.core.problem import UnusableError


def adapter(folder: Path, base: str) -> Path:
    folder.mkdir()
    (folder / "adapters.safetensors").write_bytes(b"")
    (folder / "adapter_config.json").write_text(json.dumps({"model": base} if base else {}))
    return folder


def test_what_drops_changes_has_a_density_and_what_draws_them_a_seed() -> None:
    assert {name: (one.prunes, one.draws) for name, one in MERGE_METHODS.items()} == {
        "linear": (False, False),
        "ties": (True, False),
        "dare_linear": (True, True),
        "dare_ties": (True, True),
    }
    ranges = {one.path: (one.default, one.minimum, one.maximum, one.optional) for one in
              (DENSITY, RANK, MERGE_SEED, WEIGHT)}  # fmt: skip
    assert ranges == {
        "merge.density": (0.5, 0.01, 1.0, False),
        "merge.rank": (None, 1, 4096, True),
        "merge.seed": (0, 0, 4_294_967_295, False),
        "merge.weight": (1.0, -10.0, 10.0, False),
    }


def test_a_method_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UnusableError) as caught:
        merge_method("slerp")
    [problem] = caught.value.problems
    assert problem.path == "method"
    assert problem.text == (
        "There is no method “slerp” to merge with. There are linear, ties, dare_linear, dare_ties."
    )


def test_adapters_of_one_base_are_merged_on_it(tmp_path: Path) -> None:
    one, two, other, silent = (
        adapter(tmp_path / name, base) for name, base in (("1", "o/b"), ("2", "o/b"), ("3", "o/c"), ("4", ""))
    )
    sources, base = merge_sources((one, two))
    assert ([source.folder for source in sources], base) == ([one, two], "o/b")
    assert merge_sources((one, other), "here")[1] == "here"
    assert merge_sources((silent, adapter(tmp_path / "5", "")), "here")[1] == "here"
    for paths, path, said in (
        ((one,), "adapters", "One adapter has nothing to be merged with. Name two."),
        ((one, other, silent), "model", "The adapters are of different bases: o/b, o/c, unknown. "
         "Adapters of one base only can be merged; --model names it where it lies in several places."),
        ((silent, tmp_path / "5"), "model", "The adapters do not say what their base is. Name it."),
    ):  # fmt: skip
        with pytest.raises(UnusableError) as caught:
            merge_sources(paths)
        assert [(one.path, one.text) for one in caught.value.problems] == [(path, said)]
