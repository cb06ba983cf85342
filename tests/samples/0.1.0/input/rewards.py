"""A reward function of the user's own."""


def letters(prompts: list[str], completions: list[str], answer: list[str], types: object = None) -> list[float]:
    """The share of letters."""
    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]
