"""What starts a bundle: the torch script, its pinned requirements, and a page that says how."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.bundle.launch import write_launchers
from app.core.quantity import bytes_text
from app.core.resource import resource

TRAIN_SCRIPT = "train.py"
# What the script is tested with, to the version.
REQUIREMENTS = {
    "torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2", "trl": "1.16.0", "accelerate": "1.15.0",
    "datasets": "5.2.0", "safetensors": "0.8.0", "numpy": "2.4.6",
}  # fmt: skip
FOUR_BIT = {"bitsandbytes": "0.50.2"}
# The same and all that they need, with hashes, for every system: made by `packaging/bundle_lock.py`.
LOCK, FOUR_BIT_LOCK = "requirements.lock", "requirements-4bit.lock"


def requirements_of(recipe: Mapping[str, Any]) -> dict[str, str]:
    """The packages that the script needs, each with its version."""
    return REQUIREMENTS | (FOUR_BIT if recipe["model"]["four_bit"] else {})


def write_scripts(folder: Path, recipe: Mapping[str, Any], kaggle_user: str = "") -> None:
    """Writes the script and what launches it into a bundle's folder."""
    shutil.copyfile(resource("bundle", TRAIN_SCRIPT), folder / TRAIN_SCRIPT)
    if recipe["data"]["form"] == "prompts":
        # The built-in functions stand by themselves: nothing of Luthier is needed there.
        shutil.copyfile(Path(__file__).parents[1] / "method" / "reward.py", folder / "luthier_rewards.py")
    pinned = "".join(f"{name}=={version}\n" for name, version in requirements_of(recipe).items())
    (folder / "requirements.txt").write_text(pinned, encoding="ascii")
    shutil.copyfile(resource("bundle", FOUR_BIT_LOCK if recipe["model"]["four_bit"] else LOCK), folder / LOCK)
    (folder / "README.md").write_text(page_of(recipe), encoding="utf-8")
    write_launchers(folder, recipe, kaggle_user)


def page_of(recipe: Mapping[str, Any]) -> str:
    """What is in the bundle, how it is started, and what comes back: Markdown."""
    model, data = recipe["model"], recipe["data"]
    licence = model["licence"] or "not told by the model's card"
    where = f"the files in `{model['folder']}`" if model["folder"] else f"`{model['id']}` on the hub"
    if model["revision"]:
        where += f", commit `{model['revision']}`"
    size = f", {bytes_text(model['bytes'])}" if model["bytes"] else ""
    adapter = recipe["adapter"]
    return f"""# {recipe["name"]}

A setup sealed by Luthier: {recipe["label"]}, {recipe["iterations"]:,} iterations on {data["train"]:,} rows
({data["valid"]:,} held out), an adapter of rank {adapter["rank"]} and alpha {adapter["alpha"]:g} on
{len(recipe["modules"]):,} modules.

The base model is {where}{size}. Its licence: {licence}.

## Start

```sh
python -m venv env && . env/bin/activate
pip install -r requirements.lock
python train.py
```

`requirements.lock` names every package with its hash, for all systems; on Linux torch comes with CUDA 13, from its
default index. `requirements.txt` has the versions alone, for a Python that has some of them already.

The same command goes on from the last checkpoint after an interruption. SIGTERM or Ctrl-C saves and ends.

| where | how |
|---|---|
| Colab | open `notebook.ipynb`, choose a GPU, run all cells; it asks for this bundle's archive |
| Kaggle | as a data set, and the notebook beside it; its client: `kaggle datasets create`, `kaggle kernels push` |
| several GPUs | `accelerate launch --config_file fsdp2.yaml train.py`; a batch must have a row for each |
| a cloud by SkyPilot | `sky launch -c luthier skypilot.yaml`, then `rsync -a luthier:sky_workdir/run .` |

## What comes back

`run/adapters` is the adapter in PEFT's form, `run/events.jsonl` the run in Luthier's own events. Copy `run` among
Luthier's runs and it stands in the list, with its curves, and in Compare.

## What is in here

| file | what it is |
|---|---|
| `recipe.json` | every value of the run, worked out |
| `data/` | tokens, labels (−100 is not learned) and the rows of every batch |
| `config.yaml`, `setup.yaml` | the setup in Luthier's own words, with the paths of the machine that sealed it |
| `manifest.json` | size and SHA-256 of every file, checked at each start |
"""
