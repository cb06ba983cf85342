"""The endpoint's own part: who is let in, what is refused, what is told of requests, and how it begins and ends."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import queue
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlx_lm.server import APIHandler, ModelProvider

from app.core.export.endpoint import FIRST_PORT, LOOPBACK, PORTS_TRIED
from app.core.problem import Problem, UnusableError
from app.core.protocol.command import Command, EndOfInput, Pause, Stop
from app.core.protocol.job import ServeJob
from app.worker.endpoint import server as server_module
from app.worker.endpoint import task as task_module
from app.worker.endpoint.server import EndpointHandler, EndpointServer, TunedProvider, server_arguments
from app.worker.endpoint.task import serve_tuned
from app.worker.process.channel import Channel

KEY = "käy"


def test_all_but_the_jobs_own_settings_are_mlx_lms_defaults() -> None:
    job = ServeJob(source=Path("/run"), temp=0.5, top_p=0.25, top_k=7, min_p=0.125, max_tokens=9)
    assert vars(server_arguments(job)) == {
        "model": None, "adapter_path": None, "draft_model": None, "num_draft_tokens": 3, "trust_remote_code": False,
        "chat_template": "", "use_default_chat_template": False, "chat_template_args": {}, "allowed_origins": ["*"],
        "temp": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125, "max_tokens": 9, "decode_concurrency": 32,
        "prompt_concurrency": 8, "prefill_step_size": 2048, "prompt_cache_size": 10, "prompt_cache_bytes": None,
        "kv_bits": None, "kv_group_size": 64, "quantized_kv_start": 5000, "pipeline": False,
    }  # fmt: skip


# -- requests -------------------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server whose answers are not mlx-lm's: `asked` are the requests that would reach it."""
    found = SimpleNamespace(asked=[], told=queue.Queue(), url="")

    def answer(handler: Any) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        found.asked.append((handler.command, handler.path, handler.rfile.read(length)))
        if handler.path == "/gone":
            raise ConnectionResetError
        handler._say(200, {"answered": True})

    def get(handler: Any) -> None:
        if handler.path == "/v1/models":
            handler.handle_models_request()
        else:
            answer(handler)

    monkeypatch.setattr(APIHandler, "do_POST", answer)
    monkeypatch.setattr(APIHandler, "do_GET", get)
    monkeypatch.setattr(EndpointHandler, "log_message", lambda *_: None)
    made = EndpointServer(0)
    generator: Any = SimpleNamespace(cli_args=SimpleNamespace(allowed_origins=["*"]))
    made._http.RequestHandlerClass = partial(
        EndpointHandler, generator, name="tuned", key=KEY, answering=lambda *said: found.told.put(said)
    )
    thread = threading.Thread(target=made._http.serve_forever, args=(0.01,))
    thread.start()
    found.url = made.url
    yield found
    made._http.shutdown()
    thread.join()
    made.end(0)


def request(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    asked = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_only_who_has_the_key_is_answered_and_each_request_is_told(endpoint: SimpleNamespace) -> None:
    host = endpoint.url.removesuffix("/v1")
    bearer = f"Bearer {KEY}"
    said = "The API key is missing or wrong: send it in the header `Authorization: Bearer KEY`."
    refused = {"error": {"message": said, "type": "invalid_request_error", "code": "invalid_api_key"}}
    wrong: tuple[dict[str, Any], ...] = ({}, {"Authorization": "Bearer another"}, {"Authorization": KEY})
    for headers in wrong:
        assert request(f"{endpoint.url}/chat/completions", b"x" * 70_000, **headers) == (401, refused)
        path, status, seconds = endpoint.told.get(timeout=30)
        assert (path, status) == ("/v1/chat/completions", 401)
        assert 0 <= seconds < 30
        assert request(f"{endpoint.url}/models", **headers) == (401, refused)
    assert endpoint.asked == []
    assert request(f"{endpoint.url}/completions", b"{}", Authorization=bearer) == (200, {"answered": True})
    assert endpoint.told.get(timeout=30)[:2] == ("/v1/completions", 200)
    status, listed = request(f"{endpoint.url}/models", Authorization=bearer)
    assert (status, listed["object"]) == (200, "list")
    assert [(one["id"], one["object"], type(one["created"])) for one in listed["data"]] == [("tuned", "model", int)]
    assert request(f"{host}/health") == (200, {"answered": True}), "whether it runs may be asked by anyone"
    assert [one[:2] for one in endpoint.asked] == [("POST", "/v1/completions"), ("GET", "/health")]
    with pytest.raises(OSError):  # noqa: PT011  # the connection ends without an answer
        request(f"{host}/gone", b"{}", Authorization=bearer)
    assert endpoint.told.get(timeout=30)[:2] == ("/gone", 0)
    assert endpoint.told.empty()


@pytest.mark.parametrize(("body", "said"), [
    ({}, "`messages` must be a list of messages, each with a role and what it says."),
    ({"messages": []}, "`messages` must be a list of messages, each with a role and what it says."),
    ({"messages": [{}, "x"]}, "`messages` must be a list of messages, each with a role and what it says."),
    ({"messages": [{"content": [{"type": "text"}, {"type": "image_url"}]}]}, "Only text can be answered here."),
    ({"messages": [{"content": ["x"]}]}, "Only text can be answered here."),
    ({"messages": [{"content": [{"type": "text"}]}, {"content": "x"}, {}]}, None),
])  # fmt: skip
def test_pictures_are_never_fetched(
    body: dict[str, Any], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = object()
    monkeypatch.setattr(APIHandler, "handle_chat_completions", lambda _handler: asked)
    handler: Any = EndpointHandler.__new__(EndpointHandler)
    handler.body = body
    if said is None:
        assert handler.handle_chat_completions() is asked
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # which mlx-lm's server answers with
        handler.handle_chat_completions()
    assert str(caught.value) == said


# -- the model ------------------------------------------------------------------------------------------------


class Cache:
    """Of a model that answers several at once."""

    def merge(self) -> None: ...


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A provider whose model is only named; ``calls`` are what is done with it."""
    monkeypatch.setattr(ModelProvider, "__init__", lambda self, arguments: setattr(self, "cli_args", arguments))
    made: Any = TunedProvider(
        ServeJob(source=Path("/run"), strength=0.5, top_k=7), "tuned", Path("/base"), Path("/adapter")
    )
    calls: list[Any] = []
    model = SimpleNamespace(parameters=lambda: [], caches=[Cache()])

    class Switch:
        def __init__(self, of: Any) -> None:
            calls.append(of)

        def load(self, path: Path) -> Any:
            return SimpleNamespace(at=lambda strength: (path, strength), changes_nothing=True)

        def use(self, adapter: Any) -> None:
            calls.append(adapter)

    monkeypatch.setattr(server_module, "load_model", lambda base: (model, f"tokenizer of {base}"))
    monkeypatch.setattr(server_module, "AdapterSwitch", Switch)
    monkeypatch.setattr(server_module, "base_warning", lambda adapter, base: f"{adapter} is not of {base}.")
    monkeypatch.setattr(server_module, "make_prompt_cache", lambda of: of.caches)
    monkeypatch.setattr(server_module, "top_k_problems", lambda top_k, _tokenizer: made.problems[: top_k == 7])
    made.calls, made.of, made.problems = calls, model, []
    return made


def test_one_model_is_loaded_with_its_adapter_at_its_strength(provider: Any) -> None:
    assert not provider.settled.is_set()
    provider.load_default()
    assert provider.settled.is_set()
    assert provider.fault is None
    assert provider.calls == [provider.of, (Path("/adapter"), 0.5)]
    assert (provider.tokenizer, provider.model_key) == ("tokenizer of /base", ("/base", "/adapter", None))
    assert provider.is_batchable
    unlearned = "The adapter changes nothing: it holds the weights of before the training."
    assert provider.warnings == ["/adapter is not of /base.", unlearned]
    loaded = (provider.of, "tokenizer of /base")
    assert provider.load("tuned") == provider.load("default_model", None, "default_model") == loaded
    for asked, said in (
        (("gpt-4",), "There is no model “gpt-4” here; the one that is served is “tuned”."),
        (("tuned", "/etc"), "Only “tuned” is served here: no other adapters, no draft model."),
        (("tuned", None, "small"), "Only “tuned” is served here: no other adapters, no draft model."),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            provider.load(*asked)
        assert str(caught.value) == said
    provider.of.caches = [Cache(), object()]
    provider.load_default()
    assert provider.is_batchable, "it was loaded"
    provider.settled.clear()
    provider.load_default()
    assert not provider.is_batchable


def test_what_went_wrong_is_kept_for_who_waits(provider: Any) -> None:
    provider.problems = [Problem("top_k", "Too many.")]
    with pytest.raises(SystemExit):
        provider.load_default()
    assert isinstance(provider.fault, UnusableError)
    assert provider.fault.problems == provider.problems
    assert provider.settled.is_set()
    assert provider.calls == []


def test_a_port_that_the_system_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = "Choose another, or leave it open: a free one is found."
    for error, said in (
        (PermissionError(errno.EACCES, "no"), "This system does not let you use port 1."),
        (OSError(errno.EADDRNOTAVAIL, "no"), "Port 1 cannot be used: no."),
    ):

        def refuse(*_arguments: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(server_module, "_LoopbackServer", refuse)
        with pytest.raises(UnusableError) as caught:
            EndpointServer(1)
        assert caught.value.problems == [Problem("port", said, hint=hint)]
    monkeypatch.undo()
    made = EndpointServer(0)
    assert made._http.server_port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED), "the address stays the same"
    made.end(0)
    monkeypatch.setattr(server_module, "PORTS_TRIED", 0)
    made = EndpointServer(0)
    assert made.url.startswith(f"http://{LOOPBACK}:")
    assert made.url.endswith("/v1")
    made.end(0)


# -- the task -------------------------------------------------------------------------------------------------


class EndedError(BaseException):
    """The process ends here."""


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The task with a server that is only pretended: what is done with it, and the model's fault, if any."""
    found = SimpleNamespace(calls=[], fault=None, settles=True, tell=None)

    class Server:
        def __init__(self, port: int) -> None:
            found.calls.append(("port", port))
            self.url = "http://here/v1"

        def begin(self, provider: Any, name: str, key: str, answering: Any) -> None:
            found.calls.append(("begin", provider.base, name, key))
            found.tell = answering
            answering("/v1/x", 200, 0.25)

        def end(self, patience_s: float) -> None:
            found.calls.append(("end", patience_s))

    class Provider:
        def __init__(self, _job: ServeJob, name: str, base: Path, adapter: Path) -> None:
            self.base, self.fault, self.settled = (name, base, adapter), found.fault, threading.Event()
            self.warnings: list[str] = []
            if found.settles:
                self.settled.set()

    def end(code: int) -> None:
        found.calls.append(("exit", code))
        raise EndedError

    source = SimpleNamespace(base="/base", word="tuned", adapter=Path("/run/adapters.safetensors"))
    monkeypatch.setattr(task_module, "export_source", lambda *_: source)
    monkeypatch.setattr(task_module, "locate_model", Path)
    monkeypatch.setattr(task_module, "EndpointServer", Server)
    monkeypatch.setattr(task_module, "TunedProvider", Provider)
    monkeypatch.setattr(task_module, "_LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(os, "_exit", end)
    return found


def said_by(job: ServeJob, *commands: Command) -> list[dict[str, Any]]:
    out, waiting = io.StringIO(), queue.Queue[Command]()
    for command in commands:
        waiting.put(command)
    with pytest.raises(EndedError):
        serve_tuned(Channel(out, waiting), Path("unused"), job)
    return [json.loads(line) for line in out.getvalue().splitlines()]


BASE = ("tuned", Path("/base"), Path("/run/adapters.safetensors"))


@pytest.mark.parametrize("last", [Stop(), EndOfInput()])
def test_it_serves_until_it_is_told_to_end(serving: SimpleNamespace, last: Command) -> None:
    progressed, served, result, ready, declined, finished = said_by(
        ServeJob(source=Path("/run"), port=8123, key=KEY), Pause(), last
    )
    assert (progressed["type"], progressed["phase"]) == ("progressed", "Loading the model")
    assert (served["path"], served["status"], served["seconds"], served["requests"]) == ("/v1/x", 200, 0.25, 1)
    assert (result["name"], ready["type"]) == ("endpoint", "ready")
    assert result["data"] == {
        "url": "http://here/v1", "model": "tuned", "key": KEY, "base": "/base",
        "adapter": "/run/adapters.safetensors",
    }  # fmt: skip
    assert declined["message"] == "The command `pause` means nothing to this task."
    assert (finished["reason"], finished["message"]) == ("stopped", "Nothing is served any more.")
    assert serving.calls == [("port", 8123), ("begin", BASE, "tuned", KEY), ("end", 3.0), ("exit", 0)]


def test_a_stop_while_it_loads_ends_it_and_a_key_is_made_where_none_is_given(serving: SimpleNamespace) -> None:
    serving.settles = False
    told = said_by(ServeJob(source=Path("/run"), model="/other"), Stop())
    assert [one["type"] for one in told] == ["progressed", "served", "finished"]
    _, (_, base, _, key), *rest = serving.calls
    assert base == ("tuned", Path("/other"), BASE[2])
    assert len(key) == 24, "18 bytes in base64"
    assert rest == [("end", 3.0), ("exit", 0)]


def test_a_model_that_cannot_be_loaded_is_refused_and_requests_are_counted(serving: SimpleNamespace) -> None:
    serving.fault = UnusableError([Problem("model", "No.")])
    out = io.StringIO()
    with pytest.raises(UnusableError):
        serve_tuned(Channel(out, queue.Queue()), Path("unused"), ServeJob(source=Path("/run")))
    assert serving.calls[-1] == ("end", 3.0)
    serving.tell("/v1/y", 404, 1.5)
    counted = [json.loads(line) for line in out.getvalue().splitlines() if '"served"' in line]
    assert [(one["path"], one["requests"]) for one in counted] == [("/v1/x", 1), ("/v1/y", 2)]


def test_the_server_begins_with_the_model_and_ends_what_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    generator = SimpleNamespace(_stop=False, _generation_thread=SimpleNamespace(join=calls.append))

    def generating(provider: Any, prompts: int) -> Any:
        calls.append((provider, prompts))
        return generator

    monkeypatch.setattr(server_module, "AnswerGenerator", generating)
    made = EndpointServer(0)
    provider: Any = SimpleNamespace(cli_args=SimpleNamespace(prompt_cache_size=10))
    made.begin(provider, "tuned", KEY, lambda *_: None)
    host, port = made._http.server_address[:2]
    with socket.create_connection((str(host), int(port)), 30):
        pass
    made.end(1.5)
    assert calls == [(provider, 10), 1.5]
    assert generator._stop
    handler: Any = made._http.RequestHandlerClass
    assert handler.keywords["name"] == "tuned"
    assert handler.keywords["key"] == KEY
    with pytest.raises(OSError):  # noqa: PT011  # nobody listens any more
        socket.create_connection((str(host), int(port)), 5)
