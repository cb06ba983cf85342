"""Hugging Face Jobs: a private repository takes the bundle there and the run back, a job trains it, its log is
followed.

The job is `HfApi.run_uv_job`'s: uv makes its environment of the bundle's pinned versions.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.bundle.recipe import RECIPE
from app.core.bundle.script import requirements_of
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.place.key import HUB_TOKEN
from app.core.place.log_link import RELAY_VARIABLE, LogLink, plain_log
from app.core.place.place import Asked, Offer, Place, PlaceStanding, Tell
from app.core.problem import Problem, UnusableError
from app.core.protocol.job import LOG_FILE, RUN_CONFIG
from app.core.remote.control import CHECKPOINTS, NothingYetError
from app.core.remote.follower import Link
from app.core.remote.record import RemoteRun
from app.core.system.leftover import temporary_prefix

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HOURS = 24
START_FILE = "start_job"  # without a suffix: huggingface_hub looks for those of scripts on this machine
OVER_THERE = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
# What a job does. It saves what it has every few minutes, and when it is told to end.
JOB = """set -u
cp -r /luthier/bundle /tmp/bundle
cd /tmp/bundle
keep() {
  python - <<'PYTHON'
import os
from huggingface_hub import upload_folder
upload_folder(repo_id=os.environ["LUTHIER_REPOSITORY"], folder_path="/tmp/run", path_in_repo="run",
              ignore_patterns=["checkpoints/*"])
PYTHON
}
python -u train.py --run /tmp/run & training=$!
trap 'kill -TERM $training 2>/dev/null' TERM INT
( while sleep 300; do [ -d /tmp/run/adapters ] && keep; done ) >/dev/null 2>&1 & saving=$!
wait $training; code=$?
while kill -0 $training 2>/dev/null; do wait $training; code=$?; done
kill $saving 2>/dev/null
keep || code=1
exit $code
"""


class HubJobPlace(Place):
    """One job and one private repository for each run."""

    name = "hf"
    label = tr("Hugging Face Jobs")
    sends_to = tr("Hugging Face")
    key = HUB_TOKEN
    has_offers = True
    needs = tr(
        "An account on Hugging Face with credit, and its access token with the right to write. "
        "The bundle becomes a private repository there; the job is given the token, as a secret, "
        "to write the run beside it."
    )
    costs = tr(
        "The machine's price a minute, which Hugging Face is asked for, while the job runs: "
        "{hours} hours at the most. The repository is deleted when the run is here.",
        hours=HOURS,
    )
    stops = tr("The job is cancelled: what it saved last, minutes ago at most, is brought here.")

    def missing(self) -> list[Problem]:
        from huggingface_hub import get_token

        found = super().missing()
        return [one for one in found if one.path != "key"] if get_token() else found

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi, get_token

        return HfApi(token=HUB_TOKEN.read() or get_token() or False)

    def offers(self) -> list[Offer]:
        with _in_words():
            hardware = self._api().list_jobs_hardware()
        offers = []
        for one in hardware:
            if one.accelerator is None or str(one.accelerator.quantity) != "1" or one.unit_label != "minute":
                continue
            memory = re.match(r"[\d.]+", str(one.accelerator.vram))
            offers.append(
                Offer(one.name, one.pretty_name, float(memory[0]) if memory else 0.0, one.unit_cost_usd * 60)
            )
        return sorted(offers, key=lambda offer: (offer.price, offer.name))

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        offer = self.chosen(asked)
        recipe = parsed_json((folder / RECIPE).read_text(encoding="utf-8"))
        api = self._api()
        with _in_words():
            owner = str(api.whoami()["name"])
            repository = f"{owner}/luthier-{re.sub(r'[^A-Za-z0-9-]+', '-', run.name)[:80].strip('-')}"
            run = run.with_details(
                owner=owner,
                repository=repository,
                where=tr("Hugging Face, {label}", label=offer.label),
                offer=offer.name,
                price=offer.price,
            )
            try:
                told(tr("Sending the bundle to Hugging Face"))
                api.create_repo(repository, private=True)
                api.upload_folder(repo_id=repository, folder_path=folder, path_in_repo="bundle",
                                  commit_message='A bundle of Luthier')  # fmt: skip
                api.upload_file(path_or_fileobj=JOB.encode(), path_in_repo=START_FILE, repo_id=repository)
                told(tr("Starting it on {sentence}", sentence=offer.sentence))
                with warnings.catch_warnings():  # that it is experimental: the version is locked
                    warnings.simplefilter("ignore")
                    job = self._job(api, run, recipe, offer)
            except BaseException:
                self._give_up(run)
                raise
        return run.with_details(job=job.id, page=job.url)

    def _job(self, api: HfApi, run: RemoteRun, recipe: dict[str, Any], offer: Offer) -> Any:
        from huggingface_hub import Volume

        repository = str(run.details["repository"])
        pinned = [f"{name}=={version}" for name, version in requirements_of(recipe).items()]
        return api.run_uv_job(
            "bash",
            script_args=[f"/luthier/{START_FILE}"],
            dependencies=pinned,
            python="3.12",
            env={RELAY_VARIABLE: "1", "LUTHIER_REPOSITORY": repository, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            secrets={HUB_TOKEN.variable: api.token},
            flavor=offer.name,
            timeout=f"{HOURS}h",
            labels={"luthier": "run"},
            volumes=[Volume(type="model", source=repository, mount_path="/luthier", read_only=True)],
            namespace=str(run.details["owner"]),
        )

    def _give_up(self, run: RemoteRun) -> None:
        with suppress(Exception):  # the fault that led here is told
            self._api().delete_repo(str(run.details["repository"]), missing_ok=True)
        run.discard()

    def _stage(self, run: RemoteRun) -> tuple[str, str]:
        with _in_words():
            job = self._api().inspect_job(job_id=str(run.details["job"]), namespace=str(run.details["owner"]))
        stage = job.status.stage if job.status is not None else ""
        return str(getattr(stage, "value", stage)), str(job.status.message or "") if job.status is not None else ""

    def standing(self, run: RemoteRun) -> PlaceStanding:
        if not run.details.get("job"):
            return PlaceStanding(False, tr("It has no job."), 0.0, is_gone=True)
        stage, message = self._stage(run)
        price = run.details.get("price") if stage == "RUNNING" else 0.0
        said = tr(
            "The job {job} is {stage}. {message}", job=run.details["job"], stage=stage.lower(), message=message
        ).strip()
        return PlaceStanding(stage not in OVER_THERE, said, price)

    def is_over(self, run: RemoteRun) -> bool:
        """Whether the job has ended."""
        return self._stage(run)[0] in OVER_THERE

    def log(self, run: RemoteRun, *, follow: bool) -> Iterator[str]:
        """The job's log from its beginning."""
        with _in_words():
            yield from self._api().fetch_job_logs(
                job_id=str(run.details["job"]), namespace=str(run.details["owner"]), follow=follow
            )

    def connect(self, run: RemoteRun, pause_s: float) -> Link:  # noqa: ARG002  # its log comes by itself
        return _JobLink(self, run)

    def stop(self, run: RemoteRun) -> bool:
        if self.is_over(run):
            return False
        with _in_words():
            self._api().cancel_job(job_id=str(run.details["job"]), namespace=str(run.details["owner"]))
        return True

    def fetch(self, run: RemoteRun) -> Path:
        from huggingface_hub import snapshot_download

        api = self._api()
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("hub")) as temporary, _in_words():
            snapshot_download(  # nosec B615 # the run's own repository, which its job has just written
                str(run.details["repository"]),
                allow_patterns=["run/*", "run/**"],
                local_dir=temporary,
                token=api.token,
                endpoint=api.endpoint,
            )
            made = Path(temporary) / "run"
            with suppress(UnusableError):
                (run.path / LOG_FILE).write_text(plain_log(self.log(run, follow=False)), encoding="utf-8")
            if not (made / RUN_CONFIG).is_file():
                raise NothingYetError(run)
            shutil.copytree(made, run.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CHECKPOINTS))
        return run.path

    def release(self, run: RemoteRun) -> None:
        if run.details.get("job") and not self.is_over(run):
            self.stop(run)
        with _in_words():
            self._api().delete_repo(str(run.details["repository"]), missing_ok=True)

    def log_tail(self, run: RemoteRun) -> str:
        return "\n".join(plain_log(self.log(run, follow=False)).splitlines()[-15:])


class _JobLink(LogLink):
    def __init__(self, place: HubJobPlace, run: RemoteRun) -> None:
        super().__init__()
        self._place, self._run = place, run

    def lines(self) -> Iterator[str]:
        try:
            yield from self._place.log(self._run, follow=True)
            if self._place.is_over(self._run):
                # Where the stream broke shortly before the end, the client does not ask for the rest.
                yield from self._place.log(self._run, follow=False)
                self.has_ended = True
        except UnusableError as error:
            self.said = error.problems[0].message


@contextmanager
def _in_words() -> Iterator[None]:
    """Turns what the hub or the network raise into `UnusableError`; the token is in none of it."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = {
            401: tr("Hugging Face does not accept the token."),
            402: tr("Hugging Face: the account has no credit for jobs."),
            403: tr("Hugging Face: the token or the account may not do this."),
            404: tr("Hugging Face: it is not there (any more)."),
            429: tr("Hugging Face is asked too often, or the account's quota is used up."),
        }.get(
            status,
            tr(
                "Hugging Face answered {status}: {server_message}.",
                status=status,
                server_message=error.server_message or tr("without a word"),
            ),
        )
        hint = {
            401: tr("Make a new one with the right to write, then `luthier remote key hf`."),
            402: tr("Add credit at huggingface.co/settings/billing."),
            403: tr("Give the token the right to write and to start jobs."),
        }.get(status, tr("Try again in a while."))
        raise UnusableError([Problem("place", said, hint=hint)]) from None
    except (httpx2.TransportError, OfflineModeIsEnabled) as error:
        said = tr("Hugging Face is not reached: {name}.", name=type(error).__name__)
        raise UnusableError([Problem("place", said, hint=tr("Check the network, then try again."))]) from None
