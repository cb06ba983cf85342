"""The preview server: one example at a time as the model will see it, token by token, with search."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import orjson

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError, PreparedData, prepare_data
from app.core.data.rated import rated_texts
from app.core.data.report import shortened
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import Configure, SearchExamples, ShowExample
from app.core.protocol.job import PreviewJob
from app.core.setup.chosen_method import method_of, prompt_limit
from app.core.source.source import SPLITS
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING
from app.worker.process.job import job_config
from app.worker.process.progress import Reporter
from app.worker.token.encode import RowEncoder, refuse_unknown
from app.worker.token.rated_token import row_examples
from app.worker.token.token_set import Example
from app.worker.token.tokenize import origin
from app.worker.token.tokenizer import load_tokenizer

SHOWN_TOKENS = 20_000
FOUND_LIMIT = 100
LIVE_KEYS = ("mask_prompt", "mask_turns", "max_seq_length", "max_completion_length")
HEADINGS = (tr("Chosen"), tr("Rejected"))
RATING_LABELS: dict[Any, str] = {True: tr("Good answer"), False: tr("Bad answer")}
NOTHING: dict[str, Any] = {"tokens": [], "runs": [], "counts": {}, "shown": 0}
REPLACEMENT_CHARACTER = "�"


@dataclass(frozen=True, slots=True)
class PreviewFile:
    """A prepared file with the byte offset of every line."""

    path: Path
    offsets: array[int]

    @classmethod
    def of(cls, path: Path) -> PreviewFile:
        """Finds the lines, in one pass."""
        offsets, at = array("q"), 0
        with path.open("rb") as file:
            for line in file:
                offsets.append(at)
                at += len(line)
        return cls(path, offsets)

    def __len__(self) -> int:
        return len(self.offsets)

    def row(self, index: int) -> dict[str, Any]:
        """One row, from disk."""
        with self.path.open("rb") as file:
            file.seek(self.offsets[index])
            row: dict[str, Any] = json.loads(file.readline())  # as for training: whole numbers of any size
        return row

    def search(self, text: str, start: int) -> tuple[list[int], bool]:
        """The rows from ``start`` on in which any text holds ``text``, whatever the case; and if there are more."""
        wanted = text.casefold()
        found: list[int] = []
        with self.path.open("rb") as file:
            if start < len(self):
                file.seek(self.offsets[start])
            for index, line in enumerate(file, start):
                if index < len(self) and _holds(orjson.loads(line), wanted):
                    if len(found) == FOUND_LIMIT:
                        return found, True
                    found.append(index)
        return found, False


def _holds(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value.casefold()
    if isinstance(value, dict):
        return any(_holds(item, wanted) for item in value.values())
    return isinstance(value, list) and any(_holds(item, wanted) for item in value)


def shown_example(row: dict[str, Any], tokenizer: Any, config: TrainConfig) -> dict[str, Any]:
    """A converted row as the model will see it.

    ``text`` is what its chat template renders (of a pair both conversations, one below the other), ``trained`` each
    stretch of it that is learned, and ``parts`` all stretches in order, each with whether it is learned. The plain
    texts of a rated row stand beside them. A row that the template refuses has ``refused`` and no text.
    """
    base = {"text": "", "trained": [], "parts": [], "refused": ""} | rated_texts(row)
    try:
        if method_of(config).data == "examples":
            encoded = RowEncoder(tokenizer, config, row).encode([row])[0]
            refuse_unknown([encoded], tokenizer)
            if encoded.example is None:
                return base | {"refused": encoded.refused}
            examples = [encoded.example]
        else:
            examples, _ = row_examples(row, tokenizer, config)
    except UnusableError as error:
        return base | {"refused": error.problems[0].message}
    parts: list[tuple[str, bool]] = []
    for example in examples:
        ids = example.tokens[: config.max_seq_length].tolist()
        for at, text in enumerate(token_texts(tokenizer, ids)):
            parts.append((text, bool(example.trained[at]) and at > 0))
        parts.append(("\n", False))
    runs = groupby(parts, lambda part: part[1])
    joined = [("".join(text for text, _ in run), is_trained) for is_trained, run in runs]
    text = "".join(text for text, _ in parts).removesuffix("\n")
    return base | {"text": text, "trained": [text for text, is_trained in joined if is_trained], "parts": joined}


class Preview:
    """Answers for one config: prepared data, its files and the model's tokenizer."""

    def __init__(self, prepared: PreparedData, tokenizer: Any, config: TrainConfig) -> None:
        self._prepared = prepared
        self._tokenizer = tokenizer
        self._config = config
        paths = {str(split): prepared.path(split) for split in SPLITS}
        self.files = {split: PreviewFile.of(path) for split, path in paths.items() if path is not None}

    def configure(self, values: dict[str, Any]) -> None:
        """Takes over what needs no new preparation: the mask and the maximum length."""
        self._config = self._config.with_values({k: v for k, v in values.items() if k in LIVE_KEYS})

    def example(self, split: str, index: int) -> dict[str, Any]:
        """One example: tokens with text and kind, runs of like tokens, counts, the row and where it came from."""
        file = self.files[split]
        row = file.row(index)
        path, line = origin(file.path, index + 1, self._prepared.origins.get(split))
        base = {"split": split, "index": index, "count": len(file), "file": path, "line": line,
                "row": shortened(row, 100_000), "refused": "", "problems": []}  # fmt: skip
        if method_of(self._config).data != "examples":
            return base | self._rated(row)
        encoder = RowEncoder(self._tokenizer, self._config, row, file=str(file.path))
        encoded = encoder.encode([row])[0]
        refuse_unknown([encoded], self._tokenizer)
        base |= {"refused": encoded.refused, "problems": [reason for _, reason in encoded.faults]}
        return base | (NOTHING if encoded.example is None else self._shown(encoded.example))

    def _rated(self, row: dict[str, Any]) -> dict[str, Any]:
        """A pair, its answers one below the other, each after the prompt; or a prompt and its reference answer."""
        try:
            examples, faults = row_examples(row, self._tokenizer, self._config)
        except UnusableError as error:
            return NOTHING | {"refused": error.problems[0].message}
        if not examples:
            return NOTHING | {"refused": tr("No token of an answer is trained.")}
        parts = [self._shown(example) for example in examples]
        headings = HEADINGS if len(parts) == len(HEADINGS) else (RATING_LABELS.get(row.get("label", ""), ""),)
        tokens: list[dict[str, Any]] = []
        for heading, part in zip(headings, parts, strict=True):
            tokens += _headed(heading, part["tokens"], tokens)
        if row.get("answer") and self._is_prompt:
            tokens += _headed(tr("Reference answer"), [_text_token(str(row["answer"]))], tokens)
        counts = {name: sum(part["counts"][name] for part in parts) for name in parts[0]["counts"]}
        problems = [*(said for _, _, said in faults), *self._too_long(examples)]
        return {"tokens": tokens, "runs": text_runs(tokens), "counts": counts,
                "shown": sum(part["shown"] for part in parts), "problems": problems}  # fmt: skip

    @property
    def _is_prompt(self) -> bool:
        return method_of(self._config).is_sampled

    def _too_long(self, examples: list[Example]) -> list[str]:
        """Why the row is left out, where it is."""
        limit = self._config.max_seq_length
        if self._is_prompt:
            is_out = len(examples[0].tokens) > prompt_limit(self._config)
        else:
            is_out = not all(example.trained[1:limit].any() for example in examples)
        return [tr("left out: no room for an answer")] if is_out else []

    def _shown(self, example: Example) -> dict[str, Any]:
        ids = example.tokens[:SHOWN_TOKENS].tolist()
        limit, specials = self._config.max_seq_length, special_ids(self._tokenizer)
        tokens = []
        for at, (number, text) in enumerate(zip(ids, token_texts(self._tokenizer, ids), strict=True)):
            trained = bool(example.trained[at]) and at > 0
            kind = "trained" if trained else "masked"
            if at >= limit:
                kind, trained = "truncated", False
            elif number in specials:
                kind = "special"
            tokens.append({"id": number, "text": text, "kind": kind, "trained": trained})
        counted = min(len(example.tokens), limit)
        counts = {
            "tokens": len(example.tokens), "trained": int(example.trained[1:counted].sum()),
            "truncated": len(example.tokens) - counted, "special": sum(1 for t in tokens if t["id"] in specials),
        }  # fmt: skip
        return {"tokens": tokens, "runs": text_runs(tokens), "counts": counts, "shown": len(ids)}

    def totals(self) -> dict[str, Any]:
        """How many examples each split has."""
        return {split: len(file) for split, file in self.files.items()}


def _headed(heading: str, tokens: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tokens below a heading, with an empty line between it and what stands before."""
    if not heading:
        return tokens
    gap = [] if not before else [_text_token("\n" if before[-1]["text"].endswith("\n") else "\n\n")]
    return [*gap, _text_token(heading, "special"), _text_token("\n"), *tokens]


def _text_token(text: str, kind: str = "plain") -> dict[str, Any]:
    """Text that no tokenizer has made."""
    return {"id": -1, "text": text, "kind": kind, "trained": False}


def text_runs(tokens: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbouring tokens of one kind together: their text, and from which token to before which."""
    found: list[dict[str, Any]] = []
    for at, token in enumerate(tokens):
        last = found[-1] if found else None
        if last is not None and (last["kind"], last["trained"]) == (token["kind"], token["trained"]):
            last["text"] += token["text"]
            last["end"] = at + 1
        else:
            found.append({"kind": token["kind"], "trained": token["trained"], "text": token["text"],
                          "start": at, "end": at + 1})  # fmt: skip
    return found


def special_ids(tokenizer: Any) -> dict[int, str]:
    """Control tokens, with their texts: the special ones and what else was added to the vocabulary as a whole."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    found = {int(number): str(token) for number, token in added.items()}
    for number in tokenizer.all_special_ids:
        found.setdefault(int(number), str(tokenizer.convert_ids_to_tokens(number)))
    return found


def token_texts(tokenizer: Any, ids: list[int]) -> list[str]:
    """The text that each token adds. A character made of several tokens stands at the first of them, the others are
    empty, so that the texts put together are the whole text and no character is broken."""
    specials = special_ids(tokenizer)
    texts = [""] * len(ids)
    first, begin = 0, 0  # where the context begins, and the first token whose text is not settled
    for at, number in enumerate(ids):
        if number in specials:
            if begin < at:
                texts[begin] = _added_text(tokenizer, ids, first, begin, at)
            texts[at] = specials[number]
            first = begin = at + 1
            continue
        text = _added_text(tokenizer, ids, first, begin, at + 1)
        if text and not text.endswith(REPLACEMENT_CHARACTER):
            texts[begin] = text
            first, begin = begin, at + 1
    if begin < len(ids):
        texts[begin] = _added_text(tokenizer, ids, first, begin, len(ids))
    return texts


def _added_text(tokenizer: Any, ids: list[int], first: int, begin: int, end: int) -> str:
    """What the tokens from ``begin`` add after those from ``first``, which some decoders need to place a space."""
    before = _decoded(tokenizer, ids[first:begin])
    return _decoded(tokenizer, ids[first:end])[len(before) :]


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    if not ids:
        return ""
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def preview(channel: Channel, job_dir: Path, job: PreviewJob) -> None:
    """The task ``preview``; after `Ready` it answers until ``stop`` or the end of input.

    It takes `ShowExample`, `SearchExamples` and `Configure`. Rows with faults are left out, so that the others can
    be looked at while the data is not yet clean.
    """
    config, reporter = job_config(job.config).with_value("skip_bad_rows", True), Reporter(channel)
    channel.emit(event.Progressed(phase=tr("Loading the tokenizer")))
    tokenizer = load_tokenizer(config.model)
    try:
        prepared = prepare_data(config, job_dir / "data", reporter.phase(tr("Reading the data")), reporter.stopped)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped"))
        return
    answers = Preview(prepared, tokenizer, config)
    channel.emit(event.Result(name="preview", data={"splits": answers.totals(), "format": prepared.format}))
    channel.emit(event.Ready())
    for command in chain(reporter.pending, iter(channel.wait, None)):
        if isinstance(command, ENDING):
            break
        match command:
            case Configure():
                answers.configure(command.values)
                channel.emit(event.Result(name="configure", data={}))
            case ShowExample():
                channel.emit(_example(answers, command))
            case SearchExamples():
                channel.emit(_found(answers, command))
            case _:
                channel.decline(command)
    channel.emit(event.Finished(reason="stopped"))


def _example(answers: Preview, command: ShowExample) -> event.Event:
    split, index = command.split, command.index
    if split not in answers.files:
        return event.Warned(message=tr("There is no example of {split} to show.", split=split))
    count = len(answers.files[split])
    if not 0 <= index < count:
        return event.Warned(
            message=tr("There is no example {index:,}: there are {count:,}.", index=index + 1, count=count)
        )
    return event.Result(name="example", data=answers.example(split, index))


def _found(answers: Preview, command: SearchExamples) -> event.Event:
    split = command.split
    if split not in answers.files:
        return event.Warned(message=tr("There is no search of {split} to show.", split=split))
    found, more = answers.files[split].search(command.text, command.start)
    return event.Result(name="search", data={"split": split, "indices": found, "more": more})
