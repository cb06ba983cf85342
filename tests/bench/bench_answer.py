"""Thirty prompts answered in batches, as Compare asks them, against one by one, on the starter.

    python tests/bench/bench_answer.py [--prompts N] [--tokens N] [--repeats N]

Both ways are alternated in one process with one thread of BLAS, and seconds are of the processor. The likeliest
token is always taken, so that both must say the same. The exit code is 1 where the batches are less than 3 × as
fast or say anything else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.protocol.program import fast_arithmetic
from app.core.protocol.question import Question
from app.core.system import starter

LIMIT = 3.0


def measured(count: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Seconds of both ways in each repeat, and whether all answers are equal."""
    from app.worker.compare.answer import AskedPrompt, streamed_answers
    from app.worker.model.loading import load_model

    model, tokenizer = load_model(starter.model_dir())
    model.eval()
    lines = (starter.examples_dir() / "test.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    chats = [json.loads(line)["messages"][:-1] for line in lines]
    question = Question(max_tokens=tokens)
    rendered = (tokenizer.apply_chat_template(chat, add_generation_prompt=True) for chat in chats)
    prompts = [AskedPrompt(list(tokens), question) for tokens in rendered]

    def answers(groups: list[list[AskedPrompt]]) -> tuple[list[str], float]:
        texts, began = list[str](), time.process_time()
        for group in groups:
            said = [""] * len(group)
            for piece in streamed_answers(model, tokenizer, group, lambda: False):
                said[piece.number] += piece.text
            texts += said
        return texts, time.process_time() - began

    singly = [[prompt] for prompt in prompts]
    answers([prompts[:2]])  # whatever is made once
    pairs, equal = [], True
    for _ in range(repeats):
        (together, batch_s), (alone, single_s) = answers([prompts]), answers(singly)
        pairs.append((batch_s, single_s))
        equal &= together == alone
    return {"pairs": pairs, "equal": equal, "prompts": len(prompts)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(arguments.prompts, arguments.tokens, arguments.repeats)))
        return 0
    environment = os.environ | fast_arithmetic(os.environ) | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--child", *sys.argv[1:]], env=environment, stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    together, alone = (statistics.median(column) for column in zip(*found["pairs"], strict=True))
    ratio = statistics.median(single / batch for batch, single in found["pairs"])
    same = "the same answers" if found["equal"] else "OTHER ANSWERS"
    print(f"{found['prompts']} prompts: {together:.2f} s together, {alone:.2f} s singly, {ratio:.2f} ×, {same}")
    return int(ratio < LIMIT or not found["equal"])


if __name__ == "__main__":
    sys.exit(main())
