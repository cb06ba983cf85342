"""The hostfile: where the replicas of a run are. It is mlx.launch's JSON file, with two keys of our own.

``{"backend": "ring", "envs": [], "hosts": [{"ssh": …, "ips": […], "rdma": […], "luthier": …, "model": …}]}``; a
bare list of hosts is fine too. The first host is this machine, whatever it is called: replica 0 writes the run.
``luthier`` is the program there and ``model`` the base model's folder there, where they are not at the usual place;
mlx.launch reads past both. Source: mlx._distributed_utils.common 0.32.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.language import capital, joined, tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.system.atomic_file import write_text
from app.core.typed_path import typed_path

RUN_HOSTS = "hosts.json"  # in the folder of a run that several replicas train
RING_BACKEND, JACCL, JACCL_RING = "ring", "jaccl", "jaccl-ring"
BACKENDS = (RING_BACKEND, JACCL, JACCL_RING)
RING_PORT = 32323  # mlx.launch's
_LOOPBACK = "127.0.0.1"
LOCAL_HOST = "localhost"
_HERE = (_LOOPBACK, LOCAL_HOST)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True, slots=True)
class ReplicaHost:
    """Where one replica is: ``ssh`` takes us there, the others reach it at ``ips`` (ring) or by devices ``rdma``
    (JACCL: one to each host, None to itself)."""

    ssh: str
    ips: tuple[str, ...] = ()
    rdma: tuple[Any, ...] = ()
    luthier: str = ""
    model: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is started without ssh."""
        return self.ssh in _HERE

    def tree(self) -> dict[str, Any]:
        """As the hostfile has it."""
        own = {key: value for key, value in (("luthier", self.luthier), ("model", self.model)) if value}
        return {"ssh": self.ssh, "ips": list(self.ips), "rdma": list(self.rdma)} | own


@dataclass(frozen=True, slots=True)
class Hostfile:
    """The hosts in the order of the replicas' numbers; ``envs`` are set on all of them (``NAME=value``)."""

    hosts: tuple[ReplicaHost, ...]
    backend: str = RING_BACKEND
    envs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hosts)

    def tree(self) -> dict[str, Any]:
        """As the file has it."""
        hosts = [host.tree() for host in self.hosts]
        return {"backend": self.backend, "envs": list(self.envs), "hosts": hosts}

    def addresses(self) -> tuple[tuple[str, ...], ...]:
        """``ip:port`` of each host's connections: ports that are free here for the loopback, else from mlx.launch's
        first one on."""
        port = RING_PORT
        found = []
        for host in self.hosts:
            own = []
            for ip in host.ips:
                own.append(f"{ip}:{_free_port() if ip == _LOOPBACK else port}")
                port += 1
            found.append(tuple(own))
        return tuple(found)


def hosts_here(count: int) -> Hostfile:
    """So many replicas on this machine."""
    return Hostfile((ReplicaHost(_LOOPBACK, (_LOOPBACK,)),) * count)


def read_hostfile(path: Path) -> Hostfile:
    """The hosts of a file. Raises `UnusableError` that names the file and what is wrong with each host."""
    try:
        tree = json.loads(typed_path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, [tr("it cannot be read: {reason_of}", reason_of=reason_of(error))]) from error
    except ValueError as error:
        raise _refused(path, [tr("it is no JSON: {error}", error=error)]) from error
    return hostfile_of(tree, path)


def hostfile_of(tree: Any, path: Path | None = None) -> Hostfile:
    """The same of a tree that was read; ``path`` is named in what is raised."""
    found = {"hosts": tree} if isinstance(tree, list) else tree
    if not isinstance(found, dict) or not isinstance(found.get("hosts"), list):
        raise _refused(path, [tr("it holds no list of hosts")])
    backend, envs = found.get("backend") or RING_BACKEND, found.get("envs") or []
    if not isinstance(backend, str) or not isinstance(envs, list):
        raise _refused(path, [tr("`backend` is a word, `envs` a list")])
    hosts, faults = [], []
    for number, one in enumerate(found["hosts"], start=1):
        if not isinstance(one, dict) or not isinstance(one.get("ssh"), str):
            faults.append(tr("host {number} has no `ssh`, the name that ssh knows it by", number=number))
            continue
        lists = [one.get(key) or [] for key in ("ips", "rdma")]
        if not all(isinstance(value, list) for value in lists):
            faults.append(tr("`ips` and `rdma` of host {number} are lists", number=number))
            continue
        ips, rdma = lists
        own = (str(one.get("luthier") or ""), str(one.get("model") or ""))
        hosts.append(ReplicaHost(one["ssh"].strip(), tuple(map(str, ips)), tuple(rdma), *own))
    hostfile = Hostfile(tuple(hosts), backend, tuple(map(str, envs)))
    if faults := faults or [problem.message.rstrip(".") for problem in hostfile_problems(hostfile)]:
        raise _refused(path, faults)
    return hostfile


def save_hostfile(hostfile: Hostfile, path: Path) -> None:
    """Writes it so that mlx.launch reads it as well."""
    write_text(path, json.dumps(hostfile.tree(), indent=1) + "\n")


def hostfile_problems(hostfile: Hostfile) -> list[Problem]:
    """What keeps replicas from being started there; ``path`` is ``hosts.N`` (from 0) or what it is about."""
    found = []
    if len(hostfile) < 2:
        found.append(Problem("hosts", tr("Name at least two hosts, this machine first.")))
    if hostfile.backend not in BACKENDS:
        found.append(
            Problem(
                "backend",
                tr("“{backend}” is none of {backends}.", backend=hostfile.backend, backends=", ".join(BACKENDS)),
            )
        )
    found += [
        Problem("envs", tr("“{one}” is not NAME=value.", one=one))
        for one in hostfile.envs
        if not _VARIABLE.match(one)
    ]
    for number, host in enumerate(hostfile.hosts):
        found += [Problem(f"hosts.{number}", said) for said in _host_faults(hostfile, number, host)]
    counts = {len(host.ips) for host in hostfile.hosts}
    if hostfile.backend == RING_BACKEND and len(counts) > 1 and 0 not in counts:
        found.append(Problem("hosts", tr("All hosts need the same number of addresses.")))
    return found


def own_address() -> str:
    """The address by which others most likely reach this machine; the loopback's where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: only the way there is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return _LOOPBACK


def speed_text(latency_s: float, bytes_per_s: float) -> str:
    """What an exchange costs, for people."""
    each = (
        tr("{bytes_per_s:.2f}\u00a0GB/s", bytes_per_s=bytes_per_s / 1000000000.0)
        if bytes_per_s >= 1e8
        else tr("{bytes_per_s:.0f}\u00a0MB/s", bytes_per_s=bytes_per_s / 1000000.0)
    )
    return tr(
        "a message takes {latency_s:.2f}\u00a0ms, gradients go at {each}.", latency_s=latency_s * 1000.0, each=each
    )


def _host_faults(hostfile: Hostfile, number: int, host: ReplicaHost) -> list[str]:
    who = tr("Host {number}", number=number + 1) + (f" ({host.ssh})" if host.ssh else "")
    said = []
    if not host.ssh or host.ssh.startswith("-"):
        said.append(tr("{who} has no name that ssh takes.", who=who))
    if not host.ips and (hostfile.backend == RING_BACKEND or number == 0):
        said.append(tr("{who} has no address that the others reach it at.", who=who))
    said += [tr("{who}: “{ip}” is no IPv4 address.", who=who, ip=ip) for ip in host.ips if not _is_ipv4(ip)]
    if hostfile.backend != RING_BACKEND and len(host.rdma) != len(hostfile):
        said.append(
            tr(
                "{who} names {rdma} RDMA devices: one to each host and none to itself are {hostfile}.",
                who=who,
                rdma=len(host.rdma),
                hostfile=len(hostfile),
            )
        )
    elif hostfile.backend != RING_BACKEND and host.rdma[number] is not None:
        said.append(tr("{who}: its device to itself is null.", who=who))
    elif hostfile.backend != RING_BACKEND:
        count = len(hostfile)
        others = range(count) if hostfile.backend == JACCL else {(number - 1) % count, (number + 1) % count}
        said += [
            tr("{who} names no RDMA device to host {other}.", who=who, other=other + 1)
            for other in sorted(others)
            if other != number and not host.rdma[other]
        ]
    return said


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _refused(path: Path | None, faults: list[str]) -> UnusableError:
    hint = tr("It is mlx.launch's hostfile: a list of hosts, each with `ssh` and `ips`.")
    whose = "" if path is None else str(path)
    return UnusableError(
        [Problem("hosts", joined((capital(one), "."), ""), hint=hint, file=whose) for one in faults]
    )
