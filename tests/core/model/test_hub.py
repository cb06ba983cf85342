"""Names on the hub, the files that are wanted, sizes and rates: arithmetic without a hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.model.conversion import QUANTIZATIONS
from app.core.model.hub import (
    Destination,
    Fit,
    ModelId,
    fit,
    model_folders,
    model_id,
    parse_model_id,
    quantization_text,
    wanted_files,
    weight_bytes,
)
from app.core.problem import UnusableError
from app.core.system.setting import Settings
from app.core.system.transfer_rate import TransferRate


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("org/model", ModelId("org/model")),
        (" org/model@v1.0 ", ModelId("org/model", "v1.0")),
        ("https://hub.example/org/model", ModelId("org/model")),
        ("https://hub.example/org/model/tree/main", ModelId("org/model")),
        ("https://hub.example/org/model/tree/dev", ModelId("org/model", "dev")),
        ("https://hub.example/org/model/blob/main/config.json", ModelId("org/model")),
        ("qwen3 0.6B", None),
        ("./folder/model", None),
        ("../model", None),
        ("/absolute/model", None),
        ("model", None),
    ],
)
def test_names(text: str, found: ModelId | None) -> None:
    assert parse_model_id(text) == found


def test_what_names_no_model_says_how_a_name_reads() -> None:
    with pytest.raises(UnusableError, match="organization/model"):
        model_id("some words")


def test_wanted_files_are_text_and_safetensors_once_and_at_the_top() -> None:
    files = [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.model",
        "consolidated.safetensors", "pytorch_model.bin", "model.pt", "modeling.py", "README.md", "vocab.txt",
        "chat_template.jinja", "qwen.tiktoken", "onnx/model.json", "original/model.safetensors",
    ]  # fmt: skip
    assert wanted_files(files) == [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.model",
        "vocab.txt", "chat_template.jinja", "qwen.tiktoken",
    ]  # fmt: skip
    assert wanted_files(["weights.safetensors"]) == ["weights.safetensors"]


def test_sizes_and_quantization() -> None:
    assert weight_bytes({"BF16": 10, "U32": 3, "F8_E4M3": 5, "NEW": 1}) == 39
    assert quantization_text({"quantization": {"bits": 4, "mode": "affine"}}, []) == "4-bit"
    assert quantization_text({"quantization_config": {"quant_method": "mxfp4"}}, []) == "mxfp4"
    assert quantization_text({}, ["mlx", "8-bit"], ["U32", "BF16"]) == "8-bit"
    assert quantization_text({}, [], ["BF16"]) == "bf16"
    assert quantization_text({}, []) == ""


def test_whether_it_fits() -> None:
    assert fit(1_000_000_000, 10.7e9) is Fit.FITS
    assert fit(6_000_000_000, 10.7e9) is Fit.TIGHT
    assert fit(16_000_000_000, 10.7e9) is Fit.TOO_LARGE
    assert fit(0, 10.7e9) is Fit.UNKNOWN


def test_destinations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = Destination.of(ModelId("org/model", "v1"), "")
    assert cached.root == tmp_path / "hub" / "models--org--model"
    assert cached.name == "org/model@v1"
    plain = Destination.of(ModelId("org/model"), str(tmp_path / "models"))
    assert plain.name == str(tmp_path / "models" / "org" / "model")
    assert plain.partial_bytes() == 0
    plain.partial.mkdir(parents=True)
    (plain.partial / "abc.incomplete").write_bytes(b"12345")
    assert plain.partial_bytes() == 5


def test_model_folders_are_those_that_exist_each_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    names = (str(tmp_path / "a"), str(tmp_path / "a"), str(tmp_path / "missing"))
    assert tmp_path / "missing" not in model_folders(Settings(model_folders=names))
    assert model_folders(Settings(model_folders=names, models_dir=str(tmp_path / "a"))).count(tmp_path / "a") == 1


def test_the_rate_is_of_the_last_seconds_and_leaves_out_what_was_there() -> None:
    now = 0.0
    rate = TransferRate(lambda: now)
    rate.add(1_000_000_000, 2_000_000_000)  # resumed: half was there
    assert rate.left_s is None
    assert rate.sentence(in_bytes=True) == "1\u00a0GB of 2\u00a0GB"
    for _ in range(20):
        now += 1.0
        rate.add(1_000_000_000 + int(now) * 10_000_000, 2_000_000_000)
    assert rate.per_second == pytest.approx(10e6)
    assert rate.sentence(in_bytes=True) == "1.2\u00a0GB of 2\u00a0GB · 10\u00a0MB/s · 1\u00a0min 20\u00a0s left"


def test_a_rate_is_of_eight_seconds_and_never_less_than_nothing() -> None:
    now = 0.0
    rate = TransferRate(lambda: now)
    assert (rate.sentence(in_bytes=True), rate.per_second) == ("", 0.0)
    rate.add(0, 1000)
    rate.add(10, 1000)  # at once: nobody can tell
    assert (rate.per_second, rate.left_s) == (0.0, None)
    for now, done, per_second in ((8.0, 80, 10.0), (9.0, 180, 100.0), (16.0, 180, 100 / 8), (24.5, 100, 0.0)):
        rate.add(done, 1000)
        assert rate.per_second == per_second, now
    assert rate.left_s is None


def test_what_is_no_bytes_is_counted() -> None:
    now = 0.0
    rate = TransferRate(lambda: now)
    rate.add(0, 1_200)
    assert rate.sentence(in_bytes=False) == "0 of 1,200"
    now = 4.0
    rate.add(300, 1_200)
    assert rate.sentence(in_bytes=False) == "300 of 1,200 · 12\u00a0s left"


def test_bits_a_weight() -> None:
    assert QUANTIZATIONS["4bit"].bits_per_weight == 4.5
    assert QUANTIZATIONS["mxfp4"].bits_per_weight == 4.25
    assert QUANTIZATIONS["8bit"].bytes_of(1_000_000) == 1_062_500
