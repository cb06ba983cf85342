"""Candidates: what a run has on disk, and what a path means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.compare.candidate import (
    Candidate,
    candidate_of,
    first_other,
    is_adapter,
    run_candidates,
    run_title,
    short_label,
)
from app.core.config.train_config import TrainConfig
from app.core.model.adapter_base import base_of
from app.core.run.folder import RunDir, create_run
from app.core.run.note import RunNote, save_note


def adapter(folder: Path, name: str = "adapters.safetensors", **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = create_run(TrainConfig(adapter_name="friendly"), tmp_path)
    adapter(found.adapters, model="/base")
    adapter(found.best, model="/base")
    for iteration in (100, 20):
        (found.adapters / f"{iteration:07d}_adapters.safetensors").write_bytes(b"")
    return found


def test_a_run_offers_last_best_and_numbered_checkpoints(run: RunDir) -> None:
    found = run_candidates(run.path)
    title = run_title(run.name)
    assert [candidate.label.removeprefix(title) for candidate in found] == [
        "",
        " · best",
        " · iteration 100",
        " · iteration 20",
    ]
    assert [candidate.adapter for candidate in found] == [
        run.adapters,
        run.best,
        run.adapters / "0000100_adapters.safetensors",
        run.adapters / "0000020_adapters.safetensors",
    ]
    assert {candidate.run for candidate in found} == {run.path}


def test_a_run_without_an_adapter_offers_nothing(tmp_path: Path) -> None:
    assert run_candidates(create_run(TrainConfig(), tmp_path).path) == []


def test_every_path_of_a_run_means_one_of_its_candidates(run: RunDir) -> None:
    found = run_candidates(run.path)
    for candidate in found:
        assert candidate.adapter is not None
        assert candidate_of(candidate.adapter) == candidate
    assert candidate_of(run.path) == found[0]


def test_a_run_goes_by_the_name_that_a_person_gave_it(run: RunDir) -> None:
    save_note(run, RunNote(name="The good one"))
    assert [candidate.label for candidate in run_candidates(run.path)][:2] == [
        "The good one",
        "The good one · best",
    ]


@pytest.mark.parametrize("weights", ["adapters.safetensors", "adapter_model.safetensors"])
def test_a_folder_of_mlx_lm_or_peft_is_an_adapter(tmp_path: Path, weights: str) -> None:
    folder = adapter(tmp_path / "mine", weights)
    assert is_adapter(folder)
    assert candidate_of(folder) == Candidate("mine", folder)
    (folder / weights).unlink()
    assert not is_adapter(folder)


def test_a_checkpoint_file_is_an_adapter_too(run: RunDir) -> None:
    assert is_adapter(run.adapters / "0000020_adapters.safetensors")
    assert not is_adapter(run.adapters / "adapter_config.json")


def test_an_adapter_names_its_base_in_mlx_lms_way_or_in_pefts(tmp_path: Path, run: RunDir) -> None:
    assert base_of(run.adapters / "0000020_adapters.safetensors") == "/base"
    assert base_of(adapter(tmp_path / "p", "adapter_model.safetensors", base_model_name_or_path="Org/m")) == "Org/m"
    assert base_of(adapter(tmp_path / "q", model=3)) == ""
    (tmp_path / "q" / "adapter_config.json").write_text("[")
    assert base_of(tmp_path / "q") == ""


def test_the_labels_of_checkpoints_say_what_is_in_them(run: RunDir) -> None:
    def labels() -> list[str]:
        return [short_label(candidate) for candidate in run_candidates(run.path)]

    best, last = b"b" * 100_000, b"l" * 100_000
    (run.best / "adapters.safetensors").write_bytes(best)
    (run.adapters / "0000100_adapters.safetensors").write_bytes(last)
    (run.adapters / "0000020_adapters.safetensors").write_bytes(best)
    kept = run.adapters / "adapters.safetensors"
    kept.write_bytes(best)  # as a run leaves it that has ended
    assert labels() == ["Kept: best", "Best", "Last, 100", "At 20"]
    kept.write_bytes(last)  # as one leaves it that was interrupted
    assert labels()[0] == "Kept: last"
    kept.write_bytes(b"k" * 100_000)  # as a balance of two leaves it
    assert labels()[0] == "Kept"


def test_a_run_is_called_as_it_was_named_and_not_as_its_folder(tmp_path: Path) -> None:
    found = create_run(TrainConfig(adapter_name="qwen2.5 · faq · r32"), tmp_path)
    adapter(found.adapters)
    assert run_candidates(found.path)[0].label.startswith("qwen2.5 · faq · r32 · 20")


def test_other_weights_are_others_whatever_they_are_called(run: RunDir) -> None:
    for folder, weights in ((run.adapters, b"best"), (run.best, b"best")):
        (folder / "adapters.safetensors").write_bytes(weights)
    (run.adapters / "0000100_adapters.safetensors").write_bytes(b"last")
    kept, best, last, _ = run_candidates(run.path)
    assert first_other([best, last], {None, run.adapters}) == last
    assert first_other([kept, best], {None}) == kept
    assert first_other([best], {run.adapters}) == best, "better a copy than nobody"
    assert first_other([], {run.adapters}) is None
