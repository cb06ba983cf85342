"""The format ``hub``: another format's folder with a model card, and its upload where the person says so."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from app.core.export.certificate import CERTIFICATE_FILE, Certificate
from app.core.export.format import FLOAT_BITS
from app.core.export.model_card import CARD_FILE, model_card
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.model.hub import parse_model_id
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.quantity import bytes_text
from app.core.run.summary import folder_bytes
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.export.writer import writer_of
from app.worker.hub.error import refuse_offline, told
from app.worker.hub.keychain import use_kept_token
from app.worker.process.channel import Channel
from app.worker.process.control import Control
from app.worker.process.progress import Phases

ASKED_EVERY_S = 0.2


class HubWriter:
    """Writes what the option ``content`` says."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """Those of the content, a name that is none, and (before an upload) a hub that is not to be asked."""
        found = writer_of(plan.content).problems(plan)
        if parse_model_id(repository_of(plan)) is None:
            said = tr("“{repository_of}” is no name for a repository.", repository_of=repository_of(plan))
            found.append(Problem("repository", said, hint=tr("A name reads organization/model.")))
        if plan.content != "fused" and plan.values["bits"] != FLOAT_BITS.value:
            found.append(
                Problem("bits", tr("Only a fused model for MLX has fewer bits."), hint=tr("Choose 16-bit."))
            )
        if plan.values["upload"]:
            refuse_offline()
        return found

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """The content; the card comes with the certificate (`write_card`)."""
        writer_of(plan.content).write(plan, tuned, folder, progress)


def repository_of(plan: ExportPlan) -> str:
    """``organization/model``."""
    return str(plan.values["repository"]).strip()


def write_card(plan: ExportPlan, folder: Path, certificate: Certificate | None) -> None:
    """``README.md``, in place of what the base brought. The other words for people then name no places, either."""
    text = model_card(plan.source, plan.base, plan.content, repository_of(plan), certificate)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    for file in (folder / ADAPTER_CONFIG, folder / CERTIFICATE_FILE):
        if file.is_file():
            tree = _without_places(parsed_json(file.read_text(encoding="utf-8")))
            file.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _without_places(tree: Any) -> Any:
    """The same with names in place of whole paths: what lies where on this machine is nobody's business."""
    if isinstance(tree, dict):
        return {key: _without_places(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_places(value) for value in tree]
    return Path(tree).name if isinstance(tree, str) and Path(tree).is_absolute() else tree


def upload(plan: ExportPlan, channel: Channel, certificate: Certificate | None) -> str:
    """Uploads the finished folder, privately unless ``public`` was said; the address of its page.

    Nothing is uploaded that its certificate does not agree to. Raises `TaskError`, with the folder still there.
    """
    kept = tr("The folder stays in {out}.", out=plan.out)
    if certificate is not None and not certificate.agrees:
        raise TaskError(tr("It was not uploaded, because it differs from the run's model."), kept)
    use_kept_token()
    control, api, name = Control(channel), HfApi(), repository_of(plan)
    channel.emit(
        event.Progressed(
            phase=tr(
                "Uploading {folder_bytes} to {name}", folder_bytes=bytes_text(folder_bytes(plan.out)), name=name
            )
        )
    )
    addresses: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            addresses.append(_uploaded(api, name, plan))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(ASKED_EVERY_S)
        if control.is_stopping():
            raise TaskError(tr("The upload was stopped."), kept)
    with told(name):
        if errors:
            raise errors[0]
    return addresses[0]


def _uploaded(api: HfApi, name: str, plan: ExportPlan) -> str:
    private = not plan.values["public"]
    try:
        there = api.model_info(name)
    except RepositoryNotFoundError:
        there = None
    if there is not None and private and not there.private:
        said = tr("{name} is there already and public, and a private upload was asked for.", name=name)
        raise UnusableError(
            [Problem("repository", said, hint=tr("Choose another name, or say that it may be public."))]
        )
    api.create_repo(name, private=private, exist_ok=True)
    api.upload_folder(repo_id=name, folder_path=plan.out, commit_message=f"{plan.source.label}, with Luthier")
    return f"{api.endpoint}/{name}"
