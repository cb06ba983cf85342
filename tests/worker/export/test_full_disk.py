"""A disk that becomes full, and a worker that is killed, in the midst of an export: the final name stays free."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from gguf import GGUFWriter

from app.core.problem import TaskError
from app.core.protocol import event
from app.core.protocol.client import started_job
from app.core.protocol.job import ExportJob
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import exported, run_export

DISK_BYTES = 4_000_000
FORMATS = ("adapter", "fused", "peft", "hf", "gguf", "gguf-adapter", "ollama")
ROOMS = (0.0, 0.4, 0.99)  # of what an export takes, that are free


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full")
    return make_adapter(make_model(root / "base"), root / "friendly", rank=16)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a small disk")
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def leave(place: Path, size: int) -> None:
    """Fills a disk until only so many bytes are free."""
    ballast = place / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        file.write(bytes(max(shutil.disk_usage(place).free - size, 0)))


@pytest.mark.parametrize("to", FORMATS)
def test_a_disk_that_really_becomes_full_leaves_nothing(
    adapter: Path, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    # Before the work there is room: it goes while the export is written.
    monkeypatch.setattr("app.core.export.destination.free_bytes", lambda _: 10**9)
    whole = exported(tmp_path, adapter, to, out=disk / "whole", prompts=0)
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    shutil.rmtree(whole)
    for room in ROOMS:
        leave(disk, int(size * room))
        with pytest.raises(TaskError, match=r"The disk became full \(.* free\); nothing was written. Free some"):
            run_export(tmp_path, adapter, to, out=disk / "out", prompts=0)
        assert [path.name for path in disk.iterdir()] == ["ballast"]
    (disk / "ballast").unlink()
    exported(tmp_path, adapter, to, out=disk / "out", prompts=0)


def test_a_disk_that_becomes_full_with_the_certificate_leaves_nothing(
    adapter: Path, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def certified(_plan: object, folder: Path, *_: object) -> None:
        leave(disk, 0)
        (folder / "certificate.json").write_bytes(b"certificate")

    monkeypatch.setattr("app.worker.export.task.certified", certified)
    with pytest.raises(TaskError, match="The disk became full"):
        run_export(tmp_path, adapter, "adapter", out=disk / "out", prompts=1)
    assert [path.name for path in disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("to", FORMATS)
def test_a_disk_that_says_it_is_full_leaves_nothing(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """The same where no disk can be made: whatever writes the weights finds no room half-way."""
    written: list[Path] = []

    def full(file: str, *_: Any) -> None:
        Path(file).write_bytes(b"half")
        written.append(Path(file))
        raise RuntimeError("[write] Unable to write 1024 bytes to file.")  # as MLX says it

    def no_room(writer: GGUFWriter, *_: Any) -> None:
        assert writer.path is not None
        written.append(writer.path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mx, "save_safetensors", full)
    monkeypatch.setattr(GGUFWriter, "write_tensor_data", no_room)
    monkeypatch.setattr(GGUFWriter, "write_tensors_to_file", no_room)
    monkeypatch.setattr("app.worker.process.room.free_bytes", lambda _: 0)
    with pytest.raises(TaskError, match="The disk became full"):
        run_export(tmp_path, adapter, to, out=tmp_path / "place" / "out", prompts=0)
    assert written
    assert list((tmp_path / "place").iterdir()) == []


def test_a_killed_export_leaves_the_name_free_and_the_next_one_sweeps(adapter: Path, tmp_path: Path) -> None:
    place, tools = tmp_path / "place", tmp_path / "llama.cpp"
    tools.mkdir()
    os.mkfifo(tools / "never")  # nobody ever writes into it: the export stands still in its midst
    quantizer = tools / "llama-quantize"
    quantizer.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "pathlib.Path(sys.argv[2]).write_bytes(b'half')\n"
        f"print('half', flush=True)\nopen({str(tools / 'never')!r}).read()\n"
    )
    quantizer.chmod(0o755)
    options: dict[str, Any] = {"type": "Q4_K_M", "llama_cpp": str(tools)}
    job = ExportJob(source=adapter, format="gguf", out=place / "out", options=options, prompts=0)
    with started_job(job) as worker:
        for said in worker.events():
            if isinstance(said, event.Progressed) and said.phase == "Packing with llama.cpp":
                worker.kill()
        assert worker.exit_code == -signal.SIGKILL
        pid = worker.pid
    (left,) = place.iterdir()
    assert left.name == f".out-{pid}.unfinished-export"
    assert (left / "16bit.gguf").stat().st_size > 100_000
    other = place / f".other-{os.getpid()}.unfinished-export"  # of a process that lives
    other.mkdir()
    (place / ".mine-1.part").mkdir()  # nothing of an export's
    exported(tmp_path, adapter, "adapter", out=place / "another", prompts=0)
    assert sorted(path.name for path in place.iterdir()) == [".mine-1.part", other.name, "another"]
