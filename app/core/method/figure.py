"""The figures that methods tell of their batches beside the loss, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.language import tr

ONE_FUNCTION = "reward/"  # what the names of single functions' rewards begin with


@dataclass(frozen=True, slots=True)
class MethodFigure:
    """A figure as charts name it, and what it means; one that ``is_telling`` stands in a run's short lines too."""

    label: str
    meaning: str = ""
    is_telling: bool = False


# By the name that events call it; the order is that of short lines.
FIGURES: Mapping[str, MethodFigure] = {
    "reward": MethodFigure(tr("Reward"), tr("Mean of the weighted rewards; it should rise"), is_telling=True),
    "margin": MethodFigure(
        tr("Margin"),
        tr("How much better the chosen answer is judged than the rejected one; it should rise"),
        is_telling=True,
    ),
    "accuracy": MethodFigure(
        tr("Accuracy of the preference"),
        tr("Share of pairs (or of labelled answers) that are judged the right way round; it should rise"),
        is_telling=True,
    ),
    "kl": MethodFigure(tr("KL divergence"), tr("How far the model has moved from the reference"), is_telling=True),
    "reward_spread": MethodFigure(
        tr("Spread of the rewards"), tr("Standard deviation within a group; at 0 there is nothing to learn from")
    ),
    "equal_groups": MethodFigure(
        tr("Groups of equal rewards"), tr("Share of groups whose answers all earn the same: these teach nothing")
    ),
    "ties": MethodFigure(tr("Share of ties"), tr("Comparisons in which no answer was better: these teach nothing")),
    "inconsistent": MethodFigure(
        tr("Judge changes its mind"),
        tr("Comparisons that turn out otherwise when the answers change places; they count as ties"),
    ),
    "clipped": MethodFigure(tr("Clipped share"), tr("Share of tokens whose ratio was clipped")),
    "answer_tokens": MethodFigure(tr("Length of the answers"), tr("Mean length of the sampled answers, in tokens")),
    "cut": MethodFigure(
        tr("Share of cut answers"),
        tr("Answers that reached the longest length; where many are cut, allow longer ones"),
    ),
    "empty": MethodFigure(tr("Share of empty answers"), tr("Answers that end at once")),
    "chosen_reward": MethodFigure(tr("Reward of chosen answers")),
    "rejected_reward": MethodFigure(tr("Reward of rejected answers")),
    "likelihood_loss": MethodFigure(tr("Likelihood loss")),
}


def figure_label(name: str) -> str:
    """A figure's name as people read it; one that stands nowhere by its own name."""
    if name.startswith(ONE_FUNCTION):
        return tr("Reward: {removeprefix}", removeprefix=name.removeprefix(ONE_FUNCTION))
    known = FIGURES.get(name)
    return known.label if known else name.replace("_", " ").capitalize()
