"""A host of one's own that the places' tests reach by ssh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.remote.host import SshHost
from tests.ssh_server import empty_home, ssh_server


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    """The host, whose server the module's tests have in common."""
    with ssh_server(tmp_path_factory.mktemp("sshd"), shared=True) as host:
        yield host


@pytest.fixture
def own_home(sshd: SshHost) -> None:
    """Each test's runs are its own."""
    empty_home(sshd)
