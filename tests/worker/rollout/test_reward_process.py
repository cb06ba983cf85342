"""Both ends of the reward process: what a file of the user's own gives, and each of its faults with its line."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import queue
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.method import reward
from app.core.problem import TaskError
from app.core.protocol.command import Command, EndOfInput, Pause, ScoreAnswers
from app.core.protocol.event import Failed, Result
from app.core.protocol.job import RewardJob
from app.worker.process.channel import Channel
from app.worker.rollout import reward_process
from app.worker.rollout.reward_process import HINT, RewardProcess, serve_rewards

ASKED = ScoreAnswers(
    names=("own",), prompts=("p", "q"), completions=("a", "bb"), answers=("x", "y"), types=(None, "t")
)  # fmt: skip
FILE = """from mlx_lm_lora.reward_functions import register_reward_function as again
from beside import double

@register_reward_function("named")
def hidden(prompts, completions, answer, types=None):
    return [double(len(text)) for text in completions]

@again()
def own(prompts, completions, answer, types=None):
    assert (prompts, answer, types) == (["p", "q"], ["x", "y"], [None, "t"])
    prompts.clear()
    return [1, None]

def short(prompts, completions, answer, types=None):
    return [1]

def endless(prompts, completions, answer, types=None):
    return [1, float("nan")]

def words(prompts, completions, answer, types=None):
    return ["a", "b"]

def failing(prompts, completions, answer, types=None):
    values = []
    return values[3]

def leaving(prompts, completions, answer, types=None):
    raise SystemExit("enough")

kept = 3

def by_number(prompts, completions, answer, types=None):
    return {0: 1.0, 1: 0.5}

def digits(prompts, completions, answer, types=None):
    return "01"

def unordered(prompts, completions, answer, types=None):
    return {0.25, 0.75}

def whole(prompts, completions, answer, types=None):
    return [10 ** 400, 1]

def large(prompts, completions, answer, types=None):
    return [1e13, -1e300]

def lazy(prompts, completions, answer, types=None):
    yield 1
    yield [][1]

def unending(prompts, completions, answer, types=None):
    while True:
        yield 1
"""


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """What a process of its own would be bound by, here only noted; what the file leaves behind goes."""
    found = SimpleNamespace(waits=[], cancelled=0, memory=[], most=-1)
    monkeypatch.setattr(
        faulthandler,
        "dump_traceback_later",
        lambda seconds, exit, file: found.waits.append((seconds, exit, file.name)),
    )

    def cancel() -> None:
        found.cancelled += 1

    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", cancel)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (kind, found.most))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: found.memory.append((kind, pair)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(reward, "REGISTERED", {})
    before = set(sys.modules)
    reward.REGISTERED.clear()
    monkeypatch.setattr(reward_process, "REGISTERED", reward.REGISTERED)
    yield found
    for name in set(sys.modules) - before:
        if name.startswith(("mlx_lm_lora", "beside", "unseen", reward_process.MODULE_NAME)):
            del sys.modules[name]


def served(folder: Path, text: str | bytes, *commands: Command, timeout_s: float = 7.0) -> list[dict[str, Any]]:
    """What the task says to these commands, before its end."""
    file = folder / "rewards.py"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    out, waiting = io.StringIO(), queue.Queue[Command]()
    for command in (*commands, EndOfInput()):
        waiting.put(command)
    serve_rewards(Channel(out, waiting), folder, RewardJob(file=file, timeout_s=timeout_s))
    *told, last = (json.loads(line) for line in out.getvalue().splitlines())
    assert (last["type"], last["reason"]) == ("finished", "completed")
    return told


def test_functions_are_found_by_their_names_and_asked_with_texts_of_their_own(
    tmp_path: Path, limits: SimpleNamespace
) -> None:
    (tmp_path / "beside.py").write_text("def double(number):\n    return 2 * number\n")
    both = ASKED.model_copy(update={"names": ("named", "own", "hidden")})
    first, declined, again = served(tmp_path, FILE, both, Pause(), ASKED)
    assert (first["name"], first["data"]) == (
        "scores", {"scores": {"named": [2.0, 4.0], "own": [1.0, 0.0], "hidden": [2.0, 4.0]}}
    )  # fmt: skip
    assert (declined["type"], declined["message"]) == ("warned", "The command `pause` means nothing to this task.")
    assert again["data"] == {"scores": {"own": [1.0, 0.0]}}
    assert sys.path[0] == str(tmp_path), "modules beside the file come before all others"
    assert limits.waits == [(7.0, True, str(tmp_path / "trace.txt"))] * 2
    assert limits.cancelled == 2
    assert limits.memory == [(resource.RLIMIT_AS, (2_048_000, -1))], "half of the machine's"


@pytest.mark.parametrize(
    ("most", "pair"), [(-1, (2_048_000, -1)), (10, (10, 10)), (9_000_000, (2_048_000, 9_000_000))]
)
def test_memory_is_bound_to_half_of_the_machines(
    most: int, pair: tuple[int, int], tmp_path: Path, limits: SimpleNamespace
) -> None:
    limits.most = most
    assert served(tmp_path, "") == []
    assert limits.memory == [(resource.RLIMIT_AS, pair)]


@pytest.mark.parametrize(("name", "said"), [
    ("kept", ": There is no function kept."),
    ("short", ":14: short returns 1 score for 2 answers."),
    ("endless", ":17: endless returns a score that is not finite."),
    ("words", ":20: words returns no list of numbers: could not convert string to float: 'a'."),
    ("failing", ":25: IndexError: list index out of range"),
    ("leaving", ":28: SystemExit: enough"),
    ("by_number", ":32: by_number returns no list of numbers: it is dict."),
    ("digits", ":35: digits returns no list of numbers: it is str."),
    ("unordered", ":38: unordered returns no list of numbers: it is set."),
    ("whole", ":41: whole returns no list of numbers: int too large to convert to float."),
    ("large", ":44: large returns -1e+300: scores beyond 1e+12 cannot be trained on."),
    ("lazy", ":49: IndexError: list index out of range"),
    ("unending", ":51: unending returns 3 scores for 2 answers."),
])  # fmt: skip
@pytest.mark.usefixtures("limits")
def test_each_fault_of_a_function_is_told_with_its_line(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("double = abs\n")
    fault, scores = served(tmp_path, FILE, ASKED.model_copy(update={"names": (name,)}), ASKED)
    assert (fault["name"], fault["data"]) == ("fault", {"message": f"{tmp_path / 'rewards.py'}{said}"})
    assert scores["name"] == "scores", "the next question is answered"


@pytest.mark.parametrize(("text", "said"), [
    ("x = 1\ny = (\n", ":2: SyntaxError: '(' was never closed (rewards.py, line 2)"),
    ("x = 1\n\nraise ValueError('no')\n", ":3: ValueError: no"),
    ("import sys\nsys.exit(3)\n", ":2: SystemExit: 3"),
    ("import importlib\nimportlib.import_module('unseen')\n",
     ":2: ImportError: {folder}/unseen.py is imported in a way that nobody could see beforehand: write "
     "`import unseen`"),
    (b"\xff = 1\n",
     ": UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
])  # fmt: skip
@pytest.mark.usefixtures("limits")
def test_what_keeps_the_file_from_being_read_is_told(text: str | bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "unseen.py").write_text("")
    (fault,) = served(tmp_path, text, ASKED)
    place = f"{tmp_path / 'rewards.py'}"
    assert fault["data"] == {"message": place + said.format(folder=tmp_path)}


# -- the parent's end -----------------------------------------------------------------------------------------


class Silent:
    """A worker that says what it is made to say, and ends."""

    def __init__(self, *events: Any) -> None:
        self.said, self.asked, self.exit_code, self.calls = events, list[Any](), -9, list[str]()

    def events(self) -> Iterator[Any]:
        return iter(self.said)

    def send(self, command: Any) -> None:
        self.asked.append(command)

    def kill(self) -> None:
        self.calls.append("kill")

    def close(self) -> None:
        self.calls.append("close")


def process_of(monkeypatch: pytest.MonkeyPatch, file: Path, silent: Silent) -> RewardProcess:
    monkeypatch.setattr(reward_process, "WorkerClient", lambda _folder: silent)
    return RewardProcess(file, 2.5)


def test_scores_and_faults_reach_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"own": [1.0, 0.5]}
    other = Result(name="other", data={"scores": {}, "message": "x"})
    silent = Silent(
        other, Result(name="scores", data={"scores": scores}), Result(name="fault", data={"message": "no"})
    )
    process = process_of(monkeypatch, tmp_path / "r.py", silent)
    asked = (["own"], ["p", "q"], ["a", "bb"], ["x", "y"], [None, "t"])
    assert process.score(*asked) == scores
    assert silent.asked == [ASKED]
    folder = process._folder
    assert folder is not None
    job = json.loads((folder / "job.json").read_text())
    assert (job["file"], job["timeout_s"]) == (str(tmp_path / "r.py"), 2.5)
    with pytest.raises(TaskError) as caught:
        process.score(*asked)
    assert (caught.value.message, caught.value.hint) == ("no", HINT)
    process.close()
    assert silent.calls == ["kill", "close"]
    assert not folder.exists()
    process.close()
    assert silent.calls == ["kill", "close"], "what is ended is not ended again"


@pytest.mark.parametrize(("trace", "said"), [
    (None, "{file}: The process of the reward functions ended by itself (exit code -9)."),
    ("Segmentation fault", "{file}: The process of the reward functions ended by itself (exit code -9)."),
    ('Timeout (0:00:02)!\n  File "/lib/a.py", line 9 in x\n  File "{file}", line 12 in own\n  File "{file}", '
     "line 3",
     "{file}:12: The rewards took longer than 2.5\u00a0s."),
    ("Timeout (0:00:02)!\n", "{file}: The rewards took longer than 2.5\u00a0s."),
])  # fmt: skip
def test_a_process_that_ends_without_a_word_is_told_of(
    trace: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "r.py"
    silent = Silent(Failed(message="gone"), Result(name="scores", data={"scores": {}}))
    process = process_of(monkeypatch, file, silent)
    process._start()
    assert process._folder is not None
    if trace is not None:
        (process._folder / "trace.txt").write_text(trace.format(file=file))
    with pytest.raises(TaskError) as caught:
        process.score(["own"], [], [], [], [])
    assert (caught.value.message, caught.value.hint) == (said.format(file=file), HINT)
    process.close()
