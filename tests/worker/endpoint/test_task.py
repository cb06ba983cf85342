"""A served model as other programs meet it: the real server in a real worker, asked over HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.command.main import run_command
from app.core.export.endpoint import LOOPBACK, Endpoint
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.client import WorkerClient, started_job
from app.core.protocol.command import Ask, Stop
from app.core.protocol.job import GenerateJob, ServeJob
from app.core.protocol.question import Question
from app.core.system.starter import starter_dir
from app.worker.endpoint.server import EndpointServer, server_arguments
from tests.worker.answering_model import make_adapter

ASKED, LENGTH = "What is a lathe?", 24
KEY = "a key"


@dataclass
class Serving:
    endpoint: Endpoint
    worker: WorkerClient
    events: Iterator[event.Event]

    def post(self, body: dict[str, Any], key: str = KEY) -> tuple[int, Any]:
        """The status and what was answered; of a stream its pieces."""
        request = urllib.request.Request(
            f"{self.endpoint.url}/chat/completions",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read().decode()
                if not body.get("stream"):
                    return response.status, json.loads(text)
                lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
                assert lines[-1] == "[DONE]"
                return response.status, [json.loads(line) for line in lines[:-1]]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def told(self) -> event.Served:
        """What the worker says of the next request."""
        return next(found for found in self.events if isinstance(found, event.Served))


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tuned", "max_tokens": LENGTH, "messages": [{"role": "user", "content": ASKED}]} | more


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(starter_dir() / "model", tmp_path_factory.mktemp("served") / "tuned")


@pytest.fixture(scope="module")
def serving(adapter: Path) -> Iterator[Serving]:
    with started_job(ServeJob(source=adapter, key=KEY)) as worker:
        events = worker.events()
        data = next(found.data for found in events if isinstance(found, event.Result))
        assert isinstance(next(events), event.Ready)
        yield Serving(Endpoint.from_dict(data), worker, events)
        worker.send(Stop())
        last = list(events)[-1]
        assert isinstance(last, event.Finished)
        assert last.reason == "stopped"
    assert worker.exit_code == 0


@pytest.fixture(scope="module")
def greedy(adapter: Path) -> str:
    """What ``luthier generate`` answers, from a worker of its own."""
    pieces: list[str] = []
    job = GenerateJob(model=str(starter_dir() / "model"), adapters=(str(adapter),))
    with started_job(job) as worker:
        for said in worker.events():
            if isinstance(said, event.Ready):
                worker.send(Ask(question=Question(prompt=ASKED, max_tokens=LENGTH)))
            elif isinstance(said, event.Answered):
                pieces.append(said.text)
                if said.done:
                    break
    return "".join(pieces)


def test_the_greedy_answer_is_that_of_generate(serving: Serving, greedy: str, adapter: Path) -> None:
    assert (serving.endpoint.model, serving.endpoint.key) == ("tuned", KEY)
    assert serving.endpoint.adapter == str(adapter / "adapters.safetensors")
    status, answer = serving.post(body())
    assert len(greedy.split()) > 3
    assert (status, answer["choices"][0]["message"]["content"]) == (200, greedy)
    told = serving.told()
    assert (told.path, told.status) == ("/v1/chat/completions", 200)


def test_a_streamed_answer_is_the_same_in_pieces(serving: Serving, greedy: str) -> None:
    _, pieces = serving.post(body(stream=True))
    serving.told()
    texts = [piece["choices"][0]["delta"].get("content") or "" for piece in pieces]
    assert len([text for text in texts if text]) > 3
    assert "".join(texts) == greedy


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seed", [None, 3])
def test_a_stop_word_ends_an_answer_in_whatever_tokens_it_is_said(
    serving: Serving, greedy: str, stream: bool, seed: int | None
) -> None:
    """mlx-lm takes one out of the text where it is said in other tokens than alone, and goes on."""
    middle = len(greedy) // 2
    _, whole = serving.post(body())
    serving.told()
    for word in (greedy[middle], greedy[middle : middle + 7], f"{greedy[middle - 2 : middle]}§"):
        _, answer = serving.post(body(stop=[word, "§"], stream=stream, seed=seed))
        serving.told()
        first = [one["choices"][0] for one in (answer if stream else [answer])]
        said = "".join((one.get("delta") or one.get("message") or {}).get("content") or "" for one in first)
        assert said == greedy.partition(word)[0]
        assert first[-1]["finish_reason"] == ("stop" if word in greedy else whole["choices"][0]["finish_reason"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stop": 5}, "`stop` must be a text, or a list of texts; none of them empty."),
        ({"stop": ["a", 5]}, "`stop` must be a text, or a list of texts; none of them empty."),
        ({"stop": [""]}, "`stop` must be a text, or a list of texts; none of them empty."),
        ({"n": 2}, "One answer to a request is given here: `n` must be 1."),
        ({"temperature": float("nan")}, "`temperature` must be a number."),
        ({"logit_bias": {"1280": 1}}, "`logit_bias` names a token that the model does not have: it has 1,280."),
        ({"logit_bias": {"-1": 1}}, "`logit_bias` names a token that the model does not have: it has 1,280."),
        ({"top_k": 1280}, "`top_k` is 1,280, and the model has 1,280 tokens to choose from."),
    ],
)
def test_what_would_be_answered_otherwise_is_refused(serving: Serving, more: dict[str, Any], said: str) -> None:
    assert serving.post(body(**more)) == (400, {"error": said})
    serving.told()


def test_a_request_that_fails_in_the_middle_ends_no_others(serving: Serving, greedy: str) -> None:
    """The thread that generates ended with it, and nobody was answered any more."""
    asked = urllib.request.Request(
        f"{serving.endpoint.url}/completions", b'{"prompt": ""}', {"Authorization": f"Bearer {KEY}"}
    )
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(asked, timeout=60)
        with caught.value as answer:
            assert (answer.code, json.loads(answer.read())["error"]["type"]) == (500, "server_error")
        assert serving.told().status == 500
        _, found = serving.post(body())
        assert found["choices"][0]["message"]["content"] == greedy
        serving.told()


@pytest.mark.torch
def test_openais_client_gets_it_too(serving: Serving, greedy: str) -> None:
    import openai

    with openai.OpenAI(base_url=serving.endpoint.url, api_key=serving.endpoint.key) as client:
        messages = [{"role": "user", "content": ASKED}]
        wanted = {"model": serving.endpoint.model, "messages": messages, "max_tokens": LENGTH}
        assert [model.id for model in client.models.list()] == [serving.endpoint.model]
        with client.chat.completions.create(**wanted, stream=True) as stream:
            streamed = "".join(piece.choices[0].delta.content or "" for piece in stream)
        assert streamed == client.chat.completions.create(**wanted).choices[0].message.content == greedy
    assert [serving.told().status, serving.told().status] == [200, 200]


@pytest.mark.parametrize(
    "asked, key, status, said",
    [
        (body(), "another", 401, "API key is missing or wrong"),
        (body(model="gpt-4"), KEY, 404, "the one that is served is “tuned”"),
        (body(adapters="/etc"), KEY, 404, "no other adapters"),
        (body(messages=[]), KEY, 400, "must be a list of messages"),
        (body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://here"}}]}]),
         KEY, 400, "Only text"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said(serving: Serving, asked: dict[str, Any], key: str, status: int, said: str) -> None:
    found, answer = serving.post(asked, key)
    assert found == status
    assert said in json.dumps(answer, ensure_ascii=False)
    assert serving.told().status == status


def test_what_requests_get_that_name_nothing_is_the_jobs() -> None:
    job = ServeJob(source=Path("/run"), temp=0.5, top_p=0.25, top_k=7, min_p=0.125, max_tokens=9)
    found = server_arguments(job)
    assert (found.temp, found.top_p, found.top_k, found.min_p, found.max_tokens) == (0.5, 0.25, 7, 0.125, 9)


def test_a_port_in_use_is_said_and_a_free_one_is_found() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnusableError, match=f"Port {port} is in use by another program"):
            EndpointServer(port)
    one, other = EndpointServer(0), EndpointServer(0)
    assert one.url != other.url
    one.end(0)
    other.end(0)


def test_a_run_that_is_not_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["serve", "nothing-of-the-kind"]) == 2
    assert "There is no run" in capfd.readouterr().err


def test_an_adapter_that_changes_nothing_or_is_of_another_base_is_told(adapter: Path, tmp_path: Path) -> None:
    """It is served all the same: whoever asks for it may know."""
    untrained = tmp_path / "untrained"
    shutil.copytree(adapter, untrained)
    weights = mx.load(str(untrained / "adapters.safetensors"))
    assert isinstance(weights, dict)
    unlearned = {name: mx.zeros_like(one) if name.endswith("lora_b") else one for name, one in weights.items()}
    mx.save_safetensors(str(untrained / "adapters.safetensors"), unlearned)
    config = json.loads((untrained / "adapter_config.json").read_text())
    (untrained / "adapter_config.json").write_text(json.dumps(config | {"model": "/gone/ebb"}))
    with started_job(ServeJob(source=untrained, model=str(starter_dir() / "model"), key=KEY)) as worker:
        said = []
        for found in worker.events():
            said += [found.message] if isinstance(found, event.Warned) else []
            if isinstance(found, event.Ready):
                worker.send(Stop())
    assert said == [
        f"The adapter {untrained} was trained on /gone/ebb; here it is put on {starter_dir() / 'model'}.",
        "The adapter changes nothing: it holds the weights of before the training.",
    ]
