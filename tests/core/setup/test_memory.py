"""The memory estimate: exact parts, the direction of every change, verdict and remedies, calibration."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.setup import memory
from app.core.setup.memory import MemoryEstimate, MemoryFit, calibrate, estimate
from app.core.setup.memory_term import StepSize, step_of
from app.core.setup.step_plan import StepPlan
from app.core.target.selection import resolve
from tests.core.inspections import llama, mixture


def config(**values: Any) -> TrainConfig:
    tiny = {"lora_parameters.rank": 8, "max_seq_length": 129, "batch_size": 4}
    return TrainConfig().with_values(tiny | {name.replace("__", "."): value for name, value in values.items()})


def peak(chosen: TrainConfig, inspection: Inspection | None = None, **facts: Any) -> MemoryEstimate:
    inspection = inspection or llama()
    return estimate(inspection, chosen, resolve(inspection, chosen), **facts)


def test_weights_adapter_and_optimizer_are_exact() -> None:
    inspection, chosen = llama(), config(optimizer="adamw")
    trained = resolve(inspection, chosen).trainable_parameters
    found = peak(chosen)
    assert (found.weights, found.adapter, found.optimizer) == (inspection.weight_bytes, 4 * trained, 8 * trained)
    assert found.total == found.weights + found.adapter + found.optimizer + found.gradients + found.activations + (
        found.logits
    )


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"batch_size": 1}, {"batch_size": 4}),
        ({"max_seq_length": 65}, {"max_seq_length": 257}),
        ({"grad_checkpoint": True}, {}),
        ({"grad_checkpoint": True}, {"grad_checkpoint": True, "checkpoint_layers": 1}),
        ({"grad_checkpoint": True, "checkpoint_layers": 1}, {"checkpoint_layers": 1}),
        ({"num_layers": 1}, {}),
        ({"targets": "minimal"}, {}),
        ({"lora_parameters__rank": 4}, {"lora_parameters__rank": 128}),
        ({"optimizer": "adafactor"}, {}),
        ({}, {"fine_tune_type": "full"}),
        ({}, {"fine_tune_type": "dora"}),
        ({"max_seq_length": 1024}, {"max_seq_length": 1024, "batching": "pack"}),
        ({"batching": "pack"}, {"batching": "pack", "grad_accumulation_steps": 4}),
    ],
)
def test_every_choice_moves_it_the_right_way(less: dict[str, Any], more: dict[str, Any]) -> None:
    assert peak(config(**less)).total < peak(config(**more)).total


def test_sixteen_bit_models_take_less() -> None:
    half = llama().model_copy(update={"dtype": "bfloat16", "weight_bytes": llama().weight_bytes // 2})
    assert peak(config(), half).total < peak(config()).total


@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_adapter_in_float32_keeps_more_where_the_model_is_in_16_bit(checkpointing: bool) -> None:
    half = llama().model_copy(update={"dtype": "bfloat16"})
    plain, wide = (config(adapter_dtype=dtype, grad_checkpoint=checkpointing) for dtype in ("base", "float32"))
    more = peak(wide, half).activations / peak(plain, half).activations
    assert 1.02 < more < 1.6
    assert peak(wide).total == peak(plain).total
    dora = {"fine_tune_type": "dora"}
    assert peak(wide.with_values(dora), half).total == peak(plain.with_values(dora), half).total
    limit = (peak(wide, half).total + peak(plain, half).total) / 2e9
    assert {"adapter_dtype": "base"} in [r.values for r in peak(wide, half, working_set_gb=limit).remedies]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_what_is_added_up_is_held_beside_what_is_trained(kind: str, optimizer: str) -> None:
    """By how many bytes the gradients of a step are more than those of one that needs no sum: a number of each
    parameter where batches are accumulated, or cut into pieces (batches of more than one, by length), once for
    both; and some for those that are just being added."""
    steps = {
        (batching, batch, accumulated): config(
            batching=batching, batch_size=batch, grad_accumulation_steps=accumulated, fine_tune_type=kind,
            optimizer=optimizer,
        )
        for batching in ("bucket", "pack", "file_order") for batch in (1, 4) for accumulated in (1, 3)
    }  # fmt: skip
    trained = 4 * resolve(llama(), config(fine_tune_type=kind)).trainable_parameters
    for (batching, batch, accumulated), chosen in steps.items():
        found = peak(chosen)
        assert found.activations > 0, "the peak is where all of them are held, not in the update"
        has_sum = accumulated > 1 or (batching == "bucket" and batch > 1)
        earlier = trained if kind == "lora" else 0  # the adapter as it was kept last
        held = (found.gradients - earlier) / trained
        assert 1 <= held < 1.2 if has_sum else held == 0, (batching, batch, accumulated)


def test_experts_count_only_as_far_as_a_token_passes_them() -> None:
    few = mixture().model_copy(update={"experts_per_token": 1})
    many = mixture().model_copy(update={"experts_per_token": 4})
    assert peak(config(), few).activations < peak(config(), many).activations


def test_logits_are_never_held_whole() -> None:
    wide = llama().model_copy(update={"vocab_size": 150_000})
    short, long = (peak(config(max_seq_length=length), wide).logits for length in (257, 4097))
    assert 0 < short < 10 * 4 * 2**23
    assert long in (0, short)  # 0 where a layer's gradient takes more than the loss


def test_step_is_padded_as_batches_are() -> None:
    assert step_of(config(max_seq_length=1024), longest=101) == StepSize(4, 128, 512)
    assert step_of(config(max_seq_length=101)) == StepSize(4, 100, 400)
    # Cut into pieces of 1,024 positions, or of one example.
    assert step_of(config(max_seq_length=513)) == StepSize(2, 512, 1024)
    assert step_of(config(max_seq_length=2049)) == StepSize(1, 2048, 2048)
    assert step_of(config(max_seq_length=2049, batching="pack")) == StepSize(4, 2048, 8192)
    assert step_of(config(max_seq_length=1024), longest=65, target_share=0.5).targets == 128
    pairs = config(train_mode="dpo", max_seq_length=1024)
    assert step_of(pairs, longest=101) == StepSize(8, 128, 1024)
    assert step_of(pairs, longest=101, labelled=True) == StepSize(4, 128, 512)
    sampled = config(train_mode="grpo", group_size=3, max_completion_length=30, max_seq_length=1024)
    assert step_of(sampled, longest=40) == StepSize(12, 96, 360)


def test_verdicts() -> None:
    total = peak(config()).total / 1e9
    assert peak(config()).verdict is MemoryFit.UNKNOWN
    assert peak(config(), working_set_gb=total * 2).verdict is MemoryFit.FITS
    assert peak(config(), working_set_gb=total * 1.05).verdict is MemoryFit.TIGHT
    found = peak(config(), working_set_gb=total * 0.8)
    assert found.verdict is MemoryFit.WONT_FIT
    assert found.remedies


def test_remedies_fit_and_come_cheapest_first() -> None:
    chosen = config()
    limit = peak(chosen).total * 0.8 / 1e9
    found = peak(chosen, working_set_gb=limit)
    assert list(found.remedies[0].values) == ["batch_size", "grad_accumulation_steps"]
    for remedy in found.remedies:
        applied = peak(chosen.with_values(remedy.values), working_set_gb=limit)
        assert applied.verdict in (MemoryFit.FITS, MemoryFit.TIGHT)
        assert applied.total == remedy.total_bytes


@pytest.mark.parametrize(
    "batch, accumulated, offered",
    [
        (4, 1, [(2, 2), (1, 4)]),
        (6, 1, [(3, 2), (2, 3), (1, 6)]),
        (3, 5, [(1, 15)]),
        (7, 1, [(1, 7)]),
        (8, 256, [(4, 512), (2, 1024)]),
        (2, 1024, []),
        (1, 4, []),
    ],
)
def test_a_smaller_batch_with_the_same_effect_trains_as_many_examples_a_step(
    batch: int, accumulated: int, offered: list[tuple[int, int]]
) -> None:
    chosen = config(batch_size=batch, grad_accumulation_steps=accumulated)
    wanted = [{"batch_size": size, "grad_accumulation_steps": steps} for size, steps in offered]
    # Below what any of them takes nothing would be offered: each is let in by a limit of its own.
    found = []
    for values in wanted:
        limit = peak(chosen.with_values(values)).total * 1.001 / 1e9
        said = peak(chosen, working_set_gb=limit).remedies
        found += [one for one in said if "the same effect" in one.text and one.values == values]
        for one in said:
            if "the same effect" in one.text and len(one.values) == 2:
                assert one.values["batch_size"] * one.values["grad_accumulation_steps"] == batch * accumulated
    assert [one.values for one in found] == wanted
    if not wanted:
        said = peak(chosen, working_set_gb=peak(chosen).total * 0.5 / 1e9).remedies
        assert not [one for one in said if "the same effect" in one.text]


def test_changes_add_up_where_none_is_enough() -> None:
    chosen = config(max_seq_length=2049)
    limit = (peak(config(batch_size=1, grad_checkpoint=True, max_seq_length=257)).total + 100_000) / 1e9
    (remedy,) = peak(chosen, working_set_gb=limit).remedies
    assert len(remedy.values) >= 3
    assert peak(chosen.with_values(remedy.values)).total <= limit * 1e9


def test_as_few_layers_as_suffice_are_offered_to_be_computed_anew() -> None:
    """Of 16 layers a quarter, a half, three quarters or all: the first of them that fits."""
    from tests.core.inspections import llama as sized

    inspection = sized(layers=16)
    chosen = config(grad_accumulation_steps=1, batch_size=1, max_seq_length=1025)
    wanted = [{"grad_checkpoint": True, "checkpoint_layers": count} for count in (4, 8, 12)] + [
        {"grad_checkpoint": True}
    ]
    offered = []
    for values in wanted:
        limit = peak(chosen.with_values(values), inspection).total * 1.001 / 1e9
        said = peak(chosen, inspection, working_set_gb=limit).remedies
        offered += [one.values for one in said if "grad_checkpoint" in one.values]
    assert offered == wanted
    few = chosen.with_values(wanted[0])
    limit = peak(chosen.with_values(wanted[3]), inspection).total * 1.001 / 1e9
    (more,) = [
        one for one in peak(few, inspection, working_set_gb=limit).remedies if "grad_checkpoint" in one.values
    ]
    assert more.values == {"grad_checkpoint": True, "checkpoint_layers": 0}


def offered(chosen: TrainConfig, inspection: Inspection | None = None) -> dict[str, dict[str, Any]]:
    """All single changes that are tried, by what their buttons say."""
    return dict(memory._changes(inspection or llama(), chosen))


def test_each_change_says_what_it_is_and_sets_it() -> None:
    chosen = config(max_seq_length=1024, targets="mlp", lora_parameters__rank=9)
    assert offered(chosen, llama(layers=20)) == {
        "Batch of 2 with 2 accumulated (the same effect, slower)": {"batch_size": 2, "grad_accumulation_steps": 2},
        "Batch of 1 with 4 accumulated (the same effect, slower)": {"batch_size": 1, "grad_accumulation_steps": 4},
        "Gradient checkpointing of 5 of 20 layers (1.1 × the time)": {
            "grad_checkpoint": True, "checkpoint_layers": 5,
        },
        "Gradient checkpointing of 10 of 20 layers (1.3 × the time)": {
            "grad_checkpoint": True, "checkpoint_layers": 10,
        },
        "Gradient checkpointing of 15 of 20 layers (1.4 × the time)": {
            "grad_checkpoint": True, "checkpoint_layers": 15,
        },
        "Gradient checkpointing (1.6 × the time)": {"grad_checkpoint": True},
        "Cut examples at 512 tokens": {"max_seq_length": 512},
        "Cut examples at 256 tokens": {"max_seq_length": 256},
        "Train the top 16 layers only": {"num_layers": 16},
        "Train the top 8 layers only": {"num_layers": 8},
        "Train the top 4 layers only": {"num_layers": 4},
        "Adapt attention only": {"targets": "attention"},
        "Adapt query and value only": {"targets": "minimal"},
        "Rank 8": {"lora_parameters.rank": 8},
    }  # fmt: skip


def test_what_is_as_small_as_it_gets_is_offered_no_more() -> None:
    least: dict[str, Any] = {
        "batch_size": 1, "grad_checkpoint": True, "max_seq_length": 256, "num_layers": 4, "targets": "minimal",
    }  # fmt: skip
    assert offered(TrainConfig().with_values(least | {"lora_parameters.rank": 8})) == {}
    half = llama().model_copy(update={"dtype": "bfloat16"})
    full = TrainConfig().with_values(
        least | {"fine_tune_type": "full", "targets": "full", "adapter_dtype": "float32"}
    )
    assert offered(full, half) == {
        "Train an adapter (LoRA) instead": {"fine_tune_type": "lora", "learning_rate": 1e-4},
        "Rank 8": {"lora_parameters.rank": 8},
    }
    kept = full.with_values({"fine_tune_type": "lora", "targets": "minimal", "lora_parameters.rank": 8})
    assert list(offered(kept, half)) == ["Compute the adapter in the model's precision"]
    assert offered(kept) == {}
    sampled = TrainConfig().with_values(least | {"train_mode": "grpo", "lora_parameters.rank": 8, "group_size": 3})
    assert offered(sampled) == {"Groups of 2 answers": {"group_size": 2}}
    assert offered(sampled.with_value("group_size", 2)) == {}


@pytest.mark.parametrize(
    ("percent", "said"),
    [
        (8, "Batch of 1 with 2 accumulated (the same effect, slower); Gradient checkpointing (1.6 × the time); "
         "Cut examples at 256 tokens"),
        (11, "Gradient checkpointing (1.6 × the time); Cut examples at 256 tokens"),
    ],
)  # fmt: skip
def test_a_change_that_turns_out_to_be_needless_is_left_out(percent: int, said: str) -> None:
    """A batch that is computed in pieces takes hardly less when it is smaller."""
    half = llama().model_copy(update={"dtype": "bfloat16"})
    chosen = config(batch_size=2, max_seq_length=1025, adapter_dtype="float32")
    limit = peak(chosen, half).total * percent / 100
    (remedy,) = peak(chosen, half, working_set_gb=limit / 1e9).remedies
    assert remedy.text == said
    assert remedy.total_bytes == peak(chosen.with_values(remedy.values), half).total <= limit


def test_the_limit_is_the_working_set_or_most_of_the_memory() -> None:
    assert peak(config(), machine_memory_gb=10).limit == 9_000_000_000
    assert peak(config(), machine_memory_gb=10, working_set_gb=4).limit == 4_000_000_000
    total = peak(config()).total
    for limit, verdict in (
        (total / 0.85, "FITS"),
        (total / 0.86, "TIGHT"),
        (total, "TIGHT"),
        (total - 1, "WONT_FIT"),
    ):
        found = peak(config(), working_set_gb=(limit + 0.4) / 1e9, with_remedies=False)
        assert (found.verdict.name, found.remedies) == (verdict, ())
        assert found.is_too_large == (verdict == "WONT_FIT")
    assert not peak(config()).calibrated


def test_nothing_helps_a_machine_that_is_far_too_small() -> None:
    found = peak(config(), working_set_gb=llama().weight_bytes / 2e9)
    assert (found.verdict, found.remedies) == (MemoryFit.WONT_FIT, ())


def test_probe_makes_the_same_step_exact_and_scales_others() -> None:
    inspection, chosen = llama(), config()
    selection = resolve(inspection, chosen)
    guess = peak(chosen)
    measured = guess.fixed + round(1.3 * guess.dynamic)
    calibration = calibrate(inspection, chosen, selection, measured, StepPlan(chosen))
    assert peak(chosen, calibration=calibration).total == pytest.approx(measured, rel=1e-3)
    halved = config(batch_size=2)
    assert peak(halved, calibration=calibration).dynamic == pytest.approx(1.3 * peak(halved).dynamic, rel=1e-3)
    assert peak(chosen, calibration=calibration).calibrated


def test_every_batch_that_is_offered_trains_as_many_examples_a_step() -> None:
    """With just the room that a batch of each size needs, whatever is offered: its product is that of before."""
    for batch, accumulated in ((6, 1), (7, 3), (12, 5), (10, 400)):
        chosen = config(batch_size=batch, grad_accumulation_steps=accumulated, batching="file_order")
        for size in range(1, batch):
            room = peak(chosen.with_values({"batch_size": size})).total * 1.0001 / 1e9
            for one in peak(chosen, working_set_gb=room).remedies:
                if "the same effect" in one.text:
                    values = chosen.with_values(one.values)
                    assert values.batch_size * values.grad_accumulation_steps == batch * accumulated, (batch, size)
                    assert f"Batch of {values.batch_size} with {values.grad_accumulation_steps} acc" in one.text


def test_what_a_probe_measured_goes_with_the_rows_to_another_maximum_length() -> None:
    """Of rows of up to 64 positions a longer maximum makes none longer; a shorter one cuts them."""
    inspection, chosen = llama(), config(max_seq_length=129)
    plan = StepPlan.counted(chosen, [(4, 64, 256, 5)], 5)
    guess = peak(chosen, steps=plan)
    measured = guess.fixed + 2 * guess.dynamic
    calibration = calibrate(inspection, chosen, resolve(inspection, chosen), measured, plan)
    for length in (129, 257, 4097):
        assert peak(config(max_seq_length=length), calibration=calibration).total == measured
    cut = config(max_seq_length=33)
    (size,) = plan.largest(cut)
    assert size == StepSize(4, 32, 128)
    counted = peak(cut, steps=StepPlan.counted(cut, [(4, 32, 128, 5)], 5))
    found = peak(cut, calibration=calibration)
    assert found.total == pytest.approx(found.fixed + 2 * counted.dynamic, abs=8)
    assert found.total < measured
