"""The card "Training" and the time of a run: what they say of each other, and which fields can be used when."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.core.setup.duration import Duration
from app.ui.form.number_box import NumberBox
from app.ui.form.store import ConfigStore
from app.ui.method.choice import SUPERVISED_FIELDS
from app.ui.setup.estimate_panel import RunTime
from app.ui.setup.training_section import MORE, TrainingSection


@pytest.fixture
def section(qtbot: QtBot) -> TrainingSection:
    found = TrainingSection(ConfigStore())
    qtbot.addWidget(found)
    return found


def hints(section: TrainingSection) -> tuple[str, str, str]:
    """Below epochs and iterations, and what stands in the empty field of the epochs."""
    epochs, iterations = (section.made_fields[path] for path in ("epochs", "iters"))
    assert isinstance(epochs.editor, NumberBox)
    return epochs._hint.text(), iterations._hint.text(), epochs.editor.lineEdit().placeholderText()


def test_epochs_and_iterations_say_what_each_is_of_the_other(section: TrainingSection) -> None:
    store = section._store
    assert hints(section) == ("Counted in iterations once the data are read", "", "")
    store.set("epochs", None)
    assert hints(section) == ("", "", "")
    section.set_train_examples(200)
    store.set("iters", 75)
    assert hints(section) == ("200 iterations an epoch", "= 0.375 epochs, 200 examples", "0.375")
    store.set("iters", 200)
    assert hints(section) == ("200 iterations an epoch", "= 1 epoch, 200 examples", "1")
    store.set("epochs", 2.0)
    assert (store.config.iters, hints(section)) == (
        400,
        ("200 iterations an epoch", "From the epochs, 200 examples", ""),
    )
    section.set_train_examples(1)
    assert hints(section)[:2] == ("1 iteration an epoch", "From the epochs, 1 example")
    section.set_train_examples(None)
    assert hints(section) == ("Counted in iterations once the data are read", "", "")


def test_what_does_not_matter_now_cannot_be_edited(section: TrainingSection) -> None:
    store = section._store
    told: list[int] = []
    section.completed.connect(lambda: told.append(1))
    assert MORE[0] not in section.made_fields, "what is folded away is made when it is opened"
    fields = section.fields
    assert section.fields is fields
    assert told == [1]
    for path, switch, on, off in (
        ("early_stopping.patience", "early_stopping.enabled", True, False),
        ("mask_turns", "mask_prompt", True, False),
        ("checkpoint_layers", "grad_checkpoint", True, False),
        ("bias_correction", "optimizer", "adamw", "sgd"),
        ("adapter_dtype", "fine_tune_type", "lora", "full"),
    ):
        for value in (on, off, on):
            store.set(switch, value)
            assert fields[path].isEnabled() is (value == on), path
    hint = fields["adapter_dtype"]._hint
    for kind, said in (("dora", "DoRA always computes in float32"), ("full", "There is no adapter"), ("lora", "")):
        store.set("fine_tune_type", kind)
        assert hint.text() == said


def test_a_schedule_of_the_file_says_the_rates(section: TrainingSection) -> None:
    store, fields = section._store, section.fields
    rates = {"name": "cosine_decay", "warmup": 3, "arguments": [2e-3, 20, 1e-7]}
    store.set_many({"learning_rate": 1e-5, "lr_schedule": rates, "schedule": "custom"})
    told = [(fields[path].isEnabled(), fields[path]._hint.text()) for path in ("learning_rate", "warmup")]
    assert told == [(False, "As lr_schedule says: 0.002 at most"), (False, "As lr_schedule says")]
    store.set("schedule", "cosine")
    told = [(fields[path].isEnabled(), fields[path]._hint.text()) for path in ("learning_rate", "warmup")]
    assert told == [(True, ""), (True, "")]


@pytest.mark.parametrize(
    "path, value, iterations",
    [("train_mode", "grpo", 200), ("updates_per_generation", 2, 400), ("batching", "file_order", 198)],
)
def test_iterations_follow_whatever_the_epochs_are_made_of(
    section: TrainingSection, path: str, value: object, iterations: int
) -> None:
    """200 examples in batches of 3: 67 an epoch, or 66 whole ones; in batches of 2 and used twice, 200."""
    store, sampled = section._store, path == "updates_per_generation"
    if sampled:
        store.set("train_mode", "grpo")
    store.set_many({"epochs": 2.0 if sampled else 3.0, "batch_size": 2 if sampled else 3})
    if path == "train_mode":
        store.set_many({"epochs": 1.0, "batch_size": 2, "updates_per_generation": 2})
    section.set_train_examples(200)
    store.set(path, value)
    assert store.config.iters == iterations


def test_what_a_method_does_not_use_is_left_out_with_its_block(section: TrainingSection) -> None:
    def shown(path: str) -> bool:
        return section.fields[path].isVisibleTo(section)

    section.disclosure.open()
    section.show()
    section.leave_out(SUPERVISED_FIELDS | {"warmup"})
    assert [shown(path) for path in ("mask_prompt", "mask_turns", "warmup", "grad_checkpoint", "schedule")] == [
        False, False, False, True, True,
    ]  # fmt: skip
    section.leave_out(frozenset({"mask_turns"}))
    assert [shown(path) for path in ("mask_prompt", "mask_turns", "warmup")] == [True, True, True]


@pytest.mark.parametrize(
    ("is_most", "is_probed", "said"),
    [
        (False, True, "about 42\u00a0s"),
        (True, True, "at most 48\u00a0s"),
        (False, False, "about 42\u00a0s, going by an earlier run on this machine"),
    ],
)
def test_the_time_of_a_run_says_how_it_is_known(is_most: bool, is_probed: bool, said: str) -> None:
    assert RunTime(Duration(1, 0, 0, 40, 0, 1, 0, is_most=is_most), is_probed=is_probed).text == said
