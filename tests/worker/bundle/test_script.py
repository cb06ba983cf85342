"""The bundle's script, executed: batch after batch it computes what Luthier's own loop does."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from app.core.compare.candidate import run_candidates
from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.protocol import event
from app.core.protocol.event import Event, TrainReported, Validated, read_events
from app.core.run.catalog import RunCatalog
from app.core.run.folder import recorded_state
from app.core.system.reward_trust import trust
from app.worker.export.tuned_model import TunedModel
from tests.worker.bundle.bundling import bundled, recipe_in, run_bundle, train_here, train_there
from tests.worker.export.hf_model import TOKENS, torch_logits, write_adapter, write_hf_model
from tests.worker.tiny_model import write_data
from tests.worker.training import config_for, start

pytestmark = [
    pytest.mark.torch,
    # What transformers, TRL and torch say of each other's versions.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
MATRICES = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
    "mlp.down_proj",
)  # fmt: skip
OWN_REWARDS = '''
from mlx_lm_lora.reward_functions import register_reward_function

@register_reward_function("letters")
def share(prompts, completions, answer, types=None):
    """The share of letters."""
    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
'''
CLOSE = 1e-4  # what the issue asks of the first step; the later ones keep to it as well


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama of transformers' own, an adapter that already does something, and data of every kind."""
    folder = tmp_path_factory.mktemp("script")
    write_hf_model(folder / "model", "llama")
    write_adapter(folder / "model", folder / "adapter", rank=4, scale=2.0, keys=list(MATRICES))
    write_data(folder / "chats", train=10, valid=5)
    source = random.Random(0)

    def word() -> str:
        return "".join(source.choice("abcdefgh") for _ in range(source.randint(2, 9)))

    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "pairs": lambda: {"prompt": word(), "chosen": word(), "rejected": word().upper() + "!"},
        "labelled": lambda: {"prompt": word(), "completion": word(), "label": source.random() < 0.5},
        "prompts": lambda: {"prompt": word(), "answer": word()},
    }
    for name, row in kinds.items():
        (folder / name).mkdir()
        (folder / "rewards.py").write_text(OWN_REWARDS)
        for split, count in (("train", 10), ("valid", 5)):
            (folder / name / f"{split}.jsonl").write_text("".join(json.dumps(row()) + "\n" for _ in range(count)))
    return folder


def short(place: Path, data: str, **values: Any) -> TrainConfig:
    """A short run from the adapter, whose batches are uneven (10 rows by 4) and add up over two of them."""
    defaults = {
        "batch_size": 4, "iters": 6, "grad_accumulation_steps": 2, "learning_rate": 2e-3, "steps_per_report": 2,
        "steps_per_eval": 4, "save_every": 4, "targets": "full", "max_grad_norm": 1.0, "val_batches": -1,
        "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0}, "early_stopping": {"enabled": False},
        "resume_adapter_file": str(place / "adapter" / "adapters.safetensors"), "final_adapter": "last",
    }  # fmt: skip
    return config_for(place / "model", place / data, **(defaults | values))


def losses_in(events: list[Event]) -> list[float]:
    return [loss for one in events if isinstance(one, TrainReported) for loss in one.losses]


def measured_in(events: list[Event]) -> dict[int, float]:
    return {one.iteration: one.val_loss for one in events if isinstance(one, Validated)}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sft": ("chats", {"mask_prompt": True}),
    "sft, text": ("chats", {"mask_prompt": False, "schedule": "linear", "warmup": 2.0, "optimizer": "adamw",
                            "weight_decay": 0.1}),
    "dpo": ("pairs", {}),
    "dpo, ipo": ("pairs", {"dpo_cpo_loss_type": "ipo"}),
    "dpo, best by margin": ("pairs", {"select_by": "margin"}),
    "cpo": ("pairs", {}),
    "simpo": ("pairs", {}),
    "orpo": ("pairs", {}),
    "kto": ("pairs", {}),
    "kto, labelled": ("labelled", {"desirable_weight": 1.5}),
    "kto, one by one": ("labelled", {"batch_size": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_each_method_computes_what_luthier_does(place: Path, tmp_path: Path, case: str) -> None:
    name = case.partition(",")[0]
    data, values = CASES[case]
    settings = {} if name == "sft" else dict(METHODS[name].settings) | {"learning_rate": 2e-3, "batch_size": 4}
    config = short(place, data, **(settings | values))
    _, here = start(config, tmp_path / "here")
    out = bundled(tmp_path, config)
    there = train_here(out, tmp_path / "there")
    assert len(losses_in(there)) == 6
    np.testing.assert_allclose(losses_in(there), here.losses, atol=CLOSE)
    own = {one.iteration: one.val_loss for one in here.of(Validated)}
    found = measured_in(there)
    assert found.keys() == own.keys()
    np.testing.assert_allclose([found[at] for at in own], list(own.values()), atol=CLOSE)
    best = [[one.best for one in said if isinstance(one, Validated)] for said in (there, here.events)]
    assert best[0] == best[1]
    assert recorded_state(there[-1]) == "finished"


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_new_adapter_begins_there_as_it_does_here(place: Path, tmp_path: Path, kind: str) -> None:
    """The same seed is the same run, not one like it."""
    config = short(place, "chats", resume_adapter_file=None, fine_tune_type=kind, learning_rate=5e-3, seed=11)
    _, here = start(config, tmp_path / "here")
    out = bundled(tmp_path, config)
    assert (out / "start" / "adapter_model.safetensors").is_file()
    there = losses_in(train_here(out, tmp_path / "there"))
    np.testing.assert_allclose(there, here.losses, atol=CLOSE)
    assert abs(there[0] - there[4]) > 1e-3
    without = bundled(tmp_path / "without", config, same_start=False)
    assert not (without / "start").exists()
    assert not recipe_in(without)["has_start"]


def test_the_adapter_opens_here_with_the_same_logits(place: Path, tmp_path: Path) -> None:
    config = short(place, "chats", iters=4, resume_adapter_file=None, targets="attention", num_layers=2,
                   final_adapter="best")  # fmt: skip
    out = bundled(tmp_path, config)
    events = train_here(out, tmp_path / "runs" / "there")
    wanted = [f"model.layers.{layer}.self_attn.{name}" for layer in (1, 2) for name in
              ("q_proj", "k_proj", "v_proj", "o_proj")]  # fmt: skip
    assert sorted(recipe_in(out)["modules"]) == sorted(wanted)
    (begun,) = [one for one in events if isinstance(one, event.Started)]
    assert begun.adapted_modules == len(wanted)
    assert begun.trainable_parameters == 2 * sum(4 * (32 + size) for size in (32, 16, 16, 32))

    adapters = tmp_path / "runs" / "there" / "adapters"
    candidates = run_candidates(tmp_path / "runs" / "there")
    assert [one.adapter for one in candidates] == [adapters, adapters / "best"]
    tuned = TunedModel(place / "model", adapters / "adapter_model.safetensors")
    found = np.array(tuned.model(mx.array([TOKENS]))[0])
    there = torch_logits(place / "model", adapters)
    assert np.abs(there - torch_logits(place / "model")).max() > 1e-3
    assert np.abs(found - there).max() < CLOSE

    (summary,) = RunCatalog(tmp_path / "runs", tmp_path / "index.jsonl").refresh()
    assert (summary.recorded, summary.iteration) == ("finished", 4)
    assert summary.best_val_loss == min(measured_in(events).values())


def test_a_stopped_run_goes_on_as_if_nothing_had_been(place: Path, tmp_path: Path) -> None:
    """The second time in a process of its own, as it is started elsewhere."""
    config = short(place, "chats", iters=8, save_every=2)
    out = bundled(tmp_path, config)
    whole = train_here(out, tmp_path / "whole")
    stopped = train_here(out, tmp_path / "cut", stop_at=4)
    assert isinstance(stopped[-1], event.Finished)
    assert (stopped[-1].reason, stopped[-1].iteration) == ("stopped", 4)
    gone_on = train_there(out, tmp_path / "cut")
    np.testing.assert_allclose(losses_in(gone_on), losses_in(whole), atol=1e-5)
    assert [one.iteration for one in gone_on if isinstance(one, event.Started)] == [0, 4]
    assert measured_in(gone_on).keys() == measured_in(whole).keys()
    ends = [found[-1] for found in (gone_on, whole)]
    assert len({(one.reason, one.best_iteration) for one in ends if isinstance(one, event.Finished)}) == 1


def test_sampled_answers_earn_what_luthiers_functions_say(place: Path, tmp_path: Path) -> None:
    trust(place / "rewards.py")
    config = short(place, "prompts", **(dict(METHODS["grpo"].settings) | {
        "reward_functions": ["letters", "short"], "reward_weights": [1.0, 0.5], "group_size": 4,
        "reward_functions_file": str(place / "rewards.py"),
        "batch_size": 3, "max_completion_length": 16, "max_seq_length": 64, "iters": 4, "updates_per_generation": 2,
        "grad_accumulation_steps": 1, "learning_rate": 2e-3, "resume_adapter_file": None, "targets": "full",
    }))  # fmt: skip
    _, here = start(config, tmp_path / "here")
    there = train_here(bundled(tmp_path, config), tmp_path / "there")
    found = losses_in(there)
    # The first of a generation has advantages that add up to nothing, and no distance from the reference yet.
    assert abs(found[0]) < CLOSE
    assert abs(found[0] - here.losses[0]) < CLOSE
    assert len(found) == 4
    reports = [one for one in there if isinstance(one, TrainReported)]
    assert all(0 < one.figures["reward"] <= 1.5 for one in reports)
    assert measured_in(there).keys() == {one.iteration for one in here.of(Validated)}


def test_a_bundle_that_was_changed_is_not_trained(place: Path, tmp_path: Path) -> None:
    out = bundled(tmp_path, short(place, "chats"))
    with (out / "data" / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(SystemExit, match=r"data/train\.jsonl was changed since the bundle was sealed"):
        train_here(out, tmp_path / "there")


def test_the_notebook_finds_the_bundle_and_trains_it(place: Path, tmp_path: Path) -> None:
    """In a kernel of its own, beside the archive, with everything that it needs there already."""
    import nbformat
    from nbclient import NotebookClient

    config = short(place, "chats", iters=2, adapter_name="from afar")
    out = tmp_path / "from-afar.zip"
    run_bundle(tmp_path, config, out=out)
    with zipfile.ZipFile(out) as packed:
        book = nbformat.reads(packed.read("from-afar/notebook.ipynb").decode(), as_version=4)
    nbformat.validate(book)
    NotebookClient(
        book, timeout=250, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = {cell.id: "".join(one.get("text", "") for one in cell.get("outputs", [])) for cell in book.cells}
    assert "missing: nothing" in said["install"]
    assert "iteration 2: loss" in said["train"]
    events = read_events(tmp_path / "run" / "events.jsonl")
    _, here = start(config, tmp_path / "here")
    np.testing.assert_allclose(losses_in(events), here.losses, atol=CLOSE)
    assert zipfile.is_zipfile(tmp_path / "from-afar-run.zip")


def test_accelerate_takes_the_config_for_several_gpus(place: Path, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    out = bundled(tmp_path, short(place, "chats"))
    found = load_config_from_file(str(out / "fsdp2.yaml"))
    assert (str(found.distributed_type.value), found.num_processes) == ("FSDP", 2)
    assert found.fsdp_config["fsdp_version"] == 2


def test_several_processes_train_what_one_does(place: Path, tmp_path: Path) -> None:
    """Tokens count alike whichever process has them; one process alone says what happens."""
    out = bundled(tmp_path, short(place, "chats", mask_prompt=True))
    one, two = train_here(out, tmp_path / "one"), train_there(out, tmp_path / "two", processes=2)
    assert [said.type for said in two] == [said.type for said in one]
    np.testing.assert_allclose(losses_in(two), losses_in(one), atol=1e-5)
    assert measured_in(two) == pytest.approx(measured_in(one), abs=1e-5)
    tokens = [[said.trained_tokens for said in told if isinstance(said, TrainReported)] for told in (one, two)]
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize(
    "optimizer, values",
    [
        ("adam", {"bias_correction": False}),
        ("adamw", {"bias_correction": False, "weight_decay": 0.2}),
        ("sgd", {"optimizer_config": {"sgd": {"momentum": 0.9}}, "weight_decay": 0.1, "learning_rate": 0.5}),
        ("lion", {"weight_decay": 0.1, "learning_rate": 1e-3}),
        ("adafactor", {"optimizer_config": {"adafactor": {"relative_step": False, "scale_parameter": False}}}),
    ],
)
def test_each_optimizer_goes_by_mlxs_rule(
    place: Path, tmp_path: Path, optimizer: str, values: dict[str, Any]
) -> None:
    settings = {"optimizer": optimizer, "iters": 5, "grad_accumulation_steps": 1, "val_batches": 0} | values
    config = short(place, "chats", **settings)
    _, here = start(config, tmp_path / "here")
    there = train_here(bundled(tmp_path, config), tmp_path / "there")
    np.testing.assert_allclose(losses_in(there), here.losses, atol=CLOSE)
    assert abs(here.losses[0] - here.losses[3]) > 1e-3  # the weights have moved


def test_dora_and_conv1d_train_as_here(tmp_path: Path) -> None:
    """GPT-2's matrices lie the other way round in transformers."""
    model = write_hf_model(tmp_path / "model", "gpt2")
    adapter = write_adapter(model, tmp_path / "adapter", "dora", keys=["attn.c_attn", "attn.c_proj", "mlp.c_fc"])
    write_data(tmp_path / "chats", train=8, valid=4)
    config = short(tmp_path, "chats", fine_tune_type="dora", targets="attn.c_attn, attn.c_proj, mlp.c_fc")
    assert adapter.is_dir()
    _, here = start(config, tmp_path / "here")
    there = train_here(bundled(tmp_path, config), tmp_path / "there")
    np.testing.assert_allclose(losses_in(there), here.losses, atol=CLOSE)
