"""``luthier serve``: says where it answers, answers, and ends on Ctrl-C."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import urllib.request
from datetime import datetime, timedelta
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


def test_people_are_told_address_key_examples_and_each_request(place: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", str(place / "adapter"), "--key", "mine"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as done:  # fmt: skip
        assert done.stdout is not None
        assert done.stderr is not None
        try:
            lines: list[str] = []
            for line in done.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("Only this machine"):
                    break
            assert lines[-1] == "Only this machine reaches it. Ctrl-C ends it."
            url = lines[0].removeprefix("Address  ")
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
            assert lines[1:4] == ["API key  mine", "Model    adapter", ""]
            assert lines[4] == f"curl {url}/chat/completions \\"
            assert lines[8:10] == ["", "from openai import OpenAI"]
            assert f'client = OpenAI(base_url="{url}", api_key="mine")' in lines
            body = json.dumps(
                {"model": "adapter", "max_tokens": 2, "messages": [{"role": "user", "content": "abc"}]}
            )
            asked = datetime.now()
            headers = {"Authorization": "Bearer mine", "Content-Type": "application/json"}
            with urllib.request.urlopen(
                urllib.request.Request(f"{url}/chat/completions", data=body.encode(), headers=headers)
            ) as answer:
                assert answer.status == 200
            clock, path, status, took = done.stderr.readline().rstrip("\n").split("  ")
            assert clock in {f"{asked + timedelta(seconds=number):%H:%M:%S}" for number in range(120)}
            assert (path, status) == ("/v1/chat/completions", "200")
            assert re.fullmatch(r"\d+\.\d s", took)
            done.send_signal(signal.SIGINT)
            assert done.wait(30) == 0
        finally:
            done.kill()
