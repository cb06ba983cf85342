"""A model of hundreds of billions of parameters, from its config alone: inspected and edited without a pause."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
from app.ui.setup.setup_tab import SetupTab
from app.ui.worker.inspector import Inspector

WAIT_MS = 60_000
# The public config.json of DeepSeek-V3, shortened to what shapes it.
DEEPSEEK_V3: dict[str, Any] = {
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
    "scoring_func": "sigmoid", "norm_topk_prob": True, "routed_scaling_factor": 2.5, "moe_layer_freq": 1,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "vocab_size": 129280, "max_position_embeddings": 163840, "rms_norm_eps": 1e-6, "rope_theta": 10000,
    "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32,
                     "beta_slow": 1, "original_max_position_embeddings": 4096},
    "attention_bias": False, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def tab(qtbot: QtBot) -> Iterator[SetupTab]:
    found = SetupTab(ConfigStore(), Inspector())
    qtbot.addWidget(found)
    found.resize(700, 700)
    found.show()
    qtbot.waitUntil(found.isVisible)
    yield found
    found.shutdown()


def test_it_is_inspected_and_edited(tab: SetupTab, qtbot: QtBot, tmp_path: Path) -> None:
    """`tests/bench/bench_edit.py` measures what each edit costs."""
    (tmp_path / "config.json").write_text(json.dumps(DEEPSEEK_V3))
    tab.store.set("model", str(tmp_path))
    qtbot.waitUntil(lambda: tab.estimate.estimate is not None, timeout=WAIT_MS)
    assert tab.selection.inspection is not None
    assert tab.selection.inspection.total_parameters > 480e9
    assert tab.selection.selection is not None
    counts = [tab.selection.selection.trainable_parameters]
    for path, value in (
        ("lora_parameters.rank", 8),
        ("num_layers", 8),
        ("targets", "attention"),
        ("targets", "q_a_proj"),
    ):
        assert tab.store.set(path, value) is None
        counts.append(tab.selection.selection.trainable_parameters)
    assert counts == sorted(set(counts), reverse=True)
    assert counts[1] == counts[0] // 4
