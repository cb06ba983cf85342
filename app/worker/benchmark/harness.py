"""A loaded model as lm-eval asks for one. Imported only where lm-eval is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import chdir, nullcontext
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from mlx_lm import stream_generate
from mlx_lm.sample_utils import make_sampler

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol.job import BenchmarkJob
from app.worker.benchmark.likelihood import likelihoods
from app.worker.process.progress import Progress

MOST_TOKENS = 256  # of an answer where a task does not say
BOOTSTRAPPED = 1000  # samples for the standard errors of metrics that have no formula


class CandidateModel(TemplateLM):
    """lm-eval's model over one that is in memory; whichever adapter is on it answers.

    Tokens are those of lm-eval's own Hugging Face model: special ones as the tokenizer adds them, and none where a
    chat template has written them.
    """

    def __init__(self, model: Any, tokenizer: Any, longest: int, phases: Callable[[str], Progress]) -> None:
        super().__init__()
        self._model, self._mlx_tokenizer, self._phases = model, tokenizer, phases
        self.tokenizer = getattr(tokenizer, "_tokenizer", tokenizer)
        self.max_length = longest
        self.who = ""

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        begin = self.tokenizer.bos_token_id
        return int(begin if begin is not None else self.tokenizer.eos_token_id)

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_kwargs: Any) -> list[int]:
        """Tokens of a text, which may begin with the special token itself."""
        begin = self.tokenizer.bos_token
        if add_special_tokens is None and begin and string.startswith(begin):
            add_special_tokens = False
        more = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self.tokenizer.encode(string, **more))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation in the model's own words."""
        return str(
            self.tokenizer.apply_chat_template(
                chat_history, tokenize=False, add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )  # fmt: skip

    def _loglikelihood_tokens(self, requests: Sequence[Any], **_kwargs: Any) -> list[tuple[float, bool]]:
        pairs = [(list(context), list(continuation)) for _, context, continuation in requests]
        return likelihoods(self._model, pairs, self.max_length, self._phases(tr("Choices of {who}", who=self.who)))

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002
        """The likelihood of whole texts, in windows that do not overlap."""
        windows = [
            [
                make_disjoint_window(window)
                for window in get_rolling_token_windows(
                    token_list=self.tok_encode(request.args[0]),
                    prefix_token=self.prefix_token_id,
                    max_seq_len=self.max_length,
                    context_len=1,
                )
            ]
            for request in requests
        ]
        pairs = [(list(context), list(rest)) for text in windows for context, rest in text]
        each = iter(
            likelihoods(self._model, pairs, self.max_length, self._phases(tr("Texts of {who}", who=self.who)))
        )
        return [sum(next(each)[0] for _ in text) for text in windows]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """Answers, up to a text that ends them; greedy unless the task samples."""
        progress = self._phases(tr("Answers of {who}", who=self.who))
        found: list[str] = []
        for number, request in enumerate(requests):
            context, asked = request.args
            found.append(self._answer(context, dict(asked)))
            progress(number + 1, len(requests))
        return found

    def _answer(self, context: str, asked: dict[str, Any]) -> str:
        until = asked.get("until") or []
        ends = [end for end in ([until] if isinstance(until, str) else until) if end]
        most = int(asked.get("max_gen_toks", MOST_TOKENS))
        heat = float(asked.get("temperature", 0.0) or 0.0) if asked.get("do_sample") else 0.0
        sampler = make_sampler(temp=heat, top_p=float(asked.get("top_p", 0.0) or 0.0))
        tokens = self.tok_encode(context)[-max(1, self.max_length - most) :]
        text = ""
        for part in stream_generate(self._model, self._mlx_tokenizer, tokens, max_tokens=most, sampler=sampler):
            text += part.text
            if any(end in text for end in ends):
                break
        return text[: min((text.find(end) for end in ends if end in text), default=len(text))]


def check_tasks(job: BenchmarkJob) -> TaskManager:
    """What knows the job's tasks; raises `UnusableError` with those that there are not.

    Those beside ``include_path`` are looked at first: to list lm-eval's own takes many seconds.
    """
    for with_own in (False, True) if job.include_path is not None else (True,):
        manager = TaskManager(
            include_path=str(job.include_path) if job.include_path is not None else None, include_defaults=with_own
        )
        known = set(manager.all_tasks)
        unknown = [task for task in job.tasks if not (task in known or manager.match_tasks([task]))]
        if not unknown:
            return manager
    said = tr("lm-eval has no task {unknown}.", unknown=", ".join(unknown))
    hint = tr("`lm_eval ls tasks` lists them; --include-path names a folder with tasks of your own.")
    raise UnusableError([Problem("tasks", said, hint=hint)])


def measured_tasks(lm: CandidateModel, job: BenchmarkJob, manager: TaskManager) -> dict[str, dict[str, Any]]:
    """``{task: {metric: {"value", "stderr": number or null}}}`` of whatever is on the model now.

    Raises `UnusableError` if a task's data cannot be had.
    """
    names = [name for task in job.tasks for name in manager.match_tasks([task])]
    place = chdir(job.include_path) if job.include_path is not None else nullcontext()
    logging.getLogger("lm_eval").setLevel(logging.WARNING)
    try:
        with place:  # data files are named from the task's folder
            found = simple_evaluate(
                model=lm, tasks=list(dict.fromkeys(names)), task_manager=manager, limit=job.limit,
                num_fewshot=job.shots, apply_chat_template=job.chat, bootstrap_iters=BOOTSTRAPPED,
                log_samples=False, random_seed=job.seed, numpy_random_seed=job.seed, torch_random_seed=job.seed,
                fewshot_random_seed=job.seed,
            )  # fmt: skip
    except (ConnectionError, FileNotFoundError) as error:
        said = tr("The data of a task is not on this machine: {names}.", names=" ".join(str(error).split())[:300])
        hint = tr(
            "Allow the download (--download), or name tasks whose data lies in their folder (--include-path)."
        )
        raise UnusableError([Problem("tasks", said, hint=hint)]) from error
    assert found is not None
    return {task: _metrics(values) for task, values in found["results"].items()}


def _metrics(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """lm-eval writes ``acc,none`` and ``acc_stderr,none``; a filter that is none goes."""
    metrics: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        name, comma, chosen = key.partition(",")
        if not comma or name.endswith("_stderr") or not isinstance(value, (int, float)):
            continue
        error = values.get(f"{name}_stderr,{chosen}")
        shown = name if chosen == "none" else f"{name} ({chosen})"
        metrics[shown] = {
            "value": float(value), "stderr": float(error) if isinstance(error, (int, float)) else None
        }  # fmt: skip
    return metrics
