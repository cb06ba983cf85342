"""A group of sampled answers in one batch against one by one, on the starter model.

``python tests/bench/bench_group.py`` alternates both and prints medians and their ratio for short answers (whose
time is mostly the prompt's) and long ones. The exit code is 1 where the batch is less than 3 × as fast.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.system import starter
from app.worker.model.loading import load_model
from app.worker.rollout.sampling import sample

GROUP, ALTERNATIONS, LENGTHS, LIMIT = 8, 5, (8, 64), 3.0
QUESTION = [{"role": "user", "content": "What day comes after Thursday?"}]


def main() -> int:
    model, tokenizer = load_model(starter.model_dir())
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True)

    def seconds(batch: int, length: int) -> float:
        began = time.perf_counter()
        for number in range(GROUP // batch):
            # No token ends an answer: both ways do the same work.
            sample(model, [prompt] * batch, ends=[], max_tokens=length, temperature=1.0, seed=number)
        return time.perf_counter() - began

    slow = False
    for length in LENGTHS:
        seconds(GROUP, length)
        pairs = [(seconds(GROUP, length), seconds(1, length)) for _ in range(ALTERNATIONS)]
        together, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / batch for batch, one in pairs)
        slow |= ratio < LIMIT
        print(f"{GROUP} × {length} tokens: {together:.3f} s in one batch, {alone:.3f} s singly, {ratio:.1f} ×")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
