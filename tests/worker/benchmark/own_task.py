"""Tasks of lm-eval's that need nothing but their folder: choices, whole texts, and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROWS: list[dict[str, Any]] = [
    {"question": "The sky is", "choices": [" blue", " a spoon", " green cheese"], "gold": 0},
    {"question": "Two and two are", "choices": [" five", " four"], "gold": 1},
    {"question": "Say a word:", "choices": [" aa", " bb", " cc", " dd"], "gold": 2},
    {"question": "The end of the day is the", "choices": [" night", " evening sun"], "gold": 0},
]


def write_tasks(folder: Path) -> Path:
    """The folder to include; data lies beside the tasks and is named from there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    shared = {
        "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}}, "test_split": "test",
    }  # fmt: skip
    tasks: dict[str, dict[str, Any]] = {
        "own_choices": {
            "output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{gold}}", "target_delimiter": "",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        },
        "own_texts": {
            "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{question}}",
            "metric_list": [{"metric": "word_perplexity"}],
        },
        "own_answers": {
            "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "{{choices[0]}}",
            "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": 6, "do_sample": False},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        },
    }  # fmt: skip
    for name, task in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name} | shared | task))
    return folder
