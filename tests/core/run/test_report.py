"""A run's report: one file that holds everything, safe whatever is in a name."""

from __future__ import annotations

import base64
import json
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app import __version__
from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.run.curve_svg import curve_svg
from app.core.run.folder import RunDir, prepare_run
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, save_note
from app.core.run.reader import RunReader
from app.core.run.report import Section, make_report, save_report
from app.core.setup.config_file import load_config, save_config

NAME = "<b>|a & “b”"


def history_events(losses: list[float]) -> list[event.Event]:
    return [
        event.Hello(task="train", device="Test device", memory_gb=64, versions={"mlx": "0.32.4"}),
        event.Started(iterations=len(losses), iterations_per_epoch=10, train_examples=10, valid_examples=2,
                      trainable_parameters=64, total_parameters=1000, adapted_modules=4),
        event.TrainReported(
            iteration=len(losses), train_loss=losses[-1], losses=losses, learning_rate=1e-4, trained_tokens=900,
            iterations_per_second=1, tokens_per_second=120, peak_memory_gb=1.5, elapsed_s=75,
        ),
        event.Validated(iteration=2, val_loss=0.5, best=True),
        event.CheckpointSaved(iteration=2, path="adapters/0000002_adapters.safetensors"),
        event.Warned(message="Some rows were left out."),
        event.Failed(message="No memory <left>", hint=""),
    ]  # fmt: skip


@pytest.fixture
def reader(tmp_path: Path) -> RunReader:
    config = TrainConfig().with_values({"adapter_name": NAME, "model": "org/base", "learning_rate": 3e-4})
    run = prepare_run(config, tmp_path / "run")
    run.events.write_text("".join(f"{one.to_line()}\n" for one in history_events([3.0, 2.0, math.nan, 1.0])))
    save_note(run, RunNote(tags=("tagged",), text="A thought."))
    found = RunReader(run)
    found.read()
    return found


def test_other_than_the_defaults_is_what_was_asked_for(reader: RunReader, tmp_path: Path) -> None:
    """The run's own config has targets, schedule and length worked out: nobody chose those."""
    worked_out = {"targets": "keys", "lora_parameters.keys": ("self_attn.q_proj",), "iters": 40, "epochs": None,
                  "optimizer_config": {"adam": {"eps": 1e-8}}}  # fmt: skip
    save_config(load_config(reader.run.config).config.with_values(worked_out), reader.run.config)
    save_report(reader, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    part = text.partition("Other than the defaults")[2].partition("## Config")[0]
    assert "learning_rate" in part
    assert "keys" not in part
    assert "optimizer_config" not in part
    assert "self_attn.q_proj" in text


class Page(HTMLParser):
    """The tags of a page and the addresses it loads from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.removeprefix("\n"))  # the first one in a <pre> is not part of its text


def test_the_html_page_stands_alone_and_escapes_everything(reader: RunReader, tmp_path: Path) -> None:
    save_report(reader, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    page = Page()
    page.feed(text)
    assert page.addresses == []
    assert {"svg", "table", "pre"} <= set(page.tags)
    assert not {"b", "script", "link", "img"} & set(page.tags)
    assert "&lt;b&gt;|a &amp; “b”" in text
    for word in ("A thought.", "tagged", "No memory &lt;left&gt;", "0.500 at iteration 2", "6.40\u00a0%",
                 "1\u00a0min 15\u00a0s",
                 "Test device", "0.32.4", "learning_rate: 0.0003", "Some rows were left out."):  # fmt: skip
        assert word in text, word


def test_what_people_and_models_write_reaches_the_page_as_text_only(tmp_path: Path) -> None:
    harm = "</pre></title><script>a('{{ 1 + 1 }}')</script><img src=x> &amp; & <"
    config = TrainConfig().with_values({"adapter_name": f"name {harm}", "model": f"org/{harm.replace('/', '')}"})
    run = prepare_run(config, tmp_path / "run")
    said = [
        event.Hello(
            task="train", device=f"device {harm}", memory_gb=64, versions={f"key {harm}": f"version {harm}"}
        ),
        event.CheckpointSaved(iteration=2, path=f"path {harm}"),
        event.Warned(message=f"warning {harm}"),
        event.Failed(message=f"failure {harm}", hint=""),
    ]
    run.events.write_text("".join(f"{one.to_line()}\n" for one in said))
    save_note(run, RunNote(tags=(f"tag {harm}",), text=f"note {harm}"))
    reader = RunReader(run)
    reader.read()
    save_report(reader, tmp_path / "r.html")
    page = Page()
    page.feed((tmp_path / "r.html").read_text())
    assert not {"script", "img"} & set(page.tags)
    assert (page.tags.count("title"), page.tags.count("style")) == (1, 1)
    whole = ("name", "device", "key", "version", "path", "warning", "failure", "note")
    assert [word for word in whole if f"{word} {harm}" not in page.texts] == []
    joined = "\n".join(page.texts)
    assert f"tag {harm}" in joined
    assert harm.replace("/", "") in joined, "the base model"


def test_the_markdown_file_carries_its_picture(reader: RunReader, tmp_path: Path) -> None:
    save_report(reader, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    found = re.search(r"\(data:image/svg\+xml;base64,([^)]+)\)", text)
    assert found is not None
    picture = ET.fromstring(base64.b64decode(found[1]))
    assert picture.tag.endswith("svg")
    assert "| Learning rate | learning_rate | 0.0003 |" in text
    assert text.startswith("# <b>\\|a & “b”\n")
    assert "```yaml\n" in text


def test_another_ending_is_refused_and_nothing_is_written(reader: RunReader, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"r\.pdf"):
        save_report(reader, tmp_path / "r.pdf")
    assert not (tmp_path / "r.pdf").exists()


def test_a_run_in_which_nothing_happened_has_a_report_too(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "run")
    run.config.write_text("a: [")
    reader = RunReader(RunDir(run.path))
    reader.read()
    save_report(reader, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "<svg" not in text
    assert "not valid YAML" in text


def fed(found: list[event.Event]) -> RunHistory:
    history = RunHistory()
    for one in found:
        history.feed(one)
    return history


def test_the_picture_keeps_every_spike_and_leaves_gaps() -> None:
    losses = [1.0] * 5000
    losses[1234], losses[3000] = 1.9, math.nan
    losses += [1.8] * 50
    svg = curve_svg(fed(history_events(losses)))
    raw = re.findall(r'<path d="(M[^"]+L[^"]+)"', svg)[0]
    heights = sorted({float(y) for y in re.findall(r"[ML][\d.]+ ([\d.-]+)", raw)})
    assert len(heights) == 3, "the spike, the end and all the others"
    assert len(raw) < 30_000
    assert ET.fromstring(svg).get("role") == "img"


@pytest.mark.parametrize("losses", [[math.nan, math.inf], [2.0]])
def test_a_picture_of_almost_nothing(losses: list[float]) -> None:
    found = [one for one in history_events(losses) if not isinstance(one, event.Validated)]
    svg = curve_svg(fed(found))
    assert bool(svg) == math.isfinite(losses[0])
    assert "nan" not in svg


def test_what_was_forgotten_is_reported_with_what_it_was_measured_on(reader: RunReader, tmp_path: Path) -> None:
    measured = event.NeutralMeasured(
        iteration=2, neutral_loss=2.03, base_loss=2.0, forgot=0.03, learned=0.82, tokens=512, source="sampled"
    )
    without = curve_svg(reader.history)
    with reader.run.events.open("a") as file:
        file.write(f"{measured.to_line()}\n")
    reader.read()
    for name in ("r.md", "r.html"):
        save_report(reader, tmp_path / name)
        said = (tmp_path / name).read_text()
        assert "learned 0.820, forgot 0.030, nats a token, on 512 tokens of text of the base's own" in said.replace(
            "&#39;", "'"
        )
    assert "| 2 | 0.500 | 0.030 | best |" in (tmp_path / "r.md").read_text()
    assert ">Forgot</text>" in curve_svg(reader.history)
    assert ">Forgot</text>" not in without


def long_run(path: Path) -> RunReader:
    """45 validations, the best at 20, 41 checkpoints, forgetting at two of them, a benchmark."""
    config = TrainConfig().with_values({"adapter_name": "long", "model": "org/base", "learning_rate": 3e-4})
    run = prepare_run(config, path)
    said: list[event.Event] = history_events([2.0] * 45)[:3]
    said += [
        event.Validated(iteration=number, val_loss=0.5 + 0.01 * abs(number - 20), best=number <= 20)
        for number in range(1, 46)
    ]
    said += [event.CheckpointSaved(iteration=number, path=f"{number}.safetensors") for number in range(1, 42)]
    said += [event.Finished(reason="completed", iteration=45)]
    run.events.write_text("".join(f"{one.to_line()}\n" for one in said))
    metrics = {"acc": {"value": 0.51234, "stderr": 0.01409}, "perplexity": {"value": 1234.567, "stderr": None}}
    measured = {
        "columns": [
            {"adapter": None, "strength": 1.0, "results": {"arc": metrics}},
            {"adapter": "/r/adapters", "strength": 0.5, "results": {"arc": {"acc": {"value": -10, "stderr": 2.5}}}},
        ],
        "time": "2026-01-02T03:04:05", "harness": "0.4.9", "limit": 1500, "shots": 0,
    }  # fmt: skip
    (run.path / "benchmarks.json").write_text(json.dumps([measured]))
    found = RunReader(run)
    found.read()
    return found


def pairs(section: Section) -> dict[str, str]:
    return {name: value for name, value in section.rows}  # noqa: C416  # so that a row of three fails


@pytest.mark.parametrize(
    "batches, size, said",
    [(3, 2, "6 of 20 to validate"), *((batches, 2, ", 20 to validate") for batches in (10, 25, -1))],
)
def test_of_the_examples_to_validate_those_are_told_that_were_measured(
    tmp_path: Path, batches: int, size: int, said: str
) -> None:
    config = TrainConfig().with_values({"val_batches": batches, "batch_size": size})
    run = prepare_run(config, tmp_path / "run")
    began = event.Started(
        iterations=4, iterations_per_epoch=10, train_examples=640, valid_examples=20, trainable_parameters=64,
        total_parameters=1000, adapted_modules=4,
    )  # fmt: skip
    run.events.write_text(f"{began.to_line()}\n")
    reader = RunReader(run)
    reader.read()
    figures = next(part for part in make_report(reader).sections if part.title == "Figures")
    assert pairs(figures)["Examples"].endswith(said)
    run.config.write_text("[: {")  # what was measured is not known any more
    assert pairs(next(p for p in make_report(reader).sections if p.title == "Figures"))["Examples"].endswith(
        ", 20 to validate"
    )


def test_every_figure_of_a_long_run_is_that_of_its_events(tmp_path: Path) -> None:
    reader = long_run(tmp_path / "run")
    report = make_report(reader)
    parts = {part.title: part for part in report.sections}
    assert report.title == "long"
    assert re.fullmatch(r"Finished · \d{4}-\d\d-\d\d \d\d:\d\d · base", report.line)
    assert re.fullmatch(rf"Written by Luthier {re.escape(__version__)} on .{{16}}\.", report.footer)
    figures = pairs(parts["Figures"])
    size = sum(file.stat().st_size for file in reader.run.path.rglob("*") if file.is_file())
    assert figures.pop("On disk").startswith(f"{size / 1000:.3g}")
    assert figures == {
        "Iterations": "45 of 45", "Best validation loss": "0.500 at iteration 20", "Perplexity there": "1.649",
        "Last training loss": "2.000", "Trained": "64 parameters, 6.40\u00a0% of 1,000", "Adapted modules": "4",
        "Examples": "10 to train on, 2 to validate", "Trained tokens": "900", "Speed": "120\u00a0tokens/s",
        "Peak memory": "1.5\u00a0GB", "Time": "1\u00a0min 15\u00a0s",
    }  # fmt: skip
    validations = parts["Validations (the last 40 of 45)"]
    assert validations.head == ("Iteration", "Loss", "")
    assert validations.rows == [
        (str(number), f"{0.5 + 0.01 * abs(number - 20):.3f}", "best" if number == 20 else "")
        for number in range(6, 46)
    ]
    checkpoints = parts["Checkpoints (the last 40 of 41)"]
    assert checkpoints.head == ("Iteration", "Kind", "File")
    assert [row[0] for row in checkpoints.rows] == [str(number) for number in range(2, 42)]
    benchmark = parts["Benchmarks of 2026-01-02 03:04:05 (lm-eval 0.4.9) · 1,500 examples of each task · 0 shots"]
    assert benchmark.head[:2] == ("Task", "Metric")
    assert benchmark.rows == [
        ("arc", "acc", "0.5123 ± 0.0141", "-10.00 ± 2.50"),
        ("arc", "perplexity", "1,234.57", "–"),
    ]
    changed = parts["Other than the defaults"]
    assert ("Learning rate", "learning_rate", "0.0003") in changed.rows
    assert changed.head == ("Field", "Key", "Value")
    assert pairs(parts["Environment"]) == {
        "Folder": str(reader.run.path), "Device": "Test device", "Memory": "64\u00a0GB", "mlx": "0.32.4",
    }  # fmt: skip
    assert list(parts) == [
        "Figures",
        "Other than the defaults",
        "Config",
        *(title for title in parts if title.startswith(("Validations", "Checkpoints", "Benchmarks"))),
        "Environment",
    ]


def test_no_more_is_said_than_there_is(tmp_path: Path) -> None:
    reader = long_run(tmp_path / "run")
    lines = reader.run.events.read_text().splitlines()
    few = [line for line in lines if '"validated"' not in line and '"checkpoint_saved"' not in line]
    few += [event.Validated(iteration=5, val_loss=50.0, best=True).to_line()]
    reader.run.events.write_text("\n".join(few) + "\n")
    (reader.run.path / "benchmarks.json").unlink()
    again = RunReader(reader.run)
    again.read()
    parts = {part.title: part for part in make_report(again).sections}
    assert parts["Validations"].rows == [("5", "50.000", "best")]
    assert not [title for title in parts if title.startswith(("Checkpoints", "Benchmarks"))]
    assert "Perplexity there" not in pairs(parts["Figures"]), "exp(50) says nothing"
