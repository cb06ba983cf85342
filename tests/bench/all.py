"""Every benchmark as one table against kept figures, with a mark at what fell by more than 10 %.

    python tests/bench/all.py [--only TEXT …] [--list] [--lora FOLDER] [--frozen PROGRAM] [--keep]

Only ratios are compared (and whether a benchmark's own limits hold), so that the figures of one machine say
something on another; they stand in ``tests/bench/figures.json``, which ``--keep`` writes anew for what was run.
Each benchmark runs with short settings, one after the other, with one thread of BLAS. What fell is measured once
more, and the better of the two counts: another program may have been at work. The exit code is 1 where something
fell or failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.protocol.program import fast_arithmetic

FIGURES = Path(__file__).with_name("figures.json")
FALLEN = 0.1
NUMBER = r"([\d.]+)"
RATIO = rf"ratio +{NUMBER}"
LIMITS = "its limits hold"


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio that a benchmark prints: where it stands in its text, and whether less of it is better."""

    name: str
    pattern: str
    less: bool = False


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A script with short settings. ``limits``: its exit code says whether its limits hold. ``needs`` is an option
    without which it has no ratio."""

    script: str
    arguments: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    limits: bool = False
    needs: str = ""
    rows: bool = False  # it writes its rows as JSON

    @property
    def name(self) -> str:
        """How it is called in the table."""
        return self.script.removeprefix("bench_").removesuffix(".py")


PAIRS = ("--batch", "8", "--pairs", "64", "--repeats", "1")
PREFIX = ("--system", "300", "--batch", "8", "--rows", "64", "--repeats", "2")
BENCHMARKS = (
    Benchmark("bench_prefix.py", PREFIX, (Figure("a shared system prompt of 300", rf"ratio {NUMBER} ×"),)),
    Benchmark("bench_train.py", ("--quick", "--only", "chat, batch 1|Dolly, batch 4|Dolly, batch 8"), rows=True),
    Benchmark("bench_pairs.py", PAIRS, (Figure("DPO: computed ÷ real", rf"computed ÷ real {NUMBER}", less=True),)),
    Benchmark(
        "bench_pairs.py", (*PAIRS, "--lora", "{lora}"),
        (
            Figure("DPO against mlx-lm-lora, a step", rf"mlx-lm-lora: a step {NUMBER} ×"),
            Figure("DPO against mlx-lm-lora, an epoch with its preparation", rf"preparation {NUMBER} ×"),
        ),
        needs="lora",
    ),
    Benchmark(
        "bench_rewarded.py", ("--prompt", "256", "--repeats", "1", "--lora", "{lora}"),
        (
            Figure("GRPO against mlx-lm-lora, sampling", rf"mlx-lm-lora: sampling {NUMBER} ×"),
            Figure("GRPO against mlx-lm-lora, a step", rf"a step {NUMBER} ×"),
            Figure("GRPO against mlx-lm-lora, memory", rf"memory {NUMBER} ×", less=True),
        ),
        needs="lora",
    ),
    Benchmark("bench_answer.py", (), (Figure("30 prompts together", rf"singly, {NUMBER} ×"),), limits=True),
    Benchmark(
        "bench_generate.py", ("--repeats", "2", "--tokens", "7"),
        (Figure("generate ÷ mlx_lm.generate", rf"largest ratio of the processor: {NUMBER}", less=True),),
        limits=True,
    ),
    Benchmark(
        "bench_job.py", ("--repeats", "3"),
        tuple(
            Figure(f"a short job, {name} ÷ mlx-lm loads", rf"luthier +{name} +[\d.]+ s, {NUMBER} ×", less=True)
            for name in ("generate", "evaluate", "train")
        ),
    ),
    Benchmark(
        "bench_spare.py", ("--repeats", "2"),
        tuple(
            Figure(f"a job with a spare, {name}", rf"\| {name} \|.*\| {NUMBER} \|")
            for name in ("inspect", "generate", "train")
        ),
    ),
    Benchmark(
        "bench_group.py", (),
        tuple(Figure(f"8 answers of {n} tokens", rf"8 × {n} tokens: .*singly, {NUMBER} ×") for n in (8, 64)),
        limits=True,
    ),
    Benchmark(
        "bench_evaluate.py", (),
        (
            Figure("examples' losses ÷ validation, time", rf"examples: {NUMBER} × a validation", less=True),
            Figure("examples' losses ÷ whole logits, memory", rf"time, {NUMBER} × whole", less=True),
        ),
        limits=True,
    ),
    Benchmark(
        "bench_ranks.py", ("--quick", "--counts", "1,2"),
        (Figure("2 replicas, tokens a second", rf"\| 2 \| [\d,]+ \| {NUMBER} ×"),),
    ),
    Benchmark(
        "bench_switch.py", (),
        (Figure("two switched adapters ÷ base, memory", rf"switched +[\d,.]+ MB +{NUMBER}×", less=True),),
        limits=True,
    ),
    Benchmark(
        "bench_few_bits.py", (), (Figure("gain kept, percent", rf"4\.8bit .*weight +{NUMBER}% kept"),), limits=True
    ),
    Benchmark(
        "bench_kernels.py", ("--only", "tiny", "--repeats", "2"),
        (Figure("kernels for this processor ÷ MLX's own, an epoch", rf"an epoch takes {NUMBER} ×", less=True),),
        limits=True,
    ),
    Benchmark("bench_check.py", ("--megabytes", "30"), (Figure("data check, MB/s ÷ json.loads", RATIO),)),
    Benchmark("bench_start.py", ("--repeats", "3"), (Figure("start ÷ bare window", RATIO, less=True),)),
    Benchmark("bench_theme.py", ("--repeats", "3"), (Figure("theme ÷ plain sheets", RATIO, less=True),)),
    Benchmark("bench_reopen.py", (), (Figure("reopening: exponent", rf"exponent {NUMBER}", less=True),)),
    Benchmark("bench_edit.py", (), limits=True),
    Benchmark("bench_memory.py", ("--cases", "4"), limits=True),
    Benchmark("bench_duration.py", ("--cases", "2", "--seconds", "20"), limits=True),
    Benchmark(
        "bench_frozen.py", ("{frozen}", "--repeats", "1", "--iterations", "300"),
        (Figure("frozen ÷ source, a run, of the processor", rf"frozen {NUMBER} × source"),),
        limits=True, needs="frozen",
    ),
)  # fmt: skip
WITHOUT_RATIO = ("bench_runs.py", "bench_tokenize.py", "bench_window.py")  # seconds of this machine alone


@dataclass(slots=True)
class Found:
    """What a benchmark gave: its figures with their direction, how long it took, or why it gave none."""

    figures: dict[str, tuple[float, bool]] = field(default_factory=dict)
    elapsed_s: float = 0.0
    failed: str = ""


def run(benchmark: Benchmark, options: dict[str, str]) -> Found:
    """Runs it in a process of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        words = [word.format(**options) if word in ("{lora}", "{frozen}") else word for word in benchmark.arguments]
        words += ["--json", str(rows)] if benchmark.rows else []
        own = {"OPENBLAS_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "bench" / benchmark.script), *words],
            env=os.environ | fast_arithmetic(os.environ) | own, capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = Found(elapsed_s=time.monotonic() - began)
        if benchmark.rows and rows.exists():
            found.figures = dict(of_rows(json.loads(rows.read_text())["rows"]))
    found.figures |= dict(of_text(benchmark, done.stdout))
    if benchmark.limits and done.returncode in (0, 1):
        found.figures[f"{benchmark.name}: {LIMITS}"] = (float(done.returncode == 0), False)
    wanted = len(benchmark.figures) + benchmark.limits
    if len(found.figures) < max(wanted, 1) or (done.returncode and not benchmark.limits):
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        found.failed = f"exit code {done.returncode}: {last[:100]}"
    return found


def of_text(benchmark: Benchmark, text: str) -> Iterator[tuple[str, tuple[float, bool]]]:
    """The figures that stand in what a benchmark printed; of several in one place the worst."""
    for figure in benchmark.figures:
        values = [float(value) for value in re.findall(figure.pattern, text)]
        if values:
            yield figure.name, ((max if figure.less else min)(values), figure.less)


def of_rows(rows: list[dict[str, Any]]) -> Iterator[tuple[str, tuple[float, bool]]]:
    """Those of a speed table's rows."""
    for row in rows:
        name = f"{row['case']}, against {row['against']}"
        yield f"{name}: speed", (row["speed"], False)
        yield f"{name}: memory", (row["memory"], True)


def better(one: Found, other: Found) -> Found:
    """Of two runs the better figures."""
    names = {**one.figures, **other.figures}
    figures = {}
    for name in names:
        values = [found.figures[name] for found in (one, other) if name in found.figures]
        less = values[0][1]
        figures[name] = ((min if less else max)(value for value, _ in values), less)
    return Found(figures, one.elapsed_s + other.elapsed_s, other.failed and one.failed)


def change(value: float, kept: float, *, less: bool) -> float:
    """By which share a figure is better than the kept one (negative: worse)."""
    if value == kept:
        return 0.0
    above, below = (kept, value) if less else (value, kept)
    return above / below - 1 if below else float("inf")


def has_fallen(found: Found, kept: dict[str, float]) -> bool:
    """Whether a figure is worse than the kept one by more than may be."""
    return any(
        name in kept and change(value, kept[name], less=less) < -FALLEN
        for name, (value, less) in found.figures.items()
    )


def lines_of(found: Found, kept: dict[str, float]) -> Iterator[str]:
    """The table's lines of one benchmark."""
    for name, (value, less) in found.figures.items():
        if name not in kept:
            yield f"| {name} | {value:.2f} | – | | new |"
            continue
        by = change(value, kept[name], less=less)
        mark = "**FELL**" if by < -FALLEN else "better" if by > FALLEN else ""
        which = f"{name} (less is better)" if less else name
        yield f"| {which} | {value:.2f} | {kept[name]:.2f} | {by:+.0%} | {mark} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="benchmarks whose name contains one")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--lora", default="", help="site-packages with mlx-lm-lora, for the rows against it")
    parser.add_argument("--frozen", default="", help="the frozen app's executable, for its row")
    parser.add_argument("--keep", action="store_true", help="keep the figures of this run")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="the file of kept figures")
    asked = parser.parse_args()
    options = {"lora": asked.lora, "frozen": asked.frozen}
    wanted = asked.only or [""]
    chosen = [
        one
        for one in BENCHMARKS
        if (not one.needs or options[one.needs]) and any(text in one.name for text in wanted)
    ]
    if asked.list:
        for one in BENCHMARKS:
            print(f"{one.name:10} {' '.join(one.arguments)}{f' (needs --{one.needs})' if one.needs else ''}")
        print(f"without a ratio, by hand: {', '.join(WITHOUT_RATIO)}")
        return 0
    kept: dict[str, float] = json.loads(asked.figures.read_text()) if asked.figures.exists() else {}
    print("| figure | now | kept | change | |\n|---|---|---|---|---|", flush=True)
    bad, now = False, dict[str, float]()
    for one in chosen:
        found = run(one, options)
        if found.failed or has_fallen(found, kept):
            found = better(found, run(one, options))
        print(*lines_of(found, kept), sep="\n", flush=True)
        if found.failed:
            print(f"| {one.name} | – | | | **FAILED** {found.failed} |", flush=True)
        bad |= bool(found.failed) or has_fallen(found, kept)
        now |= {name: round(value, 3) for name, (value, _) in found.figures.items()}
        print(f"{one.name}: {found.elapsed_s:.0f} s", file=sys.stderr, flush=True)
    if asked.keep:
        asked.figures.write_text(
            json.dumps(dict(sorted((kept | now).items())), indent=1, ensure_ascii=False) + "\n"
        )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
