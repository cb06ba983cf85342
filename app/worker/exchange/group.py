"""The group: the replicas of a run, as one of them sees it, and what they exchange.

Arrays are exchanged by name, many in one message, on the CPU's stream and after they were computed: a collective
inside of a long step on the GPU runs into the system's patience. Sums are exact to the order of addition, and the
same on all replicas.
"""

from __future__ import annotations

import faulthandler
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from app.core.language import tr
from app.core.problem import Problem, TaskError, UnusableError
from app.core.refusal import reason_of
from app.core.replica.crew import LOST
from app.core.replica.hostfile import JACCL_RING, RING_BACKEND
from app.worker.array import Arrays

MESSAGE_BYTES = 32 << 20  # arrays are put together up to here; mlx's own helper does the same
JOIN_WITHIN_S = 120.0
REACH_WITHIN_S = 10.0
_GONE = ("connection to a peer was lost", "[ring]", "[jaccl]")


class LostReplicaError(Exception):
    """Another replica is gone in the middle of an exchange; nothing of it was taken in."""


class ReplicaGroup:
    """Replica ``number`` of ``size``. ``seconds`` and ``bytes`` are what its sums took and gave so far."""

    def __init__(self, made: mx.distributed.Group) -> None:
        self._made = made
        self.seconds, self.bytes = 0.0, 0
        self.busy_since: float | None = None  # the clock at which an exchange began that has not ended

    @property
    def number(self) -> int:
        return self._made.rank()

    @property
    def size(self) -> int:
        return self._made.size()

    def summed(self, arrays: Arrays) -> Arrays:
        """The sums over all replicas, by name; all give arrays of the same names, shapes and types."""
        began = time.perf_counter()
        names = sorted(arrays)  # the order of a dict is each replica's own
        mx.eval([arrays[name] for name in names])
        found: Arrays = {}
        for message in _messages(names, arrays):
            flat = mx.concatenate([arrays[name].reshape(-1) for name in message])
            total = self._sum(flat)
            self.bytes += flat.nbytes
            at = 0
            for name in message:
                size = arrays[name].size
                found[name] = total[at : at + size].reshape(arrays[name].shape)
                at += size
        mx.eval(list(found.values()))
        self.seconds += time.perf_counter() - began
        return found

    def given(self, arrays: Arrays, giver: int = 0) -> Arrays:
        """The arrays of one replica, bit for bit; the others give theirs for names, shapes and types."""
        names = sorted(arrays)
        mx.eval([arrays[name] for name in names])
        sizes = {name: arrays[name].nbytes for name in names}
        mine = self.number == giver
        own = np.concatenate([_bytes(arrays[name]) if mine else np.zeros(sizes[name], np.uint8) for name in names])
        pieces = [
            np.array(self._sum(mx.array(own[at : at + MESSAGE_BYTES]))) for at in range(0, len(own), MESSAGE_BYTES)
        ]
        whole = np.concatenate(pieces)
        found: Arrays = {}
        at = 0
        for name in names:
            raw = mx.array(whole[at : at + sizes[name]])
            found[name] = raw.view(arrays[name].dtype).reshape(arrays[name].shape)
            at += sizes[name]
        mx.eval(list(found.values()))
        return found

    def _sum(self, flat: mx.array) -> mx.array:
        mx.eval(flat)
        self.busy_since = time.monotonic()
        try:
            total = mx.distributed.all_sum(flat, group=self._made, stream=mx.cpu)
            mx.eval(total)
        except RuntimeError as error:
            if any(sign in str(error) for sign in _GONE):
                raise LostReplicaError from error
            raise
        finally:
            self.busy_since = None
        return total


def joined_group(
    number: int, size: int, backend: str, addresses: Sequence[Sequence[str]], devices: Sequence[Any] = ()
) -> ReplicaGroup:
    """Joins the others; all do so at the same time. Once in a process: MLX knows one group.

    The environment is that of mlx.launch. Raises `UnusableError` where there is no such group: without ``strict``,
    and with what it does not understand, MLX silently makes a group of one.
    """
    print(f"Replica {number} of {size} joins the others ({backend}).", file=sys.stderr, flush=True)
    # Where one never comes MLX waits for ever, and lets no other thread run meanwhile.
    faulthandler.dump_traceback_later(JOIN_WITHIN_S, exit=True)
    try:
        with tempfile.TemporaryDirectory(prefix="luthier-hosts-") as folder:
            os.environ["MLX_RANK"] = str(number)
            file = Path(folder) / "hosts.json"
            if backend == RING_BACKEND:
                file.write_text(json.dumps([list(own) for own in addresses]), encoding="ascii")
                os.environ["MLX_HOSTFILE"] = str(file)
            else:
                file.write_text(json.dumps(list(devices)), encoding="ascii")
                os.environ["MLX_IBV_DEVICES"] = str(file)
                os.environ["MLX_JACCL_COORDINATOR"] = addresses[0][0]
                if backend == JACCL_RING:
                    os.environ["MLX_JACCL_RING"] = "1"
            made = mx.distributed.init(strict=True, backend=RING_BACKEND if backend == RING_BACKEND else "jaccl")
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise UnusableError(
            [Problem("", tr("MLX does not join the replicas by {backend}: {said}.", backend=backend, said=said))]
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    if (made.rank(), made.size()) != (number, size):
        said = tr(
            "MLX joined a group of {size} as number {rank}, not of {size2} as {number}.",
            size=made.size(),
            rank=made.rank(),
            size2=size,
            number=number,
        )
        raise UnusableError([Problem("", said, hint=tr("Check the hostfile: each host once, and its addresses."))])
    return ReplicaGroup(made)


class Doorstep:
    """Where a replica is reached before it joins: listens at its own addresses, and tries those of the next one. By
    JACCL all come to number 0, which tells them of each other."""

    def __init__(self, number: int, addresses: Sequence[Sequence[str]], backend: str) -> None:
        self._own, self._next = addresses[number], addresses[(number + 1) % len(addresses)]
        if backend != RING_BACKEND:
            self._own, self._next = (addresses[0][:1], ()) if number == 0 else ((), addresses[0][:1])
        self._listening: list[socket.socket] = []

    def open(self) -> None:
        """Raises `UnusableError` where an address is not of this machine, or in use."""
        for address in self._own:
            door = socket.socket()
            self._listening.append(door)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind(_place(address))
                door.listen()
            except OSError as error:
                self.close()
                said = tr(
                    "{address} cannot be opened on {gethostname}: {reason_of}.",
                    address=address,
                    gethostname=socket.gethostname(),
                    reason_of=reason_of(error),
                )
                hint = tr("The address must be one of that machine, and no other run may use it at the time.")
                raise UnusableError([Problem("", said, hint=hint)]) from error

    def reach(self) -> None:
        """Raises `UnusableError` where there is no way to the next one."""
        for address in self._next:
            try:
                with socket.create_connection(_place(address), REACH_WITHIN_S) as way:
                    # Who ends a connection first keeps its port busy for a while; this end's port is anyone's.
                    way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            except OSError as error:
                said = tr(
                    "{gethostname} does not reach {address}: {reason_of}.",
                    gethostname=socket.gethostname(),
                    address=address,
                    reason_of=reason_of(error),
                )
                hint = tr("Are both in the same network, and does the other's firewall let it in?")
                raise UnusableError([Problem("", said, hint=hint)]) from error

    def close(self) -> None:
        """Stops listening."""
        while self._listening:
            self._listening.pop().close()


def lost_error() -> UnusableError:
    """What a replica says that is not to blame."""
    return UnusableError([Problem(LOST, tr("Another replica is gone."))])


def weight_error(iteration: int, trained: float, sent: int) -> TaskError:
    """That what was trained is not what was to be."""
    said = tr(
        "The replicas trained {trained:,.0f} tokens at iteration {iteration:,}, and {sent:,} were to be trained.",
        trained=trained,
        iteration=iteration,
        sent=sent,
    )
    return TaskError(said, tr("This is a fault of Luthier's: please report it."), iteration)


def _messages(names: Sequence[str], arrays: Arrays) -> list[list[str]]:
    """The names in messages of one type each, as large as allowed."""
    found: list[list[str]] = []
    kinds: dict[Any, list[str]] = {}
    for name in names:
        kinds.setdefault(arrays[name].dtype, []).append(name)
    for kind in sorted(kinds, key=str):
        size = 0
        found.append([])
        for name in kinds[kind]:
            if found[-1] and size + arrays[name].nbytes > MESSAGE_BYTES:
                found.append([])
                size = 0
            found[-1].append(name)
            size += arrays[name].nbytes
    return found


def _bytes(array: mx.array) -> Any:
    return np.array(array.reshape(-1).view(mx.uint8))


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
