"""``luthier hosts``: whether machines can train together, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from app.command.remote.hosts import joined_line


@pytest.mark.parametrize(
    "said, line",
    [
        (
            {"joined": True, "latency_s": 0.0021, "bytes_per_s": 1.25e9, "problem": ""},
            "They join: a message takes 2.10\u00a0ms, gradients go at 1.25\u00a0GB/s.",
        ),
        (
            {"joined": True, "latency_s": 0.03, "bytes_per_s": 9.9e7, "problem": ""},
            "They join: a message takes 30.00\u00a0ms, gradients go at 99\u00a0MB/s.",
        ),
        ({"joined": False, "problem": "The ports are closed."}, "The ports are closed."),
        ({"joined": False, "problem": ""}, "They cannot train together yet."),
    ],
)
def test_hosts_join_or_it_is_said_why_not(said: dict[str, Any], line: str) -> None:
    assert joined_line(said) == line
