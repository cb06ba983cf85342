"""Services on the loopback, in the shapes of RunPod's API v2 and Lambda's API v1, with ways to misbehave."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback_server import serving

KEY = "secret-of-the-test"
Answer = tuple[int, Any]
GPUS = [
    {"id": "NVIDIA H100 80GB HBM3", "name": "H100 SXM", "pool": None, "manufacturer": "NVIDIA", "memory": 80,
     "secure": True, "community": False, "price": {"secure": 2.69, "community": 0.0},
     "maxCount": {"secure": 8, "community": 0}, "availability": "LOW"},
    {"id": "NVIDIA GeForce RTX 4090", "name": "RTX 4090", "pool": "ADA_24", "manufacturer": "NVIDIA", "memory": 24,
     "secure": True, "community": True, "price": {"secure": 0.44, "community": 0.31},
     "maxCount": {"secure": 8, "community": 4}, "availability": "HIGH"},
    {"id": "NVIDIA L4", "name": "L4", "pool": None, "manufacturer": "NVIDIA", "memory": 24, "secure": True,
     "community": False, "price": {"secure": 0.40, "community": 0.0}, "maxCount": {"secure": 8, "community": 0},
     "availability": "NONE"},
]  # fmt: skip
TYPES = {
    "gpu_1x_a10": {
        "instance_type": {"name": "gpu_1x_a10", "description": "1x A10 (24 GB PCIe)", "price_cents_per_hour": 75,
                          "specs": {"vcpus": 30, "memory_gib": 200, "storage_gib": 1400}},
        "regions_with_capacity_available": [{"name": "us-east-1", "description": "Virginia, USA"}],
    },
    "gpu_1x_h100_pcie": {
        "instance_type": {"name": "gpu_1x_h100_pcie", "description": "1x H100 (80 GB PCIe)",
                          "price_cents_per_hour": 249,
                          "specs": {"vcpus": 26, "memory_gib": 200, "storage_gib": 1024}},
        "regions_with_capacity_available": [],
    },
    "gpu_8x_a100": {
        "instance_type": {"name": "gpu_8x_a100", "description": "8x A100 (40 GB SXM4)",
                          "price_cents_per_hour": 1032,
                          "specs": {"vcpus": 124, "memory_gib": 1800, "storage_gib": 6144}},
        "regions_with_capacity_available": [{"name": "us-west-1", "description": "California, USA"}],
    },
}  # fmt: skip


class FakeService:
    """What is rented there, and everything that was asked. ``refuse`` answers a request (``POST /pods``) itself;
    what is in ``drop`` is done, but the connection is cut before the answer."""

    def __init__(self, user: str, port: int) -> None:
        self.user, self.port = user, port
        self.machines: dict[str, dict[str, Any]] = {}
        self.keys: list[dict[str, str]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.refuse: dict[str, Answer] = {}
        self.drop: set[str] = set()
        self.address = ""
        self.boots = 2  # looks until a machine is up

    def paths(self) -> list[str]:
        """What was asked, in order, without what only asks."""
        return [f"{method} {path}" for method, path, _ in self.asked if method != "GET"]

    def machine(self, name: str) -> dict[str, Any]:
        """The machine of that number as it is now; each look brings it nearer to running."""
        machine = self.machines[name]
        machine["looks"] += 1
        return machine


def runpod(state: FakeService, method: str, path: str, body: Any) -> Answer:
    """RunPod's REST API v2: `pods`, `pods/{id}/action`, `catalog/gpus`."""
    match method, path.partition("?")[0].strip("/").split("/"):
        case "GET", ["catalog", "gpus"]:
            return 200, {"gpus": GPUS}
        case "GET", ["pods"]:
            return 200, {"pods": [_pod(state, name) for name in state.machines]}
        case "POST", ["pods"]:
            if missing := {"name", "image", "gpu"} - set(body):
                return 422, {"title": "Invalid", "status": 422, "detail": "invalid", "errors": list(missing)}
            name = f"pod{len(state.machines)}"
            state.machines[name] = {"looks": 0, "asked": body, "status": ""}
            return 201, _pod(state, name)
        case "GET", ["pods", name] if name in state.machines:
            state.machine(name)
            return 200, _pod(state, name)
        case "DELETE", ["pods", name] if name in state.machines:
            del state.machines[name]
            return 204, None
        case "POST", ["pods", name, "action"] if name in state.machines:
            state.machines[name] |= {"status": "" if body["action"] == "start" else "EXITED", "looks": 0}
            return 200, _pod(state, name)
    return 404, {"title": "Not Found", "status": 404, "detail": "pod not found"}


def _pod(state: FakeService, name: str) -> dict[str, Any]:
    machine = state.machines[name]
    up = machine["looks"] >= state.boots
    status = machine["status"] or ("RUNNING" if up else "PROVISIONING")
    direct = {"host": "127.0.0.1", "port": state.port, "username": state.user, "command": "ssh"}
    return {
        "id": name, "name": machine["asked"]["name"], "status": status, "actions": ["stop", "terminate"],
        "image": machine["asked"]["image"], "gpu": machine["asked"]["gpu"],
        "cost": 0.44 if status == "RUNNING" else 0,
        "ssh": {"proxy": None, "direct": direct if status == "RUNNING" else None},
        "createdAt": "2026-11-01T00:00:00Z",
    }  # fmt: skip


def lambda_cloud(state: FakeService, method: str, path: str, body: Any) -> Answer:
    """Lambda's Cloud API v1: `instance-types`, `instances`, `instance-operations`, `ssh-keys`."""
    match method, path.strip("/").split("/"):
        case "GET", ["instance-types"]:
            return 200, {"data": TYPES}
        case "GET", ["ssh-keys"]:
            return 200, {"data": state.keys}
        case "POST", ["ssh-keys"]:
            state.keys.append({"id": "k1", **body})
            return 200, {"data": state.keys[-1]}
        case "GET", ["instances"]:
            return 200, {"data": [_instance(state, name) for name in state.machines]}
        case "GET", ["instances", name] if name in state.machines:
            state.machine(name)
            return 200, {"data": _instance(state, name)}
        case "POST", ["instance-operations", "launch"]:
            name = f"machine{len(state.machines)}"
            state.machines[name] = {"looks": 0, "asked": body, "status": ""}
            return 200, {"data": {"instance_ids": [name]}}
        case "POST", ["instance-operations", "terminate"]:
            ended = [_instance(state, name) for name in body["instance_ids"]]
            for name in body["instance_ids"]:
                state.machines[name]["status"] = "terminated"
            return 200, {"data": {"terminated_instances": ended}}
    return 404, {"error": {"code": "global/object-does-not-exist", "message": "Specified instance does not exist."}}


def _instance(state: FakeService, name: str) -> dict[str, Any]:
    machine = state.machines[name]
    up = machine["looks"] >= state.boots
    return {
        "id": name, "name": machine["asked"]["name"],
        "status": machine["status"] or ("active" if up else "booting"), "ip": "127.0.0.1" if up else None,
        "ssh_key_names": machine["asked"]["ssh_key_names"], "hostname": "", "file_system_names": [],
        "region": {"name": "us-east-1", "description": "Virginia, USA"},
    }  # fmt: skip


@contextmanager
def service_server(
    answer: Callable[[FakeService, str, str, Any], Answer], user: str = "", port: int = 0
) -> Iterator[FakeService]:
    """A running service of that shape, whose machines are all this one, by ssh at ``port``."""
    state = FakeService(user, port)
    good = (f"Bearer {KEY}", f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            """Keeps quiet."""

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append((self.command, self.path, body))
            wanted = f"{self.command} {self.path.partition('?')[0]}"
            if self.headers.get("Authorization") not in good:
                status, tree = 401, {"title": "Unauthorized", "status": 401, "detail": "invalid API key"}
            elif wanted in state.refuse:
                status, tree = state.refuse[wanted]
            else:
                status, tree = answer(state, self.command, self.path, body)
            if wanted in state.drop:
                state.drop.discard(wanted)
                self.close_connection = True
                return
            data = b"" if tree is None else json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

    with serving(Handler) as state.address:
        yield state
