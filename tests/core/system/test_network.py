"""The network as the settings want it reaches this process and its workers, and goes again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.request import getproxies

import pytest

from app.command.main import run_command
from app.core.protocol.program import OFFLINE_VARIABLES, worker_environment
from app.core.system.network import gpu_environment, network_environment, own_network, proxy_fault
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


READS = "An address reads http://host:port (or https, socks5, socks5h)."
NO_PORT, NO_NUMBER = "The port is missing: http://host:port.", "The port is no number from 1 to 65535."
PLAIN = (
    "A name and password do not belong in the settings, which are a plain file: set HTTPS_PROXY where you start "
    "Luthier instead."
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("proxy:3128", READS), ("http://", READS), ("http://:3128", READS), ("http://proxy", NO_PORT),
        ("http://proxy:x", NO_NUMBER), ("http://proxy:99999", NO_NUMBER), ("http://proxy:65535", ""),
        ("http://proxy:1", ""), ("http://proxy:0", NO_PORT), ("ftp://proxy:21", READS),
        ("http://me:secret@proxy:3128", PLAIN), ("http://me@proxy:3128", PLAIN),
        ("http://:secret@proxy:3128", PLAIN),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_why(text: str, said: str) -> None:
    assert proxy_fault(text) == said


def test_the_gpu_may_take_longer_on_a_mac_where_it_is_chosen() -> None:
    assert gpu_environment(Settings(relax_gpu_limit=True), "darwin") == {"AGX_RELAX_CDM_CTXSTORE_TIMEOUT": "1"}
    assert gpu_environment(Settings(relax_gpu_limit=True), "linux") == {}
    assert gpu_environment(Settings(), "darwin") == {}


def test_both_choices_are_told_at_once_and_what_is_kept_from_the_proxy_is_not_said_twice() -> None:
    local = "localhost,127.0.0.1,::1"
    found = network_environment(Settings(proxy=PROXY, offline=True), {"NO_PROXY": f"a,{local}", "no_proxy": "b"})
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    expected = dict.fromkeys(OFFLINE_VARIABLES, "1") | dict.fromkeys(proxies, PROXY)
    assert found == expected | {"NO_PROXY": f"a,{local}", "no_proxy": f"a,{local}"}
    assert network_environment(Settings(proxy=PROXY), {})["no_proxy"] == local
