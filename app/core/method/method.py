"""A method: what training optimizes, what it needs and reads, and how forms speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.core.language import tr

# The kinds of data that methods need, and the forms in which rows are written for them.
DataNeed = Literal["examples", "pairs", "prompts"]
Goal = Literal["preference", "labelled", "prompt"]

GOALS: Mapping[DataNeed, tuple[Goal, ...]] = {
    "examples": (), "pairs": ("preference",), "prompts": ("prompt",),
}  # fmt: skip
# A method's name on a card, by the targets that it is compared by.
TITLES = {"full": "{label}", "attention": tr("{label}, attention only")}
# The learning rate of methods that must not throw away what the model can do.
SLOW: dict[str, Any] = {"learning_rate": 1e-5}


@dataclass(frozen=True, slots=True)
class Method:
    """One method, as a card shows it and as everything else asks for it.

    ``settings`` are the config values that choosing it sets: its ``train_mode`` and the defaults of its papers.
    ``parameters`` are the config paths that only such methods read. ``figure`` is what it raises, as its events
    call it (empty: none but the loss). ``epsilon`` is the paper's clip range, below and above. ``paper`` is an
    arXiv number. ``rows`` are the rows that it trains on, where that is more than its kind of ``data`` says.

    ``told_by`` are the settings that tell it from the others of its train mode; the one that bears the mode's name
    has none. ``targets`` are those that its card compares it by. What ``is_stock`` mlx-lm itself trains: such files
    hold none of the methods' keys, and it goes without saying in lists. A ``reference`` model is needed always,
    never, or where beta ties to it. With ``takes_labels`` rows may be single answers called good or bad; one that
    ``is_mismatched`` reads each prompt with the answer to another too. Where it ``is_judged`` the sampled answers
    are compared two by two, and prompts need no reference answer.
    """

    name: str
    label: str
    what: str
    when: str
    cost: str
    data: DataNeed
    paper: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    figure: str = ""
    epsilon: tuple[float, float] = (0.2, 0.2)
    rows: str = ""
    told_by: tuple[str, ...] = ()
    targets: str = "full"
    is_stock: bool = False
    reference: Literal["never", "always", "beta"] = "never"
    takes_labels: bool = False
    is_mismatched: bool = False
    is_judged: bool = False

    @property
    def mode(self) -> str:
        """The config's ``train_mode``."""
        return str(self.settings["train_mode"])

    @property
    def title(self) -> str:
        """Its name on a card, with what it is compared by."""
        return TITLES[self.targets].format(label=self.label)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The forms in which it takes rated rows, the usual one first; none where it learns from examples."""
        return (*GOALS[self.data], "labelled") if self.takes_labels else GOALS[self.data]

    @property
    def is_sampled(self) -> bool:
        """Whether the model samples the answers itself that it learns from."""
        return self.data == "prompts"

    @property
    def is_group_relative(self) -> bool:
        """Whether an answer's advantage over the others of its group is what counts, within a clip range."""
        return self.is_sampled and not self.is_judged

    def rows_each(self, group_size: int, *, labelled: bool = False) -> int:
        """Rows of a batch that one row of the data has: the answers to it."""
        if self.is_sampled:
            return group_size
        return 2 if self.data == "pairs" and not labelled else 1
