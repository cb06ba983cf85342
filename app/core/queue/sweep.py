"""A sweep: one setup in several variants, every combination of the values given for up to three fields."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from app.core.config.spec import field_specs
from app.core.config.train_config import DEFAULT_TARGETS, FieldSpec, TrainConfig
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.method.table import PATHS
from app.core.model.inspection import Inspection
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.quantity import no_number_text
from app.core.queue.data_stamp import data_stamp
from app.core.queue.queue import QueueEntry, make_entry
from app.core.run.name import BETWEEN, run_name
from app.core.run.summary import RunSummary
from app.core.setup import plan
from app.core.setup.check import check_config
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import validation_problems
from app.core.setup.recommendation import RANK_PATH, rank_values
from app.core.target.preset import PRESETS

MAX_FIELDS = 3
MAX_RUNS = 200
VARIANT_NAME_LENGTH = 80  # of an adapter's name

# What can be swept, as the window lists it, with the word that a variant's name has for it.
FIELDS = {
    "lora_parameters.rank": "rank",
    "learning_rate": "lr",
    "targets": "targets",
    "lora_parameters.scale": "scale",
    "lora_parameters.dropout": "dropout",
    "num_layers": "layers",
    "batch_size": "batch",
    "grad_accumulation_steps": "accumulation",
    "epochs": "epochs",
    "iters": "iterations",
    "optimizer": "",
    "schedule": "",
    "warmup": "warmup",
    "weight_decay": "decay",
    "max_grad_norm": "clip",
    "max_seq_length": "length",
    "fine_tune_type": "",
    "seed": "seed",
    "beta": "beta",
    "simpo_gamma": "gamma",
    "cpo_alpha": "alpha",
    "group_size": "group",
    "temperature": "temperature",
    "updates_per_generation": "updates",
}
# The same words as the window shows them; a name, which is a file's too, has those above in every language.
SHOWN_WORDS = {
    "lora_parameters.rank": tr("rank"),
    "learning_rate": tr("lr"),
    "targets": tr("targets"),
    "lora_parameters.scale": tr("scale"),
    "lora_parameters.dropout": tr("dropout"),
    "num_layers": tr("layers"),
    "batch_size": tr("batch"),
    "grad_accumulation_steps": tr("accumulation"),
    "epochs": tr("epochs"),
    "iters": tr("iterations"),
    "optimizer": tr("optimizer"),
    "schedule": tr("schedule"),
    "warmup": tr("warmup"),
    "weight_decay": tr("decay"),
    "max_grad_norm": tr("clip"),
    "max_seq_length": tr("length"),
    "fine_tune_type": tr("type"),
    "seed": tr("seed"),
    "beta": tr("beta"),
    "simpo_gamma": tr("gamma"),
    "cpo_alpha": tr("alpha"),
    "group_size": tr("group"),
    "temperature": tr("temperature"),
    "updates_per_generation": tr("updates"),
}
# What does nothing where the file brings its own schedule.
RATES = ("learning_rate", "warmup")
ADAPTER_ONLY = ("lora_parameters.", "targets")
DECAY = "weight_decay"


@dataclass(frozen=True, slots=True)
class SweepAxis:
    """One field and its values, in the order they were given."""

    path: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        return field_specs()[self.path].label


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination: what it sets, and the whole config with a name of its own."""

    name: str
    values: Mapping[str, Any]
    config: TrainConfig


def sweepable(config: TrainConfig) -> list[FieldSpec]:
    """The fields that a sweep of this config can vary."""
    specs = field_specs()
    return [specs[path] for path in FIELDS if not _useless(path, config)]


def parse_axis(path: str, text: str) -> SweepAxis:
    """The values of a list such as ``8, 16, 32``; where a value has commas itself, ``;`` divides.

    Raises `UnusableError` with every value that the field does not take.
    """
    spec = field_specs().get(path)
    if spec is None or path not in FIELDS:
        said = tr("{path!r} is no field that a sweep can vary.", path=path) if path else tr("No field is chosen.")
        raise UnusableError([Problem(path, said, hint=tr("These can be: {fields}.", fields=", ".join(FIELDS)))])
    parts = [part.strip() for part in text.split(";" if ";" in text else ",")]
    values: list[Any] = []
    problems: list[Problem] = []
    for part in filter(None, parts):
        if spec.kind in ("int", "float") and not _is_number(part, whole=spec.kind == "int"):
            hint = tr("{label} takes {range_text}.", label=spec.label, range_text=spec.range_text)
            problems.append(Problem(path, no_number_text(part, whole=spec.kind == "int"), hint=hint))
            continue
        try:
            value = TrainConfig().with_value(path, _plain(spec, part)).value(path)
        except ValidationError as error:
            problems += validation_problems(error)
            continue
        if value not in values:
            values.append(value)
    if problems:
        raise UnusableError(problems)
    if not values:
        raise UnusableError(
            [
                Problem(
                    path,
                    tr("No value is given."),
                    hint=tr("Divide values by commas: {example}.", example=example(spec)),
                )
            ]
        )
    return SweepAxis(path, tuple(values))


def example(spec: FieldSpec) -> str:
    """A list of values as one could type it, for the place where it is typed."""
    if spec.choices:
        return ", ".join(str(value) for value, _ in spec.choices[:3])
    known = {
        "lora_parameters.rank": "8, 16, 32", "learning_rate": "1e-4, 3e-4, 1e-3", "targets": ", ".join(PRESETS),
        "num_layers": "8, 16, -1", "seed": "0, 1, 2", "lora_parameters.dropout": "0, 0.05, 0.1",
        "warmup": "0, 0.05, 0.1", "max_grad_norm": "0, 0.5, 1", "weight_decay": "0, 0.01, 0.1",
        "max_seq_length": "512, 1024", "iters": "200, 400, 800", "beta": "0.05, 0.1, 0.5", "group_size": "4, 8",
        "lora_parameters.scale": "0.5, 1, 2", "simpo_gamma": "0.5, 1, 1.5", "cpo_alpha": "0, 0.5, 1",
        "temperature": "0.7, 0.8, 1",
    }  # fmt: skip
    return known.get(spec.path, "1, 2, 4")


def expand(config: TrainConfig, axes: Sequence[SweepAxis]) -> list[Variant]:
    """Every combination, the last field changing first, each with a name of its own.

    Varying ``iters`` frees them from the epochs. Raises `UnusableError` if there are too many fields or runs, a
    field is given twice, or one does nothing in this config.
    """
    problems = list(_axis_problems(config, axes))
    if problems:
        raise UnusableError(problems)
    names: set[str] = set()
    found = []
    for combination in itertools.product(*(axis.values for axis in axes)):
        values = dict(zip((axis.path for axis in axes), combination, strict=True))
        freed: dict[str, Any] = {"epochs": None} if "iters" in values and "epochs" not in values else {}
        if RANK_PATH in values:
            freed |= rank_values(config, values[RANK_PATH])  # alpha stays, as in the form; a scale that varies wins
        varied = config.with_values(freed | values)
        name = _own_name(*_name_parts(config, varied, values), names)
        names.add(name)
        found.append(Variant(name, values, varied.with_value("adapter_name", name)))
    return found


def check_variant(
    variant: Variant, inspection: Inspection | None = None, data: DataReport | None = None
) -> list[Problem]:
    """What stands in the way of one variant, or should be known of it: the checks before Start."""
    return check_config(variant.config, inspection, _data_of(variant, data))


def variant_iterations(variant: Variant, data: DataReport | None) -> int | None:
    """Iterations of one run; None while they follow from data that are not known."""
    examples = plan.train_examples(variant.config, _data_of(variant, data))
    if variant.config.epochs is not None and examples is None:
        return None
    return plan.iterations(variant.config, examples)


def _data_of(variant: Variant, data: DataReport | None) -> DataReport | None:
    """What is known of the data of one variant: what the form's tokens were counted to holds for the form's length
    and batches."""
    if data is None or not variant.values.keys() & set(plan.COUNTED_PATHS):
        return data
    return replace(data, counted={})


def variant_errors(variants: Sequence[Variant], found: Sequence[Sequence[Problem]]) -> list[Problem]:
    """The errors of all variants, the same one only once, with the variants that have it named."""
    having: dict[Problem, list[str]] = {}
    for variant, problems in zip(variants, found, strict=True):
        for problem in errors(problems):
            having.setdefault(problem, []).append(value_words(variant.values))
    named = []
    for problem, words in having.items():
        where = "" if len(words) == len(variants) else f"{'; '.join(words[:3])}{' …' if len(words) > 3 else ''}: "
        named.append(Problem(problem.path, f"{where}{problem.message}", Severity.ERROR, problem.hint))
    return named


def total_iterations(variants: Sequence[Variant], data: DataReport | None) -> int | None:
    """Iterations of all runs together; None while they follow from data that are not known."""
    total = 0
    for variant in variants:
        iterations = variant_iterations(variant, data)
        if iterations is None:
            return None
        total += iterations
    return total


def entries(variants: Sequence[Variant], name: str) -> list[QueueEntry]:
    """The variants as waiting entries that share a sweep."""
    sweep, data = secrets.token_hex(4), data_stamp(variants[0].config)  # whose files no field of a sweep changes
    return [make_entry(v.config, sweep=sweep, sweep_name=name, values=dict(v.values), data=data) for v in variants]


def sweep_name(config: TrainConfig, axes: Sequence[SweepAxis]) -> str:
    """``mlx_finetune over LoRA rank × Learning rate``."""
    return tr(
        "{adapter_name} over {names}",
        adapter_name=config.adapter_name,
        names=" × ".join(axis.label for axis in axes),
    )


def value_words(values: Mapping[str, Any]) -> str:
    """``rank 8, lr 1e-4``: what sets a variant apart, in a few words."""
    return ", ".join(f"{SHOWN_WORDS.get(path, word(path))} {value_word(value)}" for path, value in values.items())


def word(path: str) -> str:
    """The short name of a field."""
    return FIELDS.get(path) or path.rsplit(".", 1)[-1].replace("_", " ")


def value_word(value: Any) -> str:
    """A value without needless digits: 0.05, ``1e-4``."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.6e}" if 0 < abs(value) < 1e-3 else f"{value:g}"
    mantissa, exponent, power = text.partition("e")
    return f"{float(mantissa):g}e{int(power)}" if exponent else text


def _plain(spec: FieldSpec, part: str) -> Any:
    """A choice may be typed by its label; everything else pydantic reads."""
    labels = {str(label).casefold(): value for value, label in spec.choices}
    return labels.get(part.casefold(), part.casefold() if spec.choices else part)


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        int(text) if whole else float(text)
    except ValueError:
        return False
    return True


def _useless(path: str, config: TrainConfig) -> bool:
    if path.startswith(ADAPTER_ONLY) and config.fine_tune_type == "full":
        return True
    if path in RATES and config.has_own_rates:
        return True
    if path == DECAY and config.optimizer == "adam":
        return True
    return path in PATHS and path not in method_of(config).parameters


def _axis_problems(config: TrainConfig, axes: Sequence[SweepAxis]) -> list[Problem]:
    paths = [axis.path for axis in axes]
    problems = [Problem(p, tr("The field is given twice.")) for p in dict.fromkeys(paths) if paths.count(p) > 1]
    if not axes:
        problems.append(Problem("", tr("No field is chosen."), hint=tr("Choose what the runs should differ in.")))
    if len(axes) > MAX_FIELDS:
        problems.append(
            Problem(
                "",
                tr("A sweep has at most {max_fields} fields.", max_fields=MAX_FIELDS),
                hint=tr("Leave some out."),
            )
        )
    runs = 1
    for axis in axes:
        runs *= len(axis.values)
        deciding = "schedule" if axis.path in RATES else "optimizer" if axis.path == DECAY else "fine_tune_type"
        if _useless(axis.path, config) and deciding not in paths:
            problems.append(
                Problem(
                    axis.path, tr("{label} does nothing in this setup: all runs would be alike.", label=axis.label)
                )
            )
    if {"iters", "epochs"} <= set(paths):
        problems.append(Problem("iters", tr("Iterations follow from the epochs: vary one of the two.")))
    if runs > MAX_RUNS:
        problems.append(
            Problem(
                "",
                tr("{runs:,} runs are too many for one sweep: {max_runs} at most.", runs=runs, max_runs=MAX_RUNS),
            )
        )
    return problems


def _name_parts(
    config: TrainConfig, varied: TrainConfig, values: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """What a variant's name begins with, and the values that follow.

    A name that was made of the setup is made anew: it would tell the rank and the rate of another.
    """
    if config.adapter_name != run_name(config):
        return config.adapter_name, values
    usual = method_of(varied).settings.get("learning_rate", TrainConfig.model_fields["learning_rate"].default)
    follows = {"learning_rate": usual, "targets": DEFAULT_TARGETS}
    head = run_name(varied.with_values({path: value for path, value in follows.items() if path in values}))
    tells_rank = any(part.split(" ")[-1] == f"r{varied.lora_parameters.rank}" for part in head.split(BETWEEN))
    return head, {path: value for path, value in values.items() if path != RANK_PATH or not tells_rank}


def _own_name(base: str, values: Mapping[str, Any], taken: set[str]) -> str:
    """``base_rank8_lr1e-4``, shortened where it must be, and never one that another variant has."""
    tail = "".join(f"_{FIELDS.get(path, '')}{value_word(value)}" for path, value in values.items())
    tail = "".join(letter if letter.isalnum() or letter in "._-+" else "-" for letter in tail)
    endings = itertools.chain([""], (f"_{number}" for number in itertools.count(2)))
    return next(own for ending in endings if (own := _fitting(base, tail, ending)) not in taken)


def _fitting(base: str, tail: str, ending: str) -> str:
    """The base gives way first: half a value would be another one."""
    room = VARIANT_NAME_LENGTH - len(ending)
    return f"{base[: max(room - len(tail), 8)]}{tail}"[:room] + ending


@dataclass(frozen=True, slots=True)
class SweepResult:
    """One variant of a sweep and what its run came to; ``summary`` is None while it has no run."""

    entry: QueueEntry
    summary: RunSummary | None

    @property
    def loss(self) -> float | None:
        """The best validation loss of trained weights; None where there is none, or it is no number.

        The untrained model's is that of no variant: all would have the same.
        """
        found = self.summary.trained_val_loss if self.summary is not None else None
        return found if found is not None and math.isfinite(found) else None


def best_result(results: Sequence[SweepResult]) -> SweepResult | None:
    """The variant with the lowest validation loss, the first one where several have it."""
    measured = [(one.loss, place) for place, one in enumerate(results) if one.loss is not None]
    return results[min(measured)[1]] if measured else None


def differ_in_data(results: Sequence[SweepResult]) -> bool:
    """Whether the data was changed between the runs of a sweep: their losses are of different examples."""
    return len({one.entry.trained_data for one in results if one.entry.trained_data}) > 1


def sweep_paths(results: Sequence[SweepResult]) -> list[str]:
    """The fields that a sweep varies, those with one value last."""
    paths = list(dict.fromkeys(path for one in results for path in one.entry.values))
    return sorted(paths, key=lambda path: len({str(one.entry.values.get(path)) for one in results}) < 2)


def value_order(values: Iterable[Any]) -> list[Any]:
    """Each value once: numbers by size, and where there are words the order they came in."""
    found = list(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) for value in found)
    # −1 layers are all of them: more than any number.
    return sorted(found, key=lambda value: math.inf if value == -1 else value) if numbers else found
