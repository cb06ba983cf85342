"""Alarms: what the figures of preference and reward training say when nothing is learnt, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.core.language import tr
from app.core.protocol.event import Warned

# Iterations in a row after which a sign is no accident.
SIGN_STREAK = 5
# Divergence from the reference, nats a token: the answers have little in common with the model's own any more.
FAR_APART = 2.0

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Alarm:
    is_sounding: Callable[[Figures], bool]
    message: str
    hint: str


ALARMS = {
    "equal_rewards": _Alarm(
        lambda figures: figures.get("equal_groups", 0) >= 1,
        tr("All answers of a group earn the same reward: there is nothing to learn from."),
        tr("Try easier or harder prompts, a reward with steps between, a higher temperature, or larger groups."),
    ),
    "no_reward": _Alarm(
        lambda figures: figures.get("reward", 1) == 0 and figures.get("reward_spread", 1) == 0,
        tr("No answer earns any reward."),
        tr("Try the rewards on some answers first, or teach the form of the answers by a supervised run before."),
    ),
    "ties": _Alarm(
        lambda figures: figures.get("ties", 0) >= 1,
        tr("The judge finds no answer better than another: there is nothing to learn from."),
        tr("Try a higher temperature, so that answers differ, rewards with steps between, or a larger judge."),
    ),
    "inconsistent": _Alarm(
        lambda figures: figures.get("inconsistent", 0) >= 0.5,
        tr("In at least half of the comparisons the judge changes its mind with the order of the answers."),
        tr("Choose a larger judge, tell it what to look for, or let reward functions judge."),
    ),
    "cut": _Alarm(
        lambda figures: figures.get("cut", 0) >= 0.5,
        tr("At least half of the answers are cut at the longest allowed length."),
        tr("Raise the longest answer, or reward short answers."),
    ),
    "empty": _Alarm(
        lambda figures: figures.get("empty", 0) >= 0.5,
        tr("At least half of the answers are empty."),
        tr("Lower the learning rate, and look at what the reward says of an empty answer."),
    ),
    "kl": _Alarm(
        lambda figures: figures.get("kl", 0) > FAR_APART,
        tr("The model moves far away from the reference."),
        tr("Lower the learning rate, or raise beta."),
    ),
}


@dataclass(slots=True)
class Alarms:
    """Watches the figures of each iteration that has some. Each alarm sounds once, and again if it had gone."""

    streaks: dict[str, int] = field(default_factory=dict)

    def judge(self, figures: Figures) -> list[Warned]:
        """The alarms that begin to sound with these figures."""
        if not figures:
            return []
        found = []
        for name, alarm in ALARMS.items():
            streak = self.streaks.get(name, 0) + 1 if alarm.is_sounding(figures) else 0
            self.streaks[name] = streak
            if streak == SIGN_STREAK:
                found.append(Warned(message=alarm.message, hint=alarm.hint))
        return found
