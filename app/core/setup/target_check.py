"""Checks across a model and a config: what would stop the training or train something else than meant."""

from __future__ import annotations

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.problem import Problem, Severity
from app.core.setup.recommendation import check_scale
from app.core.target.selection import KEYS, Selection, resolve


def check_targets(inspection: Inspection, config: TrainConfig, selection: Selection | None = None) -> list[Problem]:
    """Everything to be said about training this model with this config (those of `resolve` included)."""
    selection = selection or resolve(inspection, config)
    return [
        *_model(inspection, config),
        *_coverage(inspection, config),
        *_full(inspection, config),
        *selection.problems,
        *_routers(config, selection),
        *check_scale(config, inspection),
    ]


def check_inspected(inspection: Inspection, config: TrainConfig, selection: Selection) -> list[Problem]:
    """What keeps these targets of a model from being trained, whatever the data; to look, config.json is enough."""
    return [
        *_whole(inspection, Severity.NOTE),
        *check_vocabulary(inspection),
        *_coverage(inspection, config),
        *_full(inspection, config),
        *selection.problems,
    ]


def _whole(inspection: Inspection, bare: Severity) -> list[Problem]:
    """Whether the model can be trained at all and its weights are all there; without any it is ``bare``."""
    problems = []
    if inspection.untrainable:
        problems.append(Problem("model", inspection.untrainable, hint=tr("Choose a model that mlx-lm can train.")))
    if not inspection.has_weights:
        said = tr("There are no weight files beside config.json: the model can be looked at, but not trained.")
        problems.append(Problem("model", said, bare, tr("Download or copy the whole model.")))
    hint = tr("Write it so into config.json, for every program that reads the model.")
    problems += [Problem("model", said, hint=hint) for said in inspection.misread]
    hint = tr("Download or copy the model again.")
    if inspection.misfit and not inspection.weight_faults:
        said = tr("The model cannot be loaded: {misfit}.", misfit=inspection.misfit)
        problems.append(Problem("model", said, hint=hint))
    return problems + [Problem("model", fault, hint=hint) for fault in inspection.weight_faults]


def _model(inspection: Inspection, config: TrainConfig) -> list[Problem]:
    problems = _whole(inspection, Severity.ERROR)
    problems += check_vocabulary(inspection, Severity.WARNING)
    longest = inspection.max_length
    if longest and config.max_seq_length > longest:
        said = tr(
            "The model was made for texts of at most {longest:,} tokens; longer examples will not be learned well.",
            longest=longest,
        )
        problems.append(
            Problem("max_seq_length", said, Severity.WARNING, tr("Set at most {longest:,}.", longest=longest))
        )
    return problems


def check_vocabulary(inspection: Inspection, severity: Severity = Severity.ERROR) -> list[Problem]:
    """Added tokens that the model's embedding has no row for; what holds one cannot be trained on."""
    if not inspection.tokens_beyond:
        return []
    names = [
        tr("{text!r} ({number:,})", text=text, number=number)
        for number, text in list(inspection.tokens_beyond.items())[:5]
    ]
    more = (
        tr(" and {tokens_beyond} more", tokens_beyond=len(inspection.tokens_beyond) - 5)
        if len(inspection.tokens_beyond) > 5
        else ""
    )
    said = tr(
        "The tokenizer has tokens that the model's embedding does not know: {names}{more}.",
        names=", ".join(names),
        more=more,
    )
    hint = tr("Leave them out of the data, or choose a model whose embedding was resized for its tokenizer.")
    return [Problem("model", said, severity, hint)]


def _coverage(inspection: Inspection, config: TrainConfig) -> list[Problem]:
    if config.num_layers <= inspection.num_layers:
        return []
    said = tr(
        "The model has {num_layers} layers, but {num_layers2} are asked for.",
        num_layers=inspection.num_layers,
        num_layers2=config.num_layers,
    )
    return [
        Problem(
            "num_layers",
            said,
            hint=tr("Choose all layers (−1), or at most {num_layers}.", num_layers=inspection.num_layers),
        )
    ]


def _full(inspection: Inspection, config: TrainConfig) -> list[Problem]:
    if config.fine_tune_type != "full":
        return []
    problems = []
    if inspection.quantized:
        said = tr(
            "The model's weights are packed ({quantization}) and cannot be changed themselves.",
            quantization=inspection.quantization,
        )
        problems.append(Problem("fine_tune_type", said, hint=tr("Use LoRA, or the model before it was quantized.")))
    if config.targets not in ("full", KEYS):
        said = tr("Full fine-tuning changes everything in the covered layers; the targets do not count.")
        problems.append(Problem("targets", said, Severity.NOTE))
    return problems


def _routers(config: TrainConfig, selection: Selection) -> list[Problem]:
    routers = [module for module in selection.modules if module.group is Group.ROUTER]
    if not routers or config.fine_tune_type == "full":
        return []
    said = tr(
        "{routers} routers are trained as well ({key}); that can unbalance the experts.",
        routers=len(routers),
        key=routers[0].key,
    )
    return [Problem("targets", said, Severity.NOTE, tr("Full leaves them out."))]
