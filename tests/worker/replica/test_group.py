"""Before replicas join: a way that is not there is told, and nobody is let in at a door that is closed."""

from __future__ import annotations

import socket

import pytest

from app.core.problem import TaskError, UnusableError
from app.core.replica.hostfile import hosts_here
from app.worker.exchange.group import Doorstep, joined_group, lost_error, weight_error


def test_a_way_is_there_while_the_next_one_listens_and_no_longer() -> None:
    addresses = hosts_here(2).addresses()
    one, other = Doorstep(0, addresses, "ring"), Doorstep(1, addresses, "ring")
    other.open()
    one.reach()
    with pytest.raises(UnusableError, match="cannot be opened"):
        Doorstep(1, addresses, "ring").open()
    other.close()
    with pytest.raises(UnusableError, match=r"does not reach 127\.0\.0\.1:\d+: Connection refused"):
        one.reach()
    with socket.socket() as again:  # the ring's own door, at the same place at once
        host, port = addresses[1][0].split(":")
        again.bind((host, int(port)))


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UnusableError, match="must be one of that machine"):
        Doorstep(0, (("192.0.2.77:32323",), ("192.0.2.78:32323",)), "ring").open()


def test_by_rdma_all_come_to_the_first() -> None:
    ((first,), (second,)) = addresses = hosts_here(2).addresses()
    assert first != second
    door = Doorstep(0, addresses, "jaccl")
    door.open()
    Doorstep(1, addresses, "jaccl").reach()
    door.close()


def test_what_mlx_cannot_join_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is not in this build, as JACCL on Linux: MLX must not silently make a group of one."""
    for name in ("MLX_RANK", "MLX_IBV_DEVICES", "MLX_JACCL_COORDINATOR"):
        monkeypatch.setenv(name, "")
    with pytest.raises(UnusableError, match="does not join the replicas by jaccl"):
        joined_group(0, 2, "jaccl", (("127.0.0.1:1",), ("127.0.0.1:2",)), ([None, "r"], ["r", None]))


def test_what_went_wrong_between_replicas_is_told_with_its_numbers() -> None:
    found = weight_error(1200, 2047.0, 2048)
    assert isinstance(found, TaskError)
    assert "trained 2,047 tokens at iteration 1,200, and 2,048 were to be trained." in str(found)
    (problem,) = lost_error().problems
    assert (problem.path, problem.message) == ("replica", "Another replica is gone.")
