"""The user's own llama.cpp: its converter and its quantizer, found in a folder or in PATH, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app.core.language import tr
from app.core.problem import TaskError
from app.core.typed_path import typed_path
from app.worker.process.progress import Progress

CONVERTER, QUANTIZER = "convert_hf_to_gguf.py", "llama-quantize"
_PLACES = ("", "bin", "build/bin")  # in llama.cpp's folder
_POLL_S = 0.1
_SAID_LINES = 4


def llama_cpp_tool(name: str, folder: str) -> Path | None:
    """One of llama.cpp's programs: in ``folder`` if that is given, else in PATH; None if it is not there."""
    if not folder.strip():
        found = shutil.which(name)
        return Path(found) if found else None
    root = typed_path(folder)
    return next((root / place / name for place in _PLACES if (root / place / name).is_file()), None)


def convert_with(tool: Path, model: Path, out: Path, progress: Progress) -> None:
    """llama.cpp's converter on a folder of Hugging Face's form: a file in bfloat16. Raises `TaskError`."""
    python = shutil.which("python3") or sys.executable
    run_program([python, str(tool), str(model), "--outfile", str(out), "--outtype", "bf16"], progress)


def quantize_with(tool: Path, source: Path, out: Path, kind: str, progress: Progress) -> None:
    """llama.cpp's quantizer on a file of 16 bits. Raises `TaskError`."""
    run_program([str(tool), str(source), str(out), kind], progress)


def run_program(command: list[str], progress: Progress) -> str:
    """Runs a program to its end: what it said. ``progress`` is asked all the while, and may raise to stop it.

    Raises `TaskError` with the last lines that it said if it fails.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=_environment()
        )
        try:
            while process.poll() is None:
                progress(0, 1)
                time.sleep(_POLL_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        text = said.read()
    if process.returncode:
        tail = " ".join(line.strip() for line in text.splitlines() if line.strip()) if text.count("\n") < 2 else ""
        lines = tail or " / ".join([line.strip() for line in text.splitlines() if line.strip()][-_SAID_LINES:])
        raise TaskError(
            tr(
                "{name} failed ({returncode}): {lines}.",
                name=Path(command[0]).name,
                returncode=process.returncode,
                lines=lines or tr("it said nothing"),
            ),
            tr("Try it by hand: {command}", command=" ".join(command)),
        )
    progress(1, 1)
    return text


def _environment() -> dict[str, str]:
    """Without what this program's own Python was started with, which would mislead another."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
