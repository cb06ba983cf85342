"""Lambda: a machine with GPUs, launched by its Cloud API v1, reached by ssh, terminated when its run is here."""

from __future__ import annotations

import base64
import re
from typing import Any

from app.core.language import tr
from app.core.place.key import PlaceKey
from app.core.place.place import Offer, PlaceStanding
from app.core.place.rented import RentedPlace
from app.core.place.service import RefusedByServiceError, Service, understood
from app.core.problem import Problem, UnusableError
from app.core.remote.record import RemoteRun

USER = "ubuntu"  # who logs in on Lambda's images
_MEMORY = re.compile(r"(\d+) GB")  # in descriptions such as "1x A10 (24 GB PCIe)"


class LambdaCloud(RentedPlace):
    """One instance for each run."""

    name = "lambda"
    label = tr("Lambda")
    sends_to = tr("Lambda's data centers")
    key = PlaceKey("Lambda API key", "LAMBDA_API_KEY", "cloud.lambda.ai/api-keys")
    needs = tr(
        "An account with a card, an API key, and a key of ssh (`ssh-keygen -t ed25519`), whose "
        "public half is registered there as luthier if it is not yet."
    )
    costs = tr(
        "The machine's price an hour, which Lambda is asked for, until it is terminated. Luthier "
        "does that when the run is over and here, also when it failed or was stopped; with "
        "nobody watching it goes on costing. Keep the window or `luthier remote watch` open, or "
        "come back soon."
    )

    def _service(self) -> Service:
        assert self.key is not None
        word = base64.b64encode(f"{self.key.read()}:".encode()).decode()
        return Service(
            self.name,
            self.label,
            "https://cloud.lambda.ai/api/v1",
            {"Authorization": f"Basic {word}"},
        )

    def _types(self) -> list[dict[str, Any]]:
        """The types of one GPU that have room somewhere."""
        found = self._service().get("/instance-types")["data"].values()
        return [one for one in found if one["regions_with_capacity_available"] and _gpus(one["instance_type"]) == 1]

    @understood("Lambda")
    def offers(self) -> list[Offer]:
        offers = []
        for one in self._types():
            kind = one["instance_type"]
            memory = _MEMORY.search(kind["description"])
            offers.append(Offer(kind["name"], kind["description"], float(memory[1]) if memory else 0.0,
                                kind["price_cents_per_hour"] / 100))  # fmt: skip
        return sorted(offers, key=lambda offer: (offer.price, offer.name))

    @understood("Lambda")
    def _rent(self, run: RemoteRun, offer: Offer, public_key: str) -> str:
        service = self._service()
        region = next(
            (one["regions_with_capacity_available"][0]["name"] for one in self._types()
             if one["instance_type"]["name"] == offer.name), "",
        )  # fmt: skip
        if not region:
            raise UnusableError(
                [Problem("gpu", tr("{label} was taken meanwhile.", label=offer.label), hint=tr("Choose another."))]
            )
        body = {
            "region_name": region,
            "instance_type_name": offer.name,
            "ssh_key_names": [self._key_name(service, public_key)],
            "name": run.name,
        }

        return str(service.post("/instance-operations/launch", body)["data"]["instance_ids"][0])

    @understood("Lambda")
    def _find(self, run: RemoteRun) -> str:
        found = self._service().get("/instances")["data"]
        return next((str(one["id"]) for one in found if one.get("name") == run.name), "")

    def _end(self, machine: str) -> None:
        try:
            self._service().post("/instance-operations/terminate", {"instance_ids": [machine]})
        except RefusedByServiceError as error:
            if error.status != 404:  # it is gone already
                raise

    def _key_name(self, service: Service, public_key: str) -> str:
        """What the key is called there; it is registered if it is not known yet."""
        mine = public_key.split()[:2]
        keys = service.get("/ssh-keys")["data"]
        for key in keys:
            if str(key.get("public_key", "")).split()[:2] == mine:
                return str(key["name"])
        taken = {str(key["name"]) for key in keys}
        name = next(name for number in range(1, 1000) if (name := f"luthier-{number}") not in taken)
        service.post("/ssh-keys", {"name": name, "public_key": public_key})
        return name

    @understood("Lambda")
    def _machine(self, run: RemoteRun) -> dict[str, Any] | None:
        machine = run.details.get("machine") or self._find(run)
        if not machine:
            return None
        try:
            found: dict[str, Any] = self._service().get(f"/instances/{machine}")["data"]
        except RefusedByServiceError as error:
            if error.status != 404:
                raise
            return None
        return found

    @understood("Lambda")
    def _address(self, run: RemoteRun) -> tuple[str, int] | None:
        machine = self._machine(run)
        if machine is None or machine["status"] in ("terminated", "terminating", "unhealthy"):
            said = tr(
                "The machine ended before it was reached ({status}).",
                status=machine["status"] if machine else tr("gone"),
            )
            raise UnusableError([Problem("place", said, hint=tr("Try again, or choose another GPU."))])
        if machine["status"] != "active" or not machine.get("ip"):
            return None
        return f"{USER}@{machine['ip']}", 22

    @understood("Lambda")
    def standing(self, run: RemoteRun) -> PlaceStanding:
        machine = self._machine(run)
        if machine is None or machine["status"] == "terminated":
            return PlaceStanding(False, tr("The machine is terminated."), 0.0, is_gone=True)
        price = run.details.get("price")
        costs = tr(", ${price:.2f} an hour", price=price) if price is not None else ""
        return PlaceStanding(
            True,
            tr("The machine {id} is {status}{costs}.", id=machine["id"], status=machine["status"], costs=costs),
            price,
        )


def _gpus(kind: dict[str, Any]) -> int:
    """How many GPUs a type has, by its name: ``gpu_8x_a100``."""
    found = re.match(r"gpu_(\d+)x_", kind["name"])
    return int(found[1]) if found else 0
