"""The store of a form: who hears of a change, what is lent and given back, and what a new form begins with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem
from app.core.setup.default import FOLLOWING
from app.core.setup.path_kind import sort_path
from app.core.system import place, starter
from app.core.system.setting import keep_settings
from app.ui.form.store import AUTOSAVE_DELAY_MS, MOST_UNDONE, ConfigStore, form_store


@pytest.fixture
def store(qapp: QApplication) -> Iterator[ConfigStore]:  # noqa: ARG001
    found = ConfigStore()
    yield found
    found._timer.stop()


def heard(store: ConfigStore) -> list[object]:
    found: list[object] = []
    store.changed.connect(found.append)
    store.stepped.connect(lambda paths: found.append(("stepped", paths)))
    return found


def test_each_value_that_differs_is_told_once(store: ConfigStore) -> None:
    told = heard(store)
    assert store.set_many({"seed": 0, "batch_size": 4, "lora_parameters.rank": 8}) is None
    assert told == ["batch_size", "lora_parameters.rank"]
    assert store.set("batch_size", 4) is None
    problem = store.set_many({"seed": 9, "batch_size": 999})
    assert problem is not None
    assert (problem.path, store.value("seed"), len(told)) == ("batch_size", 0, 2)
    del told[:]
    store.undo()
    assert told == ["", ("stepped", ["batch_size", "lora_parameters.rank"])]
    store.redo()
    assert told[2:] == ["", ("stepped", ["batch_size", "lora_parameters.rank"])]
    del told[:]
    store.redo()
    assert told == []
    store.reset()
    assert told == [""]


def test_what_was_worked_out_and_is_set_to_the_same_stays(store: ConfigStore) -> None:
    store.follow({"steps_per_eval": 30})
    store._timer.stop()
    assert "steps_per_eval" in store.following
    assert store.is_default("steps_per_eval")
    assert store.default("steps_per_eval") == 30
    store.set("steps_per_eval", 30)
    assert "steps_per_eval" not in store.following
    assert store._timer.isActive(), "also on disk"
    assert store.is_default("steps_per_eval"), "it is what the field goes back to"
    store.follow({"steps_per_eval": 50})
    assert (store.value("steps_per_eval"), store.is_default("steps_per_eval"), store.default("steps_per_eval")) == (
        30, False, 50,
    )  # fmt: skip
    store._timer.stop()
    store.set("seed", 0)
    assert not store._timer.isActive(), "nothing was changed"
    store.follow_again("steps_per_eval")
    store.follow_again("seed")
    assert "steps_per_eval" in store.following
    assert "seed" not in store.following
    before = store.following
    store.set_many({"save_every": 7, "batch_size": 999})
    assert store.following == before, "what is refused changes nothing of that"


def test_who_shows_what_it_goes_back_to_hears_of_what_is_worked_out(store: ConfigStore) -> None:
    store.set("steps_per_eval", 7)
    told = heard(store)
    store.follow({"steps_per_eval": 30, "save_every": 40})
    assert sorted(map(str, told)) == ["save_every", "steps_per_eval"]
    assert (store.value("steps_per_eval"), store.value("save_every")) == (7, 40)
    del told[:]
    store.follow({"steps_per_eval": 30, "save_every": 40})
    assert told == []
    store.follow({"steps_per_eval": 31, "save_every": 40})
    assert told == ["steps_per_eval"]
    assert store.can_undo
    store.undo()
    assert not store.can_undo, "what was worked out is no step"


def test_what_another_value_comes_to_is_no_step_of_its_own(store: ConfigStore) -> None:
    told = heard(store)
    store.set("seed", 3)
    store.derive("batch_size", 4)
    store.derive("batch_size", 999)
    assert (store.value("batch_size"), told) == (4, ["seed", "batch_size"])
    store.undo()
    assert (store.value("batch_size"), store.value("seed"), store.can_undo) == (1, 0, False)


def test_a_file_s_notes_go_with_the_fields_that_are_edited(store: ConfigStore) -> None:
    notes = [Problem("seed", "Not taken over."), Problem("batch_size", "Another thing.")]
    store.replace(TrainConfig(iters=7), notes)
    assert store.notes == tuple(notes)
    store.set("iters", 8)
    assert store.notes == tuple(notes)
    store.set("seed", 4)
    assert store.notes == (notes[1],)
    store.undo()
    assert not store.notes
    assert store.previous is not None
    assert (store.previous.iters, store.config.iters) == (7, 8)


def test_the_oldest_steps_are_forgotten(store: ConfigStore) -> None:
    for seed in range(1, MOST_UNDONE + 6):
        store.set("seed", seed)
    for _ in range(MOST_UNDONE):
        assert store.can_undo
        store.undo()
    assert (store.can_undo, store.value("seed"), store.previous) == (False, 5, None)


def test_what_is_typed_is_one_step_and_a_button_s_change_another(store: ConfigStore) -> None:
    def typed(seed: int) -> None:
        with store.typing("seed"):
            store.set("seed", seed)

    store.set("batch_size", 4)
    for seed in (1, 12):
        typed(seed)
    store.set("seed", 3)  # by its arrow
    values = []
    for _ in range(2):
        store.undo()
        values.append((store.value("seed"), store.value("batch_size")))
    assert values == [(12, 4), (0, 4)]
    for seed in (1, 0, 5):  # typed back, which is no step, and then something else
        typed(seed)
    store.undo()
    assert (store.value("seed"), store.value("batch_size"), store.can_undo) == (0, 4, True)


def test_dropped_files_are_set_or_it_is_told_why_not(
    store: ConfigStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, valid = tmp_path / "rows.jsonl", tmp_path / "my_valid.jsonl"
    for file in (rows, valid):
        file.write_text("{}\n")
    assert store.take(map(sort_path, (rows, valid))) is None
    assert (store.config.data, store.config.valid_data) == (str(rows), str(valid))

    def full(_found: object) -> dict[str, str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.ui.form.store.config_values", full)
    problem = store.take([sort_path(rows)])
    assert problem is not None
    assert problem.path == ""
    assert problem.message.startswith("The files cannot be put together: ")
    assert "space" in problem.message


def test_what_the_starter_brought_is_given_back_unless_it_was_changed(store: ConfigStore) -> None:
    store.choose("data", str(starter.examples_dir()))
    brought = {path: store.value(path) for path in ("iters", "epochs", "batch_size", "mask_prompt")}
    assert brought["mask_prompt"] is True
    store.set("data", store.config.data)
    assert {path: store.value(path) for path in brought} == brought, "it is still the starter's"
    store.set("batch_size", 7)
    store.choose("data", "/d/mine.jsonl")
    assert store.value("batch_size") == 7
    assert store.value("iters") == TrainConfig().iters
    assert "mask_prompt" in store.following
    problem = store.choose("data", "/d/others.jsonl")
    assert (problem, store.config.data) == (None, "/d/others.jsonl")


def test_other_defaults_leave_the_values_and_are_told(store: ConfigStore) -> None:
    told = heard(store)
    store.set_defaults(TrainConfig())
    assert told == []
    store.set_defaults(TrainConfig(seed=9))
    assert (told, store.value("seed"), store.default("seed"), store.is_default("seed")) == ([""], 0, 9, False)
    store.set_defaults(TrainConfig(seed=9), frozenset({"seed"}))
    assert told == ["", ""]
    store.follow({"seed": 4, "save_every": 60})
    assert (store.default("seed"), store.default("save_every")) == (4, TrainConfig().save_every)
    store.reset()
    assert (store.value("seed"), store.following) == (4, frozenset({"seed"}))


def test_a_form_is_kept_where_it_was_left_and_begins_as_the_settings_say(
    qapp: QApplication, tmp_path: Path
) -> None:
    assert qapp
    assert ConfigStore().restore_form() == []
    assert ConfigStore(autosave=tmp_path / "none.yaml").restore_form() == []
    store = form_store()
    assert (store._autosave, store.following, store.config) == (place.form_path(), FOLLOWING, TrainConfig())
    assert (store._timer.interval(), store._timer.isSingleShot()) == (AUTOSAVE_DELAY_MS, True)
    store.set("seed", 3)
    store.save_form()
    assert not store._timer.isActive()
    again = form_store()
    told = heard(again)
    assert again.restore_form() == []
    assert (again.value("seed"), again.can_undo, told) == (3, False, [""])
    assert "save_every" in again.following
    keep_settings(default_setup=str(tmp_path / "gone.yaml"))
    assert form_store().config == TrainConfig()
    (tmp_path / "mine.yaml").write_text("seed: 12\nsave_every: 9\n")
    keep_settings(default_setup=str(tmp_path / "mine.yaml"))
    mine = form_store()
    assert (mine.value("seed"), "save_every" in mine.following) == (12, False)
    for one in (store, again, mine):
        one._timer.stop()
