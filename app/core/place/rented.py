"""A place that rents out machines which ssh reaches: one is rented for a run, and given back when that is here."""

from __future__ import annotations

import math
import shlex
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.core.bundle.launch import memory_gb
from app.core.bundle.recipe import RECIPE
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.place.place import Asked, Offer, ShellPlace, Tell
from app.core.place.service import NotReachedError, wait_until
from app.core.problem import Problem, UnusableError
from app.core.remote.control import send_bundle, start_there
from app.core.remote.record import RemoteRun
from app.core.typed_path import typed_path

SSH_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")  # of ~/.ssh, the first that is there
KNOWN_HOSTS = "known_hosts"  # in the run's folder: addresses of rented machines are soon another's
# What a fresh machine may lack. Whoever logs in is root, or may become it.
EQUIP = """
command -v rsync >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null && exit 0
root=; [ "$(id -u)" = 0 ] || root="sudo -n"
if command -v apt-get >/dev/null; then
  $root apt-get update -qq >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq rsync python3-venv >/dev/null 2>&1
fi
command -v rsync >/dev/null || { echo "rsync is not there, and could not be installed" >&2; exit 1; }
"""


class RentedPlace(ShellPlace):
    """Rents a machine, waits until ssh reaches it, and trains there as on a host of one's own."""

    has_offers = True
    stops = tr("It saves its adapter and ends; then it is brought here, and the machine is given back.")
    boots_within_s = 1200.0
    pause_s = 5.0

    @abstractmethod
    def _rent(self, run: RemoteRun, offer: Offer, public_key: str) -> str:
        """Rents a machine of the run's name; its number."""

    @abstractmethod
    def _address(self, run: RemoteRun) -> tuple[str, int] | None:
        """(user@address, port) of the machine; None while it has none. Raises `UnusableError` if it never will."""

    @abstractmethod
    def _find(self, run: RemoteRun) -> str:
        """The number of the machine that has the run's name; empty if there is none."""

    @abstractmethod
    def _end(self, machine: str) -> None:
        """Ends a machine for good; that it has ended already is as good."""

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        ssh = tuple(shlex.split(asked.ssh)) or ("ssh",)
        public_key = own_public_key(ssh)
        recipe = parsed_json((folder / RECIPE).read_text(encoding="utf-8"))
        offer = self.chosen(replace(asked, need_gb=asked.need_gb or memory_gb(recipe)))
        # From here on something may cost: the record comes first, and the machine goes if anything goes wrong.
        run = run.with_details(
            own_ssh=list(ssh), offer=offer.name, price=offer.price, where=f"{self.label}, {offer.label}",
            model_gb=math.ceil(recipe["model"]["bytes"] / 1e9),
        )  # fmt: skip
        try:
            told(tr("Renting {sentence}", sentence=offer.sentence))
            machine = rent_once(lambda: self._rent(run, offer, public_key), lambda: self._find(run))
            run = run.with_details(machine=machine, **self._folder(run))
            run = self._reached(run, told)
            told(tr("Sending the bundle"))
            send_bundle(run.host, folder, run)
            told(tr("Starting it there"))
            start_there(run.host, run, asked.python)
        except BaseException:
            self._give_up(run)
            raise
        return run

    def _folder(self, run: RemoteRun) -> dict[str, Any]:  # noqa: ARG002
        """Where the run's folder is on the machine, if not in the home folder."""
        return {}

    def _reached(self, run: RemoteRun, told: Tell) -> RemoteRun:
        """The run with its machine's address, once its shell answers."""

        def address() -> tuple[str, int] | None:
            told(tr("Waiting for the machine at {label}", label=self.label))
            return self._address(run)

        found = wait_until(address, self.boots_within_s, self.pause_s)
        if found is None:
            raise self._too_slow()
        host, port = found
        # The machine is new, and nobody has seen its key before: what it shows first is what it must show again.
        known = ("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={run.path / KNOWN_HOSTS}")
        run = run.with_details(host=host, ssh=[*run.details["own_ssh"], "-p", str(port), *known])

        def shell() -> bool | None:
            told(tr("Waiting for its shell"))
            try:
                run.host.run("true")
            except UnusableError:
                return None
            return True

        if wait_until(shell, self.boots_within_s, self.pause_s) is None:
            raise self._too_slow()
        run.host.run(EQUIP)
        return run

    def _too_slow(self) -> UnusableError:
        minutes = tr("{boots_within_s:.0f} minutes", boots_within_s=self.boots_within_s / 60)
        said = tr(
            "The machine at {label} was not reached in {minutes}; it was given back.",
            label=self.label,
            minutes=minutes,
        )
        return UnusableError([Problem("place", said, hint=tr("Try again, or choose another GPU."))])

    def _give_up(self, run: RemoteRun) -> None:
        """Gives back what was rented for a run that did not start. Where that fails the record stays, and says
        so."""
        try:
            self.close(run)
        except UnusableError:
            run.with_details(trouble=tr("It did not start, and its machine could not be given back."))
            return
        run.discard()

    def release(self, run: RemoteRun) -> None:
        if machine := str(run.details.get("machine") or self._find(run)):
            self._end(machine)


def own_public_key(ssh: tuple[str, ...]) -> str:
    """The public half of the key that ssh will show: of its ``-i``, or of the home folder's. Raises
    `UnusableError`."""
    if "-i" in ssh[:-1]:
        paths = [typed_path(ssh[ssh.index("-i") + 1])]
    else:
        paths = [Path.home() / ".ssh" / name for name in SSH_KEYS]
    for path in paths:
        public = path.with_name(f"{path.name}.pub")
        if public.is_file():
            return public.read_text(encoding="utf-8").strip()
    said = tr("There is no public key at {paths}.pub: a rented machine could not be logged into.", paths=paths[0])
    raise UnusableError([Problem("ssh", said, hint=tr("`ssh-keygen -t ed25519` makes one."))])


def rent_once(rent: Callable[[], str], find: Callable[[], str]) -> str:
    """The number of what ``rent()`` made. Where no answer came, ``find()`` says whether it was made all the
    same."""
    try:
        return rent()
    except NotReachedError:
        if found := find():
            return found
        raise
