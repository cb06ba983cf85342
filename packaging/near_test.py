"""Which tests are near to a piece of code: those that were seen to run it, or else those that import it.

A record (`record`) is made by all tests once, under coverage: for each function which tests ran which of its lines,
in the tests' own process and in the workers that they start. It is kept in `RECORD`, which git ignores; lines are
counted from the function's first, so that changes elsewhere leave it true.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FARTHEST = 4  # imports between a test and the code
MOST_FILES = 30  # of tests, where nothing is recorded: all are read before the first test runs
MOST_TESTS = 150  # of one function
NEAR_FILES = 4  # in which tests are looked for that are newer than the record
FEW_TESTS = 40  # of those who use a constant, before those who read the table that it stands in
KEPT_TESTS = 400  # of one function in the record
READERS = ("tests/test_source.py",)  # that read every module instead of running it
SLOW_S = 4.0  # tests that take longer run after all others
RECORD = ".mutation_tests.json"

# What each process says of itself while the record is made. A worker knows from pytest's variable whose it is.
SITE = """
import os
if (test := os.environ.get("PYTEST_CURRENT_TEST")) and "LUTHIER_RECORD" in os.environ:
    import atexit, coverage
    found = coverage.Coverage(
        config_file=os.environ["LUTHIER_RECORD"], context=test.rpartition(" (")[0], data_suffix=True)
    found.start()
    atexit.register(lambda: (found.stop(), found.save()))
"""
TIMES = """
import json, os
from pathlib import Path
times = {}
def pytest_runtest_logreport(report):
    times[report.nodeid] = times.get(report.nodeid, 0) + report.duration
def pytest_sessionfinish():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        Path(os.environ["LUTHIER_TIMES"]).write_text(json.dumps(times))
"""
SETTINGS = """
[run]
include = app/*
relative_files = true
sigterm = true
disable_warnings = no-data-collected
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a module: its dotted name, its lines (1-based), the first of its body, the names in it."""

    name: str
    lines: range
    begin: int
    words: frozenset[str]


def functions_of(source: bytes) -> list[Function]:
    """All functions of a module with their methods and inner functions; outer ones first."""
    found: list[Function] = []

    def visit(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{outer}.{child.name}".lstrip(".")
                if not isinstance(child, ast.ClassDef):
                    lines = range(child.lineno, (child.end_lineno or child.lineno) + 1)
                    found.append(Function(name, lines, child.body[0].lineno, frozenset(words_of(child))))
            visit(child, name)

    visit(ast.parse(source), "")
    return found


def words_of(node: ast.AST) -> Iterator[str]:
    """Names that a piece of code reads, sets, calls or passes."""
    for one in ast.walk(node):
        match one:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str(word)):
                yield word


def is_test(file: str) -> bool:
    """Whether pytest finds tests in a file, given from the tree's root on."""
    return file.startswith("tests/") and Path(file).name.startswith("test_")


class TestMap:
    """Which tests are near to a module by its place and by what imports what, and by what they were seen to run."""

    __test__ = False  # pytest takes it for a test

    def __init__(self, root: Path, record: Path | None = None) -> None:
        self._root = root
        self._reach = Reach.load(record) if record is not None and record.is_file() else None
        self._importers: dict[str, set[str]] = {}
        for top in ("app", "packaging", "tests"):
            for path in sorted((root / top).rglob("*.py")):
                file = path.relative_to(root).as_posix()
                for name in _imports(path):
                    if target := self._file_of(name):
                        self._importers.setdefault(target, set()).add(file)

    def tests(self, file: str, line: int) -> list[str]:
        """What pytest is to run for a change of a line: single tests if they are known, else the nearest files."""
        found = self._recorded(file, line) if self._reach is not None else []
        if not any(line in one.lines for one in self._functions_of(file)):  # also seen by who reads all of a table
            scripts = [one for one in self._distances(file) if one.startswith("packaging/")]
            reading = sorted({test for one in scripts for test in self._importers.get(one, ()) if is_test(test)})
            found = [*found[:FEW_TESTS], *reading, *self.nearest(file)]
        readers = [one for one in READERS if (self._root / one).is_file()]
        return [*readers, *(found or self.nearest(file))]

    def marked(self, file: str, mark: str) -> list[str]:
        """The nearest test files in which a test has a mark: what is recorded is recorded without them."""
        return [one for one in self.nearest(file) if f"pytest.mark.{mark}" in (self._root / one).read_text("utf-8")]

    def nearest(self, file: str) -> list[str]:
        """Test files from ``root`` on, the nearest first."""
        distance = self._distances(file)
        folder = Path("tests", *Path(file).parts[1:-1])
        for path in sorted((self._root / folder).glob("test_*.py")):
            distance.setdefault(path.relative_to(self._root).as_posix(), FARTHEST + 1)
        tests = [one for one in distance if is_test(one)]
        word = Path(file).stem

        def order(test: str) -> tuple[bool, bool, int, int, str]:
            path = Path(test)
            common = len(os.path.commonpath([test, folder]).split("/"))
            return path.stem != f"test_{word}", path.parent != folder, distance[test], -common, test

        return sorted(tests, key=order)[:MOST_FILES]

    def _distances(self, file: str) -> dict[str, int]:
        """How many imports away each file is that reaches this one."""
        distance = {file: 0}
        edge = [file]
        for step in range(1, FARTHEST + 1):
            edge = sorted({one for near in edge for one in self._importers.get(near, ())} - distance.keys())
            distance |= dict.fromkeys(edge, step)
        return distance

    def _recorded(self, file: str, line: int) -> list[str]:
        """Tests that ran the line's function, those that ran the line first; of a constant, its users' tests."""
        assert self._reach is not None
        near = {test: place for place, test in enumerate(self.nearest(file))}
        found: dict[str, tuple[int, int, float, int]] = {}
        for distance, place, function in self._functions(file, line):
            offset = line - function.lines.start if place == file else -1
            for test, lines in self._reach.of(place, function.name).items():
                path = test.partition("::")[0]
                slow = 2 * (self._reach.seconds(test) > SLOW_S)
                misses = int(offset >= 0 and offset not in lines)
                rank = near.get(path, MOST_FILES)
                near_by = distance + (0 if rank < 3 else 1 if rank < 12 else 2)
                # A tenth of a second is the machine's doing: of such tests the nearer one is first.
                key = (slow + misses, near_by, round(self._reach.seconds(test), 1), rank)
                found[test] = min(key, found.get(test, key))
        kept = [test for test in sorted(found, key=found.__getitem__) if self._exists(test)][:MOST_TESTS]
        if not kept:
            return []
        return [*self._written_since(file), *_by_file(kept, [found[test][0] // 2 for test in kept])]

    def _written_since(self, file: str) -> list[str]:
        """Tests of the nearest files that the record does not know yet."""
        assert self._reach is not None
        return [
            f"{path}::{name}"
            for path in self.nearest(file)[:NEAR_FILES]
            for name in re.findall(r"^def (test_\w+)\(", self._text(path), re.MULTILINE)
            if not self._reach.knows(f"{path}::{name}")
        ]

    def _functions(self, file: str, line: int) -> Iterator[tuple[int, str, Function]]:
        """The innermost function at a line; where there is none, those that use what the line gives a name to."""
        source = (self._root / file).read_bytes()
        inside = [one for one in functions_of(source) if line in one.lines]
        if inside:
            yield 0, file, min(inside, key=lambda one: len(one.lines))
            return
        names = set(_names_at(ast.parse(source), line))
        for place, distance in self._distances(file).items():
            if distance <= 2 and place.startswith("app/"):
                for function in self._functions_of(place):
                    if function.words & names:
                        yield 2 * distance, place, function

    def _functions_of(self, file: str) -> list[Function]:
        if file not in self._parsed:
            self._parsed[file] = functions_of((self._root / file).read_bytes())
        return self._parsed[file]

    @cached_property
    def _parsed(self) -> dict[str, list[Function]]:
        return {}

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {}

    def _exists(self, test: str) -> bool:
        """The record may be older than the tests: pytest runs nothing where one of many is not there."""
        path, *names = test.split("::")
        text = self._text(path)
        return all(f" {name}(" in text or f" {name}:" in text for name in names)

    def _text(self, path: str) -> str:
        if path not in self._texts:
            file = self._root / path
            self._texts[path] = file.read_text(encoding="utf-8") if file.is_file() else ""
        return self._texts[path]

    def _file_of(self, name: str) -> str:
        """The module that a dotted name is of, or is in; empty if it is none of ours."""
        parts = name.split(".")
        if parts[0] not in ("app", "packaging", "tests"):
            return ""
        for count in range(len(parts), 1, -1):
            path = "/".join(parts[:count])
            if (self._root / f"{path}.py").is_file():
                return f"{path}.py"
        return ""


def _by_file(tests: Sequence[str], late: Sequence[int]) -> list[str]:
    """Tests of one file together, in the order of their best; slow ones in a second round."""
    found: dict[tuple[int, str], list[str]] = {}
    for test, rank in zip(tests, late, strict=True):
        found.setdefault((rank, test.partition("::")[0]), []).append(test)
    return [test for group in sorted(found, key=lambda key: key[0]) for test in found[group]]


def _imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, or names as a text (as what replaces or loads them in tests does)."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith("app."):
                yield node.value
            elif node.value.endswith(".py"):  # of packaging, which is no package: the test runs it, or loads it
                yield "packaging." + node.value.removesuffix(".py").replace("/", ".").removeprefix("packaging.")


def _names_at(tree: ast.Module, line: int) -> Iterator[str]:
    """What a statement outside of functions gives a name to, with the class or function that it stands in."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)):
            continue
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
                yield name


# -- the record ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reach:
    """Which tests ran which lines of which functions, and how long each test took."""

    tests: list[tuple[str, float]] = field(default_factory=list)
    functions: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def of(self, file: str, function: str) -> dict[str, list[int]]:
        """The tests that ran a function, each with the lines that it ran, counted from the function's first (0)."""
        found = self.functions.get(f"{file}::{function}", {})
        return {self.tests[int(number)][0]: lines for number, lines in found.items()}

    def seconds(self, test: str) -> float:
        """How long a test took."""
        return self._known.get(test, 0.0)

    def knows(self, test: str) -> bool:
        """Whether a test was there when the record was made."""
        return test in self._known

    @property
    def _known(self) -> dict[str, float]:
        if not self._seconds:
            self._seconds.update(self.tests)
        return self._seconds

    _seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Reach:
        """What `save` wrote."""
        found = json.loads(path.read_text())
        return cls([(name, seconds) for name, seconds in found["tests"]], found["functions"])

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps({"tests": self.tests, "functions": self.functions}))

    @classmethod
    def of_coverage(cls, root: Path, data: Iterable[Any], times: Mapping[str, float]) -> Reach:
        """From coverage's data with a context for each test, and the seconds of each test with its parameters."""
        seconds: dict[str, float] = {}
        for test, taken in times.items():
            seconds[_bare(test)] = seconds.get(_bare(test), 0.0) + taken
        numbers = {test: number for number, test in enumerate(seconds)}
        ran: dict[str, dict[str, set[int]]] = {}
        for one in data:
            for file in one.measured_files():
                if not (root / file).is_file():
                    continue
                functions = functions_of((root / file).read_bytes())
                # Inner ones come later. Heads run where the function is made, not where it is called.
                owner = {line: each for each in functions for line in each.lines if line >= each.begin}
                for line, contexts in one.contexts_by_lineno(file).items():
                    if function := owner.get(line):
                        for test in {_bare(context) for context in contexts if context}:
                            if test in numbers:
                                found = ran.setdefault(f"{file}::{function.name}", {})
                                found.setdefault(str(numbers[test]), set()).add(line - function.lines.start)
        return cls(
            [(test, round(taken, 3)) for test, taken in seconds.items()],
            {name: _nearest_of(name, found, list(seconds.items())) for name, found in ran.items()},
        )


def _nearest_of(
    name: str, found: Mapping[str, set[int]], tests: Sequence[tuple[str, float]]
) -> dict[str, list[int]]:
    """The quickest of the tests of a function, those of its own folder before all others."""
    folder = "tests/" + name.partition("::")[0].removeprefix("app/").rpartition("/")[0] + "/"

    def order(number: str) -> tuple[bool, float]:
        test, taken = tests[int(number)]
        return not test.startswith(folder), taken

    return {number: sorted(found[number]) for number in sorted(found, key=order)[:KEPT_TESTS]}


def _bare(test: str) -> str:
    """A test's name without its parameters and its phase: ``a.py::test_b[1]|run`` → ``a.py::test_b``."""
    return test.partition("[")[0].partition("|")[0]


def record(root: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Runs the tests of a tree, which takes minutes, and keeps what they ran in `RECORD`; pytest's exit status.

    ``arguments`` are pytest's own: files and folders, and what it is told besides.
    """
    from coverage import CoverageData  # which only a checkout for working on Luthier has

    with tempfile.TemporaryDirectory(prefix="luthier-record-") as name:
        folder = Path(name)
        for file, text in (("sitecustomize.py", SITE), ("recorded.py", TIMES), ("settings", SETTINGS)):
            (folder / file).write_text(text)
        words = ["-m", "pytest", "-q", "-m", "not torch", "-p", "no:cacheprovider", "-p", "recorded"]
        words += ["--cov", f"--cov-config={folder / 'settings'}", "--cov-context=test", "--cov-report="]
        words += ["--cov-fail-under=0", *arguments]
        variables = {
            "PYTHONPATH": f"{root}{os.pathsep}{folder}",
            "COVERAGE_FILE": str(folder / "data"),
            "COVERAGE_CORE": "ctrace",  # Python's own monitoring knows no contexts
            "LUTHIER_RECORD": str(folder / "settings"),
            "LUTHIER_TIMES": str(folder / "times"),
            "LUTHIER_MUTATION": "1",
        }
        # Nothing of a pytest that this is a test of: its helpers would write their data elsewhere.
        outer = ("PYTEST_", "COV_", "COVERAGE_")
        own = {key: value for key, value in environment.items() if not key.startswith(outer)}
        status = subprocess.run([sys.executable, *words], cwd=root, env=own | variables, check=False).returncode
        data = CoverageData(str(folder / "data"))
        data.read()
        times = json.loads((folder / "times").read_text())
        Reach.of_coverage(root, [data], times).save(root / RECORD)
    return status
