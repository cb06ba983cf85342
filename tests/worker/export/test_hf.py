"""Models for transformers: opened there, they answer as the run's model does here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.worker.export.exporting import exported
from tests.worker.export.hf_model import MORE, mlx_logits, torch_logits, write_adapter, write_hf_model

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hf")
    for model_type in MORE:
        write_hf_model(root / model_type, model_type)
    return root


@pytest.mark.parametrize("model_type", list(MORE))
def test_transformers_answers_as_the_run_did(bases: Path, tmp_path: Path, model_type: str) -> None:
    base = bases / model_type
    adapter = write_adapter(base, tmp_path / "adapter")
    wanted = mlx_logits(base, adapter)
    assert np.abs(wanted - mlx_logits(base)).max() > 0.05, "the adapter must change something"
    assert np.abs(torch_logits(base) - mlx_logits(base)).max() < 1e-3, "the models are the same to begin with"
    out = exported(tmp_path, adapter, "hf")
    assert np.abs(torch_logits(out) - wanted).max() < 1e-3
    fused = exported(tmp_path, adapter, "fused", out=tmp_path / "fused")
    assert np.abs(mlx_logits(fused) - wanted).max() < 1e-3
    assert np.abs(mlx_logits(out) - mlx_logits(fused)).max() < 1e-5, "mlx-lm opens both, and they are one model"
