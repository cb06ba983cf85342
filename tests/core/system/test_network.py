"""The network as the settings want it reaches this process and its workers, and goes again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.request import getproxies

import pytest

from app.command.main import run_command
from app.core.protocol.program import OFFLINE_VARIABLES, worker_environment
from app.core.system.network import network_environment, own_network, proxy_fault
from app.core.system.setting import Settings, save_settings

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    own_network.follow(Settings())


def test_a_proxy_reaches_workers_and_this_process_and_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://of-the-shell:1")
    monkeypatch.delenv("https_proxy", raising=False)
    own_network.follow(Settings(proxy=PROXY))
    assert getproxies()["https"] == PROXY
    told = worker_environment()
    assert {told[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY")} == {PROXY}
    assert "127.0.0.1" in told["NO_PROXY"]  # served models and other processes here are not asked by it
    own_network.follow(Settings())
    assert os.environ["HTTPS_PROXY"] == "http://of-the-shell:1"
    assert "https_proxy" not in os.environ


def test_offline_reaches_workers_and_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFLINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    own_network.follow(Settings(offline=True))
    assert [worker_environment()[name] for name in OFFLINE_VARIABLES] == ["1", "1", "1"]
    own_network.follow(Settings())
    assert not any(name in os.environ for name in OFFLINE_VARIABLES)


def test_a_verb_of_the_command_line_follows_as_well() -> None:
    save_settings(Settings(proxy=PROXY))
    assert run_command(["runs", "list", "--json"]) == 0
    assert worker_environment()["HTTPS_PROXY"] == PROXY


def test_what_the_environment_keeps_from_the_proxy_stays_so() -> None:
    found = network_environment(Settings(proxy=PROXY), {"no_proxy": "intranet"})
    assert found["NO_PROXY"] == found["no_proxy"] == "intranet,localhost,127.0.0.1,::1"
    assert network_environment(Settings(), {}) == {}
    assert network_environment(Settings(proxy="nonsense"), {}) == {}


@pytest.mark.parametrize("text", ["", PROXY, "socks5h://127.0.0.1:9", "https://proxy:8443"])
def test_addresses(text: str) -> None:
    assert proxy_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("proxy:3128", "http://host:port"), ("http://proxy", "port is missing"), ("http://proxy:x", "no number"),
        ("http://proxy:99999", "no number"), ("ftp://proxy:21", "http://host:port"),
        ("http://me:secret@proxy:3128", "plain file"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_why(text: str, said: str) -> None:
    assert said in proxy_fault(text)
