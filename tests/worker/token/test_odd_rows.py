"""Odd rows: what a check shows of them is what is trained, token by token, and it is what stands in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.convert import first_examples
from app.core.data.prepare import prepare_data
from app.worker.data.preview import shown_example
from app.worker.token.encode import RowEncoder
from app.worker.token.tokenize import tokenize_rows
from tests.worker.tiny_tokenizer import CHATML, load, save_tokenizer

END = "<|im_end|>\n"  # of a turn, as the template has it


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(save_tokenizer(tmp_path_factory.mktemp("model"), CHATML))


# A row of JSONL and the answer that is trained; None for a row that is refused.
ROWS: list[tuple[str, str | None]] = [
    (r'{"prompt": "a", "completion": "{\"price\": 1.10, \"n\": [1e5]}"}', '{"price": 1.10, "n": [1e5]}'),
    (r'{"prompt": "[1.10]", "completion": "[1.10, 2]"}', "[1.10, 2]"),
    ('{"prompt": "a", "completion": true}', "true"),
    ('{"prompt": "a", "completion": false}', "false"),
    ('{"prompt": "a", "completion": 0}', "0"),
    ('{"prompt": "a", "completion": -0}', "-0"),
    ('{"prompt": "a", "completion": -0.0}', "-0.0"),
    ('{"prompt": "a", "completion": 1E-400}', "1E-400"),
    ('{"prompt": "a", "completion": 1e400}', "1e400"),
    ('{"prompt": "a", "completion": NaN}', None),
    ('{"prompt": "a", "completion": -Infinity}', None),
    ('{"prompt": "a", "completion": "NaN"}', "NaN"),
    ('{"prompt": "a", "completion": null, "text": "b"}', None),
    ('{"prompt": "a", "completion": "b", "answer": null}', "b"),
    ('{"prompt": "a", "completion": ' + "[" * 300 + "]" * 300 + "}", None),
    ('{"prompt ": "a", " Completion": "b"}', "b"),
    ('{"prompt": "a", "prompt ": "c", "completion": "b"}', "b"),
    (r'{"prompt": "a", "completion": "b\r\nc\rd\te "}', "b\r\nc\rd\te "),
    (r'{"prompt": "a", "completion": "\u00a0b\u00a0"}', "\u00a0b\u00a0"),
    (r'{"prompt": "a", "completion": "cafe\u0301 \ufb01"}', "caf\u00e9 \ufb01"),  # Qwen2's tokenizer composes
    (r'{"prompt": "a", "completion": "b\ufeff\u200d"}', "b\ufeff\u200d"),
    ('{"prompt": "a", "completion": [1]}', None),
    ('{"prompt": "a", "completion": {"b": 1}}', None),
    ('{"instruction": "a", "input": false, "output": 0.10}', "0.10"),
    ('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": 1.10}]}', None),
    ('{"messages": [{"role": " User", "content": "a"}, {"role": "ASSISTANT", "content": " b\\n"}]}', " b\n"),
]


@pytest.mark.parametrize(("row", "answer"), ROWS, ids=range(len(ROWS)))
def test_what_is_shown_is_trained(row: str, answer: str | None, tokenizer: Any, tmp_path: Path) -> None:
    check_answers(tmp_path, f"{row}\n".encode(), "rows.jsonl", [] if answer is None else [answer], tokenizer)


def test_cells_of_a_table_are_trained_as_they_are(tokenizer: Any, tmp_path: Path) -> None:
    table = b'prompt,completion\r\n"a\r\nb","c\rd"\r\n x ,\xc2\xa0y\xc2\xa0\r\n1,007\r\n2,1.10\r\n3,TRUE\r\n'
    answers = ["c\rd", "\u00a0y\u00a0", "007", "1.10", "TRUE"]
    check_answers(tmp_path, table, "rows.csv", answers, tokenizer)


def check_answers(folder: Path, content: bytes, name: str, answers: list[str], tokenizer: Any) -> None:
    """The answers of a file are these: as its check shows them, and as the tokens that are trained."""
    path = folder / name
    path.write_bytes(content)
    given = {"data": str(path), "valid_fraction": 0.0, "test_fraction": 0.0, "mask_prompt": True}
    config = TrainConfig().with_values(given)
    report = check_files([path], config=config)
    assert "WrittenNumber" not in " ".join(finding.reason for finding in (*report.errors, *report.notes))
    assert report.examples == len(answers)
    if not answers:
        assert report.error_count
        return
    prepared = prepare_data(config, folder / "prepared")
    tokens = tokenize_rows(prepared.train, tokenizer, config, lambda *_: None).token_set
    trained = [
        tokenizer.decode([int(token) for token, counts in zip(one.tokens, one.trained, strict=True) if counts])
        for one in (tokens[number] for number in range(len(tokens)))
    ]
    assert trained == [answer + END for answer in answers]
    shown = first_examples([path], config, report.target, len(answers))
    assert ["".join(shown_example(row, tokenizer, config)["trained"]) for _, _, row in shown] == trained


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("b<|im_end|>c", "Message 2 holds '<|im_end|>', which the tokenizer reads as a control token."),
        ("b <|im_end c|>", ""),
    ],
)
def test_a_control_token_in_a_text_is_told(answer: str, told: str, tokenizer: Any) -> None:
    """The model would learn to end its turn in the middle of the answer."""
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": answer}]}
    (encoded,) = RowEncoder(tokenizer, TrainConfig(), row).encode([row])
    assert [said for kind, said in encoded.faults if kind == "control_token"] == ([told] if told else [])
