"""The team: number 0's crew and group together: shares sent, states made alike, and words for what goes wrong."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.language import capital, joined, tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Align, Join, PackedArray, Reach, Share
from app.core.protocol.job import ReplicaJob
from app.core.replica.crew import Crew, Replica, from_home
from app.core.replica.hostfile import Hostfile
from app.worker.array import Arrays
from app.worker.batch.batch import Batch
from app.worker.exchange.group import Doorstep, ReplicaGroup, joined_group, weight_error
from app.worker.exchange.speed import exchange_speed
from app.worker.process.channel import Channel

MODEL = "model"  # the result that holds the digests of a replica's base model
WATCH_EVERY_S, HANGS_AFTER_S = 1.0, 20.0
VERSIONS = ("luthier", "mlx", "mlx-lm")  # those that must be alike


class Team:
    """Number 0's side of a run that several replicas train. Made before its own model is loaded: so the others load
    theirs meanwhile. ``config`` is the run's concrete one, None where nothing is trained."""

    def __init__(self, channel: Channel, hostfile: Hostfile, model: Path, config: TrainConfig | None) -> None:
        self._channel = channel
        self._closed = threading.Event()
        os.environ.update((name, value) for name, _, value in (one.partition("=") for one in hostfile.envs))
        self.hostfile, self.size = hostfile, len(hostfile)
        self._seed = config.seed if config is not None else 0
        self._addresses = hostfile.addresses()
        self._door = Doorstep(0, self._addresses, hostfile.backend)
        self._door.open()
        self._group: ReplicaGroup | None = None
        try:
            self.crew = Crew(hostfile, self._jobs(model, config), _log)
        except BaseException:
            self._door.close()
            raise

    @property
    def group(self) -> ReplicaGroup:
        """Once it has joined."""
        assert self._group is not None
        return self._group

    def join(
        self, versions: Mapping[str, str], digests: Mapping[str, str], raise_if_stopped: Callable[[], None]
    ) -> None:
        """Waits until all are ready, compares versions and base model, sees that each reaches the next, and makes
        the group. Raises `UnusableError` with all that is wrong."""
        self.compare(versions, digests, raise_if_stopped)
        self.connect(raise_if_stopped)

    def compare(
        self, versions: Mapping[str, str], digests: Mapping[str, str], raise_if_stopped: Callable[[], None]
    ) -> None:
        """The first part of it."""
        self.crew.wait_for(lambda one: MODEL in one.results, raise_if_stopped)
        found = [*self.crew.faults()]
        for one in self.crew.replicas:
            found += differing_versions(one, versions)
            if MODEL in one.results:
                found += differing_model(one, digests)
        if found:
            raise UnusableError(found)
        self.crew.wait_for(lambda one: one.ready >= 1, raise_if_stopped)
        self.crew.require()

    def connect(self, raise_if_stopped: Callable[[], None]) -> None:
        """The second part of it."""
        self.crew.tell(Reach())
        self._door.reach()
        self.crew.wait_for(lambda one: one.ready >= 2, raise_if_stopped)
        self.crew.require()
        self._door.close()
        self.crew.tell(Reach(over=True))
        self.crew.wait_for(lambda one: one.ready >= 3, raise_if_stopped)
        self.crew.require()
        self.crew.tell(Join())
        hosts = self.hostfile
        self._group = joined_group(0, self.size, hosts.backend, self._addresses, [h.rdma for h in hosts.hosts])
        threading.Thread(target=self._watch, daemon=True, name="replicas").start()

    def share(self, iteration: int, batch: Batch, *, update: bool) -> Sequence[Arrays]:
        """Sends the others their parts of a batch; returns number 0's own."""
        ends = np.cumsum(batch.split)
        for one, start, end in zip(self.crew.replicas, ends[:-1], ends[1:], strict=True):
            parts = tuple(
                {name: wire_array(array) for name, array in part.items()} for part in batch.parts[start:end]
            )
            seed = share_seed(self._seed, iteration, one.number)
            one.send(Share(iteration=iteration, update=update, seed=seed, parts=parts))
        return batch.parts[: ends[0]]

    def check(self, iteration: int, trained: float, batch: Batch) -> None:
        """That all tokens of a batch were trained, each once. Raises `TaskError`."""
        if round(trained) != batch.target_tokens:
            raise weight_error(iteration, trained, batch.target_tokens)

    def align(self, state: Arrays) -> None:
        """Gives all of them number 0's state, so that they stay alike whatever their processors round."""
        self.crew.tell(Align(what="state"))
        self.group.given(state)

    def collected(self, like: Arrays) -> list[Arrays]:
        """What each of the others has added up since the last update; ``like`` is number 0's own."""
        self.crew.tell(Align(what="collect"))
        return [self.group.given(like, one.number) for one in self.crew.replicas]

    def hand_out(self, sums: Sequence[Arrays]) -> None:
        """Gives each of the others such sums back."""
        self.crew.tell(Align(what="hand_out"))
        for own in sums:
            self.group.given(own)

    def measured(self) -> dict[str, float]:
        """What an exchange costs, where nothing is trained."""
        self.crew.tell(Align(what="state"))
        speed = exchange_speed(self.group)
        return {"latency_s": speed.latency_s, "bytes_per_s": speed.bytes_per_s}

    def lost(self) -> Problem:
        """Who went, and why."""
        return self.crew.cause()

    def close(self) -> None:
        """Ends the others."""
        if self._group is not None and not self._closed.is_set():
            group = self._group
            _log(
                tr(
                    "The replicas exchanged {bytes:.2f}\u00a0MB in {seconds:.3f}\u00a0s.",
                    bytes=group.bytes / 1000000.0,
                    seconds=group.seconds,
                )
            )
        self._closed.set()
        self._door.close()
        self.crew.close()

    def _watch(self) -> None:
        """Ends this process where an exchange hangs because a machine went without a word, as when its plug is
        pulled: MLX would wait for it for ever. What was saved is whole."""
        while not self._closed.wait(WATCH_EVERY_S):
            since = self.group.busy_since
            if since is None or time.monotonic() - since < HANGS_AFTER_S or not (found := self.crew.faults()):
                continue
            hint = joined((found[0].hint, tr("The run's last saved state is whole: resume it then.")))
            self._channel.emit(event.Failed(message=found[0].message, hint=hint))
            os._exit(1)

    def _jobs(self, model: Path, config: TrainConfig | None) -> list[ReplicaJob]:
        tree = None
        if config is not None:  # what they begin with comes from number 0, and they write nothing
            tree = config.with_values({"resume_adapter_file": "", "adapter_path": ""}).model_dump(mode="json")
        devices: tuple[Any, ...] = tuple(list(host.rdma) for host in self.hostfile.hosts)
        return [
            ReplicaJob(
                number=number, size=self.size, model=host.model or from_home(model), config=tree,
                backend=self.hostfile.backend, addresses=self._addresses, devices=devices,
            )
            for number, host in enumerate(self.hostfile.hosts[1:], start=1)
        ]  # fmt: skip


def wire_array(array: mx.array) -> PackedArray:
    """An array of a batch for the wire."""
    numbers = np.array(array)
    kinds: dict[str, Any] = {"int32": "int32", "float32": "float32"}
    data = base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode("ascii")
    return PackedArray(dtype=kinds[str(numbers.dtype)], shape=numbers.shape, data=data)


def plain_array(array: PackedArray) -> mx.array:
    """The same, back."""
    return mx.array(np.frombuffer(base64.b64decode(array.data), array.dtype).reshape(array.shape))


def share_seed(seed: int, iteration: int, number: int) -> int:
    """The random state that a replica's share is computed with: it follows from the run alone, so that a resumed
    run draws what an undisturbed one would have drawn."""
    digest = hashlib.blake2b(f"{seed}:{iteration}:{number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big")


def differing_versions(one: Replica, versions: Mapping[str, str]) -> list[Problem]:
    """What a replica runs in another version than this machine."""
    there = one.hello.versions if one.hello is not None else {}
    said = [
        tr("{name} is {there} there and {get} here", name=name, there=there[name], get=versions.get(name))
        for name in VERSIONS
        if name in there and there[name] != versions.get(name)
    ]
    if not said:
        return []
    sentence = f"{capital(one.name)}: {', '.join(said)}."
    return [Problem("", sentence, hint=tr("Install the same version of Luthier on all of them."))]


def differing_model(one: Replica, digests: Mapping[str, str]) -> list[Problem]:
    """In which files a replica's base model is another one."""
    there = one.results[MODEL]
    said = [tr("{name} is not there", name=name) for name in digests if name not in there]
    said += [tr("{name} is there only", name=name) for name in there if name not in digests]
    said += [
        tr("{name} is another", name=name) for name in digests if name in there and there[name] != digests[name]
    ]
    if not said:
        return []
    sentence = tr(
        "The base model of {name} is not that of this machine: {names}.", name=one.name, names=", ".join(said[:3])
    )
    hint = tr("Copy or download the same model there, or name its folder in the hostfile (`model`).")
    return [Problem("", sentence, hint=hint)]


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
