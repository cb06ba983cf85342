"""``luthier serve``: says where it answers, answers, and ends on Ctrl-C."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from tests.command.conftest import PROGRAM


def test_it_says_where_it_answers_and_ends_on_ctrl_c(place: Path) -> None:
    arguments = ["serve", str(place / "adapter"), "--key", "it's", "--temp", "0.5", "--json"]
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        told = json.loads(done.stdout.readline())
        headers = {"Authorization": "Bearer it's"}
        with urllib.request.urlopen(urllib.request.Request(f"{told['url']}/models", headers=headers)) as answer:
            assert [one["id"] for one in json.load(answer)["data"]] == [told["model"]] == ["adapter"]
        words = shlex.split(told["curl"].replace("\\\n", " "))
        assert words[1] == f"{told['url']}/chat/completions"
        assert "Authorization: Bearer it's" in words
        assert json.loads(words[-1])["model"] == "adapter"
        compile(told["python"], "snippet", "exec")
        done.send_signal(signal.SIGINT)
        assert done.wait(30) == 0
        assert done.stderr.read() == ""
    host, port = told["url"].removeprefix("http://").removesuffix("/v1").split(":")
    with socket.socket() as after:
        assert after.connect_ex((host, int(port))) != 0
