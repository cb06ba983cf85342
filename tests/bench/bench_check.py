"""The speed and memory of the data check against a bare ``json.loads`` loop over the same file.

Seconds are of the processor, so that other work on the machine does not count; the better of two runs each.

    python tests/bench/bench_check.py [--megabytes 200] [--format chat|completion|sharegpt] [--keep FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["the", "model", "reads", "letters", "of", "some", "café", "and", "sends", "its", "answer", "über", "you"]


def text(random_: random.Random, words: int) -> str:
    """Random words; a few of them are not ASCII, as in most real data."""
    return " ".join(random_.choices(WORDS, k=words))


def row(kind: str, random_: random.Random) -> dict[str, object]:
    """One row of some 800 bytes."""
    question, answer = text(random_, 30), text(random_, 110)
    if kind == "completion":
        return {"prompt": question, "completion": answer}
    if kind == "sharegpt":
        return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}
    system = {"role": "system", "content": "You are a helpful assistant."}
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [system, *turns]}


def write(path: Path, megabytes: int, kind: str) -> None:
    """A file of about that size, of rows that are all different."""
    random_ = random.Random(0)
    size = 0
    with path.open("wb") as file:
        while size < megabytes * 1_000_000:
            block = b"".join(
                json.dumps(row(kind, random_), ensure_ascii=False).encode() + b"\n" for _ in range(1000)
            )
            size += file.write(block)


def bare_loop(path: Path) -> float:
    """CPU seconds of the loop that everything is measured against."""
    start = time.process_time()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    return time.process_time() - start


def check(path: Path) -> tuple[float, int]:
    """CPU seconds and rows of the check."""
    sys.path.insert(0, str(ROOT))
    from app.core.data.check import check_files

    start = time.process_time()
    report = check_files([path], progress=lambda *_: None, cancelled=lambda: False)
    if not report.usable:
        raise SystemExit(f"The file should be usable: {report.errors[:3]}")
    return time.process_time() - start, report.examples


def measure(what: str, path: Path) -> dict[str, float]:
    """Runs one of the two in its own process, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--only", what, "--keep", str(path)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Makes the file, measures both, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--format", choices=("chat", "completion", "sharegpt"), default="chat")
    parser.add_argument("--keep", type=Path, help="the file to use; made if it is not there, and not removed")
    parser.add_argument("--only", choices=("loads", "check"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        seconds, rows = (bare_loop(arguments.keep), 0) if arguments.only == "loads" else check(arguments.keep)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        print(json.dumps({"seconds": seconds, "rows": rows, "peak_mb": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or Path(folder) / "bench.jsonl"
        if not path.exists():
            write(path, arguments.megabytes, arguments.format)
        megabytes = path.stat().st_size / 1e6
        loads = min((measure("loads", path) for _ in range(2)), key=lambda figures: figures["seconds"])
        checked = min((measure("check", path) for _ in range(2)), key=lambda figures: figures["seconds"])
        print(f"{megabytes:,.0f} MB, {checked['rows']:,} rows of {arguments.format}")
        print(f"json.loads loop  {megabytes / loads['seconds']:7.1f} MB/s")
        print(f"check            {megabytes / checked['seconds']:7.1f} MB/s, peak {checked['peak_mb']:.0f} MB")
        print(f"ratio            {loads['seconds'] / checked['seconds']:7.2f} (at least 0.5)")


if __name__ == "__main__":
    main()
