"""The mutation tool: what it changes, which tests are near, and what it says of a fault that none of them sees."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests import ROOT
from tests.ssh_server import MARK, session_variables, ssh_server

SOURCE = '''"""A module."""
LIMIT = 3  # “é” is two bytes

def kept(rows: list[int], *, least: int = 0) -> list[int]:
    """Rows that count: 7 < 8."""
    assert rows is not None, "no rows"
    found = [row for row in rows if row > least and not row % 2]
    found.sort(key=abs, reverse=True)
    return found[:LIMIT] if (len(found)
        >= LIMIT) else [*found, min(1, 2)]
'''


@cache
def tool() -> ModuleType:
    """`packaging/mutate.py`, which imports what stands beside it."""
    folder = str(ROOT / "packaging")
    spec = importlib.util.spec_from_file_location("mutate", ROOT / "packaging" / "mutate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def test_one_thing_is_changed_at_a_time_and_texts_are_left_alone() -> None:
    source = SOURCE.encode()
    found = tool().Mutator("app/one.py", source).mutations()
    said = [(one.line, one.function, one.what) for one in found]
    assert said == [
        (2, "", "3 → 4"),
        (4, "kept", "0 → 1"),
        (7, "kept", "filter dropped: row > least and not row % 2"),
        (7, "kept", "> → >="),
        (7, "kept", "and → or"),
        (7, "kept", "not dropped"),
        (7, "kept", "% → *"),
        (7, "kept", "2 → 3"),
        (8, "kept", "dropped: found.sort(key=abs, reverse=True)"),
        (8, "kept", "argument dropped: key=abs"),
        (8, "kept", "argument dropped: reverse=True"),
        (8, "kept", "True → False"),
        (9, "kept", "returns None instead of found[:LIMIT] if (len(found) …"),
        (10, "kept", ">= → >"),
        (10, "kept", "min → max"),
        (10, "kept", "1 → 2"),
        (10, "kept", "2 → 3"),
    ]
    for one in found:
        changed = one.applied(source).decode()
        compile(changed, "one.py", "exec")
        assert changed != SOURCE
        assert changed.splitlines()[: one.line - 1] == SOURCE.splitlines()[: one.line - 1]
    by_what = {one.what: one.applied(source).decode() for one in found}
    assert "        > LIMIT) else" in by_what[">= → >"]
    assert "found.sort(key=abs)" in by_what["argument dropped: reverse=True"]
    assert "found.sort(reverse=True)" in by_what["argument dropped: key=abs"].replace("( ", "(")


def test_the_distance_of_pixels_is_no_fault() -> None:
    source = b"def build(row):\n    row.setSpacing(8)\n    row.setToolTip('a')\n"
    assert [one.what for one in tool().Mutator("app/ui/one.py", source).mutations()] == [
        "dropped: row.setToolTip('a')"
    ]


SIZE = """
def larger(a, b):
    if a > b:
        return a
    return b

def unseen():
    return 1 + 1
"""
SIZE_TEST = """
from app.core import size

def test_it():
    assert (size.larger(1, 2), size.larger(2, 1)) == (2, 2)
"""
OF_ANOTHER_TREE = """
import sys
sys.path.insert(0, "packaging")
from pathlib import Path
import mutate
mutate.ROOT = Path(sys.argv.pop(1))
sys.exit(mutate.main())
"""
HANGING = """
import os
import subprocess
from app.core import size

def test_it():
    with open("SAID", "w") as said:
        child = subprocess.Popen(["sleep", "600"], stdout=said, start_new_session=True)  # as workers may have
        said.write(f"{os.getpid()} {child.pid}\\n")
        said.flush()
        child.wait()
"""
FAR_TEST = """
import subprocess, sys
import pytest

@pytest.mark.parametrize("b", [1, 2])
def test_other(b):
    from app.core.size import larger
    assert larger(0, b) == b
    assert larger(b, 0) == b

def test_process():
    subprocess.run([sys.executable, "-c", "from app.core.size import limited; assert limited(9) == 7"], check=True)
"""
BOX = """
from app.core.size import larger

def widest(rows):
    return larger(*rows)
"""
BOX_TEST = """
from app.core.box import widest

def test_it():
    assert widest((1, 2)) == 2
"""
MARKED = """
import pytest
from app.core import size

@pytest.mark.torch
def test_it():
    assert size.unseen() == 2
"""
FILES = {
    ".gitignore": "ignored",
    "ignored": "",
    "app/__init__.py": "",
    "app/core/__init__.py": "",
    "app/core/size.py": SIZE,
    "app/core/box.py": BOX,
    "tests/__init__.py": "",
    "tests/core/__init__.py": "",
    "tests/core/test_size.py": SIZE_TEST,
    "tests/core/test_box.py": BOX_TEST,
    "tests/core/test_other.py": "def test_it():\n    pass\n",
    "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\nmarkers = ['torch: none']\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project in git: a module with a test of its own, and one that is only used by another's test."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # Qt's, say: most of the time that such tests take
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_timeout")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


def test_tests_of_the_same_name_are_nearest_then_what_imports_it_and_then_the_folder(tree: Path) -> None:
    near = tool().TestMap(tree)
    assert near.nearest("app/core/size.py") == [f"tests/core/test_{name}.py" for name in ("size", "box", "other")]
    assert near.nearest("app/core/box.py")[0] == "tests/core/test_box.py"


def test_the_functions_that_differ_are_mutated(tree: Path) -> None:
    file = tree / "app/core/size.py"
    assert tool().in_changed_functions(tree, tool().changed_lines(tree, "main")) == []
    file.write_text(file.read_text().replace("return 1 + 1", "return 1 + 2"))
    (tree / "app/core/new.py").write_text("FOUND = 1\n")
    found = tool().in_changed_functions(tree, tool().changed_lines(tree, "main"))
    assert {(one.file, one.function) for one in found} == {
        ("app/core/size.py", "unseen"), ("app/core/new.py", "")
    }  # fmt: skip


def test_what_python_made_of_modules_goes_with_a_copy(tree: Path, tmp_path: Path) -> None:
    """It is taken for the copy's where it has the time and size of the module there; a mutated one is newer."""
    module = tree / "app/core/size.py"
    os.utime(module, (1_700_000_000, 1_700_000_000))
    py_compile.compile(str(module), doraise=True)
    compiled = Path(importlib.util.cache_from_source(str(module)))
    tool().copy_tree(tree, tmp_path / "copy")
    copied = tmp_path / "copy" / module.relative_to(tree)
    assert copied.stat().st_mtime == 1_700_000_000
    assert (tmp_path / "copy" / compiled.relative_to(tree)).read_bytes() == compiled.read_bytes()
    assert int.from_bytes(compiled.read_bytes()[8:12], "little") == 1_700_000_000


def test_a_draw_has_only_what_can_run(tree: Path) -> None:
    found = tool().mutations_of(tree, ["app/core/size.py"])
    broken = [replace(one, text="(", what="no Python") for one in found]
    mixed = [*broken, *found]
    assert tool().drawn(tree, mixed, 0, 0) == found
    four = tool().drawn(tree, mixed, 4, 7)
    assert [found.index(one) for one in four] == sorted({found.index(one) for one in four})
    assert (len(four), tool().drawn(tree, mixed, 4, 7)) == (4, four)
    assert any(tool().drawn(tree, mixed, 4, seed) != four for seed in range(5))
    assert tool().drawn(tree, mixed, len(mixed), 7) == found


def test_what_no_test_notices_survives_and_the_tree_stays_as_it_was(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy")
    tests = tool().MutationTests(tree, [copy], 60)
    assert not (copy / "ignored").exists()
    outcomes = {
        one.what: tests.run(one)
        for one in tool().mutations_of(tree, ["app/core/size.py"])
        if one.what in ("> → >=", "returns None instead of b", "+ → -")
    }
    assert outcomes == {"> → >=": "survived", "returns None instead of b": "caught", "+ → -": "survived"}
    for place in (tree, copy):
        assert "return 1 + 1" in (place / "app/core/size.py").read_text()


def test_tests_of_large_packages_count_where_they_are_asked_for(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tree / "tests/core/test_other.py").write_text(MARKED)
    [one] = [one for one in tool().mutations_of(tree, ["app/core/size.py"]) if one.what == "+ → -"]
    outcomes = {
        torch: tool().MutationTests(tree, [tmp_path_factory.mktemp("copy")], 60, torch=torch).run(one)
        for torch in (False, True)
    }
    assert outcomes == {False: "survived", True: "caught"}
    assert tool().TestMap(tree).marked("app/core/size.py", "torch") == ["tests/core/test_other.py"]


def test_a_test_that_fails_without_the_mutation_too_does_not_count(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tree / "tests/core/test_size.py").write_text(
        "def test_it():\n    assert False\n" + SIZE_TEST.replace("it", "all")
    )
    tests = tool().MutationTests(tree, [tmp_path_factory.mktemp("copy")], 60)
    outcomes = {
        one.what: tests.run(one)
        for one in tool().mutations_of(tree, ["app/core/size.py"])
        if one.what in ("> → >=", "returns None instead of b")
    }
    assert outcomes == {"> → >=": "survived", "returns None instead of b": "caught"}


def test_with_a_record_the_tests_that_run_a_line_are_the_nearest(tree: Path) -> None:
    """Whatever they are called and wherever they stand; what a process runs that they start is theirs too."""
    (tree / "tests/far").mkdir()
    (tree / "tests/far/__init__.py").touch()
    (tree / "tests/far/test_deep.py").write_text(FAR_TEST)
    (tree / "app/core/size.py").write_text(SIZE + "\nLIMIT = 7\n\ndef limited(a):\n    return min(a, LIMIT)\n")
    subprocess.run(
        [sys.executable, "-c", OF_ANOTHER_TREE, str(tree), "--record"], cwd=ROOT, check=True, capture_output=True
    )
    lines = (tree / "app/core/size.py").read_text().splitlines()

    def of(text: str) -> list[str]:
        near = tool().TestMap(tree, tree / tool().RECORD)
        return list(near.tests("app/core/size.py", lines.index(text) + 1))

    here, far = "tests/core/test_size.py::test_it", "tests/far/test_deep.py::test_"
    assert of("    return b") == [here, "tests/core/test_box.py::test_it", far + "other"]
    assert of("    return min(a, LIMIT)") == [far + "process"]
    # No test runs a constant: those count that run who uses it, then those that a script shows it to.
    (tree / "packaging").mkdir()
    (tree / "packaging/table.py").write_text("from app.core.size import LIMIT\n")
    (tree / "tests/test_table.py").write_text("SCRIPT = 'table.py'\n")
    assert of("LIMIT = 7")[:3] == [far + "process", "tests/test_table.py", "tests/core/test_size.py"]
    assert of("    return 1 + 1") == tool().TestMap(tree).nearest("app/core/size.py")  # nobody ran it
    (tree / "tests/core/test_box.py").write_text("def test_new():\n    pass\n")  # the record is older
    assert of("    return b") == ["tests/core/test_box.py::test_new", here, far + "other"]


@pytest.mark.timeout(120)  # a tool that fails at once writes nothing, and reading waits for it
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_leaves_no_test_and_no_copy_behind(
    told: signal.Signals, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The test of the mutation says through a pipe which processes there are, and would wait for ever."""
    place = tmp_path_factory.mktemp("place")
    os.mkfifo(place / "said")
    (tree / "tests/core/test_size.py").write_text(HANGING.replace("SAID", str(place / "said")))
    tool = subprocess.Popen(
        [sys.executable, "-c", OF_ANOTHER_TREE, str(tree), "app/core/size.py", "--sample", "1"], cwd=ROOT,
        env=os.environ | {"TMPDIR": str(place)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with (place / "said").open() as said:
        processes = [int(word) for word in said.readline().split()]
        assert len(processes) == 2
        tool.send_signal(told)
        assert tool.wait(60) == 128 + told
        assert said.read() == ""  # whoever could write there is gone
    assert [path.name for path in place.iterdir()] == ["said"]
    assert (tree / "app/core/size.py").read_text() == SIZE


def test_what_a_test_starts_through_ssh_has_the_mark_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"{tmp_path}#7"
    assert MARK == tool().MARK
    monkeypatch.delenv(MARK, raising=False)
    assert MARK not in session_variables()
    monkeypatch.setenv(MARK, mark)
    assert f'"{MARK}={mark}"' in session_variables()
    with ssh_server(tmp_path) as host:
        left = int(host.run("sleep 60 < /dev/null > /dev/null 2>&1 & echo $!"))
        try:
            assert left in tool().marked(f"{MARK}={mark}")
        finally:
            os.kill(left, signal.SIGKILL)
