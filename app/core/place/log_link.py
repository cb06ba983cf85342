"""A link that reads a log: of services that give out what a job prints, from its beginning each time.

The script of a bundle prints each event with the byte at which it stands in its file (where ``LUTHIER_RELAY`` is
set). However often a log is read again, each comes over once, and one that is missing is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.core.remote.follower import Link

RELAY_VARIABLE = "LUTHIER_RELAY"
_EVENT = re.compile(r"@luthier (\d+) (\{.*\})\s*$")


class LogLink(Link):
    """Subclasses say in `lines` what the log says, and in ``has_ended`` whether its job is over."""

    def lines(self) -> Iterator[str]:
        """The log from its beginning, as it comes."""
        raise NotImplementedError

    def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:  # noqa: ARG002  # always all of it
        for line in self.lines():
            if found := _EVENT.search(line):
                yield int(found[1]), found[2].encode() + b"\n"


def plain_log(lines: Iterator[str]) -> str:
    """What a log says besides events."""
    return "".join(f"{line.rstrip()}\n" for line in lines if not _EVENT.search(line))
