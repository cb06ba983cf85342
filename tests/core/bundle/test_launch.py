"""What launches a bundle: files that the launchers take, with the right values in them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from app.core.bundle.launch import ACCELERATORS, kaggle_of, memory_gb, skypilot_of, write_launchers
from app.core.bundle.manifest import MANIFEST, read_manifest, seal, seal_problems
from app.core.bundle.notebook import notebook_of
from app.core.bundle.recipe import write_recipe
from app.core.bundle.result import model_line, size_line
from app.core.bundle.script import page_of, requirements_of
from app.core.problem import UnusableError
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
    assert found["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}, "accelerator": "GPU",
        "colab": {"gpuType": "T4", "name": "My-Setup.ipynb"},
    }  # fmt: skip
    assert [(cell["metadata"], cell["execution_count"], cell["outputs"]) for cell in code] == [({}, None, [])] * 4
    assert "".join(code[0]["source"]).startswith('NAME = "My-Setup"\n')
    said = "".join(found["cells"][0]["source"])
    assert "`org/name`, downloaded here (16\u00a0GB). Licence: mit" in said
    assert "1,200 iterations" in said
    said = "".join(notebook_of(recipe(folder="model", bytes=0, licence=""))["cells"][0]["source"])
    assert "- Base model: its files are in the bundle. Licence: not told by its card.\n" in said


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
    size = recipe(**model)["model"]["bytes"]
    assert task == {
        "name": "luthier-my-setup", "workdir": ".", "setup": "pip install -r requirements.txt\n",
        "resources": {
            "accelerators": {name: 1 for name, memory in ACCELERATORS.items() if memory >= need},
            "disk_size": max(64, 40 + 3 * size // 10**9),
        },
        "run": "python train.py --run run\n",
    }  # fmt: skip
    lines = (tmp_path / "skypilot.yaml").read_text().splitlines()
    assert lines[:3] == [
        "# sky launch -c luthier skypilot.yaml",
        "# from this folder; then rsync -a luthier:sky_workdir/run .", "---",
    ]  # fmt: skip


def test_the_largest_gpu_is_asked_for_where_none_is_large_enough() -> None:
    assert skypilot_of(recipe(bytes=500_000_000_000))["resources"]["accelerators"] == {"H200": 1}


def test_the_files_of_launchers_are_laid_out_for_readers(tmp_path: Path) -> None:
    write_launchers(tmp_path, recipe(id="org/näme"), "someone")
    for name in ("notebook.ipynb", "kernel-metadata.json", "dataset-metadata.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    assert "org/näme" in (tmp_path / "notebook.ipynb").read_text(encoding="utf-8")
    write_recipe(tmp_path, recipe(id="org/näme"))
    text = (tmp_path / "recipe.json").read_text(encoding="utf-8")
    assert text == json.dumps(recipe(id="org/näme"), indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("dtype, said", [("bfloat16", "bf16"), ("float16", "fp16"), ("float32", "no")])
def test_accelerate_divides_the_weights_in_the_models_precision(tmp_path: Path, dtype: str, said: str) -> None:
    write_launchers(tmp_path, recipe(dtype=dtype))
    text = (tmp_path / "fsdp2.yaml").read_text()
    assert text.startswith("# accelerate launch --config_file fsdp2.yaml train.py\n---\n")
    assert yaml.safe_load(text) == {
        "compute_environment": "LOCAL_MACHINE", "distributed_type": "FSDP",
        "fsdp_config": {
            "fsdp_version": 2, "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True, "fsdp_offload_params": False,
            "fsdp_cpu_ram_efficient_loading": False, "fsdp_state_dict_type": "FULL_STATE_DICT",
        },
        "machine_rank": 0, "main_training_function": "main", "mixed_precision": said, "num_machines": 1,
        "num_processes": 2, "use_cpu": False,
    }  # fmt: skip


def test_kaggles_files_are_there_for_a_user_of_it(tmp_path: Path) -> None:
    write_launchers(tmp_path, recipe())
    assert not list(tmp_path.glob("*-metadata.json"))
    write_launchers(tmp_path, recipe(), "someone")
    kernel = json.loads((tmp_path / "kernel-metadata.json").read_text())
    data = json.loads((tmp_path / "dataset-metadata.json").read_text())
    # Kaggle makes the address of the title, and wants the two to agree. Nobody else is to see either.
    assert kernel == {
        "id": "someone/luthier-my-setup", "title": "luthier-my-setup", "code_file": "notebook.ipynb",
        "language": "python", "kernel_type": "notebook", "is_private": True, "enable_gpu": True,
        "enable_internet": True, "dataset_sources": ["someone/luthier-my-setup-bundle"], "competition_sources": [],
        "kernel_sources": [],
    }  # fmt: skip
    assert data == {
        "title": "luthier-my-setup-bundle", "id": "someone/luthier-my-setup-bundle",
        "licenses": [{"name": "other"}],
    }  # fmt: skip
    long = recipe() | {"name": "A name that is far too long for the clouds & Kaggle !"}
    assert kaggle_of(long, "me")[0]["title"] == "luthier-a-name-that-is-far-too-long-for-the-clouds"
    assert kaggle_of(long, "me", "own")[0]["id"] == "me/own"


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


def test_what_a_bundle_came_to_is_told_in_words() -> None:
    data = {"bytes": 1_200_000, "files": 1, "train": 1, "valid": 8000}
    assert size_line(data) == "1.2\u00a0MB, 1 file, 1 row to train on and 8,000 held out"
    assert model_line(recipe(revision="abc", four_bit=True)) == (
        "Base model: org/name@abc is downloaded there (16\u00a0GB), loaded in 4 bit. Licence: mit."
    )
    assert model_line(recipe(folder="model", bytes=0, licence="")) == (
        "Base model: its files are in the bundle. Licence: not told here; read its page before you use it."
    )


def test_the_page_of_a_bundle_says_what_is_trained() -> None:
    whole = recipe(revision="abc") | {
        "data": {"train": 1234, "valid": 56}, "adapter": {"rank": 8, "alpha": 16.0}, "modules": ["a"] * 1001,
    }  # fmt: skip
    head = (
        "# My Setup!\n\nA setup sealed by Luthier: DPO, 1,200 iterations on 1,234 rows\n(56 held out), an adapter"
        " of rank 8 and alpha 16 on\n1,001 modules.\n\nThe base model is "
    )
    assert page_of(whole).startswith(
        f"{head}`org/name` on the hub, commit `abc`, 16\u00a0GB. Its licence: mit.\n\n## Start\n"
    )
    whole["model"] |= {"folder": "model", "revision": "", "bytes": 0, "licence": ""}
    assert page_of(whole).startswith(
        f"{head}the files in `model`. Its licence: not told by the model's card.\n\n## Start\n"
    )


def test_a_seal_names_every_file_and_what_was_done_to_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "data" / "a.txt").write_text("abc")
    (tmp_path / MANIFEST).write_text("an older one")
    made = seal(tmp_path, {"mlx": "0.1"})
    assert (made.size_bytes, made.format, made.versions) == (4, 1, {"luthier": __version__, "mlx": "0.1"})
    tree = {
        "format": 1, "versions": {"luthier": __version__, "mlx": "0.1"},
        "files": {
            "b.txt": {"bytes": 1, "sha256": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},
            "data/a.txt": {
                "bytes": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            },
        },
    }  # fmt: skip
    assert (tmp_path / MANIFEST).read_text() == json.dumps(tree, indent=1) + "\n"
    assert read_manifest(tmp_path) == made
    assert seal_problems(tmp_path) == []
    (tmp_path / "b.txt").write_text("B")
    (tmp_path / "data" / "a.txt").unlink()
    assert [(one.path, one.message, one.file) for one in seal_problems(tmp_path)] == [
        ("bundle", "b.txt was changed since it was sealed.", str(tmp_path / "b.txt")),
        ("bundle", "data/a.txt is missing.", str(tmp_path / "data" / "a.txt")),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{",
            "its manifest.json cannot be read (JSONDecodeError). Make it again with `luthier bundle`.",
        ),
        ("{}", "its manifest.json cannot be read (KeyError)"),
        ('{"files": {"a": 3}}', "its manifest.json cannot be read (TypeError)"),
        ('{"files": []}', "its manifest.json cannot be read (AttributeError)"),
        (
            '{"format": 2, "versions": {}, "files": {}}',
            "The bundle is of format 2; this Luthier knows 1. Update Luthier to read it.",
        ),
    ],
)
def test_what_is_no_bundle_of_this_luthier_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UnusableError) as refused:
        read_manifest(tmp_path)
    assert said in f"{refused.value.problems[0].message} {refused.value.problems[0].hint}"
