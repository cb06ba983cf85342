"""RunPod: a pod with a GPU, rented by its REST API v2. It stops itself when its training is over or nothing
happens.

The shape of the API is that of api.runpod.io/v2/openapi.json in November 2026; v1 was retired that month.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.place.key import PlaceKey
from app.core.place.place import Offer, PlaceStanding
from app.core.place.rented import RentedPlace
from app.core.place.service import RefusedByServiceError, Service, understood, wait_until
from app.core.problem import Problem, UnusableError
from app.core.remote.record import RemoteRun

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"  # RunPod's own: it starts sshd with the key of PUBLIC_KEY
CUDA = "13.0"  # what torch of the bundle's lock is built for
VOLUME = "/workspace"  # stays when a pod stops
IDLE_MINUTES = 20
# Looks once a minute. Busy is a training, what prepares it, or somebody who copies; after so many idle ones the pod
# stops: its GPU is free and costs nothing more, its volume stays until it is brought here or thrown away.
WATCHDOG = (
    f"idle=0; while [ $idle -lt {IDLE_MINUTES} ]; do sleep 60; "
    "if pgrep -f train.py >/dev/null || pgrep -x rsync >/dev/null; then idle=0; else idle=$((idle+1)); fi; done; "
    'runpodctl pod stop "$RUNPOD_POD_ID" || runpodctl stop pod "$RUNPOD_POD_ID"'
)
ENDED_PODS = ("EXITED", "TERMINATED", "ERROR")


class RunPod(RentedPlace):
    """One pod for each run, on RunPod's own hardware (its *secure cloud*)."""

    name = "runpod"
    label = "RunPod"
    sends_to = tr("RunPod's data centers")
    key = PlaceKey("RunPod API key", "RUNPOD_API_KEY", "console.runpod.io/user/settings")
    needs = tr(
        "An account with credit, an API key that may make and end pods, and a key of ssh "
        "(`ssh-keygen -t ed25519`), whose public half the pod gets."
    )
    costs = tr(
        "The GPU's price an hour, which RunPod is asked for, and its disk. Luthier brings the "
        "run here and ends the pod. With nobody watching, the pod stops {idle_minutes} minutes "
        "after its training is over; its disk costs until `luthier remote fetch` has brought the "
        "run and ended it.",
        idle_minutes=IDLE_MINUTES,
    )

    def _service(self) -> Service:
        assert self.key is not None
        headers = {"Authorization": f"Bearer {self.key.read()}"}
        return Service(self.name, self.label, "https://api.runpod.io/v2", headers)

    @understood("RunPod")
    def offers(self) -> list[Offer]:
        found = self._service().get("/catalog/gpus?include=AVAILABILITY&product=POD&cloud=SECURE")["gpus"]
        offers = [
            Offer(gpu["id"], gpu["name"], float(gpu["memory"]), float(gpu["price"]["secure"]))
            for gpu in found
            if gpu["secure"] and gpu["manufacturer"] == "NVIDIA" and gpu.get("availability") not in (None, "NONE")
        ]
        return sorted(offers, key=lambda offer: (offer.price, offer.name))

    @understood("RunPod")
    def _rent(self, run: RemoteRun, offer: Offer, public_key: str) -> str:
        body = {
            "name": run.name,
            "image": IMAGE,
            "gpu": {"id": offer.name, "count": 1, "minCudaVersion": CUDA},
            "cloud": "SECURE",
            "disk": 20,
            "mounts": {"persistent": {"size": volume_gb(run), "path": VOLUME}},
            "ports": ["22/tcp"],
            "env": {"PUBLIC_KEY": public_key},
            "startSsh": True,
            "args": f"bash -c '({WATCHDOG}) & exec /start.sh'",
        }

        return str(self._service().post("/pods", body)["id"])

    def _folder(self, run: RemoteRun) -> dict[str, Any]:
        return {"folder": f"{VOLUME}/luthier/{run.name}"}

    @understood("RunPod")
    def _find(self, run: RemoteRun) -> str:
        pods = self._service().get("/pods")["pods"]
        return next((str(pod["id"]) for pod in pods if pod["name"] == run.name), "")

    def _end(self, machine: str) -> None:
        self._service().delete(f"/pods/{machine}")

    def _pod(self, run: RemoteRun) -> dict[str, Any] | None:
        machine = run.details.get("machine") or self._find(run)
        if not machine:
            return None
        try:
            found: dict[str, Any] = self._service().get(f"/pods/{machine}")
        except RefusedByServiceError as error:
            if error.status != 404:
                raise
            return None
        return found

    @understood("RunPod")
    def _address(self, run: RemoteRun) -> tuple[str, int] | None:
        pod = self._pod(run)
        if pod is None or pod["status"] in ENDED_PODS:
            said = tr(
                "The pod ended before it was reached ({status}).", status=pod["status"] if pod else tr("gone")
            )
            raise UnusableError([Problem("place", said, hint=tr("Try again, or choose another GPU."))])
        direct = (pod.get("ssh") or {}).get("direct")
        if pod["status"] != "RUNNING" or not direct:
            return None
        return f"{direct['username']}@{direct['host']}", int(direct["port"])

    @understood("RunPod")
    def standing(self, run: RemoteRun) -> PlaceStanding:
        pod = self._pod(run)
        if pod is None:
            return PlaceStanding(False, tr("The pod is gone."), 0.0, is_gone=True)
        said = tr(
            "The pod {id} is {status}, ${cost:.2f} an hour.",
            id=pod["id"],
            status=str(pod["status"]).lower(),
            cost=pod["cost"],
        )
        return PlaceStanding(
            pod["status"] not in ENDED_PODS, said, float(pod["cost"]), pod["status"] == "TERMINATED"
        )

    def fetch(self, run: RemoteRun) -> Path:
        """Brings it; a pod that has stopped itself is started once more for that."""
        pod = self._pod(run)
        if pod is not None and pod["status"] == "EXITED":
            self._service().post(f"/pods/{pod['id']}/action", {"action": "start"})
            wait_until(lambda: self._is_up(run), self.boots_within_s, self.pause_s)
            run = self._reached(run, lambda _: None)
        return super().fetch(run)

    def _is_up(self, run: RemoteRun) -> bool | None:
        pod = self._pod(run)
        return True if pod is None or pod["status"] != "EXITED" else None


def volume_gb(run: RemoteRun) -> int:
    """What the pod's volume holds: torch and its kin, the base model, checkpoints."""
    return 40 + 3 * int(run.details.get("model_gb", 20))
