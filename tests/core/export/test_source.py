"""What an export is made of: a run or adapter, with a name for people and one for files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.export.source import checkpoints, export_source
from app.core.problem import UnusableError
from app.core.run.folder import prepare_run
from app.core.run.note import RunNote, save_note


def test_a_file_is_called_as_the_run_is(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(model="/m"), tmp_path / "2026-11-29_22-03-05_starter")
    run.adapters.mkdir(exist_ok=True)
    (run.adapters / "adapters.safetensors").write_bytes(b"")
    (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/m"}))
    assert export_source(run.path).word == "2026-11-29_22-03-05_starter"
    save_note(run, RunNote("Piraten: die Hauptstädte!", (), "", {}))
    assert export_source(run.path).word == "Piraten-die-Hauptstädte"
    save_note(run, RunNote("???", (), "", {}))
    assert export_source(run.path).word == "2026-11-29_22-03-05_starter"


def weighted(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("adapters.safetensors",):
        (folder / name).write_bytes(b"")
    return folder


def test_a_checkpoint_is_chosen_by_its_word_or_its_iteration(tmp_path: Path) -> None:
    """By itself the best that there is; a file stands for itself."""
    numbered = ("0000100_adapters.safetensors", "0001200_adapters.safetensors", "odd_adapters.safetensors")
    folder = weighted(tmp_path / "tuned", "adapters.safetensors", *numbered)
    (folder / "adapter_config.json").write_text(json.dumps({"model": "/m"}))
    assert export_source(folder).adapter == folder / "adapters.safetensors"
    weighted(folder / "best", "adapter_model.safetensors")
    assert checkpoints(folder) == [
        ("best", "Best in validation"), ("last", "Last"), ("1200", "Iteration 1,200"), ("100", "Iteration 100"),
    ]  # fmt: skip
    for chosen, file in (
        ("", "best/adapter_model.safetensors"),
        (" last ", "adapters.safetensors"),
        ("0100", "0000100_adapters.safetensors"),
        ("1200", "0001200_adapters.safetensors"),
    ):
        found = export_source(folder, chosen)
        assert (found.adapter, found.folder, found.base, found.run) == (folder / file, folder, "/m", None)
        assert found.word == "tuned"
    assert export_source(folder / numbered[0]).adapter == folder / numbered[0]


@pytest.mark.parametrize(
    ("kept", "file", "first"),
    [
        ("best", "best/adapters.safetensors", ("best", "Best in validation")),
        ("last", "adapters.safetensors", ("last", "Last")),
        ("balanced", "adapters.safetensors", ("kept", "Kept")),
    ],
)
def test_by_itself_it_is_what_the_run_keeps(kept: str, file: str, first: tuple[str, str], tmp_path: Path) -> None:
    """As for everything else that is given a run: its config says which weights it ends with."""
    run = prepare_run(TrainConfig(model="/m"), tmp_path / "run")
    weighted(run.adapters)
    weighted(run.best)
    (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/m", "final_adapter": kept}))
    assert export_source(run.path).adapter == run.adapters / file
    assert checkpoints(run.path)[0] == first
    assert export_source(run.path, "best").adapter == run.best / "adapters.safetensors"


@pytest.mark.parametrize(
    ("wanted", "own", "words", "by_itself", "last"),
    [
        ("best", b"30", "best last 60 30", "best/adapters.safetensors", "0000060_adapters.safetensors"),
        ("best", b"60", "last best 60 30", "adapters.safetensors", "adapters.safetensors"),
        ("best", b"55", "kept best last 60 30", "adapters.safetensors", "0000060_adapters.safetensors"),
        ("balanced", b"60 by half", "kept best last 60 30", "adapters.safetensors", "0000060_adapters.safetensors"),
        ("balanced", b"60", "last best 60 30", "adapters.safetensors", "adapters.safetensors"),
        ("last", b"60", "last best 60 30", "adapters.safetensors", "adapters.safetensors"),
        ("", b"65", "last best 60 30", "adapters.safetensors", "adapters.safetensors"),
        ("best", b"", "best last 60 30", "best/adapters.safetensors", "0000060_adapters.safetensors"),
    ],
)
def test_the_last_weights_are_not_those_that_took_their_place(
    wanted: str, own: bytes, words: str, by_itself: str, last: str, tmp_path: Path
) -> None:
    """A run that ends puts others where its last ones were; one that is stopped may not have measured any."""
    adapters = weighted(tmp_path / "tuned")
    weighted(adapters / "best")
    for file, held in (("best/", b"30"), ("0000030_", b"30"), ("0000060_", b"60"), ("", own)):
        (adapters / f"{file}adapters.safetensors").write_bytes(held)
    if not own:
        (adapters / "adapters.safetensors").unlink()
    (adapters / "adapter_config.json").write_text(json.dumps({"model": "/m", "final_adapter": wanted}))
    assert [word for word, _ in checkpoints(adapters)] == words.split()
    assert export_source(adapters).adapter == adapters / by_itself
    assert export_source(adapters, "last").adapter == adapters / last
    assert export_source(adapters, "best").adapter == adapters / "best/adapters.safetensors"


@pytest.mark.parametrize(
    ("place", "checkpoint", "path", "said"),
    [
        ("gone", "", "source", "There is no run or adapter {}/gone. Check the path."),
        ("empty", "", "source", "There is no adapter in {}/empty. A run has one after its first checkpoint."),
        ("tuned", "7", "checkpoint", "{}/tuned has no checkpoint “7”. It has last."),
        ("bare", "", "source", "{}/bare/adapters.safetensors is no adapter: adapter_config.json is not beside its "
         "weights. Choose a run, or an adapter's folder."),
    ],
)  # fmt: skip
def test_what_is_no_adapter_says_why(tmp_path: Path, place: str, checkpoint: str, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (weighted(tmp_path / "tuned") / "adapter_config.json").write_text("{}")
    weighted(tmp_path / "bare")
    chosen = tmp_path / place / ("adapters.safetensors" if place == "bare" else "")
    with pytest.raises(UnusableError) as caught:
        export_source(chosen, checkpoint)
    assert [(one.path, one.text) for one in caught.value.problems] == [(path, said.format(tmp_path))]
