"""Conversions: the ways in which a model's weights can be stored smaller, and where the result goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem, UnusableError


@dataclass(frozen=True, slots=True)
class Quantization:
    """One way to store weights: ``bits`` each, in groups of ``group_size`` with one scale, in MLX's ``mode``."""

    name: str
    bits: int
    group_size: int
    mode: str
    label: str
    help: str

    @property
    def bits_per_weight(self) -> float:
        """With what each group adds: a 16-bit scale and offset (affine), or an 8-bit scale (mxfp4)."""
        return self.bits + (32 if self.mode == "affine" else 8) / self.group_size

    def bytes_of(self, parameters: int) -> int:
        """About what a model of so many parameters will take."""
        return round(parameters * self.bits_per_weight / 8)


QUANTIZATIONS = {
    quantization.name: quantization
    for quantization in (
        Quantization(
            "4bit", 4, 64, "affine", "4-bit", tr("A quarter of the size. The usual choice for training on a Mac.")
        ),
        Quantization(
            "5bit", 5, 64, "affine", "5-bit", tr("Closer to the original than 4-bit, at a third of its size.")
        ),
        Quantization("6bit", 6, 64, "affine", "6-bit", tr("Close to the original's quality, at 40 % of the size.")),
        Quantization("8bit", 8, 64, "affine", "8-bit", tr("Hardly any loss, at half the size.")),
        Quantization(
            "mxfp4",
            4,
            32,
            "mxfp4",
            "mxfp4",
            tr("4-bit floating point (OCP microscaling); a little smaller than 4-bit."),
        ),
    )
}
DEFAULT_QUANTIZATION = "4bit"


def quantization(name: str) -> Quantization:
    """The way of that name; raises `UnusableError` that lists them."""
    found = QUANTIZATIONS.get(name)
    if found is None:
        said = tr("“{name}” is no quantization that Luthier makes.", name=name)
        raise UnusableError(
            [
                Problem(
                    "quantization",
                    said,
                    hint=tr("Choose one of {quantizations}.", quantizations=", ".join(QUANTIZATIONS)),
                )
            ]
        )
    return found


def converted_folder(model: str, chosen: Quantization, folder: Path) -> Path:
    """Where the conversion of a model goes: ``folder/name-4bit``, with a number if that is taken."""
    word = Path(model.partition("@")[0].rstrip("/")).name
    base = folder / f"{word}-{chosen.name}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
