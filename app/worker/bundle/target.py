"""The targets of a bundle: what the config trains, by the names that transformers and PEFT have for it."""

from __future__ import annotations

from pathlib import Path

from app.core.bundle.recipe import BundledTargets
from app.core.language import tr
from app.core.model.folder import read_config
from app.core.problem import Problem, UnusableError
from app.core.target.selection import Selection
from app.worker.export.naming import NAMINGS, unknown_naming
from app.worker.export.peft import adaptable, targets
from app.worker.model.build import build_model

_LINEAR = ("Linear", "QuantizedLinear")


def bundled_targets(model: Path, selection: Selection) -> BundledTargets:
    """The selection under transformers' names. Raises `UnusableError` with what PEFT has no equal form for."""
    model_type = str(read_config(model).get("model_type", ""))
    if problems := unknown_naming(model_type):
        hint = tr("Known are {names}.", names=", ".join(sorted(NAMINGS)))
        raise UnusableError([Problem("model", one.message, hint=hint) for one in problems])
    odd = [module for module in selection.modules if module.type not in _LINEAR or module.layer is None]
    if odd:
        names = ", ".join(dict.fromkeys(module.name for module in odd))
        said = tr(
            "A bundle adapts linear matrices inside the layers; {names} ({type}) is none of them.",
            names=names,
            type=odd[0].type,
        )
        raise UnusableError([Problem("targets", said, hint=tr("Leave it out of the targets."))])
    naming = NAMINGS[model_type]
    modules = {naming.module(module.path): None for module in selection.modules}
    choice = targets(modules, [naming.module(path) for path in adaptable(build_model(model)[0])])
    is_turned = any(naming.is_transposed(module) for module in modules)
    return BundledTargets(tuple(modules), choice | {"fan_in_fan_out": is_turned})
