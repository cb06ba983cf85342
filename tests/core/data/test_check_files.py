"""The check as a whole: several files, progress and cancel, bounded memory, what is counted and what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_config_data, check_files
from app.core.data.duplicate import Fingerprints
from app.core.problem import Severity
from app.core.source.data_file import find_sources, locate_data
from app.core.source.finding import Findings
from tests import ROOT
from tests.core.data.corpus import CHATS, arrow_stream, chat, lines
from tests.core.data.written import checked, trained


def test_files_are_told_apart_by_their_names(tmp_path: Path) -> None:
    names = {"my-train.jsonl": "train", "more.jsonl": "train", "validation.jsonl": "valid", "Test_1.jsonl": "test"}
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(lines(chat(number)))
    findings = Findings()
    sources = find_sources([tmp_path / name for name in names], findings)
    assert {source.path.name: source.split for source in sources} == names

    given = find_sources([tmp_path / "more.jsonl"], findings, valid=[tmp_path / "Test_1.jsonl"])
    assert [(source.path.name, source.split) for source in given] == [
        ("more.jsonl", "train"),
        ("Test_1.jsonl", "valid"),
    ]
    alone = find_sources([tmp_path / "validation.jsonl"], findings)
    assert [source.split for source in alone] == ["train"]


def test_a_cached_hub_data_set_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    snapshot = tmp_path / "hub" / "datasets--me--mine" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    arrow_stream(CHATS)(snapshot / "mine-train.arrow")
    assert locate_data("me/mine") == tmp_path / "hub" / "datasets--me--mine"
    assert locate_data("me/other") == Path("me/other")
    report = check_config_data(TrainConfig(data="me/mine"))
    assert (report.usable, report.examples) == (True, 4)


def test_progress_and_cancel(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*map(chat, range(9000))))
    seen: list[tuple[int, int]] = []
    report = check_files([path], progress=lambda *figures: seen.append(figures))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert seen == sorted(seen)
    assert not report.cancelled

    stopped = check_files([path], cancelled=lambda: True)
    assert stopped.cancelled
    assert not stopped.usable
    assert stopped.rows < 9000


def test_a_document_is_left_before_its_next_passage(tmp_path: Path) -> None:
    """A passage may take its time: of these nobody waits for two thousand."""
    path = tmp_path / "a.html"
    said = "".join(f"<p>{'Wood and strings. ' * 60}{number}</p>" for number in range(40))
    path.write_text(f"<html><body>{said}</body></html>", encoding="utf-8")
    assert check_files([path]).rows > 9

    def read_before(asked: int) -> int:
        answers = iter([False] * asked)
        return check_files([path], cancelled=lambda: next(answers, True)).rows

    assert [read_before(asked) for asked in range(4)] == [0, 1, 2, 3]


def test_rows_of_no_known_format_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*({"colour": number} for number in range(7))))
    report = check_files([path])
    assert [(one.kind, one.line) for one in report.errors] == [("unknown_format", 1)]
    assert report.counts["unknown_format"] == 7


def test_all_are_counted_and_the_first_thousand_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*([b"{"] * 1500), *CHATS * 400))
    report = check_files([path])
    assert (len(report.errors), report.error_count) == (1000, 1500)
    assert [finding.line for finding in report.errors] == list(range(1, 1001))
    assert report.duplicates == report.counts["duplicate"] == 1596
    assert len(report.warnings) == 1000
    problems = Findings()
    problems.add("broken_json", "f", 1, "Broken.", count=3)
    assert [p.message for p in problems.problems(Severity.ERROR)] == ["Broken.", "Broken JSON: 2 more, 3 in all."]


def repeated(limit: int, contents: int) -> Fingerprints:
    """10,000 rows in two files, the second like the first, each with this many different contents."""
    prints = Fingerprints(limit)
    for part in (0, 1):
        prints.start_file(part)
        for start in range(0, 5000, 100):
            keys = [hash((n % contents, "text")) for n in range(start, start + 100)]
            prints.extend(keys, list(range(start + 1, start + 101)))
    return prints


BROKEN = "GrÃ¶ÃŸe und StraÃŸe?"  # UTF-8 read as Latin-1: a warning
ANSWERED = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    "row, kinds",
    [
        ({"prompt": BROKEN, "completion": ""}, ["empty_field", "mojibake"]),
        ({"prompt": "", "completion": BROKEN}, ["empty_field", "mojibake"]),
        ({"messages": [{"role": "user", "content": BROKEN}]}, ["no_answer", "mojibake"]),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": BROKEN}]},
            ["no_answer", "repeated_role", "mojibake"],
        ),
    ],
)
def test_a_row_with_an_error_and_warnings_is_out_and_all_of_it_is_told(
    row: dict[str, Any], kinds: list[str], skip: bool, tmp_path: Path
) -> None:
    """Whichever of them comes first or last, a warning does not make up for an error."""
    good = ANSWERED if "messages" in row else {"prompt": "a", "completion": "b"}
    report = checked(tmp_path, [row, good, row], skip_bad_rows=skip)
    assert (report.examples, report.rows, report.usable) == (1, 3, skip)
    for line in (1, 3):
        told_of_it = [one for one in (*report.errors, *report.warnings) if one.line == line]
        assert [one.kind for one in told_of_it] == kinds
        assert [one.severity.value for one in told_of_it] == ["error", *["warning"] * (len(kinds) - 1)]
    given = trained(tmp_path, [row, good, row], skip_bad_rows=True)
    assert len(given) == 1


def test_repeats_are_counted_exactly_while_there_are_few_different_rows() -> None:
    within, across = repeated(limit=1000, contents=400).summary()
    assert (within.count, across.count) == (4600, 5000)
    assert not within.estimated
    assert within.listed[0] == ((0, 401), (0, 1))
    assert (len(within.listed), len(across.listed)) == (1000, 1000)


def test_beyond_the_limit_repeats_are_estimated_from_a_sample() -> None:
    prints = repeated(limit=1000, contents=5000)
    within, across = prints.summary()
    assert len(prints.keys) <= 1100
    assert within.count == 0
    assert across.estimated
    assert abs(across.count - 5000) < 1500
    assert all((later.file, first.file) == (1, 0) and later.line == first.line for later, first in across.listed)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        for block in range(300):
            file.write(lines(*(chat(block * 300 + n, "word " * 100) for n in range(300))))
    code = (
        "import resource, sys; from app.core.data.check import check_files\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"assert check_files([{str(path)!r}]).examples == 90_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert path.stat().st_size > 50_000_000
    assert int(done.stdout) * unit < 40_000_000


def test_core_needs_no_heavy_library_for_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*CHATS))
    code = (
        "import json, sys; from app.core.data.check import check_files\n"
        f"check_files([{str(path)!r}])\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pyarrow", "ftfy", "charset_normalizer", "zstandard", "mlx", "transformers", "tokenizers", "PySide6"}
    assert not heavy & set(json.loads(done.stdout))
