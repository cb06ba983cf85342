"""A small change by training survives few bits where plain ones lose it, and that is said before it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlx_lm import load
from mlx_lm.utils import compute_bits_per_weight

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.system.starter import starter_dir
from app.worker.export.tuned_model import TunedModel
from app.worker.packing.gain import Gain, run_examples
from tests.worker.export.exporting import run_export
from tests.worker.training import config_for, start

BEFORE = 0.7  # so much of what the run learned is the base's already: what is left is 1 % of the weights


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.mark.slow
def test_few_bits_keep_what_plain_ones_lose(tmp_path: Path) -> None:
    starter = starter_dir()
    config = config_for(
        starter / "model", starter / "data", iters=120, learning_rate=1e-3, batch_size=4, mask_prompt=True, num_layers=-1,
        lora_parameters={"rank": 4, "scale": 2.0, "dropout": 0.0}, max_seq_length=512, steps_per_eval=1000,
    )  # fmt: skip
    run = start(config, tmp_path / "run")[0].path
    base, _ = run_export(
        tmp_path, run, "fused", out=tmp_path / "base", prompts=0, checkpoint="last", options={"scale": BEFORE}
    )

    def written(bits: str) -> tuple[Path, list[str]]:
        out, events = run_export(
            tmp_path, run, "fused", out=tmp_path / bits, prompts=0, checkpoint="last", model=str(base),
            options={"scale": 1 - BEFORE, "bits": bits},
        )  # fmt: skip
        return out, [said.phase for said in events if isinstance(said, event.Progressed)]

    tuned = TunedModel(base, run / "adapters" / "adapters.safetensors", 1 - BEFORE)
    examples = run_examples(run, tuned.tokenizer, lambda _phase: quiet)
    assert examples is not None
    gain = Gain(examples.loss(tuned.use_base(), quiet), examples.loss(tuned.use_tuned(), quiet))
    shares = {}
    for bits in ("4bit", "4.8bit"):
        folder, phases = written(bits)
        model, _ = load(str(folder))
        shares[bits] = gain.kept(examples.loss(model, quiet))
        warned = [phase for phase in phases if "of what was learned stays" in phase]
        assert bool(warned) == (bits == "4bit")
        assert not warned or phases.index(warned[0]) < phases.index("Writing the weights")
    assert compute_bits_per_weight(model) < 4.85
    assert json.loads((folder / "config.json").read_text())["quantization"]["bits"] == 4
    assert shares["4bit"] < 0.95 <= shares["4.8bit"]


def test_an_adapter_of_no_run_cannot_be_kept_by_examples(tmp_path: Path) -> None:
    from tests.worker.answering_model import make_adapter, make_model

    make_adapter(make_model(tmp_path / "base"), tmp_path / "adapter")
    with pytest.raises(UnusableError, match="by the examples of a run, and this adapter is of none"):
        run_export(
            tmp_path, tmp_path / "adapter", "fused", model=str(tmp_path / "base"), options={"bits": "4.8bit"}
        )
