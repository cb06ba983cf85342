"""Methods: what training can optimize, what each needs and reads, and how the config says which one it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.core.config.train_config import SAMPLING_MODES, TrainConfig
from app.core.method.reward import BUILT_IN, declared_in
from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError

DataNeed = Literal["examples", "pairs", "prompts"]

_PAIR = ("beta", "select_by")
_SAMPLING = (
    "reward_functions", "reward_weights", "reward_functions_file", "reward_timeout_s", "group_size",
    "max_completion_length", "temperature", "updates_per_generation",
)  # fmt: skip
_GROUP = (*_SAMPLING, "epsilon", "epsilon_high", "beta", "reference_model_path")
# mlx-lm-lora's word for a person who is asked at the terminal.
HUMAN_JUDGE = "human"
_SLOW = {"learning_rate": 1e-5}


@dataclass(frozen=True, slots=True)
class Method:
    """One method as a card shows it.

    ``settings`` are the config values that choosing it sets, the defaults of its papers among them; ``parameters``
    the config paths that only such methods read. ``figure`` is what it raises, as its events call it (empty: none
    but the loss). ``epsilon`` is the paper's clip range, below and above. ``paper`` is an arXiv number.
    ``rows`` are the rows that it trains on, where that is more than its kind of ``data`` says.
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


_TWO_PASSES = "One model in memory; each step reads two answers."
_REFERENCE = "One model in memory: the reference is the base with the adapter off, measured once before the run."
_SAMPLED = "One model in memory; most of the time goes into sampling a group of answers to every prompt."
_JUDGED = (
    "One model in memory, and the judge where it is another model; most of the time goes into sampling answers."
)


def _group_settings(kind: str, level: str = "token") -> dict[str, Any]:
    return {"train_mode": "grpo", "grpo_loss_type": kind, "importance_sampling_level": level} | _SLOW


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "sft", "Supervised, attention only", "Learns the answers of examples, in the attention matrices alone.",
            "The baseline to compare with.", "One model in memory; each step reads one answer.", "examples",
            "2106.09685", {"train_mode": "sft", "targets": "attention"},
        ),
        Method(
            "dpo", "DPO", "Makes the chosen answer likelier than the rejected one, compared with the reference.",
            "There are pairs of a better and a worse answer.", _REFERENCE, "pairs", "2305.18290",
            {"train_mode": "dpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1} | _SLOW,
            (*_PAIR, "dpo_cpo_loss_type", "reference_model_path"), "margin",
        ),
        Method(
            "cpo", "CPO", "DPO without a reference, and with the likelihood of the chosen answers beside it.",
            "Pairs, and less memory or time than DPO needs.", _TWO_PASSES, "pairs", "2401.08417",
            {"train_mode": "cpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1, "cpo_alpha": 1.0} | _SLOW,
            (*_PAIR, "dpo_cpo_loss_type", "cpo_alpha"), "margin",
        ),
        Method(
            "simpo", "SimPO", "Compares the mean log-probability of a token, so that length does not count.",
            "Pairs whose answers differ in length.", _TWO_PASSES, "pairs", "2405.14734",
            {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}
            | _SLOW,
            (*_PAIR, "simpo_gamma", "cpo_alpha"), "margin",
        ),
        Method(
            "orpo", "ORPO", "Learns the chosen answers as examples and lowers the odds of the rejected ones.",
            "Pairs, and no supervised run before.", _TWO_PASSES, "pairs", "2403.07691",
            {"train_mode": "orpo", "beta": 0.1} | _SLOW, _PAIR, "margin",
        ),
        Method(
            "kto", "KTO", "Judges each answer alone: good ones gain, bad ones lose, each the less the surer it is.",
            "Answers that were called good or bad, one by one; pairs are taken apart.",
            _REFERENCE, "pairs", "2402.01306",
            {"train_mode": "kto", "beta": 0.1} | _SLOW,
            (*_PAIR, "desirable_weight", "undesirable_weight", "reference_model_path"), "margin",
            rows="Labelled answers: rows with prompt, completion and label (true or false); or pairs",
        ),
        Method(
            "grpo", "GRPO", "Samples a group of answers, scores them, and learns from how they differ.",
            "A program can tell how good an answer is.", _SAMPLED, "prompts", "2402.03300",
            _group_settings("grpo"), _GROUP,
            "reward",
        ),
        Method(
            "bnpo", "BNPO", "GRPO whose tokens all weigh the same within a batch.",
            "Answers of very different lengths.", _SAMPLED, "prompts", "",
            _group_settings("bnpo"), _GROUP,
            "reward",
        ),
        Method(
            "gspo", "GSPO", "GRPO with one importance ratio for the whole answer: steadier over several updates.",
            "Long answers, or mixture-of-experts models.", _SAMPLED, "prompts", "2507.18071",
            _group_settings("grpo", "sequence"), _GROUP,
            "reward", (3e-4, 4e-4),
        ),
        Method(
            "dr_grpo", "Dr. GRPO", "GRPO that divides neither by an answer's length nor by the spread of rewards.",
            "GRPO makes wrong answers longer and longer.", _SAMPLED, "prompts", "2503.20783",
            _group_settings("dr_grpo"), _GROUP,
            "reward",
        ),
        Method(
            "dapo", "DAPO", "GRPO by token, with more room upwards, so that rare words can become likely.",
            "GRPO's answers become all alike.", _SAMPLED, "prompts", "2503.14476",
            _group_settings("dapo"), _GROUP,
            "reward", (0.2, 0.28),
        ),
        Method(
            "online_dpo", "Online DPO",
            "Samples two answers, lets a judge choose, and learns from that as DPO does.",
            "Another model, or a program, can tell which of two answers is better.", _JUDGED, "prompts",
            "2402.04792",
            {"train_mode": "online_dpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1, "group_size": 2} | _SLOW,
            ("judge", "judge_config.system_prompt", *_SAMPLING, "beta", "dpo_cpo_loss_type",
             "reference_model_path"),
            "reward",
        ),
    )
}  # fmt: skip
# Config paths that plain supervised runs do not read; they are left out of such a run's file.
PATHS = frozenset(path for method in METHODS.values() for path in method.parameters) | {"train_mode"}


def method_of(config: TrainConfig) -> Method:
    """The method that a config means."""
    if config.train_mode == "cpo":
        return METHODS["simpo" if config.dpo_cpo_loss_type == "simpo" else "cpo"]
    if config.train_mode != "grpo":
        return METHODS[config.train_mode]
    return METHODS["gspo" if config.importance_sampling_level == "sequence" else config.grpo_loss_type]


def with_defaults(config: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The config with its method's own defaults (learning rate, beta, …) for what a file did not give."""
    if config.train_mode == "sft":
        return config
    return config.with_values({path: v for path, v in method_of(config).settings.items() if path not in given})


def unset_paths(config: TrainConfig) -> list[str]:
    """The method's paths that say nothing: no file, no second model, the paper's clip range."""
    return [path for path in PATHS if config.value(path) in ("", None)]


def data_need(config: TrainConfig) -> DataNeed:
    """What rows the config trains on."""
    return method_of(config).data


def needs_reference(config: TrainConfig) -> bool:
    """True if answers are compared with those of a reference model."""
    return config.train_mode in ("dpo", "kto", "online_dpo") or (config.train_mode == "grpo" and config.beta > 0)


def prompt_limit(config: TrainConfig) -> int:
    """The longest prompt, in tokens, behind which a sampled answer fits; longer ones are left out."""
    return config.max_seq_length - config.max_completion_length


def uses_rewards(config: TrainConfig) -> bool:
    """True if reward functions score the answers: those that are sampled, unless a model judges them."""
    return config.train_mode in SAMPLING_MODES and not has_judge(config)


def has_judge(config: TrainConfig) -> bool:
    """True if a model judges the sampled answers."""
    return config.train_mode == "online_dpo" and bool(config.judge.strip())


def locate_judge(config: TrainConfig) -> Path:
    """The folder of the model that judges; raises `UnusableError` with the path "judge" if there is none."""
    try:
        return locate_model(config.judge)
    except UnusableError as error:
        raise UnusableError([Problem("judge", p.message, p.severity, p.hint) for p in error.problems]) from error


def clip_range(config: TrainConfig) -> tuple[float, float]:
    """How far the ratio may go below and above 1: the config's, or the method's where it says nothing.

    Given alone, the config's ``epsilon`` bounds both sides.
    """
    low, high = method_of(config).epsilon
    if config.epsilon is not None:
        low = high = config.epsilon
    return low, high if config.epsilon_high is None else config.epsilon_high


def check_method(config: TrainConfig) -> Iterator[Problem]:
    """What in the config does not fit its method."""
    if config.train_mode == "sft":
        return
    if config.batching == "pack":
        yield Problem("batching", "Only supervised examples can be packed.", hint="Choose batches by length.")
    if config.train_mode in SAMPLING_MODES:
        yield from _check_sampling(config)
    if config.train_mode == "online_dpo":
        yield from _check_online(config)
    if config.train_mode != "grpo" and config.beta == 0:
        yield Problem("beta", "At 0 there is no preference to learn.", hint="0.1 is usual.")
    elif config.train_mode in ("dpo", "online_dpo") and config.dpo_cpo_loss_type == "simpo":
        yield Problem("dpo_cpo_loss_type", "SimPO has no reference: it goes with CPO.", hint="Choose CPO.")
    if needs_reference(config) and config.reference_model_path:
        path = Path(config.reference_model_path).expanduser()
        if not (path / "config.json").is_file():
            said = f"There is no model in {config.reference_model_path}."
            yield Problem("reference_model_path", said, hint="Choose a model's folder, or leave it empty.")


def _check_sampling(config: TrainConfig) -> Iterator[Problem]:
    if config.max_completion_length >= config.max_seq_length:
        yield Problem(
            "max_completion_length",
            f"Answers of {config.max_completion_length:,} tokens leave no room for a prompt.",
            hint=f"The maximum length is {config.max_seq_length:,} tokens for both together.",
        )
    if uses_rewards(config):
        yield from check_rewards(config)


def _check_online(config: TrainConfig) -> Iterator[Problem]:
    if config.group_size % 2:
        said = f"Answers are compared two by two: of {config.group_size} one would be left over."
        yield Problem("group_size", said, hint=f"Sample {config.group_size - 1} or {config.group_size + 1}.")
    if config.judge.strip() == HUMAN_JUDGE:
        said = "Nobody can be asked while a run goes on: the judge is a model, or the reward functions."
        yield Problem("judge", said, hint="Choose a model's folder, or leave it empty.")
    elif has_judge(config):
        try:
            locate_judge(config)
        except UnusableError as error:
            yield from error.problems


def check_rewards(config: TrainConfig) -> Iterator[Problem]:
    """What is wrong with the reward functions, without running any of the user's code."""
    if not config.reward_functions:
        yield Problem("reward_functions", "No reward function is chosen.", hint=f"There are {', '.join(BUILT_IN)}.")
    weights = config.reward_weights
    if weights and len(weights) != len(config.reward_functions):
        said = f"There are {len(weights)} weights for {len(config.reward_functions)} reward functions."
        yield Problem("reward_weights", said, hint="Give one for each, or none.")
    elif weights and not any(weights):
        yield Problem("reward_weights", "All weights are 0: no answer would earn anything.")
    known = list(BUILT_IN)
    if own := config.reward_functions_file:
        try:
            known += [function.name for function in declared_in(Path(own))]
        except OSError as error:
            said = f"{own} cannot be read: {error.strerror or error}."
            yield Problem("reward_functions_file", said, hint="Choose a Python file.")
            return
        except (SyntaxError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None)
            yield Problem("reward_functions_file", f"This is not Python: {error}.", file=own, line=line)
            return
    for name in config.reward_functions:
        if name not in known:
            said = f"There is no reward function {name}."
            yield Problem("reward_functions", said, hint=f"There are {', '.join(known)}.")
