"""What the tests of the Compare tab share: runs and adapters that look real, and a worker that answers by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel

from app.core.protocol import event
from app.core.protocol.command import Ask, AskAll
from app.core.run.folder import RunDir
from app.ui.compare.tab import CompareTab
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker


def base_folder(folder: Path) -> Path:
    """A folder that passes for a model."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def adapter_folder(folder: Path, base: Path | str, name: str = "adapters.safetensors") -> Path:
    """A folder that passes for an adapter, of mlx-lm or of PEFT by the name of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    named = "model" if name == "adapters.safetensors" else "base_model_name_or_path"
    (folder / "adapter_config.json").write_text(json.dumps({named: str(base)}))
    return folder


def run_with_checkpoints(runs: Path, base: Path, questions: int) -> RunDir:
    """A run with its last, best and two numbered adapters, and questions that it was not trained on."""
    found = synthetic_run.run_folder(runs)
    adapter_folder(found.adapters, base)
    adapter_folder(found.best, base)
    for iteration in (100, 200):
        (found.adapters / f"{iteration:07d}_adapters.safetensors").write_bytes(b"")
    found.data.mkdir()
    rows = [{"prompt": f"Question {number}?", "completion": "Yes."} for number in range(1, questions + 1)]
    (found.data / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return found


def press(tab: CompareTab, name: str) -> None:
    """Clicks a button by its name."""
    QTest.mouseClick(child(tab, QAbstractButton, name), Qt.MouseButton.LeftButton)


def ask_held_out(tab: CompareTab) -> None:
    """Asks the chosen run's held-out questions, all of them."""
    tab.question._use_held_out()
    press(tab, "compare.ask")


def note(tab: CompareTab) -> str:
    """What stands beside the Compare button."""
    return child(tab, QLabel, "compare.note").text()


def asked(worker: FakeWorker) -> dict[str, Any]:
    """The last question that a worker was given, with its number and the columns that are to answer."""
    return asked_together(worker)[-1]


def asked_together(worker: FakeWorker) -> list[dict[str, Any]]:
    """All questions that it was given at once, the last time."""
    last = next(command for command in reversed(worker.commands) if isinstance(command, (Ask, AskAll)))
    return [
        {"request": ask.request, "columns": list(ask.columns or ())} | ask.question.model_dump()
        for ask in (last.asks if isinstance(last, AskAll) else (last,))
    ]


def answer(worker: FakeWorker, *texts: str, **figures: Any) -> None:
    """Ends the question in progress: ``texts[column]`` of every column, in the order in which they were asked."""
    answer_together(worker, texts, **figures)


def answer_together(worker: FakeWorker, *pages: Sequence[str], **figures: Any) -> None:
    """Ends all questions in progress, column by column as a worker does: ``pages[question][column]``."""
    asks = asked_together(worker)
    assert [len(texts) for texts in pages] == [len(sent["columns"]) for sent in asks]
    worker.say(event.Ready())
    for place in range(len(pages[0])):
        for sent, texts in zip(asks, pages, strict=True):
            column = sent["columns"][place]
            if texts[column]:
                worker.say(event.Answered(request=sent["request"], column=column, text=texts[column]))
            last: dict[str, Any] = {"generation_tokens": 3, "finish_reason": "stop"} | figures
            worker.say(event.Answered(request=sent["request"], column=column, done=True, **last))
