"""The hostfile: mlx.launch's own reader understands the same file; what is wrong with one is said by host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlx._distributed_utils.common import Hostfile as LaunchHostfile

from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.replica.hostfile import Hostfile, ReplicaHost, hosts_here, read_hostfile, save_hostfile, speed_text
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
