"""``generate``, ``export``, ``serve``, ``bundle``, ``models``, ``check`` and ``runs track``: what they ask."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from app.command.main import run_command
from app.command.model import _Progress
from app.core.export.endpoint import Endpoint
from app.core.model.folder import ModelEntry
from app.core.protocol.command import Ask, GiveToken
from app.core.protocol.event import Answered, Finished, Hello, Progressed, Ready, Result, Served, Warned
from app.core.protocol.job import (
    BundleJob,
    CheckJob,
    ConvertJob,
    ExportJob,
    GenerateJob,
    HubDownloadJob,
    HubLoginJob,
    HubSearchJob,
    ServeJob,
    TrackJob,
)
from app.core.protocol.question import Question, chat_of
from tests.command.conftest import Luthier
from tests.command.spoken import SpokenWorker
from tests.core.model.test_template import untemplated_starter

ANSWER = Answered(
    request=0, column=0, text="Hi.", done=True, prompt_tokens=1234, generation_tokens=5, tokens_per_second=1000.5,
    first_token_s=0.25, peak_memory_gb=1.5, finish_reason="stop",
)  # fmt: skip


def test_generate(luthier: Luthier, worker: SpokenWorker, tmp_path: Path) -> None:
    for name in ("base", "run/adapters", "run/adapters/best"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "adapters" / "adapter_config.json").write_text('{"model": "hub/named"}')
    worker.says = [Ready(), Answered(request=0, column=0, text="Oh. "), ANSWER]
    words = ("generate", "--model", "base", "--adapter-path", "run", "-p", "Hello", "--system-prompt", "Be brief.")
    more = ("--top-p", 0.5, "--top-k", 7, "--min-p", 0.25, "--repetition-penalty", 1.5, "--seed", 3, "--raw")
    done = luthier(*words, *more, "-m", 5, "--temp", 0.75, "--strength", 2)
    assert (done.stdout, done.stderr) == ("Oh. Hi.\n", "")
    told = json.loads(luthier("generate", "--adapter-path", "run", "-p", "Hello", "--json").stdout)
    assert told == {
        "text": "Oh. Hi.", "prompt_tokens": 1234, "generation_tokens": 5, "tokens_per_second": 1000.5,
        "first_token_s": 0.25, "peak_memory_gb": 1.5, "finish_reason": "stop",
    }  # fmt: skip
    for part in ("adapters", "adapters/best"):
        luthier("generate", "--adapter-path", f"run/{part}", "-p", "Hello")
    run = str(tmp_path.resolve() / "run")
    assert worker.jobs == [
        GenerateJob(model=str(tmp_path.resolve() / "base"), adapters=(run,), strengths=(2.0,)),
        *(
            GenerateJob(model="hub/named", adapters=(f"{run}{part}",), strengths=(1.0,))
            for part in ("", "/adapters", "/adapters/best")
        ),
    ]
    chosen = Question(
        messages=chat_of([{"role": "system", "content": "Be brief."}]), prompt="Hello", max_tokens=5, temp=0.75,
        top_p=0.5, top_k=7, min_p=0.25, repetition_penalty=1.5, seed=3, raw=True,
    )  # fmt: skip
    usual = Question(prompt="Hello", max_tokens=100)
    assert worker.sent == [Ask(question=chosen), *[Ask(question=usual)] * 3]


def test_an_adapter_that_names_no_model_needs_one(luthier: Luthier, worker: SpokenWorker, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"model": ""}')
    done = luthier("generate", "--adapter-path", tmp_path, "-p", "Hello", code=2)
    assert done.stderr == "error: --model: There is no model.\n  Give a model folder with --model.\n"
    done = luthier("generate", "--model", "m", "-p", "-", stdin="", code=2)
    assert done.stderr == "error: --prompt: There is no prompt.\n  Give one, or - to read it.\n"
    done = luthier("generate", "--model", "m", "-p", "a", "--seed", 2**64, code=2)
    assert done.stderr == f"error: seed: {2**64} is not usable: it is not less than {2**64}.\n"
    assert worker.jobs == []


def test_a_person_is_told_how_fast_it_answered(
    worker: SpokenWorker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.says = [Ready(), ANSWER]
    for is_watched, said in (
        (False, ""), (True, "1,234 + 5 tokens · 1,000.5 tokens/s · first after 0.25 s · 1.50 GB\n"),
    ):  # fmt: skip
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_watched=is_watched: is_watched)
        assert run_command(["generate", "--model", "m", "-p", "a"]) == 0
        assert capsys.readouterr() == ("Hi.\n", said)


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        (Answered(request=0, column=0, done=True, finish_reason="unusable", message="No judges."), 2, "No judges."),
        (Answered(request=0, column=0, done=True, finish_reason="error", message="No memory."), 1, "No memory."),
    ],
)
def test_an_answer_that_there_is_not_is_told(
    last: Answered, code: int, said: str, luthier: Luthier, worker: SpokenWorker
) -> None:
    worker.says = [Ready(), last]
    done = luthier("generate", "--model", "m", "-p", "a", code=code)
    assert (done.stdout, done.stderr) == ("", f"error: {said}\n")


def test_ctrl_c_while_the_model_is_loaded_asks_nothing(luthier: Luthier, worker: SpokenWorker) -> None:
    worker.says, worker.interrupt.pressed = [Ready(), ANSWER], 1
    assert luthier("generate", "--model", "m", "-p", "a", code=1).stderr == "Interrupted.\n"
    assert worker.sent == []


CERTIFICATE = {
    "agrees": False, "sentence": "It differs.",
    "findings": [
        {"agrees": True, "name": "tensors", "said": "alike"}, {"agrees": False, "name": "said", "said": "no"},
    ],
}  # fmt: skip


def test_export(luthier: Luthier, worker: SpokenWorker, place: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    worker.finds(path="/out", bytes=2000, certificate=CERTIFICATE, page="https://hub/mine")
    adapter = place / "adapter"
    words = ("export", adapter, "--to", "fused", "--out", "new", "--model", "base", "--checkpoint", "last")
    done = luthier(*words, "--prompts", 3, code=1)
    assert done.stdout == (
        "/out (2\u00a0kB)\nUploaded: https://hub/mine\n  agrees  tensors: alike\n  differs said: no\nIt differs.\n"
    )
    worker.finds(path="/out", bytes=2000, certificate=None)
    done = luthier("export", adapter, "--to", "adapter", "--scale", 0.5, "--set", "scale=2")
    first, last = done.stdout.splitlines()
    assert first == "/out (2\u00a0kB)"
    assert last.startswith("It was not opened again: there is no certificate. ")
    assert "xllamacpp" in last
    luthier("export", adapter, "--to", "adapter", "--json")
    worker.finds(path="/out", bytes=2000, certificate=None, remark="It changes nothing.")
    done = luthier("export", adapter, "--to", "adapter", "--prompts", 0)
    none = "It was not opened again: there is no certificate. None was asked for (--prompts 0)."
    assert done.stdout.splitlines()[1:] == [none]
    assert done.stderr == "warning: It changes nothing.\n"
    own, given, usual, _ = worker.jobs
    assert own == ExportJob(
        source=adapter, checkpoint="last", model=str(tmp_path.resolve() / "base"), format="fused",
        out=tmp_path.resolve() / "new", prompts=3,
    )  # fmt: skip
    assert isinstance(usual, ExportJob)
    assert usual == ExportJob(source=adapter, format="adapter", out=usual.out)
    assert given == usual.model_copy(update={"options": {"scale": 2.0}})
    assert usual.out.name.startswith("adapter")


def test_serve(luthier: Luthier, worker: SpokenWorker, place: Path, tmp_path: Path) -> None:
    endpoint = Endpoint("http://127.0.0.1:8080/v1", "mine", "secret", "/base", "/adapter")
    at = time.mktime((2026, 11, 30, 8, 5, 9, 0, 0, -1))
    served = Served(path="/v1/models", status=200, seconds=0.26, requests=1, time=at)
    worker.says = [Result(name="serve", data=endpoint.as_dict()), served]
    (tmp_path / "base").mkdir()
    adapter = place / "adapter"
    words = ("serve", adapter, "--checkpoint", "last", "--port", 8081, "--key", "k", "--temp", 0.5, "--top-p", 0.75)
    more = ("--top-k", 3, "--min-p", 0.25, "--max-tokens", 9, "--strength", 2, "--model", "base")
    done = luthier(*words, *more)
    assert done.stderr == "08:05:09  /v1/models  200  0.3 s\n"
    luthier("serve", adapter)
    assert worker.jobs == [
        ServeJob(
            source=adapter, checkpoint="last", model=str(tmp_path.resolve() / "base"), strength=2.0, port=8081,
            key="k", temp=0.5, top_p=0.75, top_k=3, min_p=0.25, max_tokens=9,
        ),
        ServeJob(source=adapter),
    ]  # fmt: skip


def test_bundle(luthier: Luthier, worker: SpokenWorker, place: Path, tmp_path: Path) -> None:
    data = {
        "path": "/out", "bytes": 2000, "target_modules": ["q_proj", "v_proj"], "modules": ["a", "b"],
        "model": {"folder": "", "repository": "hub/named", "revision": "", "four_bit": False},
    }  # fmt: skip
    worker.finds(**data)
    words = ("bundle", place / "config.yaml", "--with-model", "--torch-model", "org/name", "--four-bit")
    luthier(*words, "--kaggle-user", "me", "--no-same-start", "--out", "there.zip", "--json")
    luthier("bundle", place / "config.yaml", "--json")
    own, usual = worker.jobs
    assert isinstance(own, BundleJob)
    config = own.config
    assert isinstance(config, dict)
    assert config["model"] == str(place / "model")
    assert own == BundleJob(
        config=config, out=tmp_path.resolve() / "there.zip", with_model=True, torch_model="org/name", four_bit=True,
        kaggle_user="me", same_start=False,
    )  # fmt: skip
    assert usual == BundleJob(config=config, out=tmp_path.resolve() / "config-bundle")


def test_models(luthier: Luthier, worker: SpokenWorker, tmp_path: Path) -> None:
    worker.finds(query="tiny", models=[])
    assert luthier("models", "search", "tiny", "qwen", "--limit", 3, "--mlx").stdout == (
        "Nothing was found. Fewer words find more.\n"
    )
    luthier("models", "search", "tiny", "--json")
    worker.finds(path="/models/tiny", model="tiny/qwen", bytes=1500, source_bytes=4000)
    assert luthier("models", "download", "tiny/qwen", "--to", "there").stdout == "tiny/qwen is here: /models/tiny\n"
    luthier("models", "download", "tiny/qwen")
    (tmp_path / "tiny").mkdir()
    said = luthier("models", "convert", "tiny", "--to", "small", "--quantization", "8bit").stdout
    assert said == "/models/tiny: 1.5\u00a0kB instead of 4\u00a0kB\n"
    luthier("models", "convert", "tiny")
    here = tmp_path.resolve()
    *hub, own, usual = worker.jobs
    assert hub == [
        HubSearchJob(query="tiny qwen", limit=3, mlx_only=True), HubSearchJob(query="tiny", limit=20),
        HubDownloadJob(model="tiny/qwen", models_dir=str(here / "there")), HubDownloadJob(model="tiny/qwen"),
    ]  # fmt: skip
    assert own == ConvertJob(model=str(here / "tiny"), out=here / "small", quantization="8bit")
    assert isinstance(usual, ConvertJob)
    assert (usual.model, usual.out.name, usual.quantization) == (own.model, "tiny-4bit", "4bit")


TOKENS = [
    (("ada", True, False), "The token of ada is stored in the system's keychain."),
    (("ada", False, True), "The token of ada is stored in a file that only you can read."),
    (("", False, True), "No token is stored; the one in the environment variable HF_TOKEN is used."),
    (("", False, False), "No token is stored."),
]


@pytest.mark.parametrize(("token", "said"), TOKENS)
def test_the_hubs_token(token: tuple[str, bool, bool], said: str, luthier: Luthier, worker: SpokenWorker) -> None:
    found = dict(zip(("user", "in_keychain", "from_environment"), token, strict=True))
    worker.says = [Ready(), Result(name="hub_login", data=found)]
    assert luthier("models", "login", stdin=" hf_mine \n").stdout == f"{said}\n"
    assert worker.sent == [GiveToken(token="hf_mine")]
    assert luthier("models", "logout").stdout == f"{said}\n"
    assert worker.jobs == [HubLoginJob(action="login"), HubLoginJob(action="logout")]


def test_what_is_counted_is_told_at_each_tenth(luthier: Luthier, worker: SpokenWorker) -> None:
    steps = [Progressed(phase="Downloading", done=n, total=100, in_bytes=True) for n in (0, 5, 10, 19, 20, 100)]
    found = Result(name="hub_download", data={"path": "/there", "model": "tiny/qwen"})
    worker.says = [
        Hello(task="hub_download"), Progressed(phase="Asking the hub"), Progressed(phase="Asking the hub"), *steps,
        Warned(message="It is slow.", hint="Wait."), found,
    ]  # fmt: skip
    done = luthier("models", "download", "tiny/qwen")
    assert [line.replace("\u00a0", " ").split(" · ")[0] for line in done.stdout.splitlines()] == [
        "Asking the hub…", *(f"Downloading: {n} bytes of 100 bytes" for n in (0, 10, 20, 100)),
        "tiny/qwen is here: /there",
    ]  # fmt: skip
    assert done.stderr == "warning: It is slow. Wait.\n"
    done = luthier("models", "download", "tiny/qwen", "--json")
    assert (json.loads(done.stdout), done.stderr) == (found.data, "")


def test_a_download_that_is_stopped_is_no_failure(luthier: Luthier, worker: SpokenWorker) -> None:
    worker.says = [Finished(reason="stopped", message="It goes on where it stopped.")]
    done = luthier("models", "download", "tiny/qwen")
    assert (done.stdout, done.stderr) == ("", "It goes on where it stopped.\n")
    assert json.loads(luthier("models", "download", "tiny/qwen", "--json").stdout) == {
        "stopped": True, "message": "It goes on where it stopped.",
    }  # fmt: skip
    worker.says = [Finished(reason="stopped")]
    assert luthier("models", "download", "tiny/qwen").stderr == "Stopped before there was a result.\n"


def test_check_and_track(luthier: Luthier, worker: SpokenWorker, place: Path, tmp_path: Path, home: Path) -> None:
    worker.finds(figures=1234, out="/there")
    (home / "data" / "runs" / "mine").mkdir(parents=True)
    (home / "data" / "runs" / "mine" / "config.yaml").write_text("model: m\n")
    said = luthier("runs", "track", "mine", "--to", "wandb", "--project", "p", "--out", "there").stdout
    assert said == "1,234 figures are in wandb now. Files, if any, are in /there.\n"
    luthier("runs", "track", "mine", "--json")
    run = home / "data" / "runs" / "mine"
    assert worker.jobs == [
        TrackJob(run=run, report_to="wandb", project="p", out=tmp_path.resolve() / "there"), TrackJob(run=run),
    ]  # fmt: skip
    worker.says = [Finished()]
    assert luthier("check", place / "data", "--model", place / "model", "--show", 2, code=1).stderr == (
        "error: Stopped before there was a result.\n"
    )
    job = worker.jobs[-1]
    assert isinstance(job, CheckJob)
    assert (job.files, job.model, job.show) == ((place / "data",), str(place / "model"), 2)
    worker.interrupt.pressed = 1
    assert luthier("check", place / "data", "--model", place / "model", code=1).stderr == "Interrupted.\n"
    assert luthier("inspect", place / "model", code=1).stderr == "Interrupted.\n"
    worker.interrupt.pressed = 0
    assert luthier("inspect", place / "model", code=1).stderr == "error: Stopped before there was a result.\n"


def test_models_here_are_a_table(luthier: Luthier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert luthier("models", "list").stdout == (
        "There are no models here yet. `luthier models search WORDS` finds some.\n"
    )
    found = [
        ModelEntry("tiny/qwen", Path("/m/tiny"), 1500, "qwen2", cached=True),
        ModelEntry("mine", Path("/m/mine"), 2_000_000, "", cached=False),
    ]
    monkeypatch.setattr("app.core.model.folder.find_models", lambda _: found)
    assert luthier("models", "list").stdout == (
        "model      size    type   folder\n"
        "tiny/qwen  1.5\u00a0kB  qwen2  /m/tiny\n"
        "mine       2\u00a0MB    –      /m/mine\n"
    )
    assert json.loads(luthier("models", "list", "--json").stdout)["models"] == [
        {"name": "tiny/qwen", "path": "/m/tiny", "size_bytes": 1500, "model_type": "qwen2", "cached": True},
        {"name": "mine", "path": "/m/mine", "size_bytes": 2_000_000, "model_type": "", "cached": False},
    ]


def test_a_person_sees_one_line_that_moves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.command.output.is_live", lambda: True)
    view = _Progress(False)
    for said in (
        Progressed(phase="Asking"), Progressed(phase="Files\r", done=1, total=4), Progressed(phase="Packing"),
    ):  # fmt: skip
        view.show(said)
    view.end()
    view.end()
    assert capsys.readouterr().out == "Asking…\n\r\x1b[KFiles\ufffd: 1 of 4\nPacking…\n"
    view = _Progress(True)
    view.show(Progressed(phase="Asking"))
    assert capsys.readouterr().out == ""


def test_a_template_is_named_and_shown(luthier: Luthier, tmp_path: Path) -> None:
    base = untemplated_starter(tmp_path / "base")
    said = luthier("models", "template", base).stdout
    folder, empty, told, *_ = said.splitlines()
    assert Path(folder).is_dir()
    assert (empty, told) == ("", "The model with the template Phi. It reads:")
    mine = tmp_path / "mine.jinja"
    assert luthier("models", "template", base, "--file", mine, code=2).stderr == (
        f"error: file: No such file or directory ({mine}).\n"
    )
