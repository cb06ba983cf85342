"""The notebook of a bundle, for Colab, Kaggle and any Jupyter: it finds the bundle, brings what is missing, trains.

Written as nbformat 4.5 by hand: the format is a list of cells, and nothing else of Jupyter is needed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.quantity import bytes_text

NOTEBOOK = "notebook.ipynb"

_FIND = """\
# The bundle: beside this notebook, among Kaggle's inputs, or as an archive that was uploaded.
import shutil, sys
from pathlib import Path

def bundle_folder():
    places = [Path.cwd(), Path("/kaggle/input"), Path("/content")]
    for archive in (Path.cwd() / f"{name}.{kind}" for name in [NAME] for kind in ("zip", "tar", "tar.gz")):
        if archive.is_file():
            shutil.unpack_archive(archive, Path.cwd() / "unpacked")
            places.insert(0, Path.cwd() / "unpacked")
    found = [path.parent for place in places if place.is_dir() for path in place.glob("**/recipe.json")]
    if found and (found[0] / "data.zip").is_file():  # Kaggle keeps folders packed, or unpacks them: as it likes
        whole = Path.cwd() / "unpacked"
        shutil.copytree(found[0], whole, dirs_exist_ok=True)
        for packed in found[0].glob("*.zip"):
            shutil.unpack_archive(packed, whole / packed.stem)
        found = [whole]
    if not found and "google.colab" in sys.modules:
        from google.colab import files
        for name in files.upload():
            shutil.unpack_archive(name, Path.cwd() / "unpacked")
        found = [path.parent for path in (Path.cwd() / "unpacked").glob("**/recipe.json")]
    if not found:
        raise SystemExit("The bundle is not here: put its folder or its archive beside this notebook.")
    return found[0]

bundle = bundle_folder()
run = Path("/kaggle/working/run" if Path("/kaggle/working").is_dir() else "run").resolve()
print("bundle:", bundle, "\\nrun:   ", run)
"""
_INSTALL = """\
# What the script needs, to the version; a torch that is here stays as it is.
import importlib.metadata, subprocess, sys

def installed(name):
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""

wanted = [line.split("==") for line in (bundle / "requirements.txt").read_text().split()]
missing = [f"{name}=={version}" for name, version in wanted
           if installed(name) != version and not (name == "torch" and installed(name))]
print("missing:", ", ".join(missing) or "nothing")
if missing:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing], check=True)
"""
_TRAIN = """\
# The training. Run this cell again after an interruption: it goes on from the last checkpoint.
import os, subprocess, sys

command = [sys.executable, "-u", str(bundle / "train.py"), "--run", str(run)]
# On Kaggle the log is what can be followed from elsewhere: the events stand in it, too.
relay = {"LUTHIER_RELAY": "1"} if Path("/kaggle/working").is_dir() else {}
with subprocess.Popen(
    command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    env={**os.environ, **relay},
) as training:
    for line in training.stdout:
        print(line, end="")
if training.returncode:
    raise SystemExit(f"train.py ended with {training.returncode}: what it said is above.")
"""
_RESULT = """\
# What comes back: unpack it among Luthier's runs, or open it with `luthier FOLDER`.
import json, shutil, sys

events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
for said in events:
    if said["type"] == "validated":
        print(f"iteration {said['iteration']:>6}: validation loss {said['val_loss']:.4f}")
result = shutil.make_archive(str(run.with_name(NAME + "-run")), "zip", run.parent, run.name)
print(result)
if "google.colab" in sys.modules:
    from google.colab import files
    files.download(result)
"""


def notebook_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook as nbformat's JSON."""
    name = json.dumps(_word(recipe))
    cells = [
        _markdown("about", _about(recipe)),
        _code("find", f"NAME = {name}\n{_FIND}"),
        _code("install", _INSTALL),
        _code("train", _TRAIN),
        _code("result", _RESULT),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {
        "kernelspec": kernel,
        "language_info": {"name": "python"},
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "name": f"{_word(recipe)}.ipynb"},
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def write_notebook(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Writes ``notebook.ipynb``."""
    text = json.dumps(notebook_of(recipe), indent=1, ensure_ascii=False)
    (folder / NOTEBOOK).write_text(text + "\n", encoding="utf-8")


def _word(recipe: Mapping[str, Any]) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in recipe["name"]).strip("-.")


def _about(recipe: Mapping[str, Any]) -> str:
    model = recipe["model"]
    weights = f" ({bytes_text(model['bytes'])})" if model["bytes"] else ""
    where = "its files are in the bundle" if model["folder"] else f"`{model['id']}`, downloaded here"
    licence = model["licence"] or "not told by its card"
    return (
        f"# {recipe['name']}\n\n"
        f"A setup sealed by Luthier: {recipe['label']}, {recipe['iterations']:,} iterations.\n\n"
        f"- Base model: {where}{weights}. Licence: {licence}.\n"
        "- Needs a GPU (on Colab: *Runtime › Change runtime type*; on Kaggle: *Settings › Accelerator*). A T4 "
        "trains in 16-bit floats with a scaled gradient, others in bfloat16.\n"
        "- Put this notebook beside the bundle's folder or archive, then run all cells.\n"
    )


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": _lines(text)}


def _code(name: str, text: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "id": name, "metadata": {}, "source": _lines(text), "execution_count": None,
        "outputs": [],
    }  # fmt: skip


def _lines(text: str) -> list[str]:
    return text.strip("\n").splitlines(keepends=True)
