"""Whatever lies where a reader reads, it is read or refused in words; what was once a crash stays here."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.worker.token import cache
from app.worker.token.tokenize import tokenize_rows
from tests.faults.fuzz import changed, flipped
from tests.faults.reader import HOME, READERS, RUN, Place, Reader, fault_of, make_place, seeds_of

DEEP = b"[" * 3000
# What the fuzz found, by the reader that fell over it.
CRASHERS = {
    f"{RUN}benchmarks.json": [b'[{"time": 1.0}]', b'[{"columns": [{"adapter": 1}]}]', b'[{"columns": null}]'],
    f"{RUN}neutral.json": [b'{"format": 1, "rows": [{"tokens": [9999999999999999999], "counted": []}]}', DEEP],
    f"{RUN}before_after.json": [
        DEEP,
        b'{"prompt": "", "system": "", "before": "", "after": "", "weights": "' + b"a" * 400 + b'", "stamp": 1}',
    ],
    f"{RUN}job.json": [DEEP],
    f"{RUN}events.jsonl": [
        b'{"type": "validated", "time": 17952070400470402}\n',
        b'{"type": "hello", "time": 1, "task": "train"}\n{"type": "warned", "time": 2, "message": "\\ud83d"}\n',
    ],
    f"{HOME}data/votes.jsonl": [
        b'{"time": 1, "question": {}, "candidates": [{"label": "a", "adapter": ["x"]}, {"label": "", "adapter": 1}]'
        b', "answers": ["", ""], "outcome": "win", "winner": 0, "blind": false}',
        b'{"time": 1e300, "question": {"model": "m", "messages": [{"role": "user", "content": "a"}]}, "candidates":'
        b' [{"label": "a", "adapter": null}, {"label": "b", "adapter": null}],'
        b' "answers": ["", ""], "outcome": "win", "winner": 0, "blind": false}',
    ],
    f"{HOME}data/comparisons/one.jsonl": [
        b'{"luthier": "comparison", "asked": 1' + b"0" * 400 + b"}",
        b'{"luthier": "comparison", "base": "/' + b"9" * 4000 + b'"}',
        b'{"luthier": "comparison", "columns": [{"adapter": "/' + b"9" * 300 + b'"}]}',
        DEEP,
    ],
    f"{HOME}data/served.json": [
        b'{"endpoint": {"url": "http://[", "model": "", "key": "", "base": "", "adapter": ""}, "pid": 1,'
        b' "label": ""}',
        b'{"endpoint": {"url": "http://127.0.0.1:' + b"9" * 30 + b'/v1", "model": "", "key": "", "base": "",'
        b' "adapter": ""}, "pid": 1, "label": ""}',
        DEEP,
    ],
    f"{HOME}data/queue/queue.json": [DEEP],
    f"{HOME}data/speeds.json": [b'{"key": {"piece_s": 1' + b"0" * 400 + b"}}", DEEP],
    f"{HOME}data/runs/far/remote.json": [DEEP],
    "mine/config.yaml": [
        b"model_name_or_path: a\nstage: sft\nfinetuning_type: lora\ndataset: d\ntemplate: qwen\nlora_rank: 1e999\n"
    ],
    "peft/adapter_config.json": [b'{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "rank_pattern": 5}', DEEP],
    "inspected/tokenizer_config.json": [b'{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": "a"}'],
    "prompts.jsonl": ['{"prompt": "Ebb?"}\n'.encode("utf-16-le") + b"\x1a"],
    "command": [DEEP, b'{"command": ' * 3000],
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("readers") / "place")


@pytest.fixture
def place(filled: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The filled folder, with its home for this test."""
    monkeypatch.setenv("LUTHIER_HOME", str(filled.root / "home"))
    return filled


def named(reader: Reader) -> str:
    return reader.file.replace("/", "-")


@pytest.mark.parametrize("reader", READERS, ids=named)
def test_what_was_bent_is_read_or_refused_in_words(reader: Reader, place: Place) -> None:
    seeds = seeds_of(reader, place)
    assert [fault_of(reader, place, content) for content in seeds] == [None] * len(seeds)

    @settings(max_examples=15)
    @given(st.integers(0, 2**32), st.integers(1, 3))
    def bend(seed: int, times: int) -> None:
        chance = random.Random(seed)
        content = chance.choice(seeds)
        for _ in range(times):
            content = changed(content, chance)
        if error := fault_of(reader, place, content):
            raise error

    bend()
    chance = random.Random(1)
    for _ in range(10):
        assert fault_of(reader, place, flipped(chance.choice(seeds), chance)) is None


CASES = [(reader, content) for reader in READERS for content in CRASHERS.get(reader.file, ())]


@pytest.mark.parametrize("reader, content", CASES, ids=lambda case: named(case) if isinstance(case, Reader) else "")
def test_what_once_crashed(reader: Reader, content: bytes, place: Place) -> None:
    assert {one.file for one in READERS} >= set(CRASHERS)
    if error := fault_of(reader, place, content):
        raise error


@pytest.mark.parametrize("name", [*cache.CACHED_ARRAYS, "meta"])
def test_damaged_tokens_of_the_cache_are_made_anew(name: str, place: Place) -> None:
    """One flipped bit, and the entry is none: a run must not learn from other tokens than its data's."""
    config = TrainConfig(model=str(place.model), data=str(place.root / "data"))
    path = place.root / "data/train.jsonl"

    def tokens() -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return np.array(tokenize_rows(path, place.tokenizer, config).token_set.tokens)

    whole = tokens()
    entry = cache.cache_folder() / cache.cache_key(path, place.tokenizer, config)
    [file] = entry.glob(f"{name}.*")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    if name != "meta":
        assert cache.load(file.parent.name) is None
    assert np.array_equal(tokens(), whole)
    assert cache.load(file.parent.name) is not None
