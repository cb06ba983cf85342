"""Names of runs: base, data and what is special; unique, and safe as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.run.catalog import find_run
from app.core.run.folder import create_run
from app.core.run.name import folder_word, run_name, with_name
from app.core.run.summary import summarize
from app.core.system.title import path_title


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/models/Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ("mlx-community/Qwen2.5-0.5B-4bit", "Qwen2.5-0.5B-4bit"),
        ("/home/me/support-faq/data/train.jsonl", "support-faq"),
        ("/home/me/support-faq.jsonl", "support-faq"),
        ("/luthier/starter/model", "starter"),
        (f"/cache/models--Qwen--Qwen2.5-0.5B/snapshots/{'0123456789' * 4}", "Qwen2.5-0.5B"),
        ("data", "data"),
        ("", ""),
        ("/data/caf\udce9", "caf\ufffd"),  # a byte that is no UTF-8
    ],
)
def test_a_path_is_told_by_what_tells_it_from_others(path: str, title: str) -> None:
    assert path_title(path) == title


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "qwen2.5-0.5b · support-faq · r32"),
        ({"lora_parameters.rank": 8, "learning_rate": 2e-4}, "qwen2.5-0.5b · support-faq · r8 · lr 0.0002"),
        ({"fine_tune_type": "dora"}, "qwen2.5-0.5b · support-faq · dora r32"),
        ({"fine_tune_type": "full"}, "qwen2.5-0.5b · support-faq · full"),
        ({"targets": "attention"}, "qwen2.5-0.5b · support-faq · r32 · attention"),
        ({"model": "/s/starter/model", "data": "/s/starter/data"}, "starter · r32"),
        ({"model": "", "data": ""}, "mlx_finetune"),
        ({"data": "/caf\udce9"}, "qwen2.5-0.5b · caf\ufffd · r32"),
        ({"model": f"/{'m' * 200}", "data": f"/{'d' * 200}"}, f"{'m' * 32} · {'d' * 32} · r32"),
    ],
)
def test_a_run_is_named_after_what_it_is(values: dict[str, Any], name: str) -> None:
    config = TrainConfig(model="/models/Qwen2.5-0.5B", data="/faq/support-faq/train.jsonl")
    assert run_name(config.with_values(values)) == name


def test_no_two_runs_have_one_name(tmp_path: Path) -> None:
    config = TrainConfig(adapter_name="qwen · faq · r32")
    runs = [create_run(config, tmp_path) for _ in range(3)]
    names = ["qwen · faq · r32", "qwen · faq · r32 · 2", "qwen · faq · r32 · 3"]
    assert [summarize(run).name for run in runs] == names
    assert all(run.name.endswith(folder_word(name)) for run, name in zip(runs, names, strict=True))
    assert all(run.name.isascii() and " " not in run.name for run in runs)


def test_a_duplicate_of_the_second_is_the_third(tmp_path: Path) -> None:
    names = ["qwen · faq · r32", "qwen · faq · r32", "qwen · faq · r32 · 2"]
    found = [summarize(create_run(TrainConfig(adapter_name=name), tmp_path)).name for name in names]
    assert found == ["qwen · faq · r32", "qwen · faq · r32 · 2", "qwen · faq · r32 · 3"]


def test_a_long_name_stays_within_its_length_when_it_is_numbered(tmp_path: Path) -> None:
    config = TrainConfig(adapter_name="x" * 80)
    names = [summarize(create_run(config, tmp_path)).name for _ in range(2)]
    assert names == ["x" * 80, f"{'x' * 76} · 2"]


def test_a_file_that_names_its_run_keeps_the_name() -> None:
    config = TrainConfig(model="/models/qwen", data="/d/faq.jsonl")
    assert with_name(config, {"model", "data"}).adapter_name == "qwen · faq · r32"
    assert with_name(config, {"adapter_name"}).adapter_name == "mlx_finetune"
    assert with_name(config.with_value("adapter_name", "mine"), {"model"}).adapter_name == "mine"


def test_a_run_is_found_by_its_name_as_it_is_shown(tmp_path: Path) -> None:
    run = create_run(TrainConfig(adapter_name="qwen · faq · r32"), tmp_path)
    assert find_run("qwen · faq · r32", tmp_path) == run
    assert find_run("qwen · other", tmp_path) is None
