"""The speed of tokenization: a file of chats with the starter's tokenizer, masked, cache empty.

Seconds are of the processor; the file is made by `bench_check`.

    python tests/bench/bench_tokenize.py [--megabytes 100] [--turns last|all] [--tools]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.bench_check import row, text

CALLS = """{%- for t in tools or [] -%}<|system|>{{ t | tojson }}<|end|>{%- endfor -%}
{%- for m in messages -%}
<|{{ 'user' if m.role == 'tool' else m.role }}|>{{ m.content or '' }}
{%- for c in m.tool_calls or [] -%}{{ c.function | tojson }}{%- endfor -%}<|end|>
{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""


def talk(random_: Any, number: int) -> dict[str, Any]:
    """A conversation with tools and a call, as different from the next one as real ones are."""
    name = f"tool_{number}"
    call = {"type": "function", "function": {"name": name, "arguments": {"a": number, "b": text(random_, 5)}}}
    return {
        "messages": [
            {"role": "user", "content": text(random_, 30)},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": text(random_, 20)},
            {"role": "assistant", "content": text(random_, 60)},
        ],
        "tools": [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}],
    }


def write(path: Path, megabytes: int, *, tools: bool) -> int:
    """A file of about that size; returns its rows."""
    import random

    random_, size, count = random.Random(0), 0, 0
    with path.open("wb") as file:
        while size < megabytes * 1_000_000:
            tree = talk(random_, count) if tools else row("chat", random_)
            size += file.write(json.dumps(tree, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def main() -> None:
    """Prints rows, seconds and megabytes a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--turns", default="last", choices=("last", "all"))
    parser.add_argument("--tools", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUTHIER_HOME"] = folder
        from app.core.config.train_config import TrainConfig
        from app.worker.token.tokenize import tokenize_rows
        from app.worker.token.tokenizer import load_tokenizer

        rows = write(Path(folder) / "rows.jsonl", options.megabytes, tools=options.tools)
        tokenizer = load_tokenizer(str(ROOT / "resources/starter/model"))
        if options.tools:
            tokenizer._tokenizer.chat_template = CALLS
        config = TrainConfig(mask_prompt=True, mask_turns=options.turns)
        wall, start = time.perf_counter(), time.process_time()
        found = tokenize_rows(Path(folder) / "rows.jsonl", tokenizer, config)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
        trained = float(found.token_set.trained.mean())
    print(
        f"{rows:,} rows · {seconds:.1f} s of CPU, {wall:.1f} s · {options.megabytes / seconds:.1f} MB/s", end=" · "
    )
    print(f"{trained:.1%} trained · {dict(found.counts)}")


if __name__ == "__main__":
    main()
