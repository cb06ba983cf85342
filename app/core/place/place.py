"""A place: another machine, or a service that has machines, where a bundle trains and is followed from here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.core.language import tr
from app.core.place.key import PlaceKey
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Event
from app.core.remote.control import (
    NothingYetError,
    bundle_name,
    fetch_there,
    log_tail_there,
    opened_bundle,
    stop_there,
)
from app.core.remote.follower import WAITS_S, Link, ShellLink, follow_remote, has_ended, watched
from app.core.remote.record import RemoteRun, new_remote
from app.core.run.folder import RUN_REMOTE
from app.core.system.setting import load_settings

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """Hardware that a place has. ``memory_gb`` of its GPU (0: not told), ``price`` in US dollars an hour as the
    place says it now (None: it is not told), ``note`` what else is to be known."""

    name: str
    label: str
    memory_gb: float = 0.0
    price: float | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """``A10 · 24 GB · $0.75 an hour``."""
        parts = [self.label]
        if self.memory_gb:
            parts.append(tr("{memory_gb:g}\u00a0GB", memory_gb=self.memory_gb))
        if self.price is not None:
            parts.append(tr("${price:.2f} an hour", price=self.price))
        return " · ".join([*parts, *([self.note] if self.note else [])])


@dataclass(frozen=True, slots=True)
class PlaceStanding:
    """What a place says of a run: whether its machine is ``alive``, in words, what it ``costs`` an hour now, and
    whether all of it ``is_gone`` for good."""

    alive: bool
    said: str
    costs: float | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person chose: an offer's name, or the cheapest that is large enough for ``need_gb``; for ssh the host
    and the command with its options; a Python there; the user's name where a place needs one."""

    offer: str = ""
    need_gb: float = 0.0
    host: str = ""
    ssh: str = "ssh"
    python: str = ""
    user: str = ""


class Place(ABC):
    """One place. Its class says what it needs and costs before anything is asked of it."""

    name: ClassVar[str]
    label: ClassVar[str]
    needs: ClassVar[str]
    costs: ClassVar[str]
    stops: ClassVar[str]  # what becomes of a run that is stopped there
    key: ClassVar[PlaceKey | None] = None
    sends_to: ClassVar[str] = ""  # whose machines get the bundle
    has_offers: ClassVar[bool] = False
    needs_host: ClassVar[bool] = False
    needs_user: ClassVar[bool] = False
    takes_ssh: ClassVar[bool] = False  # reached by ssh, with the user's own key
    waits_s: tuple[float, ...] = WAITS_S

    def missing(self) -> list[Problem]:
        """What is not here that the place needs: programs, a key."""
        found = []
        if self.sends_to and load_settings().offline:
            said = tr("Luthier is set to work strictly offline, so {label} is not asked.", label=self.label)
            found.append(Problem("place", said, hint=tr("Turn “strictly offline” off in the settings.")))
        if self.key is not None and not self.key.read():
            said = tr("There is no key for {label}.", label=self.label)
            hint = tr(
                "Make one at {page}, then `luthier remote key {name}`; or set {variable}.",
                page=self.key.page,
                name=self.name,
                variable=self.key.variable,
            )
            found.append(Problem("key", said, hint=hint))
        return found

    def offers(self) -> list[Offer]:
        """The hardware that can be had, the cheapest first; asks the place."""
        return []

    def chosen(self, asked: Asked) -> Offer:
        """What was asked for. Raises `UnusableError` where that is not to be had."""
        offers = self.offers()
        if asked.offer:
            for offer in offers:
                if asked.offer.casefold() in (offer.name.casefold(), offer.label.casefold()):
                    return offer
            known = ", ".join(offer.name for offer in offers[:12]) or tr("nothing")
            said = tr("{label} has no “{offer}” now.", label=self.label, offer=asked.offer)
            raise UnusableError([Problem("gpu", said, hint=tr("It has {known}.", known=known))])
        for offer in offers:
            if not offer.memory_gb or offer.memory_gb >= asked.need_gb:
                return offer
        said = tr(
            "{label} has no GPU with {need_gb:.0f}\u00a0GB now, which the training needs.",
            label=self.label,
            need_gb=asked.need_gb,
        )
        hint = tr("Load the model in 4 bit there, shorten the examples, or choose one by name that may do.")
        raise UnusableError([Problem("gpu", said, hint=hint)])

    def start(self, bundle: Path, asked: Asked, told: Tell) -> RemoteRun:
        """Sends a bundle (folder or archive) and starts it, detached; ``told`` hears each step, and may raise.

        The record is written before anything is rented, so that nothing is lost sight of. Raises `UnusableError`.
        """
        if missing := self.missing():
            raise UnusableError(missing)
        with opened_bundle(bundle) as folder:
            run = new_remote(bundle_name(folder), self.name)
            try:
                run.take_setup(folder)
                return self._start(folder, run, asked, told)
            except BaseException:
                if not (run.path / RUN_REMOTE).exists():
                    run.discard()
                raise

    @abstractmethod
    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        """Does it, of a bundle's folder."""

    @abstractmethod
    def standing(self, run: RemoteRun) -> PlaceStanding:
        """How the run's machine or job stands; asks the place."""

    @abstractmethod
    def connect(self, run: RemoteRun, pause_s: float) -> Link:
        """A new connection to the run's events."""

    @abstractmethod
    def stop(self, run: RemoteRun) -> bool:
        """Asks the run to end; false if it does not run."""

    @abstractmethod
    def fetch(self, run: RemoteRun) -> Path:
        """Brings what the run made into its folder here. Raises `UnusableError` if there is nothing."""

    def release(self, run: RemoteRun) -> None:  # noqa: B027  # most have nothing to give back
        """Gives back what costs; what is not here by then is lost."""

    @abstractmethod
    def log_tail(self, run: RemoteRun) -> str:
        """The last lines that the run printed."""

    # -- what is the same everywhere --------------------------------------------------------------------------

    def follow(self, run: RemoteRun, lost: Tell, *, pause_s: float = 0.5) -> Generator[Event, None, None]:
        """The events that are not here yet, as they come, until the run has ended."""
        yield from follow_remote(
            run, lambda: self.connect(run, pause_s), lost, waits_s=self.waits_s, is_over=lambda: self._is_over(run)
        )

    def attend(
        self, run: RemoteRun, lost: Tell, told: Tell = lambda _: None, *, pause_s: float = 0.5
    ) -> Generator[Event, None, None]:
        """Follows a run to its end, then brings it here and gives its machine back.

        Leaving the loop leaves the run as it is. Raises `UnusableError` where another process on this machine does
        it.
        """
        with watched(run):
            yield from self.follow(run, lost, pause_s=pause_s)
            told(tr("Bringing it here"))
            self.bring(run)

    def bring(self, run: RemoteRun) -> Path:
        """Brings a run that has ended, gives its machine back and closes its record.

        What cannot be brought stays where it is, with its machine: nothing is given back that is not here, but of a
        run that made nothing, or whose machine is gone.
        """
        try:
            path = self.fetch(run)
        except NothingYetError:
            path = run.path
        except UnusableError:
            if not self.standing(run).is_gone:
                raise
            run.with_details(closed=True)
            raise
        self.close(run)
        return path

    def bring_now(self, run: RemoteRun) -> Path:
        """Brings what there is by now of a run that may go on; one that has ended as `bring` does."""
        was_over = has_ended(run.events())
        path = self.fetch(run)
        if has_ended(run.events()):
            # One that ended while it was copied: its last word is here, its weights may be those of before.
            if not was_over:
                path = self.fetch(run)
            self.close(run)
        return path

    def close(self, run: RemoteRun) -> None:
        """Gives the machine back, and notes that nothing of the run is elsewhere any more."""
        self.release(run)
        run.with_details(closed=True)

    def _is_over(self, run: RemoteRun) -> bool:
        try:
            return not self.standing(run).alive
        except UnusableError:  # the place is not reached either: the network is gone, not the run
            return False


class ShellPlace(Place):
    """A place whose machines ssh reaches: a run is looked after there in the same way, whoever owns the machine."""

    takes_ssh = True

    def connect(self, run: RemoteRun, pause_s: float) -> Link:
        return ShellLink(run, pause_s)

    def stop(self, run: RemoteRun) -> bool:
        return stop_there(run.host, run)

    def fetch(self, run: RemoteRun) -> Path:
        return fetch_there(run.host, run)

    def log_tail(self, run: RemoteRun) -> str:
        return log_tail_there(run.host, run)
