"""``luthier --selftest [FILE]``: whether this very copy works, frozen or not: window, training, an answer."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app import __version__
from app.command import output
from app.command.output import FailedError
from app.core.installation import is_frozen
from app.core.system.place import HOME_VARIABLE

ITERATIONS = 40
# Enough for the starter to learn its song in so few iterations, and too little to lose what it knows.
SETTINGS = {
    "iters": ITERATIONS, "epochs": None, "learning_rate": 2e-4, "schedule": "constant", "warmup": 0,
    "steps_per_report": 10, "steps_per_eval": ITERATIONS, "save_every": ITERATIONS, "neutral_tokens": 0,
    "val_batches": 4, "final_adapter": "last",
}  # fmt: skip


def selftest(file: Path | None = None) -> int:
    """Opens the window, trains the starter in a worker of this copy, and compares an answer; 0 if all is well.

    The report, one JSON object, goes to stdout or into ``file``. Runs, settings and caches are in a folder of its
    own, which goes at the end. Where there is no display on Linux, the window is drawn without one.
    """
    report: dict[str, Any] = {
        "luthier": __version__,
        "frozen": is_frozen(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
    }
    try:
        with _own_home() as home:
            report["window"] = _window(home)
            report |= _tuned(home)
    except Exception as error:  # whatever it is, it is what was asked for
        report["error"] = f"{type(error).__name__}: {error}"
    report["passed"] = "error" not in report
    if file is None:
        output.say_json(report)
    else:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not report["passed"]:
        output.remark(f"error: The selftest failed: {report['error']}")
    return 0 if report["passed"] else 1


@contextmanager
def _own_home() -> Iterator[Path]:
    before = os.environ.get(HOME_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="luthier-selftest-") as home:
        os.environ[HOME_VARIABLE] = home
        try:
            yield Path(home)
        finally:
            if before is None:
                del os.environ[HOME_VARIABLE]
            else:
                os.environ[HOME_VARIABLE] = before


def _window(home: Path) -> dict[str, Any]:
    """Paints the window of a first start. ``shown_at`` is a time of the clock, ``cpu_s`` what it cost since the
    start of the process: whoever started it can tell how long that took."""
    from app.ui.window.application import first_paint

    picture = home / "window.png"
    size = first_paint(picture)
    return {
        "shown_at": time.time(), "cpu_s": round(time.process_time(), 3), "size": list(size),
        "picture_bytes": picture.stat().st_size,
    }  # fmt: skip


def _tuned(home: Path) -> dict[str, Any]:
    """Trains, asks, and looks at both; raises `FailedError` where one is not as it must be."""
    from app.command.demo import held_out_answers
    from app.command.train import make_run, work
    from app.core.protocol import event, program
    from app.core.setup.config_file import load_config
    from app.core.system.starter import demo_config, examples_dir, in_style, model_dir

    config = load_config(demo_config()).config.with_values(SETTINGS)
    run = make_run(config, home / "run")
    said: list[event.Event] = []
    started = time.monotonic()
    last = work(run, said.append)
    hello = next((one for one in said if isinstance(one, event.Hello)), None)
    found: dict[str, Any] = {
        "worker": {
            "device": hello.device if hello else "", "versions": hello.versions if hello else {},
            "compiles": program.compiles_kernels(),
        },
    }  # fmt: skip
    if not isinstance(last, event.Finished):
        raise FailedError(getattr(last, "message", "The worker said nothing.") + f" {run.log_tail()}")
    losses = [one.val_loss for one in said if isinstance(one, event.Validated)]
    reports = [one for one in said if isinstance(one, event.TrainReported)]
    found["training"] = {
        "iterations": reports[-1].iteration, "loss_before": losses[0], "loss_after": losses[-1],
        "tokens_per_second": round(statistics.median(one.tokens_per_second for one in reports[1:]), 1),
        "elapsed_s": round(time.monotonic() - started, 2),
    }  # fmt: skip
    if not math.isfinite(losses[-1]) or losses[-1] > losses[0] / 2:
        raise FailedError(f"The loss went from {losses[0]:.3f} to {losses[-1]:.3f}, and should have halved.")
    row = json.loads((examples_dir() / "test.jsonl").read_text(encoding="utf-8").splitlines()[0])["messages"]
    (answer,) = held_out_answers(str(model_dir()), (None, str(run.adapters)), [row])
    found["answer"] = {"prompt": answer.prompt, "base": answer.base, "tuned": answer.tuned}
    if not answer.base_right or in_style(answer.base) or not in_style(answer.tuned):
        raise FailedError(f"The answers are not what they should be: “{answer.base}”, tuned “{answer.tuned}”.")
    return found
