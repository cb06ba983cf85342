"""The card of what goes to the hub: its base, how it was trained, and what its certificate says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from app.core.config.train_config import TrainConfig
from app.core.export.certificate import Agreement, Certificate
from app.core.export.model_card import base_license, base_name, model_card
from app.core.export.source import ExportSource, export_source
from app.core.run.folder import prepare_run

PLAIN = ExportSource(Path("/a/adapters.safetensors"), Path("/a"), "org/base@v1", "tuned", "tuned")
AGREES = Certificate(
    "mlx-lm 1", False, (Agreement("prompts", True, "2 prompts|ok."), Agreement("loss", False, "No."))
)


def parts(card: str) -> tuple[dict[str, object], dict[str, str]]:
    """The front matter, and each section by its heading."""
    _, front, body = card.split("---\n", 2)
    title, *sections = body.split("## ")
    found = {name: text.strip() for name, _, text in (section.partition("\n") for section in sections)}
    return yaml.safe_load(front), found | {"": title.strip()}


@pytest.mark.parametrize(
    ("content", "library", "relation", "use"),
    [
        ("adapter", "mlx", "adapter", 'mlx_lm.generate --model org/base --adapter-path FOLDER --prompt "…"'),
        ("fused", "mlx", "finetune", 'mlx_lm.generate --model me/chats --prompt "…"'),
        ("peft", "peft", "adapter", "from peft import AutoPeftModelForCausalLM\n"
         'model = AutoPeftModelForCausalLM.from_pretrained("me/chats")'),
        ("hf", "transformers", "finetune", "from transformers import AutoModelForCausalLM\n"
         'model = AutoModelForCausalLM.from_pretrained("me/chats")'),
    ],
)  # fmt: skip
def test_each_kind_says_what_it_is_and_how_it_is_used(
    tmp_path: Path, content: str, library: str, relation: str, use: str
) -> None:
    front, found = parts(model_card(PLAIN, tmp_path, content, "me/chats", AGREES))
    assert front == {
        "base_model": "org/base", "base_model_relation": relation, "library_name": library,
        "tags": ["luthier", content, "text-generation"],
    }  # fmt: skip
    assert found == {
        "": "# chats\n\norg/base, fine-tuned with Luthier.",
        "Use": f"```\n{use}\n```",
        "Certificate": "mlx-lm 1 differs: No.\n\n| compared | | |\n|---|---|---|\n"
        "| prompts | agrees | 2 prompts/ok. |\n"
        "| loss | **differs** | No. |",
        "Licence": "That of org/base, which its own card tells.",
    }


def test_of_a_base_with_a_licence_it_is_named_and_no_path_is_told(tmp_path: Path) -> None:
    base = tmp_path / "secret" / "mine"
    base.mkdir(parents=True)
    (base / "README.md").write_text("---\nlicense: mit\n---\nText\n")
    source = ExportSource(base / "a", base, str(base), "tuned", "tuned")
    card = model_card(source, base, "adapter", "me/chats", None)
    front, found = parts(card)
    assert front == {"library_name": "mlx", "license": "mit", "tags": ["luthier", "adapter", "text-generation"]}
    assert (found["Certificate"], "Licence" in found) == ("None was made.", False)
    assert found[""] == "# chats\n\nmine, fine-tuned with Luthier."
    assert "secret" not in card


def test_a_run_tells_how_it_trained(tmp_path: Path) -> None:
    config = TrainConfig(model="org/base", data="/home/me/chats.jsonl", learning_rate=3e-5)
    for name, values, rows in (
        ("lora", {"lora_parameters.rank": 16, "lora_parameters.scale": 2.5}, ["| Rank and scale | 16, 2.5 |"]),
        ("full", {"fine_tune_type": "full", "data": ""}, []),
    ):
        run = prepare_run(config.with_values(values), tmp_path / name)
        run.adapters.mkdir(exist_ok=True)
        (run.adapters / "adapters.safetensors").write_bytes(b"")
        (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/m"}))
        training = parts(model_card(export_source(run.path), tmp_path, "adapter", "chats", None))[1]["Training"]
        lines = training.splitlines()
        assert lines[:2] == ["| | |", "|---|---|"]
        assert [line for line in lines if line.startswith("| Rank")] == rows
        assert f"| Data | {'chats.jsonl' if name == 'lora' else 'not named'} |" in lines
        assert "| Learning rate | 3e-05 |" in lines
        assert "| Iterations | 0 |" in lines
        order = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
        assert order[-3:] == ["Trained parameters", "Iterations", "Learning rate"]
        assert order[0] == "Method"


def test_a_base_is_called_as_the_hub_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cached = tmp_path / "models--org--some--name" / "snapshots" / "1"
    for named, folder, said in (
        ("org/base@v1", cached, "org/base"),
        ("/path/base", cached, "org/some--name"),
        ("/path/base", tmp_path / "own", "own"),
        ("base", tmp_path / "own", "own"),
    ):
        assert base_name(named, folder) == said
    (tmp_path / "org" / "base").mkdir(parents=True)
    assert base_name("org/base", tmp_path / "own") == "own"  # a folder here, which nobody else has


def test_a_licence_is_what_the_card_names(tmp_path: Path) -> None:
    assert base_license(tmp_path) == ""
    for text, said in (
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"), ("---\nlicense: [mit]\n---\n", ""),
        ("license: mit\n", ""),
        ("---\n- mit\n---\n", ""), ("---\nlicense: [\n---\n", ""),
    ):  # fmt: skip
        (tmp_path / "README.md").write_text(text)
        assert base_license(tmp_path) == said
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    assert base_license(tmp_path) == ""
