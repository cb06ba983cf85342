"""Prints what the certificate says of faults planted into exports, and of good ones.

    python packaging/certificate_table.py            # formats that can be opened here

Where torch, PEFT and xllamacpp are installed they open what is theirs; else Luthier's own readers do.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.core.export.certificate import Certificate
from app.core.protocol.job import ExportJob
from app.worker.export.certifying import certified, evidence_of
from app.worker.export.task import plan_of
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Progress
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export import planted
from tests.worker.export.exporting import run_export

GOOD = ("adapter", "fused", "peft", "hf", "gguf", "gguf-adapter")
KINDS = ("lora", "dora", "full")
SCALES = (1.0, 0.5)
# What each kind of adapter has: the others are refused, and told why.
OF_KIND = {
    "lora": GOOD,
    "dora": tuple(one for one in GOOD if one != "gguf-adapter"),
    "full": tuple(one for one in GOOD if one not in ("peft", "gguf-adapter")),
}
FAULTY = {
    "fused": planted.IN_MODELS,
    "hf": planted.IN_MODELS,
    "peft": planted.IN_ADAPTERS,
    "gguf-adapter": planted.IN_GGUF_ADAPTERS,
}


def quiet(_phase: str, in_bytes: bool = False) -> Progress:  # noqa: ARG001
    """Tells nobody."""
    return lambda _done, _total: None


def row(what: str, kind: str, certificate: Certificate | None) -> str:
    """One line: what it is, by whom it was opened, and which points differ."""
    if certificate is None:
        return f"{what:28} {kind:16} {'-':44} not opened"
    differing = ", ".join(one.name for one in certificate.findings if not one.agrees)
    return (
        f"{what:28} {kind:16} {certificate.engine:44} {'agrees' if certificate.agrees else f'differs: {differing}'}"
    )


def main() -> None:
    """Good exports first, then the faults."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        base = make_model(root / "base")
        for kind in KINDS:
            adapter = make_adapter(base, root / kind, kind, layers=3)
            for scale in SCALES:
                good(root, adapter, kind, scale)
        faults(root, base, root / "lora")


def good(root: Path, adapter: Path, kind: str, scale: float) -> None:
    """Every format of one adapter, where it has it."""
    for to in GOOD:
        if to not in OF_KIND[kind] or (kind == "dora" and scale != 1.0):
            continue
        out = root / f"good-{kind}-{scale}-{to}"
        _, said = run_export(root, adapter, to, out=out, prompts=6, options={"scale": scale})
        (told,) = [one.data["certificate"] for one in said if one.type == "result"]  # type: ignore[attr-defined]
        print(row(f"good, {kind}, strength {scale:g}", to, told and Certificate.from_dict(told)), flush=True)


def faults(root: Path, base: Path, adapter: Path) -> None:
    """Each fault in each format that can have it."""
    for to, planting in FAULTY.items():
        plan = plan_of(ExportJob(source=adapter, format=to, out=root / f"good-lora-1.0-{to}"))
        evidence = evidence_of(plan, TunedModel.of(plan), 6, quiet)
        for name, (fault, _) in planting.items():
            faulty = root / f"{to}-{name.replace('/', '')}"
            shutil.copytree(plan.out, faulty)
            fault(faulty, base)
            print(row(name, to, certified(plan, faulty, evidence, quiet)), flush=True)


if __name__ == "__main__":
    main()
