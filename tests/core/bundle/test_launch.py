"""What launches a bundle: files that the launchers take, with the right values in them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.bundle.launch import memory_gb, write_launchers
from app.core.bundle.notebook import notebook_of
from app.core.bundle.script import requirements_of
from app.core.resource import resource


def recipe(**model: Any) -> dict[str, Any]:
    known = {"id": "org/name", "revision": "", "folder": "", "dtype": "bfloat16", "bytes": 16_000_000_000,
             "licence": "mit", "four_bit": False}  # fmt: skip
    return {"name": "My Setup!", "label": "DPO", "iterations": 1200, "model": known | model}


def test_a_notebook_is_one_of_nbformat_whose_cells_are_python() -> None:
    found = notebook_of(recipe())
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code] == ["find", "install", "train", "result"]
    for cell in code:
        ast.parse("".join(cell["source"]))
    said = "".join(found["cells"][0]["source"])
    assert "`org/name`, downloaded here (16\u00a0GB). Licence: mit" in said
    assert "1,200 iterations" in said


@pytest.mark.parametrize(
    "model, need, cheapest",
    [
        ({}, 24.0, "L4"),
        ({"bytes": 2_000_000_000}, 4.0, "T4"),
        ({"four_bit": True}, 7.2, "T4"),
        ({"bytes": 80_000_000_000}, 120.0, "H200"),
    ],
)
def test_skypilot_asks_for_gpus_with_memory_enough(
    tmp_path: Path, model: dict[str, Any], need: float, cheapest: str
) -> None:
    assert memory_gb(recipe(**model)) == pytest.approx(need)
    write_launchers(tmp_path, recipe(**model))
    task = yaml.safe_load((tmp_path / "skypilot.yaml").read_text())
    assert next(iter(task["resources"]["accelerators"])) == cheapest
    assert (task["name"], task["workdir"]) == ("luthier-my-setup", ".")
    assert "python train.py" in task["run"]


@pytest.mark.parametrize("dtype, said", [("bfloat16", "bf16"), ("float16", "fp16"), ("float32", "no")])
def test_accelerate_divides_the_weights_in_the_models_precision(tmp_path: Path, dtype: str, said: str) -> None:
    write_launchers(tmp_path, recipe(dtype=dtype))
    config = yaml.safe_load((tmp_path / "fsdp2.yaml").read_text())
    assert (config["distributed_type"], config["fsdp_config"]["fsdp_version"]) == ("FSDP", 2)
    assert config["mixed_precision"] == said


def test_kaggles_files_are_there_for_a_user_of_it(tmp_path: Path) -> None:
    write_launchers(tmp_path, recipe())
    assert not list(tmp_path.glob("*-metadata.json"))
    write_launchers(tmp_path, recipe(), "someone")
    kernel = json.loads((tmp_path / "kernel-metadata.json").read_text())
    data = json.loads((tmp_path / "dataset-metadata.json").read_text())
    assert (kernel["id"], kernel["code_file"]) == ("someone/luthier-my-setup", "notebook.ipynb")
    assert kernel["dataset_sources"] == [data["id"]] == ["someone/luthier-my-setup-bundle"]
    # Kaggle makes the address of the title, and wants the two to agree.
    assert kernel["title"] == kernel["id"].partition("/")[2]
    assert 6 <= len(data["title"]) <= 50


def test_yaml_passes_its_linter(tmp_path: Path) -> None:
    linter = pytest.importorskip("yamllint.linter", reason="yamllint is not installed")
    from yamllint.config import YamlLintConfig

    write_launchers(tmp_path, recipe())
    rules = YamlLintConfig("extends: default")
    for path in tmp_path.glob("*.yaml"):
        assert [str(one) for one in linter.run(path.read_text(), rules)] == [], path.name


@pytest.mark.parametrize("four_bit, name", [(False, "requirements.lock"), (True, "requirements-4bit.lock")])
def test_the_lock_has_what_is_pinned_with_hashes_and_no_host(four_bit: bool, name: str) -> None:
    text = resource("bundle", name).read_text(encoding="utf-8")
    entries = [entry.split() for entry in re.split(r"\n(?=\S)", text.strip())]
    locked = {entry[0].partition("==")[0]: entry[0].partition("==")[2] for entry in entries}
    wanted = requirements_of(recipe(four_bit=four_bit))
    assert {package: locked.get(package) for package in wanted} == wanted
    assert all(any(word.startswith("--hash=sha256:") for word in entry) for entry in entries)
    assert "nvidia-cublas" in locked  # torch with CUDA, on Linux
    assert "://" not in text
