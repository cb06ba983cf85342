"""The format ``ollama``: a GGUF file with a Modelfile, and the model made in Ollama if that is wanted."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson

from app.core.language import tr
from app.core.model.vocabulary import end_tokens
from app.core.problem import Problem
from app.worker.export.gguf import GgufWriter, write_gguf_file
from app.worker.export.go_template import Talk, UntranslatableError, go_template
from app.worker.export.llama_cpp import run_program
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Phases

MODELFILE, CREATING = "Modelfile", tr("Making it in Ollama")
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?(:[A-Za-z0-9._-]+)?$")
_LONGEST_CONTEXT = 8192  # Ollama keeps room for all of it in memory; who needs more says so there
_ANSWERS_S = 10.0
# Samplers of generation_config.json that Ollama has by the same names.
_SAMPLERS = ("temperature", "top_k", "top_p", "min_p")


class OllamaWriter:
    """Writes the file and ``Modelfile``; with ``create`` also runs ``ollama create``."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What `GgufWriter` says; and of Ollama, where it is to make the model: whether it is there and runs."""
        problems = GgufWriter().problems(plan)
        if not plan.values["create"]:
            return problems
        hint = tr("Choose not to make it in Ollama; `ollama create` can be run later, in the folder.")
        if (program := shutil.which("ollama")) is None:
            problems.append(Problem("create", tr("Ollama is not installed."), hint=hint))
        elif not _runs(program):
            problems.append(
                Problem(
                    "create", tr("Ollama is installed, and does not run."), hint=tr("Start it. {hint}", hint=hint)
                )
            )
        if not _NAME.match(name := model_name(plan)):
            said = tr("“{name}” is no name for a model in Ollama.", name=name)
            problems.append(Problem("name", said, hint=tr("Small letters, digits, “.”, “_” and “-”.")))
        return problems

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """The file, the Modelfile, and the model in Ollama. Raises `TaskError` if Ollama refuses it."""
        tokenizer = tuned.tokenizer
        file = write_gguf_file(plan, tuned, folder, progress)
        (folder / MODELFILE).write_text(modelfile(plan, tokenizer, file.name), encoding="utf-8")
        if plan.values["create"]:
            program = shutil.which("ollama")
            assert program is not None, "problems() has found it"
            run_program([program, "create", model_name(plan), "-f", str(folder / MODELFILE)], progress(CREATING))


def model_name(plan: ExportPlan) -> str:
    """What the model is called in Ollama: as was chosen, else after the run."""
    chosen = str(plan.values["name"]).strip()
    return chosen or re.sub(r"[^a-z0-9._-]+", "-", plan.source.word.lower()).strip("-._")


def modelfile(plan: ExportPlan, tokenizer: Any, file: str) -> str:
    """The text of a Modelfile on the file of that name: template, samplers, and where an answer ends."""
    lines = [
        f"# {model_name(plan)}: ollama create {model_name(plan)} -f {MODELFILE}",
        f"FROM ./{file}",
    ]
    try:
        begin = tokenizer.bos_token if tokenizer.bos_token and _adds_begin(tokenizer) else ""
        template = go_template(lambda turns, answer: _render(tokenizer, turns, answer), begin or "")
        lines.append(f'TEMPLATE """{template.text()}"""')
    except UntranslatableError as error:
        lines.append(f"# No TEMPLATE: {error}. Ollama then goes by the template in the file.")
    generation = _generation(plan.base)
    lines += [f"PARAMETER {name} {generation[name]:g}" for name in _SAMPLERS if _is_number(generation.get(name))]
    context = plan.base_config.get("max_position_embeddings")
    if isinstance(context, int):
        lines.append(f"PARAMETER num_ctx {min(context, _LONGEST_CONTEXT)}")
    ends = sorted({*end_tokens(plan.base), *tokenizer.eos_token_ids})
    texts = [str(tokenizer.convert_ids_to_tokens(number)) for number in ends]
    lines += [f'PARAMETER stop "{text}"' for text in texts if '"' not in text]
    return "\n".join(lines) + "\n"


def _render(tokenizer: Any, turns: Talk, answer: bool) -> str:
    messages = [{"role": role, "content": text} for role, text in turns]
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer)
    return text


def _adds_begin(tokenizer: Any) -> bool:
    found = tokenizer.encode("a")
    return bool(found) and found[0] == tokenizer.bos_token_id


def _generation(base: Path) -> dict[str, Any]:
    try:
        tree = orjson.loads((base / "generation_config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _runs(program: str) -> bool:
    try:
        done = subprocess.run(
            [program, "list"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWERS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
