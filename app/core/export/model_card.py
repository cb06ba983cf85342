"""The model card of an export: what it is made of, how it was trained, and what its certificate says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from app.core.config.train_config import TrainConfig
from app.core.export.certificate import Certificate
from app.core.export.source import ExportSource
from app.core.quantity import loss_text
from app.core.run.folder import RunDir
from app.core.run.summary import RunSummary, summarize
from app.core.setup.config_file import load_config
from app.core.system.yaml_text import dumped_yaml

CARD_FILE = "README.md"
_LIBRARIES = {"adapter": "mlx", "fused": "mlx", "peft": "peft", "hf": "transformers"}
_USES = {
    "adapter": "mlx_lm.generate --model {base} --adapter-path FOLDER --prompt \"…\"",
    "fused": "mlx_lm.generate --model {repository} --prompt \"…\"",
    "peft": "from peft import AutoPeftModelForCausalLM\n"
    "model = AutoPeftModelForCausalLM.from_pretrained(\"{repository}\")",
    "hf": "from transformers import AutoModelForCausalLM\n"
    "model = AutoModelForCausalLM.from_pretrained(\"{repository}\")",
}  # fmt: skip
_HUB_NAME = re.compile(r"^[\w.-]+/[\w.-]+$")
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*\n", re.DOTALL)


def model_card(
    source: ExportSource, base: Path, content: str, repository: str, certificate: Certificate | None
) -> str:
    """``README.md`` with its front matter; of paths of this machine nothing is told."""
    name = base_name(source.base, base)
    front: dict[str, object] = {
        "library_name": _LIBRARIES[content],
        "tags": ["luthier", content, "text-generation"],
    }
    if _HUB_NAME.match(name):
        front["base_model"] = name
        front["base_model_relation"] = "adapter" if content in ("adapter", "peft") else "finetune"
    if license_name := base_license(base):
        front["license"] = license_name
    lines = [
        f"---\n{dumped_yaml(front, sort_keys=True, in_unicode=False).strip()}\n---\n",
        f"# {repository.rpartition('/')[2]}\n",
        f"{name}, fine-tuned with Luthier.\n",
        "## Use\n",
        f"```\n{_USES[content].format(base=name, repository=repository)}\n```\n",
    ]
    if source.run is not None:
        config = load_config(RunDir(source.run).config).config
        lines += ["## Training\n", *_training(config, summarize(RunDir(source.run))), ""]
    lines += ["## Certificate\n", *_certificate(certificate), ""]
    if not license_name:
        lines += ["## Licence\n", f"That of {name}, which its own card tells.\n"]
    return "\n".join(lines)


def base_name(named: str, folder: Path) -> str:
    """What the base is called: its name on the hub where that is known, else its folder's name."""
    plain = named.partition("@")[0]
    if _HUB_NAME.match(plain) and not Path(plain).exists():
        return plain
    cached = next((part for part in folder.parts if part.startswith("models--")), "")
    return cached.removeprefix("models--").replace("--", "/", 1) or folder.name


def base_license(base: Path) -> str:
    """The licence that the base's own card names; empty if it names none."""
    try:
        found = _FRONT.match((base / CARD_FILE).read_text(encoding="utf-8"))
        tree = yaml.safe_load(found[1]) if found else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    named = tree.get("license") if isinstance(tree, dict) else None
    return named if isinstance(named, str) else ""


def _training(config: TrainConfig, summary: RunSummary) -> list[str]:
    data = Path(config.data).name if config.data else "not named"
    facts = [
        ("Method", summary.method),
        ("Data", data),
        ("Targets", summary.targets),
        ("Trained parameters", f"{summary.trainable_parameters:,}"),
        ("Iterations", f"{summary.iteration:,}"),
        ("Learning rate", f"{config.highest_rate:g}"),
    ]
    if config.fine_tune_type != "full":
        rank, scale = config.lora_parameters.rank, config.lora_parameters.scale
        facts.insert(3, ("Rank and scale", f"{rank}, {scale:g}"))
    if summary.best_figure is not None:
        facts.append((summary.best_label, loss_text(summary.best_figure)))
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts if value)]


def _certificate(certificate: Certificate | None) -> list[str]:
    if certificate is None:
        return ["None was made."]
    rows = [
        f"| {one.name} | {'agrees' if one.agrees else '**differs**'} | {one.said.replace('|', '/')} |"
        for one in certificate.findings
    ]
    return [f"{certificate.sentence()}\n", "| compared | | |", "|---|---|---|", *rows]
