"""What ``check`` prints beside its report: examples as they train, the guess of a mapping, a repaired copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, UnusableError
from app.core.quantity import plural

if TYPE_CHECKING:
    from app.core.data.edit import Repair
    from app.core.data.report import DataReport

BEGIN, END = "⟦", "⟧"  # around what is learned
# The options of a mapping; `config_values` of `Mapping` has their values.
_OPTIONS = {
    "data_format": "--format", "prompt_feature": "--prompt-feature", "completion_feature": "--completion-feature",
    "chat_feature": "--chat-feature", "text_feature": "--text-feature", "system_feature": "--system-feature",
}  # fmt: skip


class ShownExample(TypedDict, total=False):
    """One example as it trains; ``parts`` are the stretches of ``text``, each with whether it is learned."""

    text: str
    trained: list[str]
    parts: list[tuple[str, bool]]
    refused: str
    prompt: str
    chosen: str
    rejected: str
    answer: str
    file: str
    line: int


def config_of(values: dict[str, Any]) -> TrainConfig:
    """The config that options mean. Raises `UnusableError` for a value that a field does not take."""
    from pydantic import ValidationError

    try:
        return TrainConfig().with_values(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        found = [Problem(".".join(map(str, fault["loc"])), f"{fault['msg']}.") for fault in faults]
        raise UnusableError(found) from error


def plain_example(row: dict[str, Any], config: TrainConfig) -> ShownExample:
    """A converted row without a model's template: who says what, and of that what is learned."""
    from app.core.data.format import Features
    from app.core.data.rated import plain_turns, rated_texts

    features, rated = Features.of(config), rated_texts(row)
    parts: list[tuple[str, bool]] = []
    if rated:
        prompt = row["prompt"]
        answers = [row[name] for name in ("chosen", "rejected", "completion") if name in row]
        parts = [part for turns in answers or [[]] for part in _said(prompt, turns, masked=True, last=True)]
    elif features.prompt in row and features.completion in row:
        turns = [{"role": "user", "content": row[features.prompt]}]
        answer = [{"role": "assistant", "content": row[features.completion]}]
        parts = _said(turns, answer, masked=config.mask_prompt, last=True)
    elif _is_chat(row.get(features.chat)):
        *before, last = row[features.chat]
        parts = _said(before, [last], masked=config.mask_prompt, last=config.mask_turns == "last")
    else:
        parts = [(plain_turns([{"content": row.get(features.text, "")}]), True)]
    learned = [text for text, its in parts if its]
    example = ShownExample(text=_joined(parts).rstrip("\n"), trained=learned, parts=parts, refused="")
    example.update(cast("ShownExample", rated))
    return example


def _is_chat(value: Any) -> bool:
    """A text may stand beside a list of that name that is no chat: the text is what trains then."""
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)


def _said(
    before: list[dict[str, Any]], answer: list[dict[str, Any]], *, masked: bool, last: bool
) -> list[tuple[str, bool]]:
    """The turns one below the other; where not masked all of it is learned."""
    parts: list[tuple[str, bool]] = []
    for at, turn in enumerate([*before, *answer]):
        is_answer = at >= len(before) or not last
        is_learned = is_answer and turn.get("role") == "assistant" and turn.get("weight") != 0
        said = str(turn.get("content") or "")
        if turn.get("tool_calls"):
            said = f"{said}\n{turn['tool_calls']}".strip()
        parts += [(f"{turn.get('role')}: ", not masked), (said, is_learned or not masked), ("\n", not masked)]
    if masked:
        return parts
    return [(_joined(parts).rstrip("\n"), True)]


def _joined(parts: list[tuple[str, bool]]) -> str:
    return "".join(text for text, _ in parts)


def without_parts(example: ShownExample) -> dict[str, Any]:
    """What scripts get of an example."""
    return {name: value for name, value in example.items() if name != "parts" and (name != "refused" or value)}


def marked_example(number: int, example: ShownExample) -> str:
    """An example for people: where it stands, and its text with what is learned between marks."""
    head = f"\n── example {number}, {example['file']}:{example['line']}"
    if example["refused"]:
        return f"{head}\n{example['refused']}"
    text = "".join(f"{BEGIN}{part}{END}" if its and part else part for part, its in example["parts"]).rstrip("\n")
    answer = example.get("answer") if not example["trained"] else None
    return f"{head}\n{text}" + (f"\nreference answer: {answer}" if answer is not None else "")


def mapping_options(report: DataReport) -> list[str]:
    """The options that name the likeliest columns of rows that were not recognised; empty where they were."""
    from app.core.data.format import Format
    from app.core.data.mapping import suggest_mapping

    if report.format != Format.UNKNOWN or not report.columns:
        return []
    mapping = suggest_mapping(report.columns, report.preview)
    if mapping is None:
        return []
    default = TrainConfig()
    chosen = {path: value for path, value in mapping.config_values().items() if value != default.value(path)}
    return [word for path, value in chosen.items() for word in (_OPTIONS[path], value)]


@dataclass(frozen=True, slots=True)
class RepairedCopy:
    """A repaired copy and whether it can be trained on as it is."""

    repair: Repair
    usable: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        files = {str(path): rows for path, rows in self.repair.files.items()}
        return {"files": files, "rows": sum(files.values()), "usable": self.usable, "left_out": self.repair.bad,
                "repeated": self.repair.repeated, "renamed": self.repair.renamed}  # fmt: skip

    def sentence(self) -> str:
        """What was done, for people."""
        repair, written = self.repair, ", ".join(str(path) for path in self.repair.files)
        return (
            f"\nWrote {plural(sum(repair.files.values()), 'row')} to {written}: {repair.bad:,} left out as bad, "
            f"{repair.repeated:,} as repeats; roles were put right in {plural(repair.renamed, 'row')}."
        )


def repaired(files: list[Path], config: TrainConfig, target: Path) -> RepairedCopy:
    """Writes the repaired copy and checks it, over nothing that is there. Raises `UnusableError`, `OSError`."""
    from app.core.data.check import check_files
    from app.core.data.edit import save_repaired
    from app.core.source.source import SPLITS

    there = next((one for one in (target, *(target / f"{split}.jsonl" for split in SPLITS)) if one.is_file()), None)
    if there is not None and not {there, there.parent} & {*files}:  # of its own data more is said below
        raise UnusableError([Problem("--fix", f"{there} is there already.", hint="Choose another name.")])
    repair = save_repaired(files, config, target)
    return RepairedCopy(repair, check_files(list(repair.files), config=config).usable)
