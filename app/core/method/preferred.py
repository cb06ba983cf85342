"""Methods that learn which of two answers is preferred, or whether one is good."""

from __future__ import annotations

from app.core.language import tr
from app.core.method.method import SLOW, Method

_TWO_PASSES = tr("One model in memory; each step reads two answers.")
_REFERENCE = tr(
    "One model in memory: the reference is the base with the adapter off, measured once before the run."
)
_PAIR = ("beta", "select_by")
# Of fewer answers the mean that stands for the divergence is mostly noise (TRL asks for as many a step).
KTO_BATCH = 4

PREFERRED = (
    Method(
        "dpo",
        "DPO",
        tr("Makes the chosen answer likelier than the rejected one, compared with the reference."),
        tr("There are pairs of a better and a worse answer."),
        _REFERENCE,
        "pairs",
        "2305.18290",
        {"train_mode": "dpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1} | SLOW,
        (*_PAIR, "dpo_cpo_loss_type", "reference_model_path"),
        "margin",
        reference="always",
    ),
    Method(
        "cpo",
        "CPO",
        tr("DPO without a reference, and with the likelihood of the chosen answers beside it."),
        tr("Pairs, and less memory or time than DPO needs."),
        _TWO_PASSES,
        "pairs",
        "2401.08417",
        {"train_mode": "cpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1, "cpo_alpha": 1.0} | SLOW,
        (*_PAIR, "dpo_cpo_loss_type", "cpo_alpha"),
        "margin",
    ),
    Method(
        "simpo",
        "SimPO",
        tr("Compares the mean log-probability of a token, so that length does not count."),
        tr("Pairs whose answers differ in length."),
        _TWO_PASSES,
        "pairs",
        "2405.14734",
        {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}
        | SLOW,
        (*_PAIR, "simpo_gamma", "cpo_alpha"),
        "margin",
        told_by=("dpo_cpo_loss_type",),
    ),
    Method(
        "orpo",
        "ORPO",
        tr("Learns the chosen answers as examples and lowers the odds of the rejected ones."),
        tr("Pairs, and no supervised run before."),
        tr(
            "{two_passes} The likelihood is that of the answers alone; TRL's is of the prompts too.",
            two_passes=_TWO_PASSES,
        ),
        "pairs",
        "2403.07691",
        {"train_mode": "orpo", "beta": 0.1} | SLOW,
        _PAIR,
        "margin",
    ),
    Method(
        "kto",
        "KTO",
        tr("Judges each answer alone: good ones gain, bad ones lose, each the less the surer it is."),
        tr("Answers that were called good or bad, one by one; pairs are taken apart."),
        tr(
            "{reference} Answers are compared with a mean over the batch, which wants {kto_batch} or more.",
            reference=_REFERENCE,
            kto_batch=KTO_BATCH,
        ),
        "pairs",
        "2402.01306",
        {"train_mode": "kto", "beta": 0.1, "batch_size": KTO_BATCH} | SLOW,
        (*_PAIR, "desirable_weight", "undesirable_weight", "reference_model_path"),
        "margin",
        rows=tr("Labelled answers: rows with prompt, completion and label (true or false); or pairs"),
        reference="always",
        takes_labels=True,
        is_mismatched=True,
    ),
)
