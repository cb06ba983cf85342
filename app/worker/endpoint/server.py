"""mlx-lm's server over one tuned model: it answers under one name, whoever has the key, and loads nothing else."""

from __future__ import annotations

import argparse
import hmac
import json
import math
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.server import APIHandler, CompletionRequest, ModelProvider

from app.core.export.endpoint import FIRST_PORT, LOOPBACK, PORTS_TRIED
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol.job import ServeJob
from app.core.refusal import reason_of
from app.worker.endpoint.answer import AnswerGenerator
from app.worker.model.adapter_switch import NOTHING_LEARNED, AdapterSwitch, base_warning
from app.worker.model.loading import load_model
from app.worker.token.tokenizer import known_ids, top_k_problems

DEFAULT_NAME = "default_model"  # what mlx-lm's server calls its own where a request names none
CONNECT_S = 0.2
BODY_LIMIT = 1 << 24  # bytes of a request that is refused, read so that the refusal arrives
_TEXT = "text"

# (path, HTTP status, seconds) of a request that was answered; called in the thread that answered it.
Answering = Callable[[str, int, float], None]


def server_arguments(job: ServeJob) -> argparse.Namespace:
    """The command line of ``mlx_lm.server`` with its own defaults, and the job's for sampling."""
    return argparse.Namespace(
        model=None, adapter_path=None, draft_model=None, num_draft_tokens=3, trust_remote_code=False,
        chat_template="", use_default_chat_template=False, chat_template_args={}, allowed_origins=["*"],
        temp=job.temp, top_p=job.top_p, top_k=job.top_k, min_p=job.min_p, max_tokens=job.max_tokens,
        decode_concurrency=32, prompt_concurrency=8, prefill_step_size=2048, prompt_cache_size=10,
        prompt_cache_bytes=None, kv_bits=None, kv_group_size=64, quantized_kv_start=5000, pipeline=False,
    )  # fmt: skip


class TunedProvider(ModelProvider):
    """Base and adapter, loaded once, in the thread that generates. A request cannot have another model loaded."""

    def __init__(self, job: ServeJob, name: str, base: Path, adapter: Path) -> None:
        super().__init__(server_arguments(job))
        self._name, self._base, self._adapter, self._strength = name, base, adapter, job.strength
        self._top_k = job.top_k
        self.settled = threading.Event()
        self.fault: Exception | None = None
        self.warnings: list[str] = []

    def load_default(self) -> None:
        """Loads, once; ``settled`` is set at its end, and ``fault`` is what went wrong.

        ``warnings`` are what is worth telling of the adapter.
        """
        if self.settled.is_set():
            return
        try:
            self.model, self.tokenizer = load_model(self._base)
            if problems := top_k_problems(self._top_k, self.tokenizer):
                raise UnusableError(problems)
            switch = AdapterSwitch(self.model)
            adapter = switch.load(self._adapter)
            unlearned = NOTHING_LEARNED if self._strength and adapter.changes_nothing else ""
            self.warnings = [*filter(None, (base_warning(self._adapter, self._base), unlearned))]
            switch.use(adapter.at(self._strength))
            mx.eval(self.model.parameters())
            self.model_key = (str(self._base), str(self._adapter), None)
            self.is_batchable = all(hasattr(cache, "merge") for cache in make_prompt_cache(self.model))
        except Exception as error:
            self.fault = error
            raise SystemExit from error  # ends this thread alone; who waits for it tells the fault
        finally:
            self.settled.set()

    def load(self, model_path: str, adapter_path: str | None = None, draft_model_path: str | None = None) -> Any:
        """The loaded model, for the names that it has; raises `ValueError`, which the server answers with."""
        if model_path not in (self._name, DEFAULT_NAME):
            raise ValueError(
                tr(
                    "There is no model “{model_path}” here; the one that is served is “{name}”.",
                    model_path=model_path,
                    name=self._name,
                )
            )
        if adapter_path is not None or draft_model_path not in (None, DEFAULT_NAME):
            raise ValueError(
                tr("Only “{name}” is served here: no other adapters, no draft model.", name=self._name)
            )
        return self.model, self.tokenizer


class EndpointHandler(APIHandler):
    """mlx-lm's answers for those who have the key. ``answering`` hears of each that was given."""

    def __init__(self, generator: Any, *args: Any, name: str, key: str, answering: Answering, **more: Any) -> None:
        self._name, self._key, self._answering = name, key, answering
        self._status = 0
        super().__init__(generator, *args, **more)

    def do_POST(self) -> None:
        started = time.monotonic()
        with suppress(ConnectionError):  # whoever asked has gone
            if self._is_allowed():
                try:
                    super().do_POST()
                except ConnectionError:
                    raise
                except Exception as error:
                    self._tell_fault(error)
        self._answering(self.path, self._status, time.monotonic() - started)

    def do_GET(self) -> None:
        if self.path == "/health" or self._is_allowed():
            super().do_GET()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Keeps the status, for ``answering``."""
        self._status = code
        super().send_response(code, message)

    def handle_models_request(self) -> None:
        """Lists the one model, and not what else lies in the hub's cache."""
        listed = [{"id": self._name, "object": "model", "created": self.created}]
        self._say(200, {"object": "list", "data": listed})

    def handle_chat_completions(self) -> CompletionRequest:
        """Refuses all but text before mlx-lm would fetch pictures from addresses in a request."""
        messages = self.body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
            raise ValueError(tr("`messages` must be a list of messages, each with a role and what it says."))
        for message in messages:
            parts = message.get("content")
            if isinstance(parts, list) and any(_kind(part) != _TEXT for part in parts):
                raise ValueError(tr("Only text can be answered here."))
        return super().handle_chat_completions()

    def handle_completion(self, request: CompletionRequest, stop_words: Any) -> None:
        """Refuses what would be answered otherwise than it was asked."""
        if said := self._hindrance(stop_words):
            self._say(400, {"error": said})
        else:
            super().handle_completion(request, stop_words)

    def _hindrance(self, stop_words: Any) -> str:
        tokenizer = self.response_generator.model_provider.tokenizer
        known = known_ids(tokenizer)
        if not isinstance(stop_words, list) or not all(isinstance(one, str) and one for one in stop_words):
            return tr("`stop` must be a text, or a list of texts; none of them empty.")
        if self.body.get("n") not in (None, 1):
            return tr("One answer to a request is given here: `n` must be 1.")
        if odd := next((name for name, value in self.body.items() if _is_no_number(value)), ""):
            return tr("`{name}` must be a number.", name=odd)
        if known and any(not 0 <= token < known for token in self.logit_bias or ()):
            # MLX would write beside its array, which ends the process.
            return tr("`logit_bias` names a token that the model does not have: it has {known:,}.", known=known)
        return " ".join(one.message for one in top_k_problems(self.top_k, tokenizer))

    def _tell_fault(self, error: Exception) -> None:
        """Where an answer has begun to arrive, its end is the fault."""
        tree = {"error": {"message": str(error), "type": "server_error"}}
        if getattr(self, "stream", False) is True:
            self.wfile.write(f"data: {json.dumps(tree)}\n\n".encode())
            return
        self._headers_buffer: list[bytes] = []  # what was to be said of an answer
        self._say(500, tree)

    def _is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if hmac.compare_digest(given, f"Bearer {self._key}".encode()):
            return True
        with suppress(ValueError):
            self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_LIMIT))
        said = tr("The API key is missing or wrong: send it in the header `Authorization: Bearer KEY`.")
        self._say(401, {"error": {"message": said, "type": "invalid_request_error", "code": "invalid_api_key"}})
        return False

    def _say(self, status: int, tree: dict[str, Any]) -> None:
        body = json.dumps(tree).encode()
        self._set_completion_headers(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_HANDLER: Any = EndpointHandler  # replaced by one that has the model, before a request is taken


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)  # which Python reads in JSON


def _kind(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else None


class _LoopbackServer(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Python's own asks the network for the name of this machine, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class EndpointServer:
    """Bound to its port when it is made, and silent until `begin`. Raises `UnusableError` for a port in use."""

    def __init__(self, port: int) -> None:
        self._http = _bound(port)
        self._generator: Any = None

    @property
    def url(self) -> str:
        """The address, up to ``/v1``."""
        return f"http://{LOOPBACK}:{self._http.server_port}/v1"

    def begin(self, provider: TunedProvider, name: str, key: str, answering: Answering) -> None:
        """Loads the model in a thread of its own and answers from then on; ``provider`` tells when it is loaded."""
        self._generator = AnswerGenerator(provider, provider.cli_args.prompt_cache_size)
        handler: Any = partial(EndpointHandler, self._generator, name=name, key=key, answering=answering)
        self._http.RequestHandlerClass = handler
        threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True, name="endpoint").start()

    def end(self, patience_s: float) -> None:
        """Takes no more requests, and ends what is being answered as far as that goes within ``patience_s``."""
        if self._generator is not None:
            self._http.shutdown()
            self._generator._stop = True
            self._generator._generation_thread.join(patience_s)
        self._http.server_close()


def _bound(port: int) -> _LoopbackServer:
    """A server at ``port``, or for 0 at the first free one from `FIRST_PORT` on."""
    if port:
        return _bound_at(port)
    for candidate in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with suppress(UnusableError):
            return _bound_at(candidate)
    return _LoopbackServer((LOOPBACK, 0), _HANDLER)


def _bound_at(port: int) -> _LoopbackServer:
    hint = tr("Choose another, or leave it open: a free one is found.")
    with suppress(OSError), socket.create_connection((LOOPBACK, port), CONNECT_S):
        # Asked first: some systems let two programs listen at one port, of which one then hears nothing.
        raise UnusableError(
            [Problem("port", tr("Port {port} is in use by another program.", port=port), hint=hint)]
        )
    try:
        return _LoopbackServer((LOOPBACK, port), _HANDLER)
    except PermissionError as error:
        said = tr("This system does not let you use port {port}.", port=port)
        raise UnusableError([Problem("port", said, hint=hint)]) from error
    except OSError as error:
        said = tr("Port {port} cannot be used: {reason_of}.", port=port, reason_of=reason_of(error))
        raise UnusableError([Problem("port", said, hint=hint)]) from error
