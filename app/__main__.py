"""The one entry: the window, the command line and, with ``--worker DIR``, a worker. Imports the rest lazily."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

IS_FROZEN = bool(getattr(sys, "frozen", False))

if not IS_FROZEN and __package__ in (None, ""):  # started as a file, as the worker's command line does from source
    _own = Path(__file__).resolve().parent
    if sys.path[:1] == [str(_own)]:  # where Python puts the file's folder; not with -P or -I
        del sys.path[0]
    sys.path.insert(0, str(_own.parent))


def main() -> int:
    """Runs what the arguments ask for and returns the exit code."""
    arguments = sys.argv[1:]
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # while it starts: `run_command` takes all others
        print("Interrupted.", file=sys.stderr)
        return 1
    except Exception as error:  # the program itself is not whole: `run_command` tells of everything else
        if arguments[:1] == ["--worker"]:
            raise
        from app.core.installation import repair_hint
        from app.core.launch.alert import alert_if_unseen

        said = f"Luthier cannot start: {type(error).__name__}: {error}. {repair_hint()}"
        print(f"error: {said}", file=sys.stderr)
        alert_if_unseen(said)
        return 1
    finally:
        gc.freeze()  # what ends needs no look through all that was imported, which takes longer than a verb's work


def _run(arguments: list[str]) -> int:
    if IS_FROZEN:
        import multiprocessing

        multiprocessing.freeze_support()  # its helpers are this program started again; they never return from here
    from app.core.protocol import program
    from app.core.system.rosetta import rosetta_refusal

    if said := rosetta_refusal():
        print(f"error: {said}", file=sys.stderr)
        if arguments[:1] != [program.WORKER_FLAG]:
            from app.core.launch.alert import alert_if_unseen

            alert_if_unseen(said)
        return 2
    if program.starts_itself_again(arguments):
        print("luthier: a worker must not start the window; this is a fault of a library it uses.", file=sys.stderr)
        return 2
    if arguments == [program.WORKER_FLAG, program.SPARE_FLAG]:
        gc.disable()
        from app.worker.process.spare import run_spare

        return run_spare()
    if arguments[:1] == [program.WORKER_FLAG] and len(arguments) == 2:
        gc.disable()  # until its task begins: a fifth of the time of its imports went into looking through them
        from app.worker.process.main import run_worker

        return run_worker(Path(arguments[1]))
    if arguments[:1] == [program.SUPERVISOR_FLAG] and len(arguments) == 2:
        from app.core.live.supervisor import run_supervisor
        from app.core.run.folder import RunDir

        return run_supervisor(RunDir(Path(arguments[1])))
    if not _opens_window(arguments):
        from app.core.language import choose_language, quote_code

        choose_language("en")  # the command line's, whatever the window speaks; before texts are imported
        quote_code(False)
    from app.command.main import run_command

    return run_command(arguments)


def _opens_window(arguments: list[str]) -> bool:
    """True where all arguments are files, or there are none: a verb comes before a file of its name."""
    from app.command.verb import VERBS
    from app.core.typed_path import typed_path

    return not (arguments and arguments[0] in VERBS) and all(typed_path(word).exists() for word in arguments)


if __name__ == "__main__":
    sys.exit(main())
