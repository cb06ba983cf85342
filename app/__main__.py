"""The one entry: the window, the command line and, with ``--worker DIR``, a worker. Imports the rest lazily."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # started as a file, as the worker's command line does from source
    sys.path[0] = str(Path(__file__).resolve().parents[1])


def main() -> int:
    """Runs what the arguments ask for and returns the exit code."""
    from app.core.protocol import program

    arguments = sys.argv[1:]
    if program.starts_itself_again(arguments):
        print("luthier: a worker must not start the window; this is a fault of a library it uses.", file=sys.stderr)
        return 2
    if arguments[:1] == [program.WORKER_FLAG] and len(arguments) == 2:
        from app.worker.process.main import run_worker

        return run_worker(Path(arguments[1]))
    from app.command.main import run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
