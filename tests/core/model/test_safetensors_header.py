"""Weight files: what is missing or cut off is told from index and headers, without a weight being read."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from app.core.model.safetensors_header import INDEX, read_header, weight_faults
from app.core.problem import UnusableError

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def write_file(folder: Path, name: str, *tensors: str, cut: int = 0) -> None:
    """A file of one F32 tensor of 2 × 3 (24 bytes) for each name, without its last ``cut`` bytes."""
    entries = {
        tensor: {"dtype": "F32", "shape": [2, 3], "data_offsets": [24 * i, 24 * (i + 1)]}
        for i, tensor in enumerate(tensors)
    }
    header = json.dumps(entries).encode()
    whole = struct.pack("<Q", len(header)) + header + bytes(24 * len(tensors))
    (folder / name).write_bytes(whole[: len(whole) - cut])


def write_index(folder: Path, **places: str) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


def test_whole_files_have_no_faults(tmp_path: Path) -> None:
    assert weight_faults(tmp_path) == [], "nothing is there, and so nothing is missing"
    write_file(tmp_path, ONE, "a")
    write_file(tmp_path, TWO, "b")
    assert weight_faults(tmp_path) == []
    write_index(tmp_path, a=ONE, b=TWO)
    assert weight_faults(tmp_path) == []


def test_a_file_without_tensors_is_whole(tmp_path: Path) -> None:
    write_file(tmp_path, ONE, "a")
    write_file(tmp_path, TWO)
    assert weight_faults(tmp_path) == []
    write_file(tmp_path, TWO, cut=1)
    assert len(weight_faults(tmp_path)) == 1


@pytest.mark.parametrize("has_index", [True, False])
def test_a_missing_file_is_named(tmp_path: Path, has_index: bool) -> None:
    write_file(tmp_path, ONE, "a")
    if has_index:
        write_index(tmp_path, a=ONE, b=TWO)
    assert weight_faults(tmp_path) == [f"Weight files are missing: {TWO}."]
    (tmp_path / TWO).symlink_to(tmp_path / "gone")
    assert weight_faults(tmp_path) == [f"Weight files are missing: {TWO}."], "a link to a file that is gone"


def test_many_missing_files_are_counted(tmp_path: Path) -> None:
    write_file(tmp_path, "model-00005-of-00006.safetensors", "a")
    (fault,) = weight_faults(tmp_path)
    assert fault == (
        "Weight files are missing: model-00001-of-00006.safetensors, model-00002-of-00006.safetensors, "
        "model-00003-of-00006.safetensors and 2 more."
    )


def test_an_index_of_files_that_were_merged_does_not_count(tmp_path: Path) -> None:
    write_file(tmp_path, "model.safetensors", "a", "b")
    write_index(tmp_path, a=ONE, b=TWO)
    assert weight_faults(tmp_path) == []


def test_a_tensor_that_no_file_holds_is_named(tmp_path: Path) -> None:
    write_file(tmp_path, "model.safetensors", "a")
    write_index(tmp_path, a="model.safetensors", b="model.safetensors", c="model.safetensors")
    (fault,) = weight_faults(tmp_path)
    assert fault == f"The weight files lack 2 of the tensors that {INDEX} names, such as b."


def test_a_file_that_is_cut_off_says_by_how_much(tmp_path: Path) -> None:
    write_file(tmp_path, "model.safetensors", "a", "b", cut=7)
    size = (tmp_path / "model.safetensors").stat().st_size
    (fault,) = weight_faults(tmp_path)
    assert f"is cut off: it has {size:,} of the {size + 7:,} bytes that its header describes" in fault


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first eight bytes are not the length of a header"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
        (struct.pack("<Q", 90) + b'{"a": ', "it ends inside its header"),
        (struct.pack("<Q", 5) + b"{'a':", "its header is not JSON"),
        (struct.pack("<Q", 2) + b"[]", "its header is not a JSON object"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "its header lacks the type or the shape of a tensor"),
    ],
)
def test_what_is_no_safetensors_file_is_said_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnusableError) as caught:
        read_header(path)
    assert said in caught.value.problems[0].message
    assert [said in fault for fault in weight_faults(tmp_path)] == [True]


def test_a_tensor_that_two_files_hold_with_other_values_is_a_fault(tmp_path: Path) -> None:
    write_file(tmp_path, ONE, "a", "b")
    write_file(tmp_path, TWO, "c")
    single = "model.safetensors"
    write_file(tmp_path, single, "b", "a")
    assert weight_faults(tmp_path) == [], "alike, and so it does not matter which is read"
    content = bytearray((tmp_path / single).read_bytes())
    content[-1] = 1
    (tmp_path / single).write_bytes(content)
    (fault,) = weight_faults(tmp_path)
    assert fault.startswith(f"{ONE} and {single} hold 1 of the same tensors with other values, such as a")
    (tmp_path / single).unlink()
    (tmp_path / single).symlink_to(ONE)
    assert weight_faults(tmp_path) == [], "the same file by two names"


def test_a_tensor_of_another_type_is_another_one(tmp_path: Path) -> None:
    write_file(tmp_path, "model.safetensors", "a")
    write_file(tmp_path, "model.fp16.safetensors", "a")
    path = tmp_path / "model.fp16.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"I32"'))
    assert len(weight_faults(tmp_path)) == 1
