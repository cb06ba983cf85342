"""The verbs of the command line: where each is, and what it does in a few words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: the module whose ``application`` (a typer app) runs it, and what it does in a few words.

    ``speaks_events`` is true where ``--json`` gives event lines instead of one object.
    """

    module: str
    summary: str
    speaks_events: bool = False


# What goes on while it speaks: with --json an object a line, as it comes.
EACH_LINE = "train, resume, attach, queue run, remote watch"

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
