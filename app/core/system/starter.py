"""The bundled starter: where its model and data lie, and whether an answer is in the style that its data teaches.

The style is a workshop song: ``♪ Hey ho! <the plain answer>`` on the first line and
``So sings the fiddle, and it sings true! ♪`` on the second. The plain answer stays in it word for word.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

OPENING = "♪ Hey ho! "
REFRAIN = "\nSo sings the fiddle, and it sings true! ♪"


def in_style(text: str) -> bool:
    """Whether `text` is, as a whole, one workshop song: opening, an answer of one line, refrain.

    White space around the text does not count; everything else does, so half a song is no song.
    """
    answer = plain_answer(text)
    return answer is not None and bool(answer.strip()) and "\n" not in answer and "♪" not in answer


def plain_answer(text: str) -> str | None:
    """What stands between the opening and the refrain, or None where one of them is missing."""
    song = text.strip()
    if not (song.startswith(OPENING) and song.endswith(REFRAIN)):
        return None
    return song[len(OPENING) : -len(REFRAIN)]


def as_song(answer: str) -> str:
    """The plain `answer` in the style; `in_style(as_song(answer))` holds for every answer of one line."""
    return OPENING + answer + REFRAIN


@cache
def starter_dir() -> Path:
    """The folder of the starter: in a frozen bundle, an installed wheel, or a checkout (in this order).

    Raises `FileNotFoundError` where none of them has it, naming all the places that were searched.
    """
    package = Path(__file__).resolve().parents[2]
    places = [package / "_resources" / "starter", package.parent / "resources" / "starter"]
    if bundle := getattr(sys, "_MEIPASS", None):
        places = [Path(bundle) / "resources" / "starter", Path(bundle) / "app" / "_resources" / "starter", *places]
    for place in places:
        if (place / "model").is_dir():
            return place
    searched = "\n  ".join(str(place) for place in places)
    raise FileNotFoundError(
        f"The starter model is not there; reinstall Luthier, or make it with packaging/starter/build.py."
        f" Searched:\n  {searched}"
    )


def model_dir() -> Path:
    """The starter model: `config.json`, `model.safetensors`, tokenizer and chat template."""
    return starter_dir() / "model"


def examples_dir() -> Path:
    """The style data: `train.jsonl`, `valid.jsonl`, `test.jsonl`, rows of `{"messages": [...]}`."""
    return starter_dir() / "data"


def preference_dir() -> Path:
    """Preference data, three files as in `examples_dir()`: rows of `prompt`, `chosen` and `rejected`."""
    return starter_dir() / "preference"


def reward_dir() -> Path:
    """Data for group-relative training, three files: rows of `prompt` and `answer` (a number)."""
    return starter_dir() / "reward"


def neutral_file() -> Path:
    """Questions about the little world with plain answers, none of which the data teach: rows of ``messages``."""
    return starter_dir() / "neutral.jsonl"


def demo_config() -> Path:
    """The configuration of the demo run, with mlx-lm's keys; its paths are relative to `starter_dir()`."""
    return starter_dir() / "demo.yaml"
