"""All places, by name. A new one is a class of its own and its line here."""

from __future__ import annotations

import importlib

from app.core.language import tr
from app.core.place.place import Place
from app.core.problem import Problem, UnusableError
from app.core.remote.record import RemoteRun

PLACE_CLASSES = {
    "ssh": "app.core.place.ssh:SshPlace",
    "runpod": "app.core.place.runpod:RunPod",
    "lambda": "app.core.place.lambda_cloud:LambdaCloud",
    "hf": "app.core.place.hub_job:HubJobPlace",
    "colab": "app.core.place.colab:ColabPlace",
    "kaggle": "app.core.place.kaggle:KagglePlace",
}


def place_named(name: str) -> Place:
    """The place of that name. Raises `UnusableError`."""
    if name not in PLACE_CLASSES:
        raise UnusableError(
            [
                Problem(
                    "place",
                    tr("There is no place {name}.", name=name),
                    hint=tr("There are {place_classes}.", place_classes=", ".join(PLACE_CLASSES)),
                )
            ]
        )
    module, word = PLACE_CLASSES[name].split(":")
    found: Place = getattr(importlib.import_module(module), word)()
    return found


def all_places() -> list[Place]:
    """One of each."""
    return [place_named(name) for name in PLACE_CLASSES]


def place_of(run: RemoteRun) -> Place:
    """Where a run trains."""
    return place_named(run.place)
