"""The cache of tokens: what an entry is found by, what of one that is broken is used, and what is cleared away."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.worker.token import cache as token_cache
from app.worker.token.cache import CacheWriter, cache_folder, cache_key, tokenizer_key
from app.worker.token.encode import Encoded
from app.worker.token.row_file import KEPT_FAULTS, RowFaults, row_batches
from app.worker.token.token_set import Example, TokenSet


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


class TokenizerFiles:
    """What the cache asks of a tokenizer: its folder, its template and its vocabulary."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.name_or_path = str(folder)
        self.folder = folder
        self.chat_template: Any = "{{ messages }}"
        self.vocabulary = {"a": 0}

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary


def test_an_entry_is_of_the_tokenizers_files_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = TokenizerFiles(tmp_path / "model")
    seen = [tokenizer_key(tokenizer)]

    def changes(*, matters: bool) -> None:
        key = tokenizer_key(tokenizer)
        assert (key not in seen) == matters
        seen.append(key)

    tokenizer.vocabulary = {"a": 1}
    changes(matters=True)
    for name in ("tokenizer.json", "merges.txt", "own.py", "x.tiktoken", "chat_template.jinja", "spiece.model"):
        (tokenizer.folder / name).write_text("1")
        changes(matters=True)
        (tokenizer.folder / name).write_text("2")
        changes(matters=True)
    tokenizer.vocabulary = {"a": 2}  # its files say it
    changes(matters=False)
    for name in ("model.safetensors.index.json", "adapter_config.json", "model.safetensors", "README.md"):
        (tokenizer.folder / name).write_text("1")
        changes(matters=False)
    (tokenizer.folder / "folder.json").mkdir()
    changes(matters=False)
    tokenizer.chat_template = {"default": "x"}
    changes(matters=True)
    monkeypatch.setattr(token_cache, "date", SimpleNamespace(today=lambda: SimpleNamespace(isoformat=lambda: "1")))
    changes(matters=False)
    tokenizer.chat_template = "{{ strftime_now('%d') }}"
    changes(matters=True)
    monkeypatch.setattr(token_cache, "date", SimpleNamespace(today=lambda: SimpleNamespace(isoformat=lambda: "2")))
    changes(matters=True)
    assert tokenizer_key(SimpleNamespace(_tokenizer=tokenizer)) == seen[-1]


def test_an_entry_is_of_columns_mask_goal_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, path = TokenizerFiles(tmp_path / "model"), tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    config = TrainConfig()
    keys = [cache_key(path, tokenizer, config), cache_key(path, tokenizer, config, "pair")]
    for name in ("prompt_feature", "completion_feature", "chat_feature", "text_feature"):
        keys.append(cache_key(path, tokenizer, config.with_value(name, "other")))
    keys.append(cache_key(path, tokenizer, config.with_value("mask_prompt", not config.mask_prompt)))
    keys.append(cache_key(path, tokenizer, config.with_value("mask_turns", "all")))
    monkeypatch.setattr(token_cache, "package_version", lambda name: f"{name} 9")
    keys.append(cache_key(path, tokenizer, config))
    path.write_text("{}\n{}\n")
    keys.append(cache_key(path, tokenizer, config))
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 40 for key in keys)


def example(*tokens: int) -> Encoded:
    return Encoded(Example(np.array(tokens, np.int32), np.array(tokens) > 5))


def written(key: str, *encoded: Encoded) -> token_cache.Tokenized:
    writer = CacheWriter(key)
    writer.add(encoded, range(1, len(encoded) + 1))
    return writer.finish("chat", [("dropped", 2, "why")], {"dropped": 1})


def test_rows_without_an_example_leave_their_lines_out(tmp_path: Path) -> None:
    writer = CacheWriter("k")
    writer.add([Encoded(None, "refused")], [1])
    writer.add([example(4, 9), Encoded(None, "refused"), example(7)], [2, 3, 4])
    writer.add([example(8, 3, 6)], [9])
    found = writer.finish("chat", [("dropped", 2, "why")], {"dropped": 1})
    for entry in (found, token_cache.load("k")):
        assert entry is not None
        assert entry.token_set.tokens.tolist() == [4, 9, 7, 8, 3, 6]
        assert entry.token_set.trained.tolist() == [False, True, True, True, False, True]
        assert entry.token_set.starts.tolist() == [0, 2, 3, 6]
        assert (entry.lines.tolist(), entry.target) == ([2, 4, 9], "chat")
        assert (entry.faults, entry.counts) == ([("dropped", 2, "why")], {"dropped": 1})
    assert sorted(path.name for path in cache_folder().iterdir()) == ["k"]
    empty = CacheWriter("e").finish("", [], {})
    assert (len(empty.token_set), empty.lines.tolist()) == (0, [])
    discarded = CacheWriter("d")
    discarded.add([example(1)], [1])
    discarded.discard()
    assert sorted(path.name for path in cache_folder().iterdir()) == ["e", "k"]
    assert token_cache.load("d") is None
    assert tmp_path in cache_folder().parents


def test_an_entry_that_is_not_as_it_was_written_is_none() -> None:
    written("k", example(4, 9))
    folder = cache_folder() / "k"
    meta = (folder / "meta.json").read_text()
    tokens = (folder / "tokens.npy").read_bytes()
    (folder / "tokens.npy").write_bytes(tokens[:-1] + b"\x01")  # another token
    assert token_cache.load("k") is None
    (folder / "tokens.npy").write_bytes(tokens)
    assert token_cache.load("k") is not None
    for odd in ("", "[]", "{}", json.dumps(json.loads(meta) | {"faults": 3}), meta.replace('"chat"', "")):
        (folder / "meta.json").write_text(odd)
        assert token_cache.load("k") is None
    again = written("k", example(7, 7, 7))
    assert again.token_set.tokens.tolist() == [7, 7, 7], "what could not be read made room"


def test_a_use_is_remembered_and_what_a_crash_left_goes_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a", "b", "c"):
        written(key, example(4, 9))
    now = time.time()
    for key, age in (("a", 300), ("b", 200), ("c", 100)):
        os.utime(cache_folder() / key, (now - age, now - age))
    token_cache.load("a")
    for name, age in ((".writing-old", 24 * 3600 + 60), (".writing-now", 24 * 3600 - 600)):
        (cache_folder() / name).mkdir()
        os.utime(cache_folder() / name, (now - age, now - age))
    size = sum(file.stat().st_size for file in (cache_folder() / "a").iterdir())
    (cache_folder() / "stray").touch()
    token_cache.evict(keep="c", limit_bytes=3 * size)
    assert {path.name for path in cache_folder().iterdir()} == {"a", "b", "c", ".writing-now", "stray"}
    token_cache.evict(keep="c", limit_bytes=3 * size - 1)
    assert {path.name for path in cache_folder().iterdir()} == {"a", "c", ".writing-now", "stray"}
    token_cache.evict(keep="c", limit_bytes=0)
    assert {path.name for path in cache_folder().iterdir()} == {"c", ".writing-now", "stray"}
    monkeypatch.setattr(token_cache, "load", lambda _key: None)
    with pytest.raises(OSError, match=r"were written to .* but cannot be read back"):
        written("d", example(1))


def test_findings_are_counted_and_the_first_kept() -> None:
    faults = RowFaults()
    for line in range(1, KEPT_FAULTS + 3):
        faults.add("template_refused", line, "no")
        faults.add("no_stop_token", line, "none")
    assert faults.counts == {"template_refused": KEPT_FAULTS + 2, "no_stop_token": KEPT_FAULTS + 2}
    kept = [kind for kind, _, _ in faults.kept]
    assert (kept.count("template_refused"), kept.count("no_stop_token")) == (KEPT_FAULTS, 1)
    assert faults.kept[:3] == [
        ("template_refused", 1, "no"),
        ("no_stop_token", 1, "none"),
        ("template_refused", 2, "no"),
    ]


def test_rows_come_some_at_a_time_with_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.token.row_file.ROWS_AT_ONCE", 2)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 33}\n')
    assert list(row_batches(path)) == [([{"a": 1}, {"a": 2}], [1, 2], 18), ([{"a": 33}], [3], 28)]
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert list(row_batches(path)) == [([{"a": 1}, {"a": 2}], [1, 2], 18)]
    for text, words in (("{", "This is not JSON: "), ("[1]", "The row is no object with fields.")):
        path.write_text(f'{{"a": 1}}\n{text}\n')
        with pytest.raises(UnusableError) as caught:
            list(row_batches(path))
        (problem,) = caught.value.problems
        assert problem.message.startswith(words)
        assert (problem.path, problem.file, problem.line) == ("data", str(path), 2)


def test_an_example_beyond_the_last_is_none() -> None:
    made = TokenSet.from_examples([Example(np.array([1, 2], np.int32), np.array([False, True]))])
    assert made[0].tokens.tolist() == [1, 2]
    for index in (-1, 1):
        with pytest.raises(IndexError):
            made[index]
