"""The config of a job comes to a worker as it was given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.worker.process.job import job_config

# Halves of a character, too, as the names of files have them; two of them side by side are one.
WORDS = st.text(st.characters(exclude_categories=(), exclude_characters="\0")).map(
    lambda words: words.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)


@given(WORDS, st.floats(min_value=1e-9, max_value=1e6))
def test_any_words_and_figures_of_a_config_arrive(words: str, rate: float) -> None:
    config = TrainConfig(test_data=words, learning_rate=rate, epochs=None)
    assert job_config(config.model_dump(mode="json")) == config


def test_a_long_config_arrives() -> None:
    data = f"/d 😀 & {'x' * 30_000}"
    assert job_config({"data": data}).data == data
