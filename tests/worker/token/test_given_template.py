"""Rows of a base model that was given a template: what is trained of them, and what stands beside the adapter."""

from __future__ import annotations

from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.model.template import template_offers, template_text, with_template
from app.worker.model.adapter import AdapterFolder
from app.worker.token.encode import RowEncoder
from app.worker.token.tokenizer import load_tokenizer
from tests.core.model.test_template import untemplated_starter

ROW = {
    "messages": [
        {"role": "system", "content": "Answer shortly."},
        {"role": "user", "content": "What is a lute?"},
        {"role": "assistant", "content": "A plucked string instrument."},
    ]
}


def test_the_answer_and_the_end_of_its_turn_are_trained(home: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    base = untemplated_starter(tmp_path / "base")
    for offer in template_offers(base):
        folder = with_template(base, offer.text)
        tokenizer = load_tokenizer(str(folder))
        example = RowEncoder(tokenizer, TrainConfig(mask_prompt=True), ROW).encode([ROW])[0].example
        assert example is not None
        said = tokenizer.decode(example.tokens[example.trained].tolist())
        assert said == "A plucked string instrument.<|end|>\n", offer.label
        assert set(tokenizer.convert_tokens_to_ids(["<|end|>"])) <= tokenizer.eos_token_ids
        written = template_text(offer.text).replace("<eos>", "<|end|>")
        assert tokenizer.decode(example.tokens.tolist()) == written


def test_the_template_is_written_beside_the_adapter(home: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    base = untemplated_starter(tmp_path / "base")
    text = template_offers(base)[0].text
    AdapterFolder(tmp_path / "with", TrainConfig(model=str(with_template(base, text))))
    assert (tmp_path / "with" / "chat_template.jinja").read_text(encoding="utf-8") == text
    AdapterFolder(tmp_path / "without", TrainConfig(model=str(base)))
    assert not (tmp_path / "without" / "chat_template.jinja").exists()
