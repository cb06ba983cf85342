"""Collections: several files as one folder of links, read as training data whatever they are called."""

from pathlib import Path

from app.core.data.check import check_files
from app.core.source.collection import collect, members, shown_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{{"prompt": "{text}", "completion": "yes"}}\n')
    return path


def test_one_file_is_itself(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", "a")
    assert collect([file, file]) == file
    assert members(file) == []


def test_several_files_are_read_together_and_told_by_their_own_names(tmp_path: Path) -> None:
    files = [write(tmp_path / name, name) for name in ("a.jsonl", "test.jsonl", "config.jsonl")]
    folder = write(tmp_path / "more" / "b.jsonl", "b").parent
    collection = collect([*files, folder])
    assert collect([*files, folder]) == collection
    (collection / "train-000-notes.txt").touch()  # no link of ours
    assert members(collection) == [*files, folder]
    (collection / "train-000-notes.txt").unlink()
    assert collection.name.startswith("a-and-3-more-")
    assert [link.name for link in sorted(collection.iterdir())][::3] == ["train-001-a.jsonl", "train-004-more"]
    report = check_files([collection])
    assert list(report.splits) == ["train"]
    assert report.examples == 4
    assert {shown_path(file) for file in report.splits["train"].files} == {*files, folder / "b.jsonl"}


def test_other_files_of_the_same_names_are_another_collection(tmp_path: Path) -> None:
    first = [write(tmp_path / "x" / name, name) for name in ("a.jsonl", "b.jsonl")]
    second = [write(tmp_path / "y" / name, name) for name in ("a.jsonl", "b.jsonl")]
    assert collect(first) != collect(second)
