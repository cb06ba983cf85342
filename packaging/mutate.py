"""Mutations: small faults put into a copy of the code one at a time, and those that no test notices.

    python packaging/mutate.py                          # the functions that differ from main
    python packaging/mutate.py app/core/queue           # a file, or all files of a folder
    python packaging/mutate.py app --sample 60 --seed 7 # so many of them, drawn: the same ones for a seed
    python packaging/mutate.py --record                 # first, and now and then: which tests run which function

Each mutation is met by the tests nearest to it until one fails or the time is over. With a record these are the
tests that run the function, and its line, in their own process or in a worker's: first those written since, then
those of its folder before all others, and quick ones before slow ones. Without one they are the files of the
same name in the mirrored folder, then whatever imports the module, directly or through others. A test that fails
without the mutation too does not count. What remains is printed with file and line: a test is missing there, or the
mutation changes nothing that can be seen. The exit status is 1 if any remains.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal, NoReturn

from dev import side_by_side, test_environment
from near_test import RECORD, TestMap, record

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 120  # that the tests of one mutation may take
HANGING_S = 60  # a test that takes as long does so because of the mutation
MARK = "LUTHIER_MUTATION"  # the variable that all processes of a mutation have
NO_SUCH_TEST, NOTHING_RAN = 4, 5  # pytest's exit statuses
MOST = 60  # mutations where nothing is said of how many

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
COMPARISONS |= {"in": "not in", "not in": "in", "is": "is not", "is not": "is"}
OPERATIONS = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "%": "*", "**": "*", "&": "|", "|": "&"}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}
# Qt's calls that only say how far apart things are: a test of a pixel would be no test of ours.
LOOKS = re.compile(
    r"(set(Contents|Spacing|Fixed|Minimum|Maximum|Column|Row|Horizontal|Vertical|Size|Frame|Alignment|Object)"
    r"|add(Spacing|Stretch)|resize)\w*"
)
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Outcome = Literal["caught", "survived", "out of time"]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of a file's text: ``start`` and ``end`` are offsets in its UTF-8 bytes, ``line`` is 1-based."""

    file: str
    line: int
    function: str
    start: int
    end: int
    text: str
    what: str

    def applied(self, source: bytes) -> bytes:
        """The file with the fault in it."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        where = f" in {self.function}" if self.function else ""
        return f"{self.file}:{self.line}{where}: {self.what}"


# -- mutations of one file -----------------------------------------------------------------------------------------


class Mutator:
    """Finds what can be changed in a module. Texts for people, types and assertions stay as they are."""

    def __init__(self, file: str, source: bytes) -> None:
        self._file, self._source = file, source
        self._lines = [0]  # where each begins
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._function = ""
        self._found: list[Mutation] = []

    def mutations(self) -> list[Mutation]:
        """All of them, in the order of the file."""
        for node in ast.parse(self._source).body:
            self._visit(node)
        return sorted(self._found, key=lambda one: (one.start, one.end, one.text))

    def _visit(self, node: ast.AST) -> None:
        skipped = ast.Assert | ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr
        if isinstance(node, skipped) or (isinstance(node, ast.Call) and LOOKS.fullmatch(_name(node.func))):
            return
        outer = self._function
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._function = f"{outer}.{node.name}".lstrip(".")
        self._mutate_expression(node)
        self._mutate_statement(node)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self._visit(child)
        self._function = outer

    def _mutate_expression(self, node: ast.AST) -> None:
        match node:
            case ast.Compare(left=left, comparators=comparators):
                for before, after in pairwise([left, *comparators]):
                    self._swap_between(before, after, COMPARISONS)
            case ast.BinOp(left=left, right=right) if not (_is_text(left) or _is_text(right)):
                self._swap_between(left, right, OPERATIONS)
            case ast.BoolOp(op=operator, values=values):
                swap = {"and": "or"} if isinstance(operator, ast.And) else {"or": "and"}
                for before, after in pairwise(values):
                    self._swap_between(before, after, swap)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._put(node, f"({self._text(operand)})", "not dropped")
            case ast.Constant(value=bool() as value):
                self._put(node, repr(not value), f"{value} → {not value}")
            case ast.Constant(value=int() | float() as value):
                more = value + 1 if isinstance(value, int) else 2 * value + 1
                self._put(node, repr(more), f"{value} → {more}")
            case ast.comprehension(ifs=ifs):
                for test in ifs:
                    self._put(test, "True", f"filter dropped: {self._short(test)}")
            case ast.Call(func=called, keywords=keywords):
                if (name := _name(called)) in NAMES:
                    end = self._place(called)[1]
                    self._change(end - len(name), end, NAMES[name], f"{name} → {NAMES[name]}")
                self._drop_keywords(keywords)

    def _mutate_statement(self, node: ast.AST) -> None:
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                if _name(test) != "TYPE_CHECKING" and not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
                    self._put(test, f"(not ({self._text(test)}))", f"{self._short(test)} → its contrary")
            case ast.Expr(value=ast.Call(func=called)) if self._function and not LOOKS.fullmatch(_name(called)):
                self._put(node, "pass", f"dropped: {self._short(node)}")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign() if self._function:
                self._put(node, "pass", f"dropped: {self._short(node)}")
            case ast.Continue():
                self._put(node, "break", "continue → break")
            case ast.Break():
                self._put(node, "continue", "break → continue")
            case ast.Return(value=ast.AST() as value) if not isinstance(value, ast.Constant):
                self._put(value, "None", f"returns None instead of {self._short(value)}")

    def _drop_keywords(self, keywords: Sequence[ast.keyword]) -> None:
        for keyword in keywords:
            start, end = self._place(keyword)
            what = f"argument dropped: {self._short(keyword)}"
            if keyword.arg is None:
                continue
            if comma := re.match(rb"\s*,", self._source[end:]):
                self._change(start, end + comma.end(), "", what)
            elif comma := re.search(rb",\s*$", self._source[:start]):
                self._change(comma.start(), end, "", what)

    def _swap_between(self, before: ast.AST, after: ast.AST, swaps: dict[str, str]) -> None:
        """Changes the operator between two operands; brackets and comments may stand there too."""
        start, end = self._place(before)[1], self._place(after)[0]
        between = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self._source[start:end])
        found = re.fullmatch(rb"[\s()\\]*?([^\s()\\]+(?: not| in)?)[\s()\\]*", between)
        if found and (operator := found[1].decode()) in swaps:
            place = start + found.start(1)
            self._change(place, place + len(operator), swaps[operator], f"{operator} → {swaps[operator]}")

    def _put(self, node: ast.AST, text: str, what: str) -> None:
        self._change(*self._place(node), text, what)

    def _change(self, start: int, end: int, text: str, what: str) -> None:
        line = self._source.count(b"\n", 0, start) + 1
        self._found.append(Mutation(self._file, line, self._function, start, end, text, what))

    def _place(self, node: ast.AST) -> tuple[int, int]:
        at = {name: getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
        start = self._lines[at["lineno"] - 1] + at["col_offset"]
        return start, self._lines[at["end_lineno"] - 1] + at["end_col_offset"]

    def _text(self, node: ast.AST) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()

    def _short(self, node: ast.AST) -> str:
        first, *more = self._text(node).splitlines()
        return f"{first} …" if more else first


def _name(node: ast.AST) -> str:
    """The last word of what is called, or read."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def mutations_of(root: Path, files: Iterable[str]) -> list[Mutation]:
    """All of some files, given from ``root`` on; a few are no Python (`drawn`)."""
    return [one for file in files for one in Mutator(file, (root / file).read_bytes()).mutations()]


def drawn(root: Path, found: Sequence[Mutation], most: int, seed: int) -> list[Mutation]:
    """So many of them at most (0: all), those that can be compiled, in their order; the same ones for a seed.

    Only what is drawn is compiled: all of the app would take ten minutes.
    """
    order = [*range(len(found))]
    if 0 < most < len(order):
        random.Random(seed).shuffle(order)
    can_run = (number for number in order if _compiles(root, found[number]))
    return [found[number] for number in sorted(islice(can_run, most or None))]


def _compiles(root: Path, one: Mutation) -> bool:
    try:
        compile(one.applied((root / one.file).read_bytes()), one.file, "exec")
    except SyntaxError:
        return False
    return True


# -- which ---------------------------------------------------------------------------------------------------------


def app_files(root: Path, paths: Iterable[str]) -> list[str]:
    """The modules at or below paths, given from ``root`` on."""
    found = set()
    for path in paths:
        place = root / path
        files = place.rglob("*.py") if place.is_dir() else [place]
        found |= {file.relative_to(root).as_posix() for file in files}
    return sorted(found)


def changed_lines(root: Path, since: str) -> dict[str, list[range]]:
    """Lines of app that differ from where this branch left ``since``, by file; also what is not committed."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout

    base = git("merge-base", since, "HEAD").strip()
    found: dict[str, list[range]] = {}
    file = ""
    for line in git("diff", "-U0", "--no-renames", base, "--", "app").splitlines():
        if line.startswith("+++ "):
            file = line.removeprefix("+++ b/")
        elif (hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)) and file.endswith(".py"):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(file, []).append(range(first, first + max(count, 1)))
    for file in git("ls-files", "--others", "--exclude-standard", "app").split():
        if file.endswith(".py"):
            found[file] = [range(1, 1_000_000)]
    return found


def in_changed_functions(root: Path, changed: dict[str, list[range]]) -> list[Mutation]:
    """The mutations of every function that has a changed line, and those of changed lines outside of functions."""
    found = []
    for file, lines in changed.items():
        functions = [
            range(node.lineno, (node.end_lineno or node.lineno) + 1)
            for node in ast.walk(ast.parse((root / file).read_bytes()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        touched = [
            one for one in functions if any(one.start < span.stop and span.start < one.stop for span in lines)
        ]
        found += [one for one in mutations_of(root, [file]) if any(one.line in span for span in (*touched, *lines))]
    return found


# -- running them --------------------------------------------------------------------------------------------------


class MutationTests:
    """Runs tests on mutations, each in one of some copies of the tree."""

    def __init__(self, root: Path, copies: Sequence[Path], limit_s: float, *, torch: bool = False) -> None:
        self._root, self._limit_s, self._torch = root, limit_s, torch
        self._map = TestMap(root, root / RECORD)
        self._free: queue.Queue[Path] = queue.Queue()
        self._lock = threading.Lock()
        self._running: dict[int, str] = {}  # pytest's processes, each with the mark that all have which it starts
        self._is_stopped = False
        for copy in copies:
            copy_tree(root, copy)
            self._free.put(copy)

    def run(self, mutation: Mutation) -> Outcome:
        """What the tests say of it."""
        copy = self._free.get()
        file = copy / mutation.file
        source = (self._root / mutation.file).read_bytes()
        tests, spoiled = self._map.tests(mutation.file, mutation.line), list[str]()
        if self._torch:
            tests = list(dict.fromkeys([*tests, *self._map.marked(mutation.file, "torch")]))
        end = time.monotonic() + self._limit_s
        try:
            while True:
                file.write_bytes(mutation.applied(source))
                outcome, failed = self._outcome(copy, tests, spoiled, end - time.monotonic())
                file.write_bytes(source)
                if not failed or self._outcome(copy, [failed], [], HANGING_S)[0] != "caught":
                    return outcome
                spoiled.append(failed)  # without the mutation too
        finally:
            file.write_bytes(source)
            self._free.put(copy)

    def _outcome(self, copy: Path, tests: list[str], left_out: list[str], limit_s: float) -> tuple[Outcome, str]:
        """What some tests say of a copy as it is, and the test that failed, if it was one."""
        if not tests:
            return "survived", ""
        words = ["-m", "pytest", "-x", "-q", "-o", f"cache_dir={copy / 'cache'}"]
        words += [] if self._torch else ["-m", "not torch"]
        words += [f"--timeout={HANGING_S}", f"--basetemp={copy / 'temporary'}", *tests]
        words += [word for test in left_out for word in ("--deselect", test)]
        mark = f"{copy}#{time.monotonic_ns()}"
        environment = dict(os.environ, **test_environment())
        environment |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", MARK: mark}
        shutil.rmtree(copy / "cache", ignore_errors=True)
        with self._lock:
            if self._is_stopped:
                return "out of time", ""
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=copy,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._running[process.pid] = mark
        try:
            status = process.wait(max(limit_s, 0.0))
        except subprocess.TimeoutExpired:
            return "out of time", ""
        finally:
            with self._lock:
                del self._running[process.pid]
                _kill(process.pid, mark)
            process.wait()
        if status == NO_SUCH_TEST and any("::" in test for test in tests):  # the record is older than the tests
            return self._outcome(copy, list(dict.fromkeys(test.partition("::")[0] for test in tests)), [], limit_s)
        if status in (0, NOTHING_RAN):
            return "survived", ""
        said = copy / "cache/v/cache/lastfailed"
        failed = [test for test in json.loads(said.read_text()) if "::" in test] if said.is_file() else []
        return "caught", failed[0] if failed else ""

    def stop(self) -> None:
        """Ends the tests that run now, with what they started; none begins any more."""
        with self._lock:
            self._is_stopped = True
            for number, mark in self._running.items():
                _kill(number, mark)


def _kill(number: int, mark: str) -> None:
    """Ends pytest with its group, and workers with groups of their own, as those have that outlive a window."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
    for process in marked(f"{MARK}={mark}"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def marked(variable: str) -> list[int]:
    """Processes that have a variable, given as ``NAME=value``, in the environment that they were started with."""
    if not Path("/proc/self/environ").is_file():  # a Mac
        listed = subprocess.run(["ps", "-axEww", "-o", "pid=,command="], check=True, capture_output=True, text=True)
        rows = (line.split() for line in listed.stdout.splitlines())
        return [int(words[0]) for words in rows if variable in words[1:]]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def copy_tree(root: Path, copy: Path) -> None:
    """What git knows or would add, as it is on disk; of modules also what Python made of them, with their times.

    A mutated module is newer than that, and is compiled; all others need not be, in each of many processes.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (root / name).is_file():
            path = Path(name)
            compiled = (root / path.parent).glob(f"__pycache__/{path.stem}.*.pyc") if path.suffix == ".py" else ()
            for one in (root / path, *compiled):
                place = copy / one.relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(one, place)


def _end(number: int, _: object) -> NoReturn:
    """Unwinds what runs, so that neither tests nor copies are left behind; once, for all who ask."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> int:
    """Prints a line for each mutation that remains, then how many were caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files or folders of app; without them, what differs from --since")
    parser.add_argument("--since", default="main", help="the branch or commit that is compared with (main)")
    parser.add_argument("--sample", type=int, default=MOST, help=f"the most mutations, drawn ({MOST}); 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn (0)")
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help=f"for the tests of one ({LIMIT_S})")
    parser.add_argument("--jobs", type=int, default=1, help="how many are tried at once (1)")
    parser.add_argument("--torch", action="store_true", help="also tests that compare with torch or llama.cpp")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument(
        "--record", action="store_true", help="keep which tests run which functions; paths are tests"
    )
    asked = parser.parse_args()
    if asked.record:
        return record(ROOT, os.environ | test_environment(), [*side_by_side(), *(asked.paths or ["tests"])])
    if asked.paths:
        found = mutations_of(ROOT, app_files(ROOT, asked.paths))
    else:
        found = in_changed_functions(ROOT, changed_lines(ROOT, asked.since))
    found = drawn(ROOT, found, asked.sample, asked.seed)
    if asked.list:
        print(*found, sep="\n")
        return 0
    for each in ENDS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(each, _end)
    with tempfile.TemporaryDirectory(prefix="luthier-mutations-") as folder:
        copies = [Path(folder, str(number)) for number in range(asked.jobs)]
        tests = MutationTests(ROOT, copies, asked.seconds, torch=asked.torch)
        counts: Counter[Outcome] = Counter()
        with ThreadPoolExecutor(asked.jobs) as pool:
            try:
                for one, outcome in zip(found, pool.map(tests.run, found), strict=True):
                    counts[outcome] += 1
                    if outcome != "caught":
                        print(f"{outcome}: {one}", flush=True)
            finally:
                tests.stop()
    remain = f"{counts['survived']} survived, {counts['out of time']} out of time"
    print(f"{counts['caught']} of {len(found)} caught; {remain}")
    return int(counts["caught"] < len(found))


if __name__ == "__main__":
    sys.exit(main())
