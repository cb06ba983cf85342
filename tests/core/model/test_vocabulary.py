"""What a model's folder says of its vocabulary: end tokens, rows of the embedding, tokens beyond them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from app.core.model.inspection import Inspection
from app.core.model.vocabulary import added_tokens, embedding_rows, end_tokens, tokens_beyond
from app.core.problem import Severity
from app.core.setup.target_check import check_vocabulary


def write(folder: Path, **files: Any) -> Path:
    for name, tree in files.items():
        (folder / f"{name}.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def weights(folder: Path, **shapes: list[int]) -> None:
    tensors = {
        name.replace("__", "."): {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    header = json.dumps(tensors).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


def test_end_tokens_are_those_of_all_files(tmp_path: Path) -> None:
    assert end_tokens(tmp_path) == frozenset()
    write(tmp_path, config={"eos_token_id": 2, "text_config": {"eos_token_id": 7}})
    assert end_tokens(tmp_path) == {2, 7}
    write(tmp_path, generation_config={"eos_token_id": [4, 5]})
    assert end_tokens(tmp_path) == {2, 4, 5, 7}
    write(tmp_path, generation_config={"eos_token_id": None})
    assert end_tokens(tmp_path) == {2, 7}


def test_rows_are_counted_in_the_weights_before_the_config_is_asked(tmp_path: Path) -> None:
    write(tmp_path, config={"model_type": "llama", "vocab_size": 100})
    assert embedding_rows(tmp_path) == 100
    weights(tmp_path, model__embed_tokens__weight=[96, 8], model__layers__0__mlp__weight=[400, 8])
    assert embedding_rows(tmp_path) == 96


def test_tokens_beyond_the_rows_are_named(tmp_path: Path) -> None:
    tokens = [
        {"id": 99, "content": "<last>"},
        {"id": 100, "content": "<extra>"},
        {"id": 101, "content": "<image_1>"},
    ]
    write(tmp_path, config={"vocab_size": 100}, tokenizer={"added_tokens": tokens}, added_tokens={"<more>": 102})
    assert added_tokens(tmp_path) == {99: "<last>", 100: "<extra>", 101: "<image_1>", 102: "<more>"}
    # A place for pictures lies beyond the rows of many models of words alone; no text holds it.
    assert tokens_beyond(tmp_path) == {100: "<extra>", 102: "<more>"}


def test_the_problem_names_the_tokens() -> None:
    assert check_vocabulary(Inspection()) == []
    beyond = {number: f"<t{number}>" for number in range(100, 108)}
    (problem,) = check_vocabulary(Inspection(tokens_beyond=beyond))
    assert problem.severity is Severity.ERROR
    assert "'<t100>' (100)" in problem.message
    assert "and 3 more" in problem.message
