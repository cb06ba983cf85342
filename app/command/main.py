"""The command line: finds the verb and runs it, or opens the window; a verb is imported only when it is used."""

from __future__ import annotations

import gc
import importlib
import os

from app import __version__
from app.command import output
from app.command.output import DONE, FAILED, UNUSABLE, exit_code_text
from app.command.verb import EACH_LINE, VERBS, Verb
from app.core.launch.alert import alert_if_unseen
from app.core.launch.start import own_folder, prepare_start
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.system.kept_traceback import keep_traceback
from app.core.typed_path import typed_path

# New objects between two looks for unused ones: by imports alone Python's 700 are met a hundred times.
COLLECTED_AT = 10_000
INTERRUPTED = 130  # what typer makes of Ctrl-C


def run_command(arguments: list[str]) -> int:
    """Does what ``arguments`` ask for; returns one of `EXIT_CODES`."""
    as_json = "--json" in arguments
    verb = VERBS.get(arguments[0]) if arguments else None
    try:
        return _run_verb(arguments, verb) if verb is not None else _without_verb(arguments)
    except UnusableError as error:
        _tell(error, as_json, verb is not None and verb.speaks_events)
        said, code = str(error), UNUSABLE
    except output.FailedError as error:
        said, code = str(error), FAILED
        _tell_failure(said, as_json)
    except output.ReaderGoneError as gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return gone.code
    except KeyboardInterrupt:
        return _interrupted(as_json)
    except OSError as error:
        said, code = f"{reason_of(error)}{f': {error.filename}' if error.filename else _folder_gone()}.", FAILED
        _tell_failure(said, as_json)
    except Exception as error:  # the last door: told in a sentence, with the details in a file
        words = " ".join(str(error).split()).rstrip(".")[:300] or "an error without a word"
        said, code = f"Luthier failed in a way that it does not know: {words}. {keep_traceback()}", FAILED
        _tell_failure(said, as_json)
    if verb is None:
        alert_if_unseen(said)
    return code


def _folder_gone() -> str:
    """Where relative paths have no meaning any more: the system does not say which folder it misses."""
    return "" if own_folder() else ": the folder that this shell is in was deleted, change to another"


def _run_verb(arguments: list[str], verb: Verb) -> int:
    gc.set_threshold(COLLECTED_AT)
    import typer
    from typer.main import get_command

    from app.core.system.network import own_network
    from app.core.system.setting import load_settings

    own_network.follow(load_settings())

    command = get_command(importlib.import_module(verb.module).application)
    try:
        code = command.main(arguments[1:], prog_name=f"luthier {arguments[0]}", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else f"luthier {arguments[0]}"
        raise UnusableError(
            [Problem("", error.format_message(), hint=f"`{path} --help` tells how it is used.")]
        ) from error
    except typer.Abort:
        code = INTERRUPTED
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else DONE


def _without_verb(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help"):
        output.say(help_text())
        return DONE
    if first == "--version":
        if "--json" in arguments:
            output.say_json({"luthier": __version__})
        else:
            output.say(f"luthier {__version__}")
        return DONE
    words = [word for word in arguments if word != "--json"]  # which says in what form faults are told
    if first == "--selftest" and len(words) <= 2:
        from app.command.health.selftest import selftest

        return selftest(*(typed_path(word) for word in words[1:]))
    if missing := [word for word in words or arguments if not typed_path(word).exists()]:
        raise UnusableError([_unknown(word) for word in missing])
    files = [str(typed_path(word).resolve()) for word in words]
    prepare_start()
    gc.disable()  # whatever is made until the window stands there stays; then it collects by itself
    from app.ui.window.application import run_window

    return run_window(files)


def _unknown(word: str) -> Problem:
    kind = "option" if word.startswith("-") else "verb, and no file of that name exists"
    near = output.near_misses(word, [*VERBS, "--help", "--version"])
    return Problem("", f"“{word}” is no {kind}.", hint=near or "`luthier --help` lists what there is.")


def help_text() -> str:
    """The overview that ``luthier --help`` prints."""
    width = max(len(name) for name in VERBS)
    verbs = "\n".join(f"  {name:{width}}  {verb.summary}" for name, verb in VERBS.items())
    return (
        "Usage: luthier [FILE…]           opens the window, with a model folder, data file, config or run\n"
        "       luthier VERB [ARGUMENTS]  does it here; `luthier VERB --help` tells more\n"
        "       luthier --selftest [FILE] whether this copy works; a report in JSON\n\n"
        f"{verbs}\n\n"
        f"With --json a verb prints one JSON object on stdout ({EACH_LINE}: one a line), and nothing else.\n"
        f"{exit_code_text()}"
    )


def _tell(error: UnusableError, as_json: bool, as_event: bool) -> None:
    if not as_json:
        output.complain(error.problems)
    elif as_event:
        from app.core.protocol.event import Failed  # pydantic's models: the overview must not wait for them

        first = error.problems[0]
        failed = Failed(message=str(error), hint=first.hint, path=first.path, where=first.where, unusable=True)
        output.say(failed.to_line())
    else:
        output.say_json(output.error_tree(error))


def _interrupted(as_json: bool) -> int:
    said = "Interrupted."
    if as_json:
        output.say_json({"type": "failed", "error": said, "message": said})
    output.remark(said)
    return FAILED


def _tell_failure(message: str, as_json: bool) -> None:
    if as_json:
        output.say_json({"type": "failed", "error": message, "message": message})
    output.remark(f"error: {message}")
