"""A chat template that comes with a model is a program; one that does not end, ends in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.core.problem import UnusableError
from app.worker.token import template_limit
from app.worker.token.chat_template import ChatTemplate, Dialogue
from app.worker.token.tokenizer import load_tokenizer
from tests import ROOT
from tests.worker.tiny_model import write_model

CHAT = Dialogue([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = i %}{% endfor %}{% endfor %}"
FLOOD = "{% for i in range(99999) %}{% for j in range(99999) %}0123456789{% endfor %}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(str(write_model(tmp_path_factory.mktemp("model"), layers=1)))


def template(tokenizer: Any, text: str) -> ChatTemplate:
    tokenizer._tokenizer.chat_template = text
    return ChatTemplate(tokenizer)


@pytest.mark.parametrize("text", [LOOP, FLOOD], ids=["loops", "prints"])
def test_a_template_without_an_end_is_refused_by_name(
    text: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_limit, "MOST_SECONDS", 0.3)
    monkeypatch.setattr(template_limit, "MOST_CHARACTERS_RENDERED", 100_000)
    with pytest.raises(UnusableError, match="chat template comes to no end"):
        template(tokenizer, text).render([CHAT])


@pytest.mark.parametrize("text", ["{{ 'x' * 10**9 }}", "{{ 10 ** (10**9) }}", "{{ [1] * 10**9 }}", "{{ 2**5000 }}"])
def test_products_without_measure_refuse_the_row(text: str, tokenizer: Any) -> None:
    [found] = template(tokenizer, text).render([CHAT])
    assert isinstance(found, Exception)
    assert "the template" in str(found)


def test_ordinary_arithmetic_works(tokenizer: Any) -> None:
    [found] = template(tokenizer, "{{ '=' * 3 }}{{ 2 ** 10 }}{{ 6 * 7 }}{{ 1.5 * 2 }}").render([CHAT])
    assert found.text == "===1024423.0"  # type: ignore[union-attr]


def test_a_tokenizer_that_is_code_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "resources" / "starter" / "model", tmp_path / "model"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "OwnTok", "auto_map": {"AutoTokenizer": ["own.OwnTok", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass OwnTok: pass\n")
    with pytest.raises(UnusableError, match=r"code that comes with the model \(own.py\), which Luthier never runs"):
        load_tokenizer(str(folder))
    assert not (tmp_path / "ran").exists()
