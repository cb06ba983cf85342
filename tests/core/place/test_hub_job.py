"""Hugging Face Jobs, against a local server of the same shape that trains the bundle as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.core.place.hub_job import JOB, HubJobPlace
from app.core.place.place import Asked
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.remote.record import remote_runs
from app.core.run.folder import runs_dir
from tests.hub_server import TOKEN, HubHandler, HubServer, hub_server
from tests.ssh_server import bundle

HARDWARE = [
    {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB", "ephemeralStorage": "20 GB",
     "accelerator": None, "unitCostMicroUSD": 167, "unitCostUSD": 0.000167, "unitLabel": "minute"},
    {"name": "a10g-small", "prettyName": "Nvidia A10G - small", "cpu": "4 vCPU", "ram": "15 GB",
     "ephemeralStorage": "110 GB", "unitCostMicroUSD": 16667, "unitCostUSD": 0.016667, "unitLabel": "minute",
     "accelerator": {"type": "gpu", "model": "A10G", "quantity": "1", "vram": "24 GB", "manufacturer": "Nvidia"}},
    {"name": "l4x4", "prettyName": "4x Nvidia L4", "cpu": "48 vCPU", "ram": "186 GB", "ephemeralStorage": "3200 GB",
     "unitCostMicroUSD": 63333, "unitCostUSD": 0.063333, "unitLabel": "minute",
     "accelerator": {"type": "gpu", "model": "L4", "quantity": "4", "vram": "96 GB", "manufacturer": "Nvidia"}},
]  # fmt: skip


class Jobs:
    """The jobs of the server: at most one, whose bundle is trained in ``folder``."""

    def __init__(self, folder: Path, hub: HubServer) -> None:
        self.folder, self.hub = folder, hub
        self.asked: dict[str, Any] = {}
        self.stage = ""
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self.deleted: list[str] = []
        self.refusal = 0
        self.cut_after = 0  # lines of the log until its stream breaks, once
        self.changed = threading.Condition()

    def start(self, asked: dict[str, Any]) -> None:
        """Puts the bundle where the job finds it, and trains it."""
        self.asked, self.stage = asked, "RUNNING"
        (volume,) = asked["volumes"]
        for name, data in self.hub.repositories[volume["source"]].files.items():
            if name.startswith("bundle/"):
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self.process = subprocess.Popen(
            [sys.executable, "-u", "train.py"], cwd=self.folder / "bundle", stdout=subprocess.PIPE, text=True,
            env=os.environ | {str(name): str(value) for name, value in asked["environment"].items()},
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        self.process.stdout.close()
        code = self.process.wait()
        made = self.folder / "bundle" / "run"
        files = self.hub.repositories[self.asked["volumes"][0]["source"]].files
        for path in made.rglob("*"):
            if path.is_file() and "checkpoints" not in path.parts:
                files[f"run/{path.relative_to(made).as_posix()}"] = path.read_bytes()
        with self.changed:
            self.stage = {"CANCELED": "CANCELED"}.get(self.stage, "ERROR" if code else "COMPLETED")
            self.changed.notify_all()

    def tree(self) -> dict[str, Any]:
        return {
            "id": "job1", "createdAt": "2026-11-01T00:00:00.000Z",
            "owner": {"id": "1", "name": "ada", "type": "user"},
            "status": {"stage": self.stage, "message": None}, "flavor": self.asked.get("flavor"),
            "environment": {}, "secrets": {}, "command": self.asked.get("command"),
        }  # fmt: skip


class JobHandler(HubHandler):
    jobs: ClassVar[Jobs]

    def do_POST(self) -> None:
        if not self.path.startswith("/api/jobs/"):
            return super().do_POST()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.jobs.refusal:
            return self.give({"error": "Payment Required"}, self.jobs.refusal)
        if self.path == "/api/jobs/ada/job1/cancel":
            self.jobs.stage = "CANCELED"
            assert self.jobs.process is not None
            self.jobs.process.send_signal(signal.SIGTERM)
        else:
            self.jobs.start(json.loads(body))
        return self.give(self.jobs.tree())

    def do_DELETE(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        name = f"{asked['organization']}/{asked['name']}"
        self.jobs.deleted.append(name)
        self.hub.repositories.pop(name, None)
        self.give({})

    def do_GET(self) -> None:
        if self.path == "/api/jobs/hardware":
            return self.give(HARDWARE)
        if self.path == "/api/jobs/ada/job1":
            return self.give(self.jobs.tree())
        if self.path.startswith("/api/jobs/ada/job1/logs"):
            return self._log()
        return super().do_GET()

    def _log(self) -> None:
        """The log as server-sent events, from its beginning; it ends when the job does, or breaks before."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sent, jobs = 0, self.jobs
        while True:
            with jobs.changed:
                while len(jobs.log) <= sent and jobs.stage == "RUNNING":
                    jobs.changed.wait()
                lines, over = jobs.log[sent:], jobs.stage != "RUNNING"
            for line in lines:
                if jobs.cut_after and sent >= jobs.cut_after:
                    jobs.cut_after = 0
                    return
                told = json.dumps({"data": line, "timestamp": "2026-11-01T00:00:00.000Z"})
                self.wfile.write(f"data: {told}\n\n".encode())
                sent += 1
            if over:
                return


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    with hub_server(JobHandler) as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        JobHandler.jobs = Jobs(tmp_path / "there", hub)
        yield JobHandler.jobs


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, jobs: Jobs) -> HubJobPlace:
    from huggingface_hub import HfApi

    found = HubJobPlace()
    found.waits_s = (0.0,)
    monkeypatch.setattr(found, "_api", lambda: HfApi(endpoint=jobs.hub.address, token=os.environ["HF_TOKEN"]))
    return found


def test_a_job_is_started_followed_and_brought(place: HubJobPlace, jobs: Jobs, tmp_path: Path) -> None:
    jobs.cut_after = 3
    run = place.start(bundle(tmp_path / "bundle", 5), Asked(), lambda _: None)
    repository = run.details["repository"]
    assert jobs.hub.repositories[repository].private
    command = jobs.asked["command"]
    assert command[:2] == ["uv", "run"]
    assert command[-2:] == ["bash", "/luthier/start_job"]
    assert "torch==2.13.0" in command
    assert (jobs.asked["flavor"], jobs.asked["timeoutSeconds"]) == ("a10g-small", 24 * 3600)
    assert jobs.asked["secrets"] == {"HF_TOKEN": TOKEN}
    kinds = [said.type for said in place.attend(run, lambda _: None)]
    assert kinds == ["hello", *["warned"] * 5, "finished"]
    there = (tmp_path / "there" / "bundle" / "run" / "events.jsonl").read_bytes()
    assert run.events_file.read_bytes() == there
    assert (run.path / "log.txt").read_text() == "a word for the log\n"
    assert (run.path / "config.yaml").is_file()
    assert jobs.deleted == [repository]
    assert remote_runs()[0].is_closed
    assert not any(TOKEN.encode() in path.read_bytes() for path in run.path.rglob("*") if path.is_file())


def test_who_comes_later_hears_what_is_missing_once(place: HubJobPlace, tmp_path: Path) -> None:
    run = place.start(bundle(tmp_path / "bundle", 1_000_000), Asked(), lambda _: None)
    coming = place.attend(run, lambda _: None)
    next(coming)
    coming.close()
    first = run.events()
    assert place.standing(run).alive
    coming = place.attend(run, lambda _: None)
    rest = [next(coming)]
    assert place.stop(run)
    rest += coming
    found = first + rest
    numbers = [int(said.message.partition(" ")[0]) for said in found if isinstance(said, event.Warned)]
    assert numbers == list(range(len(numbers)))
    assert isinstance(found[-1], event.Finished)
    assert found[-1].reason == "stopped"
    assert not place.standing(run).alive


def test_what_a_job_printed_last_is_shown_without_its_events(
    place: HubJobPlace, jobs: Jobs, tmp_path: Path
) -> None:
    run = place.start(bundle(tmp_path / "bundle", 2), Asked(), lambda _: None)
    *_, last = place.follow(run, lambda _: None)
    assert isinstance(last, event.Finished)
    assert place.log_tail(run) == "a word for the log"
    jobs.log.extend(f"line {number}" for number in range(16))
    assert place.log_tail(run) == "\n".join(f"line {number}" for number in range(1, 16))


def test_the_hub_is_asked_with_the_token_that_there_is_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_given")
    assert HubJobPlace()._api().token == "hf_given"
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("app.core.place.key.kept_secret", lambda account: {"hub access token": "hf_kept"}[account])
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_logged_in")
    assert HubJobPlace()._api().token == "hf_kept"
    monkeypatch.setattr("app.core.place.key.kept_secret", lambda _: "")
    assert HubJobPlace()._api().token == "hf_logged_in"
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert HubJobPlace()._api().token is False


@pytest.mark.parametrize("status, said", [(402, "no credit for jobs"), (429, "quota is used up"), (403, "may not")])
def test_refusals_are_told_and_leave_nothing_there(
    place: HubJobPlace, jobs: Jobs, tmp_path: Path, status: int, said: str
) -> None:
    jobs.refusal = status
    with pytest.raises(UnusableError, match=said):
        place.start(bundle(tmp_path / "bundle", 1), Asked(), lambda _: None)
    assert jobs.hub.repositories == {}
    assert not list(runs_dir().glob("*"))


def test_a_wrong_token_is_told(place: HubJobPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UnusableError, match="does not accept the token") as told:
        place.start(bundle(tmp_path / "bundle", 1), Asked(), lambda _: None)
    assert "hf_wrong" not in str(told.value.problems)


def test_offers_are_of_one_gpu_with_their_price(place: HubJobPlace) -> None:
    (offer,) = place.offers()
    assert offer.sentence == "Nvidia A10G - small · 24\u00a0GB · $1.00 an hour"


def test_the_script_of_a_job_trains_saves_and_tells_its_end(tmp_path: Path) -> None:
    """The very script, with its folders put elsewhere and the hub's client replaced by one that copies."""
    (tmp_path / "luthier").mkdir()
    bundle(tmp_path / "luthier" / "bundle", 1_000_000)
    train = tmp_path / "luthier" / "bundle" / "train.py"
    train.write_text(train.read_text().replace('Path("run")', f'Path("{tmp_path}/tmp/run")'))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "huggingface_hub.py").write_text(
        "import shutil\n"
        "def upload_folder(repo_id, folder_path, path_in_repo, ignore_patterns):\n"
        f"    shutil.copytree(folder_path, {str(tmp_path / 'kept')!r} + '/' + path_in_repo, dirs_exist_ok=True)\n"
    )
    script = JOB.replace("/tmp/", f"{tmp_path}/tmp/").replace("cp -r /luthier/", f"cp -r {tmp_path}/luthier/")
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path / "client"),
        "LUTHIER_REPOSITORY": "me/it", "LUTHIER_RELAY": "1",
    }  # fmt: skip
    with subprocess.Popen(
        ["bash", "-c", script], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if "@luthier" in line and '"warned"' in line:
                break
        job.terminate()
        printed = job.stdout.read()
    assert job.returncode == 0
    assert '"reason": "stopped"' in printed
    assert '"finished"' in (tmp_path / "kept" / "run" / "events.jsonl").read_text()
