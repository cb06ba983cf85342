"""Every method really trains: its own figures arrive, only the chosen modules change, and it resumes exactly."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models import qwen2

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import TaskError, UnusableError
from app.core.protocol.event import (
    CheckpointSaved,
    Event,
    Finished,
    Sampled,
    Started,
    TrainReported,
    Validated,
    Warned,
    read_events,
)
from app.core.run.folder import RunDir
from app.core.setup.chosen_method import method_of
from app.core.system.reward_trust import content_hash
from tests.worker.tiny_model import write_model
from tests.worker.training import Collector, config_for, go_on, start

KEYS = ("self_attn.q_proj", "mlp.down_proj")
GOOD = '''
def letters(prompts, completions, answer, types=None):
    """The share of letters."""
    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
'''
REWARDED = {"reward", "reward_spread", "kl", "clipped", "answer_tokens", "cut"}
OWN_FIGURES = {
    "dpo": {"margin", "accuracy", "chosen_reward", "rejected_reward"},
    "cpo": {"margin", "accuracy", "likelihood_loss"},
    "simpo": {"margin", "accuracy"},
    "orpo": {"margin", "accuracy", "likelihood_loss"},
    "kto": {"margin", "accuracy", "kl"},
    "grpo": REWARDED,
    "bnpo": REWARDED,
    "gspo": REWARDED,
    "dr_grpo": REWARDED,
    "dapo": REWARDED,
    "online_dpo": {
        "reward",
        "ties",
        "margin",
        "accuracy",
        "chosen_reward",
        "rejected_reward",
        "answer_tokens",
        "cut",
    },
}
TRAINED = [name for name in METHODS if name != "sft"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pairs, prompts and a reward file."""
    folder = tmp_path_factory.mktemp("inputs")
    write_model(folder / "model")
    source = random.Random(0)

    def word() -> str:
        return "".join(source.choice("abcdefgh") for _ in range(source.randint(2, 9)))

    kinds: dict[str, Callable[[], dict[str, str]]] = {
        "pairs": lambda: {"prompt": word(), "chosen": word(), "rejected": word().upper() + "!"},
        "prompts": lambda: {"prompt": word(), "answer": word()},
    }
    for name, row in kinds.items():
        (folder / name).mkdir()
        for split, count in (("train", 10), ("valid", 4)):
            lines = "".join(json.dumps(row()) + "\n" for _ in range(count))
            (folder / name / f"{split}.jsonl").write_text(lines)
    (folder / "rewards.py").write_text(GOOD)
    return folder


UNTIED = tuple(
    method.name for method in METHODS.values() if method.reference == "beta" and not method.settings["beta"]
)


def method_config(inputs: Path, name: str, **values: Any) -> TrainConfig:
    """A short run of a method; for those that sample, with two updates a generation."""
    method = METHODS[name]
    defaults = dict(method.settings) | {
        "iters": 8, "steps_per_report": 1, "steps_per_eval": 4, "save_every": 100, "learning_rate": 3e-3,
        "early_stopping": {"enabled": False}, "final_adapter": "last", "targets": "keys", "num_layers": 1,
        "lora_parameters": {"rank": 2, "scale": 4.0, "dropout": 0.1, "keys": KEYS}, "batch_size": 3,
        "group_size": 3, "max_completion_length": 16, "max_seq_length": 64, "updates_per_generation": 2,
        "reward_functions": ["letters"], "reward_functions_file": str(inputs / "rewards.py"), "temperature": 1.5,
    }  # fmt: skip
    data = inputs / ("pairs" if method.data == "pairs" else "prompts")
    if name == "online_dpo":
        defaults["group_size"] = 4
    config = config_for(inputs / "model", data, **(defaults | values))
    assert method_of(config) is method
    return config


def word(config: TrainConfig) -> dict[str, Any]:
    """The user's word that the reward file may run."""
    return {"reward_file_sha256": content_hash(Path(config.reward_functions_file))}


def stop_at(iteration: int) -> Callable[[Event], str | None]:
    def answer(event: Event) -> str | None:
        return "stop" if isinstance(event, TrainReported) and event.iteration == iteration else None

    return answer


def weights(run: RunDir) -> dict[str, Any]:
    arrays = mx.load(str(run.adapters / "adapters.safetensors"))
    assert isinstance(arrays, dict)
    return {name: array.tolist() for name, array in arrays.items()}


def figures(events: Collector) -> list[dict[str, float]]:
    return [event.figures for event in events.of(TrainReported)]


def test_those_without_a_tie_measure_no_divergence(inputs: Path, tmp_path: Path) -> None:
    for name in UNTIED:
        config = method_config(inputs, name, iters=1)
        _, events = start(config, tmp_path / name, **word(config))
        assert "kl" not in figures(events)[0]


@pytest.mark.parametrize("name", TRAINED)
def test_trains_stops_and_resumes_exactly(name: str, inputs: Path, tmp_path: Path) -> None:
    """Stopped in the middle of a generation; afterwards all is as if it had not been. Those that have none of their
    own are given a reference."""
    config = method_config(inputs, name, **({"beta": 0.1} if name in UNTIED else {}))
    whole_run, whole = start(config, tmp_path / "whole", **word(config))
    run, first = start(config, tmp_path / "run", stop_at(5), **word(config))
    assert first.of(Finished)[0].reason == "stopped"
    second = go_on(run, resume=True, **word(config))
    assert second.of(Started)[0].iteration == 5
    assert first.losses + second.losses == whole.losses
    assert figures(first) + figures(second) == figures(whole)
    assert weights(run) == weights(whole_run)

    assert len(whole.losses) == 8
    assert len(set(whole.losses)) > 4
    assert whole.of(Finished)[0].reason == "completed"
    seen = set().union(*figures(whole))
    assert seen >= OWN_FIGURES[name]
    assert METHODS[name].figure in whole.of(Validated)[-1].figures
    assert {".".join(key.split(".")[-3:-1]) for key in weights(run)} == set(KEYS)
    assert {key.split(".")[2] for key in weights(run)} == {"1"}
    assert any(event.kind == "best" for event in whole.of(CheckpointSaved))


@pytest.mark.parametrize("name", ["dpo", "kto", "grpo", "online_dpo"])
def test_the_untrained_model_is_its_own_reference(name: str, inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, name, iters=1, lora_parameters={"rank": 2, "scale": 4.0, "keys": KEYS})
    _, events = start(config, tmp_path / "run", **word(config))
    first = figures(events)[0]
    assert first["kl" if name == "grpo" else "margin"] == pytest.approx(0, abs=1e-5)


def test_a_margin_grows_and_can_choose_the_best(inputs: Path, tmp_path: Path) -> None:
    _, events = start(method_config(inputs, "dpo", iters=30, select_by="margin"), tmp_path / "run")
    measured = events.of(Validated)
    assert measured[-1].figures["margin"] > measured[0].figures["margin"] + 0.1
    best = max(measured, key=lambda event: event.figures["margin"])
    assert events.of(Finished)[0].best_iteration == best.iteration
    assert events.of(Finished)[0].best_val_loss == best.val_loss


def test_a_reward_grows(inputs: Path, tmp_path: Path) -> None:
    config = method_config(
        inputs, "grpo", iters=72, beta=0.0, group_size=8, learning_rate=3e-3, updates_per_generation=1,
        steps_per_eval=72, bias_correction=False,  # so few steps learn little with it
    )  # fmt: skip
    _, events = start(config, tmp_path / "run", **word(config))
    before, after = (event.figures["reward"] for event in events.of(Validated))
    assert after > before + 0.03  # 0.04 to 0.08 on three seeds; at a rate of 1e-2 it was luck


@pytest.mark.parametrize("fine_tune_type", ["dora", "full"])
@pytest.mark.parametrize("name", ["dpo", "grpo"])
def test_other_types_of_training(name: str, fine_tune_type: str, inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, name, iters=3, fine_tune_type=fine_tune_type, targets="full", learning_rate=1e-3)
    _, events = start(config, tmp_path / "run", **word(config))
    assert events.of(Finished)[0].reason == "completed"
    assert events.of(Validated)[-1].figures.keys() >= {METHODS[name].figure}


@pytest.mark.parametrize("name", ["dpo", "kto", "grpo"])
def test_with_checkpointing_accumulation_and_a_full_vocabulary(
    name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradient checkpointing patches the model's classes: it must neither disturb sampling nor the reference."""
    monkeypatch.setattr(qwen2.TransformerBlock, "__call__", qwen2.TransformerBlock.__call__)  # put back afterwards
    shape = {"rank": 2, "scale": 4.0, "dropout": 0.0, "keys": KEYS}
    config = method_config(inputs, name, iters=4, grad_accumulation_steps=2, lora_parameters=shape)
    _, plain = start(config, tmp_path / "plain", **word(config))
    _, events = start(config.with_value("grad_checkpoint", True), tmp_path / "run", **word(config))
    assert events.losses == pytest.approx(plain.losses, abs=1e-4)


def test_samples_arrive(inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, "grpo", iters=4)
    _, events = start(config, tmp_path / "run", **word(config))
    sampled = events.of(Sampled)
    assert [event.iteration for event in sampled] == [1, 3]
    group = sampled[0].samples
    assert len(group) == config.group_size
    assert len({sample["prompt"] for sample in group}) == 1
    assert len({sample["completion"] for sample in group}) > 1
    assert all(sample["rewards"] == {"letters": sample["reward"]} for sample in group)


def test_weights_of_rewards_count(inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, "grpo", iters=1, reward_functions=["letters", "short"], reward_weights=[2, 0.5])
    _, events = start(config, tmp_path / "run", **word(config))
    for sample in events.of(Sampled)[0].samples:
        rewards = sample["rewards"]
        assert sample["reward"] == pytest.approx(2 * rewards["letters"] + 0.5 * rewards["short"])
    assert {"reward/letters", "reward/short"} <= figures(events)[0].keys()


def test_equal_rewards_are_an_alarm(inputs: Path, tmp_path: Path) -> None:
    config = method_config(
        inputs, "grpo", iters=6, reward_functions=["contains_answer"], beta=0.01, updates_per_generation=1
    )
    with pytest.raises(TaskError, match="earned the same reward"):
        start(config, tmp_path / "run")
    said = [event.message for event in read_events(tmp_path / "run" / "events.jsonl") if isinstance(event, Warned)]
    assert any("nothing to learn from" in message for message in said)
    assert any("No answer earns" in message for message in said)


def test_what_does_not_fit_is_told(inputs: Path, tmp_path: Path) -> None:
    _, events = start(method_config(inputs, "dpo", iters=1, max_seq_length=9), tmp_path / "run")
    said = " ".join(event.message for event in events.of(Warned))
    assert "answers end beyond 9 tokens and are cut" in said
    assert "leaves no room for an answer" in said


# -- reward files that fail ----------------------------------------------------------------------------------------

HEAD = "def letters(prompts, completions, answer, types=None):\n    if len(prompts) == 9 and SEEN.append(0) is None"
BAD = {
    "raises": (" and len(SEEN) == 2:\n        [][1]\n", ":4: IndexError"),
    "loops": (
        " and len(SEEN) == 2:\n        while True: pass\n",
        ":4: The rewards took longer than 2\u00a0s",
    ),
    "counts wrongly": (
        " and len(SEEN) == 2:\n        return [1.0]\n",
        ":2: letters returns 1 score for 9 answers",
    ),
    "says nonsense": (" and len(SEEN) == 2:\n        return ['?'] * 9\n", ":2: letters returns no list of numbers"),
    "is not finite": (" and len(SEEN) == 2:\n        return [float('nan')] * 9\n", "not finite"),
    "dies": (" and len(SEEN) == 2:\n        import os; os._exit(3)\n", "ended by itself (exit code 3)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_reward_file_that_fails_leaves_the_run_intact(kind: str, inputs: Path, tmp_path: Path) -> None:
    """It fails in the second generation: what was trained is saved, and goes on when the file is mended."""
    code, said = BAD[kind]
    file = tmp_path / "rewards.py"
    file.write_text(f"SEEN = []\n{HEAD}{code}    return [len(text) / 50 for text in completions]\n")
    config = method_config(inputs, "grpo", reward_functions_file=str(file), reward_timeout_s=2)
    with pytest.raises(TaskError) as failed:
        start(config, tmp_path / "run", **word(config))
    assert said in failed.value.message
    assert failed.value.message.startswith(str(file))
    assert failed.value.iteration == 2
    assert (tmp_path / "run" / "adapters" / "0000002_adapters.safetensors").exists()
    file.write_text(GOOD)
    mended = go_on(RunDir(tmp_path / "run"), resume=True, **word(config))
    assert mended.of(Started)[0].iteration == 2
    assert mended.of(Finished)[0].reason == "completed"


def test_a_reward_file_that_was_changed_is_told_and_its_best_looked_for_anew(inputs: Path, tmp_path: Path) -> None:
    """What it scores now does not compare with what it scored: the best of before is none."""
    file = tmp_path / "rewards.py"
    file.write_text(GOOD)
    config = method_config(
        inputs, "grpo", iters=4, final_adapter="best", reward_functions_file=str(file), updates_per_generation=1
    )
    run, first = start(config, tmp_path / "run", **word(config))
    unchanged = go_on(run, extend_to=5, **word(config))
    assert not [said for said in unchanged.of(Warned) if "reward file was changed" in said.message]
    file.write_text(GOOD.replace("return [sum", "return [-100 - sum"))
    changed = go_on(run, extend_to=6, **word(config))
    (said,) = [said for said in changed.of(Warned) if "reward file was changed" in said.message]
    assert "looked for anew" in said.hint
    (last,) = changed.of(Finished)
    assert last.best_iteration == 6
    assert last.best_val_loss == pytest.approx(changed.of(Validated)[-1].val_loss)
    assert max(found.val_loss for found in first.of(Validated)) < 0 < changed.of(Validated)[-1].val_loss - 99


def test_a_reward_file_runs_only_after_a_word(inputs: Path, tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text(GOOD + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n")
    config = method_config(inputs, "grpo", iters=1, reward_functions_file=str(file))
    with pytest.raises(UnusableError) as refused:
        start(config, tmp_path / "run")
    assert refused.value.problems[0].path == "reward_functions_file"
    said = word(config)
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(UnusableError):
        start(config, tmp_path / "other", **said)
    assert not (tmp_path / "ran").exists()
    start(config, tmp_path / "third", **word(config))
    assert (tmp_path / "ran").exists()


def test_files_of_mlx_lm_lora_run(inputs: Path, tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    head = "from mlx_lm_lora.trainer.grpo_reward_functions import register_reward_function\n"
    file.write_text(head + "@register_reward_function('mine')" + GOOD.replace("letters", "whatever"))
    config = method_config(inputs, "grpo", iters=1, reward_functions=["mine"], reward_functions_file=str(file))
    _, events = start(config, tmp_path / "run", **word(config))
    assert events.of(Sampled)[0].samples[0]["rewards"].keys() == {"mine"}


# -- what is refused before it begins -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, values, path",
    [
        ("dpo", {"batching": "pack"}, "batching"),
        ("dpo", {"beta": 0.0}, "beta"),
        ("dpo", {"reference_model_path": "/nowhere"}, "reference_model_path"),
        ("grpo", {"max_completion_length": 64}, "max_completion_length"),
        ("grpo", {"reward_functions": []}, "reward_functions"),
        ("grpo", {"reward_functions": ["unknown"]}, "reward_functions"),
        ("grpo", {"reward_weights": [1.0, 2.0]}, "reward_weights"),
        ("grpo", {"reward_functions_file": "/nowhere.py"}, "reward_functions_file"),
        ("grpo", {"max_seq_length": 17}, "max_seq_length"),
    ],
)
def test_refused(name: str, values: dict[str, Any], path: str, inputs: Path, tmp_path: Path) -> None:
    config = method_config(inputs, name, **values)
    with pytest.raises(UnusableError) as refused:
        start(config, tmp_path / "run", reward_file_sha256=content_hash(inputs / "rewards.py"))
    assert path in [problem.path for problem in refused.value.problems]
