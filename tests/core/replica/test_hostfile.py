"""The hostfile: mlx.launch's own reader understands the same file; what is wrong with one is said by host."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from mlx._distributed_utils.common import Hostfile as LaunchHostfile

from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.replica.hostfile import (
    Hostfile,
    ReplicaHost,
    hostfile_of,
    hosts_here,
    own_address,
    read_hostfile,
    save_hostfile,
    speed_text,
)
from app.core.replica.problem import replica_problems


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file open
def test_mlx_launch_reads_what_is_saved_here(tmp_path: Path) -> None:
    hosts = (
        ReplicaHost("localhost", ("10.0.0.1",), (None, "rdma_1")),
        ReplicaHost("anna@mac-2", ("10.0.0.2",), ("rdma_1", None), "/opt/luthier", "/models/m"),
    )
    hostfile = Hostfile(hosts, "jaccl", ("MLX_METAL_FAST_SYNCH=1",))
    save_hostfile(hostfile, tmp_path / "hosts.json")
    assert read_hostfile(tmp_path / "hosts.json") == hostfile
    read: Any = LaunchHostfile.from_file
    theirs = read(tmp_path / "hosts.json")
    assert (theirs.backend, theirs.envs) == ("jaccl", ["MLX_METAL_FAST_SYNCH=1"])
    assert [(host.ssh_hostname, host.ips, host.rdma) for host in theirs.hosts] == [
        ("localhost", ["10.0.0.1"], [None, "rdma_1"]),
        ("anna@mac-2", ["10.0.0.2"], ["rdma_1", None]),
    ]


def test_ports_are_those_of_mlx_launch_and_free_ones_on_the_loopback(tmp_path: Path) -> None:
    (tmp_path / "hosts.json").write_text(json.dumps([{"ssh": "a", "ips": ["10.0.0.1", "10.1.0.1"]}] * 2))
    found = read_hostfile(tmp_path / "hosts.json").addresses()
    assert found == (("10.0.0.1:32323", "10.1.0.1:32324"), ("10.0.0.1:32325", "10.1.0.1:32326"))
    (one,), (other,) = hosts_here(2).addresses()
    assert one.startswith("127.0.0.1:")
    assert one != other


GOOD = {"ssh": "mac-2", "ips": ["10.0.0.2"]}


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ("no hosts", "It holds no list of hosts."),
        ([GOOD], "Name at least two hosts, this machine first."),
        ([GOOD, {"ips": ["10.0.0.3"]}], "Host 2 has no `ssh`, the name that ssh knows it by."),
        ([GOOD, {"ssh": "mac-3"}], "Host 2 (mac-3) has no address that the others reach it at."),
        ([GOOD, {"ssh": "-oProxyCommand=x", "ips": ["10.0.0.3"]}], "has no name that ssh takes."),
        ([GOOD, {"ssh": "m", "ips": ["mac-3.local"]}], "“mac-3.local” is no IPv4 address."),
        ([GOOD, {"ssh": "m", "ips": ["10.0.0.3", "10.1.0.3"]}], "All hosts need the same number of addresses."),
        ({"backend": "mpi", "hosts": [GOOD] * 2}, "“mpi” is none of ring, jaccl, jaccl-ring."),
        ({"envs": ["A B"], "hosts": [GOOD] * 2}, "“A B” is not NAME=value."),
        ({"backend": "jaccl", "hosts": [GOOD] * 2}, "names 0 RDMA devices: one to each host"),
        (
            {"backend": "jaccl", "hosts": [GOOD | {"rdma": [None, None]}, GOOD | {"rdma": ["r", None]}]},
            "names no RDMA device to host 2.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tree: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(UnusableError) as raised:
        read_hostfile(file)
    assert any(said in problem.message for problem in raised.value.problems), raised.value
    assert {problem.file for problem in raised.value.problems} == {str(file)}


def test_what_replicas_cannot_train_is_said() -> None:
    config = TrainConfig.model_validate({"model": "m", "data": "d", "batch_size": 4})
    assert replica_problems(config, 4) == []
    assert replica_problems(config.with_values({"batch_size": 1, "train_mode": "dpo"}), 1) == []
    (small,) = replica_problems(config, 8)
    assert small.path == "batch_size"
    (method,) = replica_problems(config.with_value("train_mode", "dpo"), 2)
    assert method.message == "DPO is not trained by several replicas yet: supervised training is."


def test_speed_is_told_in_words() -> None:
    assert speed_text(0.00021, 1.25e9) == "a message takes 0.21\u00a0ms, gradients go at 1.25\u00a0GB/s."
    assert speed_text(0.001, 5e7) == "a message takes 1.00\u00a0ms, gradients go at 50\u00a0MB/s."


def faults_of(backend: str, *rdma: list[object], **more: object) -> list[str]:
    """What is wrong with hosts that have these devices, and their addresses."""
    hosts = [GOOD | {"ssh": f"m{n}", "rdma": own} for n, own in enumerate(rdma)]
    with pytest.raises(UnusableError) as raised:
        hostfile_of({"backend": backend, "hosts": hosts} | more)
    assert {(one.path, one.file, one.hint) for one in raised.value.problems} == {
        ("hosts", "", "It is mlx.launch's hostfile: a list of hosts, each with `ssh` and `ips`.")
    }
    return [one.message for one in raised.value.problems]


def test_devices_lead_to_every_host_or_round_the_ring() -> None:
    assert faults_of("jaccl", [None, "a", None], ["b", "x", "c"], ["d", "", None], envs=["1A=2", "B=3"]) == [
        "“1A=2” is not NAME=value.", "Host 1 (m0) names no RDMA device to host 3.",
        "Host 2 (m1): its device to itself is null.", "Host 3 (m2) names no RDMA device to host 2.",
    ]  # fmt: skip
    ring: list[list[object]] = [
        [None, "a", None, "b"],
        ["c", None, "d", None],
        [None, "e", None, None],
        [None, None, "f", None],
    ]
    assert faults_of("jaccl-ring", *ring) == [
        "Host 3 (m2) names no RDMA device to host 4.", "Host 4 (m3) names no RDMA device to host 1.",
    ]  # fmt: skip
    assert faults_of("jaccl", [None, "a"], [None]) == [
        "Host 2 (m1) names 1 RDMA devices: one to each host and none to itself are 2."
    ]


def test_the_first_host_has_an_address_and_others_where_the_ring_needs_it() -> None:
    bare = {"backend": "jaccl", "hosts": [
        GOOD | {"rdma": [None, "a"]}, {"ssh": "m", "rdma": ["b", None]},
    ]}  # fmt: skip
    assert len(hostfile_of(bare)) == 2
    with pytest.raises(UnusableError, match=r"Host 1 \(m\) has no address"):
        hostfile_of(bare | {"hosts": [{"ssh": "m", "rdma": [None, "a"]}, {"ssh": "n", "rdma": ["b", None]}]})
    with pytest.raises(UnusableError) as raised:
        hostfile_of([{"ssh": " "}, {"ssh": "m", "ips": []}])
    assert [one.message for one in raised.value.problems] == [
        "Host 1 has no name that ssh takes.", "Host 1 has no address that the others reach it at.",
        "Host 2 (m) has no address that the others reach it at.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"hosts": 3}, ["It holds no list of hosts."]),
        ({"hosts": [], "backend": 3}, ["`backend` is a word, `envs` a list."]),
        ({"hosts": [], "envs": "A=1"}, ["`backend` is a word, `envs` a list."]),
        (
            [{"ssh": 3}, {"ssh": "m", "ips": "10.0.0.1"}, GOOD, {"ssh": "m", "rdma": "x"}, 5],
            [
                "Host 1 has no `ssh`, the name that ssh knows it by.", "`ips` and `rdma` of host 2 are lists.",
                "`ips` and `rdma` of host 4 are lists.", "Host 5 has no `ssh`, the name that ssh knows it by.",
            ],
        ),
    ],
)  # fmt: skip
def test_a_file_of_another_form_names_every_fault(tree: object, said: list[str]) -> None:
    with pytest.raises(UnusableError) as raised:
        hostfile_of(tree)
    assert [one.message for one in raised.value.problems] == said


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="It cannot be read: "):
        read_hostfile(tmp_path / "gone.json")
    (tmp_path / "half.json").write_text("[")
    with pytest.raises(UnusableError, match="It is no JSON: "):
        read_hostfile(tmp_path / "half.json")


def test_a_hostfile_is_laid_out_for_readers(tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    save_hostfile(Hostfile((ReplicaHost("m", ("10.0.0.1",), (), "/l"),), envs=("A=1",)), file)
    host = {"ssh": "m", "ips": ["10.0.0.1"], "rdma": [], "luthier": "/l"}
    tree = {"backend": "ring", "envs": ["A=1"], "hosts": [host]}
    assert file.read_text() == json.dumps(tree, indent=1) + "\n"
    assert [ReplicaHost(name).is_here for name in ("127.0.0.1", "localhost", "m")] == [True, True, False]
    assert (hosts_here(3).hosts, len(hosts_here(3))) == ((ReplicaHost("127.0.0.1", ("127.0.0.1",)),) * 3, 3)


def test_problems_of_replicas_say_what_to_do() -> None:
    (small,) = replica_problems(TrainConfig(model="m", data="d", batch_size=1), 2)
    assert (small.message, small.hint) == (
        "A batch of 1 cannot be shared by 2 replicas.",
        "Set the batch size to 2 or more; what all of them compute together counts.",
    )
    assert replica_problems(TrainConfig(model="m", data="d", batch_size=2), 2) == []
    assert speed_text(0.001, 1e8).endswith("at 0.10\u00a0GB/s.")


def test_where_there_is_no_network_the_address_is_the_loopbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    class Probe(socket.socket):
        connect = refuse

    monkeypatch.setattr(socket, "socket", Probe)
    assert own_address() == "127.0.0.1"
