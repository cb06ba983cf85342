"""What all tests share: a home of their own, a quiet screen, and the light theme."""

import gc
import importlib
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_API", "pyside6")
os.environ["LUTHIER_LANGUAGE"] = "en"  # what tests compare with, whatever the person's own language is
# MLX's CPU build compiles kernels with g++ on first use, 15 s a machine: no test is about that.
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")
# The hub's library reads it as it is imported: else a thread of its own asks the hub who calls, in the midst of
# tests that change variables.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# What is exact in float32 is so on every machine: newer GPUs take fewer digits (TF32) unless told otherwise.
os.environ.setdefault("MLX_ENABLE_TF32", "0")

# A suite that a shell runs in the background ignores Ctrl-C, and so would every program that a test sends it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from pytestqt.qtbot import QtBot

from app.core import language
from app.core.protocol.program import worker_environment
from app.worker.process.module_list import keep_module_list
from tests.fork_server import LATE, ForkServer, forked_workers, start_program

keep_module_list()  # as workers: else each process reads 1,600 files for the names in them

TESTS = Path(__file__).resolve().parent
EACH_TEST = {language.QUOTES_VARIABLE: "", "HF_HUB_OFFLINE": "1"}  # variables of the fixtures below
FOLDERS = count()  # numbers of what tests keep files in, none twice in a process

settings.register_profile("house", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
# That a mutation is caught is all that packaging/mutate.py asks; the smallest example takes minutes.
settings.register_profile("mutation", settings.get_profile("house"), phases=[Phase.explicit, Phase.generate])
# A check of one change fails for that change alone: elsewhere each run tries other examples, and finds more.
settings.register_profile("same", settings.get_profile("house"), derandomize=True)
PROFILE = (
    "mutation" if "LUTHIER_MUTATION" in os.environ else "same" if "LUTHIER_SAME_EXAMPLES" in os.environ else "house"
)
settings.load_profile(PROFILE)
if PROFILE != "house":
    # Hypothesis also tries numbers and texts that stand in our modules: they take ten seconds of each process to
    # gather, and are others where other tests ran before.
    assert callable(providers._get_local_constants)
    providers._get_local_constants = lambda: providers._local_constants

# What a test waits for comes, if late where many share a machine: pytest-qt's own limits are of 5 s.
for waiting in (QtBot.waitUntil, QtBot.waitSignal, QtBot.waitSignals, QtBot.waitExposed, QtBot.waitActive):
    assert waiting.__kwdefaults__ is not None
    waiting.__kwdefaults__["timeout"] = 60_000 if PROFILE != "mutation" else 20_000  # what is broken never comes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", metavar="SEED", help="run the files, and the tests of each, in an order drawn by a seed"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """No search for garbage looks through what all tests keep: that took a third of the time to read them."""
    gc.disable()
    number = os.environ.get("PYTEST_XDIST_WORKER", "")
    if number and [Path(one).resolve() for one in session.config.args] == [TESTS]:
        read_share(int(number.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    yield
    gc.freeze()
    gc.enable()


def read_share(number: int, of: int) -> None:
    """In a new checkout pytest writes each file's assertions anew, six seconds for all: each process does its share
    first, and finds those of the others done."""
    for path in sorted(TESTS.rglob("test_*.py"))[number::of]:
        with suppress(Exception, pytest.skip.Exception):  # told where the file is collected
            importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In parallel, files with slow tests come first: at the end no process waits for a long test of another."""
    if seed := config.getoption("--shuffle"):
        files = list({item.path: None for item in items})
        random.Random(seed).shuffle(files)
        random.Random(seed).shuffle(items)
        items.sort(key=lambda item: files.index(item.path))  # a file's fixtures are made once
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def application(qapp: object) -> object:
    """The one application of the process, before any: a command that is run here may make one without widgets."""
    return qapp


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Nothing of a test is to outlive a power cut; the processes that it starts flush as they do for people."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[ForkServer]:
    """What the workers that this process starts are forked from: they need not import what it has imported."""
    # Not the first test's own: slow tests come first, and some compile or change other variables.
    with forked_workers(worker_environment(dict(os.environ) | EACH_TEST)) as server:
        yield server


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker of the test is a program, as people have them."""
    monkeypatch.setattr(subprocess.Popen, "_execute_child", start_program)


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test leaves the variables as it found them: workers of later ones, with others than those that wait, would
    start as programs."""
    before = dict(os.environ)
    yield
    changed = {name for name in before | os.environ if before.get(name) != os.environ.get(name)} - LATE
    if request.node.get_closest_marker("torch"):  # what imports torch sets some, once for all
        changed.clear()
    assert not changed, "a test changed variables for good"


@pytest.fixture(autouse=True)
def marks_of_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test starts what a window starts with, its quotes end with the test."""
    monkeypatch.setenv(language.QUOTES_VARIABLE, EACH_TEST[language.QUOTES_VARIABLE])
    monkeypatch.setattr(language, "_around", language.MARKED)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which looks for the next number in a list of all folders that there are: with thousands of
    them that takes longer than most tests."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    return tmp_path_factory.mktemp(f"{name}_{next(FOLDERS)}", numbered=False)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs, settings and caches of a test never touch those of the person who runs it."""
    path = tmp_path_factory.mktemp(f"home_{next(FOLDERS)}", numbered=False)
    monkeypatch.setenv("LUTHIER_HOME", str(path))
    monkeypatch.setenv("HF_HOME", str(path / "huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", EACH_TEST["HF_HUB_OFFLINE"])
    return path
