"""The command line: finds the verb and runs it, or opens the window; a verb is imported only when it is used."""

from __future__ import annotations

import gc
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from app.command import output
from app.core.launch.alert import alert_if_unseen
from app.core.launch.start import prepare_start
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.system.kept_traceback import keep_traceback

DONE, FAILED, UNUSABLE = 0, 1, 2
# New objects between two looks for unused ones: by imports alone Python's 700 are met a hundred times.
COLLECTED_AT = 10_000
INTERRUPTED = 130  # what typer makes of Ctrl-C


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: the module whose ``application`` (a typer app) runs it, and what it does in a few words.

    ``speaks_events`` is true where ``--json`` gives event lines instead of one object.
    """

    module: str
    summary: str
    speaks_events: bool = False


VERBS = {
    "demo": Verb("app.command.demo", "train the bundled starter model and measure it, start to end"),
    "inspect": Verb("app.command.inspect", "what would be trained in a model, exactly"),
    "check": Verb("app.command.check", "is this data usable, line by line"),
    "import": Verb("app.command.foreign", "a config of axolotl, LLaMA-Factory or Unsloth in Luthier's words"),
    "train": Verb("app.command.train", "one run, from a config file", speaks_events=True),
    "resume": Verb("app.command.resume", "go on with a run, exactly where it stopped", speaks_events=True),
    "attach": Verb("app.command.live.attach", "a run that trains already: watch it, pause it", speaks_events=True),
    "generate": Verb("app.command.generate", "an answer of a model, with or without an adapter"),
    "evaluate": Verb("app.command.evaluate", "held-out loss and perplexity of a model and its adapters"),
    "compare": Verb("app.command.compare", "base and adapters side by side, and what could be chance"),
    "export": Verb("app.command.tuned.export", "a tuned model for other programs: PEFT, GGUF, the hub, …"),
    "bundle": Verb(
        "app.command.remote.bundle", "a setup sealed for another machine: tokens, targets, a torch script"
    ),
    "remote": Verb("app.command.remote.remote", "a bundle on a host that ssh reaches: start, watch, stop, fetch"),
    "hosts": Verb("app.command.remote.hosts", "whether the machines of a hostfile can train together"),
    "serve": Verb("app.command.tuned.serve", "a tuned model for programs that speak to OpenAI's, on this machine"),
    "merge": Verb("app.command.tuned.merge", "several adapters of one base become one, measured"),
    "models": Verb("app.command.model", "search, download, list and convert models"),
    "queue": Verb("app.command.queue", "train setups one after the other; sweep over values"),
    "runs": Verb("app.command.run", "list, show, compare, name, report and delete runs"),
    "bench": Verb("app.command.stock.bench", "this machine's own table against stock mlx-lm, to share"),
    "doctor": Verb("app.command.health.doctor", "what is installed, what works, and how to get what is missing"),
}


def run_command(arguments: list[str]) -> int:
    """Does what ``arguments`` ask for; exit code 0 done, 1 failed, 2 unusable arguments, config or data."""
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
    except output.ReaderGoneError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except KeyboardInterrupt:
        output.remark("Interrupted.")
        return FAILED
    except OSError as error:
        said, code = f"{reason_of(error)}{f': {error.filename}' if error.filename else ''}.", FAILED
        _tell_failure(said, as_json)
    except Exception as error:  # the last door: told in a sentence, with the details in a file
        words = " ".join(str(error).split()).rstrip(".")[:300] or "an error without a word"
        said, code = f"Luthier failed in a way that it does not know: {words}. {keep_traceback()}", FAILED
        _tell_failure(said, as_json)
    if verb is None:
        alert_if_unseen(said)
    return code


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
        output.remark("Interrupted.")
        return FAILED
    return code if isinstance(code, int) else DONE


def _without_verb(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help"):
        output.say(help_text())
        return DONE
    if first == "--version":
        output.say(f"luthier {__version__}")
        return DONE
    if first == "--selftest" and len(arguments) <= 2:
        from app.command.health.selftest import selftest

        return selftest(*(Path(word).expanduser() for word in arguments[1:]))
    if missing := [word for word in arguments if not Path(word).expanduser().exists()]:
        raise UnusableError([_unknown(word) for word in missing])
    files = [str(Path(word).expanduser().resolve()) for word in arguments]
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
        "With --json a verb prints one JSON object (train, resume, attach: event lines) on stdout, nothing else.\n"
        "Exit codes: 0 done or stopped on request, 1 failed, 2 unusable arguments, config or data."
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


def _tell_failure(message: str, as_json: bool) -> None:
    if as_json:
        output.say_json({"type": "failed", "error": message, "message": message})
    output.remark(f"error: {message}")
