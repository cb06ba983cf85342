"""Makes the kept samples of a version: runs, a queue, settings and configs, as its own command line writes them.

``python tests/samples/make.py OUT`` in the root of a checkout of that version, with its environment. Only the
command line and the tests' tiny model are used, so that the same recipe serves later versions.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path.cwd()))

# Stands in the kept files for the folder in which they were made.
PLACE = "/home/sample"
TEXT = {".yaml", ".json", ".jsonl", ".txt", ".md", ".py"}
LEFT_OUT = {".lock", ".runner.lock", ".edit.lock", "cache", "model"}

REWARDS = '''"""A reward function of the user's own."""


def letters(prompts: list[str], completions: list[str], answer: list[str], types: object = None) -> list[float]:
    """The share of letters."""
    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
'''
SMALL: dict[str, Any] = {
    "batch_size": 4, "iters": 30, "epochs": None, "learning_rate": 1e-3, "steps_per_report": 1,
    "steps_per_eval": 10, "save_every": 100, "mask_prompt": True, "early_stopping": {"enabled": False},
    "lora_parameters": {"rank": 2, "scale": 4.0, "dropout": 0.1}, "schedule": "cosine", "warmup": 3,
}  # fmt: skip
RATED: dict[str, Any] = SMALL | {"iters": 14, "steps_per_eval": 7, "batch_size": 3, "max_seq_length": 64}
SAMPLED: dict[str, Any] = RATED | {
    "train_mode": "grpo", "beta": 0.04, "group_size": 3, "max_completion_length": 16, "temperature": 1.5,
    "reward_functions": ["letters", "contains_answer"], "reward_weights": [1.0, 0.5], "updates_per_generation": 2,
}  # fmt: skip
# As somebody writes it who has read mlx-lm's example: its keys alone, its units, some left to their defaults.
MLX_LM = """\
# mlx_lm.lora -c mlx_lm.yaml
model: {place}/model
train: true
data: {place}/input/chats
fine_tune_type: lora
optimizer: adamw
optimizer_config:
  adamw:
    betas: [0.9, 0.98]
    weight_decay: 0.01
num_layers: 1
batch_size: 2
iters: 40
val_batches: -1
learning_rate: 1e-5
steps_per_report: 10
steps_per_eval: 20
adapter_path: adapters
save_every: 20
max_seq_length: 2048
grad_checkpoint: false
seed: 7
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 8
  scale: 20.0
  dropout: 0.0
lr_schedule:
  name: cosine_decay
  warmup: 10
  warmup_init: 1e-7
  arguments: [1e-5, 40, 1e-7]
"""


def main(out: Path) -> None:
    """Makes everything in a new folder and moves what is kept to ``out``, which must not exist."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        os.environ["LUTHIER_HOME"] = str(place / "home")
        _inputs(place)
        _configs(place)
        runs = place / "home" / "data" / "runs"
        for name in ("chats", "pairs", "prompts"):
            config = str(place / "config" / f"{name}.yaml")
            luthier("train", config, "--run-dir", str(runs / name), "--trust-reward-file")
            stop(config, runs / f"{name}_stopped", after=3)
        luthier("runs", "note", str(runs / "chats"), "The first one, kept.")
        luthier("runs", "tag", str(runs / "chats"), "good")
        luthier("queue", "add", str(place / "config/pairs.yaml"))
        luthier("queue", "sweep", str(place / "config/chats.yaml"), "--vary", "learning_rate=1e-4,1e-3")
        _settings(place)
        _values(place)
        keep(place, out)


def luthier(*arguments: str) -> None:
    """One verb of the command line; raises if it fails."""
    subprocess.run([sys.executable, "-m", "app", *arguments], check=True, stdout=subprocess.DEVNULL)


def stop(config: str, run: Path, after: int) -> None:
    """A run that is stopped, as by Ctrl-C, once it has reported iteration ``after``; some iterations may follow."""
    command = [sys.executable, "-m", "app", "train", config, "--run-dir", str(run), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = json.loads(line)
            if (found["type"], found.get("iteration")) == ("train_reported", after):
                process.send_signal(signal.SIGINT)
    if found.get("reason") != "stopped":
        raise RuntimeError(f"{run.name} was not stopped in time: {found}")


def _inputs(place: Path) -> None:
    tiny = importlib.import_module("tests.worker.tiny_model")
    tiny.write_model(place / "model", layers=1)
    tiny.write_data(place / "input" / "chats", train=18, valid=5)
    source = random.Random(0)

    def word() -> str:
        return "".join(source.choice("abcdefgh") for _ in range(source.randint(2, 9)))

    def pair() -> dict[str, str]:
        return {"prompt": word(), "chosen": word(), "rejected": word().upper() + "!"}

    def prompt() -> dict[str, str]:
        return {"prompt": word(), "answer": word()}

    rows: dict[str, Callable[[], dict[str, str]]] = {"pairs": pair, "prompts": prompt}
    for name, row in rows.items():
        (place / "input" / name).mkdir()
        for split, count in (("train", 10), ("valid", 4)):
            lines = "".join(json.dumps(row()) + "\n" for _ in range(count))
            (place / "input" / name / f"{split}.jsonl").write_text(lines)
    (place / "input" / "rewards.py").write_text(REWARDS)


def _configs(place: Path) -> None:
    (place / "config").mkdir()
    rewards = {"reward_functions_file": str(place / "input/rewards.py")}
    for name, values in (
        ("chats", SMALL),
        ("pairs", RATED | {"train_mode": "dpo"}),
        ("prompts", SAMPLED | rewards),
    ):
        tree = {"model": str(place / "model"), "data": str(place / "input" / name), "adapter_name": name} | values
        (place / "config" / f"{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (place / "config" / "mlx_lm.yaml").write_text(MLX_LM.format(place=place))


def _settings(place: Path) -> None:
    """What a person has chosen in the window, beside the trust that the command line has written already."""
    module = _module("app.core.system.setting", "app.core.setting")
    chosen = {
        "theme": "dark", "alpha_convention": "peft", "chart_smoothing": 0.25, "chart_x": "epochs",
        "recent_models": (str(place / "model"),), "recent_data": (str(place / "input/chats"),),
    }  # fmt: skip
    module.save_settings(module.load_settings().model_copy(update=chosen))


def _values(place: Path) -> None:
    """Beside each config its every value, as this version reads it."""
    module = _module("app.core.setup.config_file", "app.core.config_file")
    for path in sorted((place / "config").glob("*.yaml")):
        tree = module.load_config(path).config.model_dump(mode="json")
        path.with_suffix(".json").write_text(json.dumps(tree, indent=1) + "\n")


def _module(*names: str) -> Any:
    """The first of several modules that there is: later versions have moved it."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(names[0])


def keep(place: Path, out: Path) -> None:
    """Copies what is kept, with `PLACE` instead of the folder in which it was made."""
    for path in _kept(place):
        to = out / path.relative_to(place)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in TEXT:
            to.write_text(path.read_text(encoding="utf-8").replace(str(place), PLACE), encoding="utf-8")
        else:
            shutil.copyfile(path, to)


def _kept(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT:
            continue
        if path.is_dir():
            yield from _kept(path)
        else:
            yield path


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
