"""Findings: what is wrong or worth knowing about a row or file of data, counted by kind, the first ones kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from app.core.language import code, joined, tr
from app.core.problem import Problem, Severity

KEPT_PER_SEVERITY = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding: how much it holds back, its name in a list, and what to do about it."""

    severity: Severity
    label: str
    hint: str = ""
    summed: bool = False  # told once with the number of rows, not row by row
    leaves_out: bool = False  # the row does not train, though nothing is wrong with it

    @property
    def is_out(self) -> bool:
        """True if a row of which this is told does not train."""
        return self.leaves_out or self.severity is Severity.ERROR


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_REPAIR = tr("Repair the row, or leave bad rows out.")

KINDS: dict[str, Kind] = {
    # -- files
    "unreadable_file": Kind(_E, tr("File cannot be read"), tr("Check the path and that you may read the file.")),
    "unsupported_file": Kind(
        _E, tr("Kind of file not supported"), tr("Save it as JSONL, CSV, Parquet or plain text.")
    ),
    "pointer": Kind(_E, tr("Data not fetched"), tr("Fetch the file itself, then choose it again.")),
    "empty_file": Kind(_E, tr("Empty file"), tr("Choose a file with examples.")),
    "damaged_file": Kind(_E, tr("Damaged file"), tr("Copy or download it again.")),
    "wrong_encoding": Kind(
        _E,
        tr("Not in the chosen encoding"),
        tr("Choose another encoding, or none (`encoding`; `check` takes --encoding)."),
    ),
    "same_column": Kind(
        _E, tr("One column twice"), tr("Choose two columns, one for the prompt and one for the answer.")
    ),
    "no_sheet": Kind(_E, tr("No such sheet"), tr("Choose another sheet (`sheet`; `check` takes --sheet).")),
    "no_speaker": Kind(
        _E,
        tr("Not chosen whose words are the answers"),
        tr("Choose it among the columns, or name it (`answers_by`; `check` takes --answers-by)."),
    ),
    "no_group": Kind(
        _E,
        tr("No such column to keep together by"),
        tr("Choose another column to group by, or none (`group_feature`; `check` takes --group-by)."),
    ),
    "no_examples": Kind(_E, tr("No examples"), tr("Choose data with at least one usable row.")),
    "unknown_format": Kind(
        _E,
        tr("Format not recognised"),
        tr("Choose which column is the prompt, the answer, the messages or the text."),
    ),
    "not_supervised": Kind(_E, tr("Not data for supervised fine-tuning")),
    "not_for_method": Kind(_E, tr("Not data for this method"), tr("Choose other data, or another method.")),
    # -- rows
    "broken_json": Kind(_E, tr("Broken JSON"), _REPAIR),
    "broken_record": Kind(_E, tr("Broken table row"), _REPAIR),
    "not_an_object": Kind(_E, tr("Not an object"), tr("Each row must be an object with named fields.")),
    "line_too_long": Kind(_E, tr("Line too long"), tr("Split it into several examples.")),
    "bad_encoding": Kind(_E, tr("Not readable as text"), tr("Save the file as UTF-8.")),
    "half_character": Kind(
        _E, tr("Half of a character"), tr("Write the whole character (both escapes of the pair), or leave it out.")
    ),
    "missing_field": Kind(_E, tr("Missing field"), _REPAIR),
    "empty_field": Kind(_E, tr("Empty field"), _REPAIR),
    "wrong_type": Kind(_E, tr("Wrong type"), _REPAIR),
    "unknown_role": Kind(_E, tr("Unknown role"), tr("Use system, user, assistant or tool.")),
    "no_answer": Kind(_E, tr("No answer at the end"), tr("Let the row end with a turn of the assistant.")),
    "undecided": Kind(
        _E, tr("Neither answer is better"), tr("Leave such rows out: there is nothing to learn from them.")
    ),
    "other_question": Kind(
        _E,
        tr("Answers to different questions"),
        tr("Leave such rows out, or give both answers the same turns before them."),
    ),
    "one_label": Kind(
        _E, tr("Only one kind of label"), tr("Add answers of the other kind, or choose another method.")
    ),
    "mixed_format": Kind(_E, tr("Mixed formats"), tr("Keep one format in a data set, or leave bad rows out.")),
    "media": Kind(_E, tr("Pictures or sound"), tr("Leave such rows out: only text is trained.")),
    "unused_column": Kind(
        _W,
        tr("Column not used"),
        tr("Choose the column where it belongs, join it to the prompt, or remove it."),
        True,
    ),
    "repeated_role": Kind(
        _W, tr("Two turns of the same role in a row"), tr("Many chat templates refuse such rows.")
    ),
    "system_position": Kind(_W, tr("System turn not at the start"), tr("Many chat templates refuse such rows.")),
    "converted_mix": Kind(_W, tr("Several formats, converted to one")),
    "empty_line": Kind(_W, tr("Empty line")),
    "repeated_name": Kind(
        _W, tr("One name twice in a row"), tr("Keep the one that is meant; of the two only the last is read.")
    ),
    "one_label_held_out": Kind(
        _W, tr("Validation with one kind of label"), tr("Add answers of the other kind to it.")
    ),
    "unbalanced_labels": Kind(
        _W, tr("Far more answers of one label"), tr("Set the weight, or add answers of the rarer kind.")
    ),
    "reward_doubt": Kind(
        _W,
        tr("Rewards that no answer can get"),
        tr("Choose another reward function, or shorter reference answers."),
    ),
    "duplicate": Kind(_W, tr("Duplicate row"), tr("Remove one of them, unless the repetition is meant.")),
    "kept_once": Kind(
        _W,
        tr("Repeated rows left out"),
        tr(
            "If the repetition is meant, give a folder with train.jsonl and valid.jsonl: nothing is left out there."
        ),
    ),
    "contradiction": Kind(_W, tr("Contradicts another row"), tr("Keep the one that is right, or neither.")),
    "leakage": Kind(_W, tr("Also in the training data"), tr("Remove it, or the score shows memory, not skill.")),
    "mojibake": Kind(_W, tr("Garbled characters"), tr("The text was saved in one encoding and read in another.")),
    "control_character": Kind(
        _W, tr("Control character"), tr("Take it out of the row, unless the model is to write it.")
    ),
    "respelled_number": Kind(
        _W, tr("Number spelled otherwise"), tr("Write it as text where its spelling matters."), True
    ),
    "missing_value": Kind(
        _W,
        tr("What programs write for nothing"),
        tr("Fill it in, or leave the row out, unless the model is to read or write just that."),
        True,
    ),
    "doubtful_encoding": Kind(
        _W,
        tr("Encoding in doubt"),
        tr("If the line looks wrong, choose the encoding (`encoding`; `check` takes --encoding)."),
    ),
    "markup": Kind(_W, tr("Marks around the text"), tr("Save it as plain text, so that only the text is trained.")),
    "repeated_header": Kind(_W, tr("Names of columns again")),
    "too_many_files": Kind(
        _W, tr("Too many files in a folder"), tr("Put them together in fewer files, or in several folders.")
    ),
    "unusual_header": Kind(
        _W, tr("Unusual column names"), tr("The first line must hold the names of the columns.")
    ),
    # -- with a tokenizer
    "no_chat_template": Kind(
        _E,
        tr("The model has no chat template"),
        tr(
            "Give it one (the card Model, `luthier models template`), or choose an instruct model, or data as text."
        ),
    ),
    "template_refused": Kind(_E, tr("Refused by the chat template"), _REPAIR),
    "over_length": Kind(
        _W, tr("Longer than the maximum length"), tr("Raise the maximum length, or shorten the row.")
    ),
    "no_trained_token": Kind(_W, tr("No token is trained"), tr("Raise the maximum length, or leave the row out.")),
    "control_token": Kind(
        _W, tr("Control token in a text"), tr("Take it out of the row, unless the model is to read it so.")
    ),
    "no_room": Kind(_W, tr("No room for an answer"), tr("Raise the maximum length, or shorten the prompt.")),
    "token_beyond": Kind(
        _E,
        tr("Token beyond the model's vocabulary"),
        tr("Take the token out of the rows, or choose a model whose embedding was resized for its tokenizer."),
    ),
    "answer_not_found": Kind(
        _E,
        tr("Answer not found in the rendered row"),
        tr("Leave the row out, or train whole rows: turn prompt masking off."),
    ),
    "dropped": Kind(
        _W,
        tr("Left out by the chat template"),
        tr("Choose a model whose template shows it, or take it out of the rows."),
    ),
    "no_stop_token": Kind(
        _W,
        tr("Answers that do not stop"),
        tr("Add the token that ends an answer to `eos_token_id` in the model's generation_config.json."),
    ),
    "unmarked_stop": Kind(
        _W,
        tr("The end of answers is not learned"),
        tr("Put `endgeneration` behind the token that ends an answer, in the chat template of the model."),
    ),
    "double_begin": Kind(_N, tr("Two tokens at the beginning made one")),
    "dropped_reasoning": Kind(_N, tr("Reasoning of earlier answers left out by the template")),
    # -- worth knowing
    "encoding": Kind(_N, tr("Encoding")),
    "layout": Kind(_N, tr("Layout of the file")),
    "contents": Kind(_N, tr("What was read")),
    "converted": Kind(_N, tr("Converted")),
    "unused_text": Kind(_N, tr("Columns not used")),
    "renamed_role": Kind(_N, tr("Role by another name"), "", True),
    "bad_answer": Kind(_N, tr("Answers labelled bad, left out"), "", True, leaves_out=True),
    "number_as_text": Kind(_N, tr("Numbers trained as text"), "", True),
    "first_answer": Kind(_N, tr("One of several answers"), "", True),
    "last_turn": Kind(_N, tr("Answers of several turns"), "", True),
    "final_answer": Kind(_N, tr("What a worked answer comes to"), "", True),
    "line_comma": Kind(_N, tr("Commas at the ends of lines")),
    "ignored_file": Kind(_N, tr("File not used")),
    "small_data": Kind(_N, tr("Very little data")),
    "no_validation": Kind(_N, tr("No validation data"), tr("Give validation data or a validation share.")),
    "sampled": Kind(_N, tr("Duplicates estimated from a sample")),
    "split": Kind(_N, tr("Split")),
    "mask": Kind(_N, tr("Prompt masking")),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``line`` counts from 1: lines of JSONL, JSON, CSV and text, rows of Parquet and Arrow."""

    file: str
    line: int | None
    reason: str
    kind: str
    severity: Severity

    @property
    def hint(self) -> str:
        """What to do about it."""
        return KINDS[self.kind].hint

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"severity": self.severity.value, "hint": self.hint}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Finding:
        """The opposite of `as_dict`."""
        return cls(tree["file"], tree["line"], tree["reason"], tree["kind"], Severity(tree["severity"]))

    def as_problem(self, path: str = "data") -> Problem:
        """The same as a problem of the config field ``path``."""
        return Problem(path, self.reason, self.severity, self.hint, self.file, self.line)


class Findings:
    """Collects findings: all are counted by kind, the first 1,000 of each severity are kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._kept: dict[Severity, list[Finding]] = {severity: [] for severity in Severity}

    def add(self, kind: str, file: str, line: int | None, reason: str, *, count: int = 1) -> None:
        """Adds one finding, or ``count`` of them of which this is the one to show."""
        self.counts[kind] += count
        kept = self._kept[KINDS[kind].severity]
        if len(kept) < KEPT_PER_SEVERITY:
            kept.append(Finding(file, line, reason, kind, KINDS[kind].severity))

    def count(self, kind: str, count: int) -> None:
        """Counts further findings of a kind that are not shown one by one."""
        self.counts[kind] += count

    def is_full(self, kind: str) -> bool:
        """True when another finding of this kind would only be counted."""
        return len(self._kept[KINDS[kind].severity]) >= KEPT_PER_SEVERITY

    def kept(self, severity: Severity) -> list[Finding]:
        """The kept ones, in the order of files and lines as far as they were found in it."""
        return self._kept[severity]

    def total(self, severity: Severity) -> int:
        """How many there are, kept or not."""
        return sum(count for kind, count in self.counts.items() if KINDS[kind].severity is severity)

    def sort(self, files: dict[str, int]) -> None:
        """Puts the kept ones in the order of files (whole-file findings first) and lines."""
        for kept in self._kept.values():
            kept.sort(key=lambda f: (files.get(f.file, -1), f.line or 0))

    def extend(self, other: Findings) -> None:
        """Takes over the findings of another collection."""
        self.counts.update(other.counts)
        for severity, kept in other._kept.items():
            room = KEPT_PER_SEVERITY - len(self._kept[severity])
            self._kept[severity].extend(kept[:room])

    def problems(self, *severities: Severity, path: str = "data") -> list[Problem]:
        """The kept ones as problems of the config, and one line for each kind that was not kept in full."""
        chosen = [f for severity in (severities or tuple(Severity)) for f in self._kept[severity]]
        shown = Counter(f.kind for f in chosen)
        problems = [finding.as_problem(path) for finding in chosen]
        for kind, number in shown.items():
            if self.counts[kind] > number:
                more = tr(
                    "{label}: {counts:,} more, {counts2:,} in all.",
                    label=KINDS[kind].label,
                    counts=self.counts[kind] - number,
                    counts2=self.counts[kind],
                )
                problems.append(Problem(path, more, KINDS[kind].severity))
        return problems


# -- in the place of rows ------------------------------------------------------------------------------------------

NumberedRow = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class RowFault:
    """What stands in the place of a row that cannot be read: the kind of the finding and the reason."""

    kind: str
    reason: str


NAMED_TWICE = 3


def repeated_name_fault(names: list[str]) -> RowFault:
    """What is told of names that stand twice: of either the first value is lost."""
    named = joined((code(name[:40]) for name in names[:NAMED_TWICE]), ", ")
    return RowFault("repeated_name", tr("{named} stands twice in the row; the last is taken.", named=named))


# Faults that stand for no row: what they tell of is the file, or a line without anything in it.
ABOUT_FILE = frozenset(("unusual_header", "line_comma", "contents", "repeated_name"))
NO_ROWS = ABOUT_FILE | {"empty_line", "repeated_header"}
EMPTY_LINE = RowFault("empty_line", tr("The line is empty."))
