"""What a chart draws of a run's history: the loss, or one of the figures that its method has besides."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.run.history import Axis, Floats, RunHistory

LOSS = ""
LABELS = {
    LOSS: "Loss",
    "reward": "Reward",
    "reward_spread": "Spread of the rewards",
    "equal_groups": "Groups of equal rewards",
    "ties": "Share of ties",
    "inconsistent": "Judge changes its mind",
    "kl": "KL divergence",
    "clipped": "Clipped share",
    "answer_tokens": "Length of the answers",
    "cut": "Share of cut answers",
    "empty": "Share of empty answers",
    "margin": "Margin",
    "accuracy": "Accuracy of the preference",
    "chosen_reward": "Reward of chosen answers",
    "rejected_reward": "Reward of rejected answers",
    "likelihood_loss": "Likelihood loss",
}
MEANINGS = {
    LOSS: "What training minimizes",
    "reward": "Mean of the weighted rewards; it should rise",
    "reward_spread": "Standard deviation within a group; at 0 there is nothing to learn from",
    "equal_groups": "Share of groups whose answers all earn the same: these teach nothing",
    "ties": "Comparisons in which no answer was better: these teach nothing",
    "inconsistent": "Comparisons that turn out otherwise when the answers change places; they count as ties",
    "kl": "How far the model has moved from the reference",
    "clipped": "Share of tokens whose ratio was clipped",
    "answer_tokens": "Mean length of the sampled answers, in tokens",
    "cut": "Answers that reached the longest length; where many are cut, allow longer ones",
    "empty": "Answers that end at once",
    "margin": "How much better the chosen answer is judged than the rejected one; it should rise",
    "accuracy": "Share of pairs (or of labelled answers) that are judged the right way round; it should rise",
}
REWARD = "reward"
ONE_FUNCTION = "reward/"  # what the names of single functions' rewards begin with


def label_of(name: str) -> str:
    """A figure's name as people read it."""
    if name.startswith(ONE_FUNCTION):
        return f"Reward: {name.removeprefix(ONE_FUNCTION)}"
    return LABELS.get(name, name.replace("_", " ").capitalize())


def leading(history: RunHistory) -> str:
    """The figure that tells best how a run is doing: the reward where answers are sampled (their loss is a mean of
    advantages, near 0 whatever is learnt), else the loss."""
    return REWARD if REWARD in history.figure_names else LOSS


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of a history, or its loss; the arrays are views that grow with it."""

    history: RunHistory
    name: str = LOSS

    @property
    def label(self) -> str:
        return label_of(self.name)

    @property
    def values(self) -> Floats:
        """Those of every iteration for the loss, of every report for a figure."""
        return self.history.losses if self.name == LOSS else self.history.figures(self.name)

    def x(self, axis: Axis) -> Floats:
        """Where `values` lie."""
        return self.history.x(axis) if self.name == LOSS else self.history.figures_x(self.name, axis)

    @property
    def valid_values(self) -> Floats:
        """Those of every validation; no loss where validations measure a reward instead."""
        if self.name != LOSS:
            return self.history.valid_figures(self.name)
        return self.history.valid_losses[:0] if self.history.is_rewarded else self.history.valid_losses

    def valid_x(self, axis: Axis) -> Floats:
        """Where `valid_values` lie."""
        if self.name != LOSS:
            return self.history.valid_figures_x(self.name, axis)
        return self.history.valid_x(axis)[: len(self.valid_values)]

    @property
    def best_index(self) -> int | None:
        """The place of the best validation among `valid_values`, on the figure that it is the best by."""
        deciding = REWARD if self.history.is_rewarded else LOSS
        index = self.history.best_index() if self.name == deciding else None
        return index if index is not None and index < len(self.valid_values) else None
