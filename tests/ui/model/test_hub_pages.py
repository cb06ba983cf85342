"""The pages of "Get a model" alone, with workers that say what a test has them say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QRadioButton
from pytestqt.qtbot import QtBot

from app.core.model.folder import ModelEntry
from app.core.model.known_model import KnownModel
from app.core.protocol import event
from app.core.protocol.command import GiveToken, Stop
from app.core.protocol.job import ConvertJob, HubDownloadJob, HubLoginJob, HubSearchJob, read_job
from app.core.system.setting import Settings, keep_settings, load_settings, save_settings
from app.ui.model.finder import ModelFinder
from app.ui.model.hub_access_page import HubAccessPage
from app.ui.model.hub_convert_page import HubConvertPage
from app.ui.model.hub_search_page import OFFLINE, HubSearchPage
from app.ui.model.hub_table import HERE, KnownTable
from app.ui.widget import theme
from app.ui.widget.table import SORT_ROLE
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker

SMALL: dict[str, Any] = {
    "id": "Org/small", "size_bytes": 1_200_000_000, "downloads": 900, "likes": 12, "quantization": "bf16",
    "model_type": "llama", "updated": "2026-05-01",
}  # fmt: skip
TIGHT: dict[str, Any] = {"id": "b/tight", "size_bytes": 2_400_000_000, "downloads": 90_000, "gated": True}
LARGE: dict[str, Any] = {"id": "c/large", "size_bytes": 20_000_000_000}
UNTOLD: dict[str, Any] = {"id": "d/untold"}
TIP, COLOR, ALIGNED = (
    Qt.ItemDataRole.ToolTipRole,
    Qt.ItemDataRole.ForegroundRole,
    Qt.ItemDataRole.TextAlignmentRole,
)


@pytest.fixture
def made(workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """The workers that the pages start."""
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return workers


@pytest.fixture
def finder(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> ModelFinder:  # noqa: ARG001
    """One that knows what a test gives it, and counts how often it is to look."""
    monkeypatch.setattr(ModelFinder, "find", lambda self: self.setProperty("asked", _asked(self) + 1))
    return ModelFinder()


def _asked(finder: ModelFinder) -> int:
    return int(finder.property("asked") or 0)


@pytest.fixture
def search(qtbot: QtBot, made: list[FakeWorker], finder: ModelFinder) -> Iterator[HubSearchPage]:
    assert made == []
    page = HubSearchPage(finder)
    qtbot.addWidget(page)
    page.resize(900, 600)
    page.show()
    yield page
    page.shutdown()


def answer(page: HubSearchPage, made: list[FakeWorker], *models: dict[str, Any]) -> None:
    """What a search for "llama" finds, on a machine with 5 GB for MLX."""
    page.query.setText(" llama ")
    page.search()
    QApplication.processEvents()
    made[-1].say(
        event.Hello(task="hub_search", working_set_gb=5.0),
        event.Result(name="models", data={"models": list(models)}),
    )
    made[-1].end(event.Finished())


def buttons(page: HubSearchPage) -> str:
    """Those that are there, the ones that are off in brackets."""
    every = (page.cancel_button, page.download_button, page.use_button)
    return ", ".join(one.text() if one.isEnabled() else f"({one.text()})" for one in every if one.isVisible())


# -- search --------------------------------------------------------------------------------------------------


def test_a_search_says_that_it_searches_then_shows_what_it_found(
    search: HubSearchPage, made: list[FakeWorker]
) -> None:
    for nothing in ("", "  "):
        search.query.setText(nothing)
        search.search()
        assert (search.known_view.isVisible(), search.status.isVisible()) == (True, False)
    answer(search, made, SMALL, TIGHT, LARGE, UNTOLD)
    assert [worker.task for worker in made] == ["hub_search"]
    assert (search.view.isVisible(), search.known_view.isVisible(), search.about_known.isVisible()) == (
        True,
        False,
        False,
    )
    assert (search.status.isVisible(), search.card.isVisible()) == (False, True)
    assert (search.name.text(), buttons(search)) == ("Org/small", "Download")
    search.mlx_only.setChecked(True)  # asks anew
    shown = (search.view.isVisible(), search.status.isVisible(), search.card.isVisible())
    assert (search.status.text(), search.status.property("role"), shown) == (
        "Searching …",
        "muted",
        (False, True, False),
    )
    QApplication.processEvents()
    assert read_job(made[-1].job_dir) == HubSearchJob(query="llama", mlx_only=True)
    made[-1].say(event.Result(name="models", data={"models": []}))
    made[-1].end(event.Finished())
    assert search.status.text() == "Nothing was found. Fewer words find more."
    assert (search.view.isVisible(), search.card.isVisible()) == (False, False)
    search.search()
    QApplication.processEvents()
    made[-1].end(event.Finished())
    told = search.status.text(), search.status.property("role")
    assert told == ("The search ended without an answer.", "error")
    search.search()
    QApplication.processEvents()
    given_up = made[-1]
    search.query.clear()
    assert given_up.killed
    assert (search.known_view.isVisible(), search.status.isVisible(), search.card.isVisible()) == (
        True,
        False,
        True,
    )
    assert search.where.text() == "Choose one to download it."
    assert search.name.text().endswith(" known models")


def test_rows_of_the_hub_say_what_fits_and_sort_by_what_they_mean(
    search: HubSearchPage, made: list[FakeWorker]
) -> None:
    answer(search, made, SMALL, TIGHT, LARGE, UNTOLD)
    table, c = search.table, theme.colors()
    cells = [[table.index(row, column) for column in range(table.columnCount())] for row in range(4)]
    assert [[cell.data() for cell in row] for row in cells] == [
        ["Org/small", "1.2\u00a0GB", "bf16", "fits", "900", "12", ""],
        ["b/tight", "2.4\u00a0GB", "–", "tight", "90\u00a0k", "0", "gated"],
        ["c/large", "20\u00a0GB", "–", "too large", "0", "0", ""],
        ["d/untold", "–", "–", "unknown", "0", "0", ""],
    ]
    assert [cell.data(SORT_ROLE) for cell in cells[0]] == ["org/small", 1_200_000_000, "bf16", 0, 900, 12, ""]
    assert [row[3].data(SORT_ROLE) for row in cells] == [0, 1, 2, 3]
    assert [cell.data(COLOR) and cell.data(COLOR).name() for cell in cells[0]] == [
        *[None] * 3, c.good, None, None, c.muted,
    ]  # fmt: skip
    assert [row[3].data(COLOR).name() for row in cells] == [c.good, c.warning, c.error, c.muted]
    right = [bool(cell.data(ALIGNED) & Qt.AlignmentFlag.AlignRight) for cell in cells[0]]
    assert right == [False, True, False, False, True, True, False]
    assert [row[0].data(TIP) for row in cells] == [
        "Org/small\nType llama, updated 2026-05-01\nFits: weights of 1.2\u00a0GB for 5\u00a0GB of working memory. "
        "The exact figures come when it is here.",
        "b/tight\nTight: weights of 2.4\u00a0GB for 5\u00a0GB of working memory. The exact figures come when it is "
        "here.\nGated: accept its licence on the hub, then set a token under “Places and access”.",
        "c/large\nToo large: weights of 20\u00a0GB for 5\u00a0GB of working memory. The exact figures come when it "
        "is here.",
        "d/untold",
    ]
    search._finder.entries = [ModelEntry("Org/small", Path("/cache/small"), 1, "llama", cached=True)]
    assert (cells[0][6].data(), cells[0][6].data(COLOR).name()) == (HERE, c.good)


def test_known_models_say_what_they_take_and_their_licence(search: HubSearchPage) -> None:
    known, c = search.known, theme.colors()
    known.show(known.rows, 5e9)
    cells = [known.index(0, column) for column in range(known.columnCount())]
    assert [cell.data() for cell in cells] == [
        "HuggingFaceTB/SmolLM2-135M-Instruct", "134\u00a0M", "269\u00a0MB", "fits", "Apache 2.0",
    ]  # fmt: skip
    keys = [cell.data(SORT_ROLE) for cell in cells]
    assert keys == ["huggingfacetb/smollm2-135m-instruct", 134_500_000, 269_000_000, 269_000_000, "Apache 2.0"]
    right = [bool(cell.data(ALIGNED) & Qt.AlignmentFlag.AlignRight) for cell in cells]
    assert right == [False, True, True, False, False]
    assert cells[0].data(TIP).splitlines()[-2:] == [
        "Trying things out: trains in minutes, knows little",
        "Licence: Apache 2.0, not gated: no account is needed.",
    ]
    assert (cells[0].data(COLOR), cells[3].data(COLOR).name()) == (None, c.good)
    search.known_view.selectRow(0)
    assert search.name.text() == f"{known.rows[0].id} · Trying things out: trains in minutes, knows little"
    assert search.where.text().startswith("269\u00a0MB as bf16 · goes to the Hugging Face cache (")
    gated = KnownTable([KnownModel("a/b", 8, 4.0, "4-bit", "Llama", True, "Chats")], 5e9, lambda _: "")
    assert gated.index(0, 4).data() == "Llama, gated"
    assert gated.index(0, 0).data(TIP).splitlines()[-1] == "Licence: Llama, gated."
    last = known.index(len(known.rows) - 1, 3)
    known.show(known.rows, 2e9)
    assert (last.data().startswith("needs "), last.data(COLOR).name()) == (True, c.muted)
    model = known.rows[-1]
    search._finder.entries = [ModelEntry(model.id, Path("/cache"), 1, "llama", cached=True)]
    assert last.data() == HERE
    assert last.data(COLOR).name() != c.muted, "it is here all the same"


def test_what_is_chosen_is_told_with_its_size_and_place(
    search: HubSearchPage, made: list[FakeWorker], finder: ModelFinder, home: Path, tmp_path: Path
) -> None:
    answer(search, made, SMALL, UNTOLD)
    cache = home / "huggingface" / "hub"
    assert search.where.text() == f"1.2\u00a0GB as bf16 · goes to the Hugging Face cache ({cache})"
    search.view.selectRow(1)
    assert search.where.text() == f"size not told · goes to the Hugging Face cache ({cache})"
    keep_settings(models_dir=str(tmp_path))
    search.refresh()
    assert search.where.text() == f"size not told · goes to {tmp_path}"
    part = tmp_path / "d" / "untold" / ".cache" / "huggingface" / "download"
    part.mkdir(parents=True)
    (part / "a.incomplete").write_bytes(b"x" * 2_000)
    search.refresh()
    assert (search.state_of(search.table.rows[1]), buttons(search)) == ("stopped at 2\u00a0kB", "Resume")
    other = ModelEntry("other", tmp_path, 1, "llama", cached=True)
    finder.entries = [ModelEntry("elsewhere", tmp_path / "d" / "untold", 1, "llama"), other]
    redrawn: list[str] = []
    search.table.dataChanged.connect(lambda *_: redrawn.append("found"))
    search.known.dataChanged.connect(lambda *_: redrawn.append("known"))
    finder.found.emit(finder.entries)
    assert redrawn == ["found", "known"]
    assert (search.where.text(), buttons(search)) == ("size not told · on this machine", "Use this model")
    chosen: list[str] = []
    search.chosen.connect(chosen.append)
    search.use_button.click()
    cached = ModelEntry("d/untold", tmp_path / "cached", 1, "llama", cached=True)
    finder.entries = [other, cached]
    search.use_button.click()
    assert chosen == [str(tmp_path / "d" / "untold"), "d/untold"]
    keep_settings(offline=True)
    search.refresh()
    assert search.where.text() == "size not told · on this machine"
    search.view.selectRow(0)
    assert search.where.text() == "1.2\u00a0GB as bf16 · cannot be downloaded while Luthier is strictly offline"
    assert (buttons(search), search.download_button.toolTip()) == ("(Download)", OFFLINE)
    assert not any(one.isEnabled() for one in (search.query, search.mlx_only, search.search_button))
    before = len(made)
    search.search()
    QApplication.processEvents()
    assert len(made) == before
    search.view.clearSelection()
    assert (search.name.text(), search.where.text()) == ("2 models found", "Choose one to download it.")
    keep_settings(offline=False)
    search.refresh()
    assert (buttons(search), search.download_button.toolTip()) == ("(Download)", "Downloads the chosen model")


def test_a_download_is_told_of_until_another_model_is_chosen(
    search: HubSearchPage, made: list[FakeWorker], finder: ModelFinder
) -> None:
    answer(search, made, SMALL, TIGHT)
    search.download()
    worker, said = made[-1], search.progress.text
    assert read_job(worker.job_dir) == HubDownloadJob(model="Org/small", models_dir="")
    assert (said.text(), search.progress.bar.isVisible()) == ("Looking up Org/small …", True)
    assert (buttons(search), search.table.index(0, 6).data()) == ("Stop", "downloading")
    search.view.selectRow(1)
    assert search.name.text() == "Org/small", "the card tells of what is downloaded"
    assert said.text() == "Looking up Org/small …"
    search.download()
    assert made[-1] is worker, "one at a time"
    worker.say(event.Progressed(phase="Downloading", done=1_000_000, total=4_000_000, in_bytes=True))
    assert said.text() == "Downloading · 1\u00a0MB of 4\u00a0MB"
    search.query.setText("other")
    search.search()
    assert search.card.isVisible(), "a download can be stopped while something else is searched"
    arrived: list[str] = []
    search.arrived.connect(arrived.append)
    looked = _asked(finder)
    worker.say(event.Result(name="model", data={"bytes": 4_000_000, "path": "/m/small", "model": "Org/small@2"}))
    worker.end(event.Finished())
    assert (arrived, _asked(finder)) == (["Org/small@2"], looked + 1)
    assert (said.text(), said.property("role")) == ("Downloaded: 4\u00a0MB in /m/small", "good")
    assert search.table.index(0, 6).data() == HERE, "before the finder has seen it"
    search.view.selectRow(0)
    assert said.text() == "Downloaded: 4\u00a0MB in /m/small"
    search.view.selectRow(1)
    assert said.text() == "", "it was about another"
    search.download()
    made[-1].end(event.Failed(message="The hub refuses."))
    assert (said.text(), said.property("role")) == ("The hub refuses.", "error")
    assert buttons(search) == "Download"
    search.download()
    search.stop()
    assert made[-1].commands == [Stop()]
    made[-1].end(event.Finished(reason="stopped", message="Stopped."))


# -- convert -------------------------------------------------------------------------------------------------


@pytest.fixture
def convert(qtbot: QtBot, made: list[FakeWorker], finder: ModelFinder) -> Iterator[HubConvertPage]:
    assert made == []
    page = HubConvertPage(finder)
    qtbot.addWidget(page)
    page.show()
    yield page
    page.shutdown()


def test_browsing_finds_a_model_and_a_place_for_the_new_folder(
    convert: HubConvertPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is there already would only be refused."""
    asked: list[str] = []

    def ask(_parent: object, _title: str, start: str, *_: object) -> str:
        asked.append(start)
        return str(tmp_path / "chosen")

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", ask)
    save_settings(Settings(models_dir=str(tmp_path / "models")))
    convert.source.browse()
    assert (convert.source.value(), convert.out.value()) == (
        str(tmp_path / "chosen"), str(tmp_path / "models" / "chosen-4bit"),
    )  # fmt: skip
    convert.out.browse()
    assert convert.out.value() == str(tmp_path / "chosen" / "chosen-4bit")
    assert asked[1:] == [str(tmp_path / "models")]


def test_what_a_person_wants_the_new_folder_to_be_stays_with_another_way_to_store_weights(
    convert: HubConvertPage, tmp_path: Path
) -> None:
    save_settings(Settings(models_dir=str(tmp_path / "models")))
    ways = {way: child(convert, QRadioButton, f"convert.quantization.{way}") for way in ("4bit", "6bit", "8bit")}
    convert.set_model("/m/big")
    ways["6bit"].click()
    assert convert.out.value() == str(tmp_path / "models" / "big-6bit")
    convert.out.choose(str(tmp_path / "disk" / "big-6bit"))
    ways["8bit"].click()
    assert convert.out.value() == str(tmp_path / "disk" / "big-8bit"), "as it was offered, at another place"
    convert.out.choose(str(tmp_path / "disk" / "mine"))
    ways["4bit"].click()
    assert convert.out.value() == str(tmp_path / "disk" / "mine"), "its own name"
    convert.set_model("/m/small")
    assert convert.out.value() == str(tmp_path / "disk" / "small-4bit"), "a name that was another model's"
    convert.out.choose("")
    ways["6bit"].click()
    assert convert.out.value() == str(tmp_path / "models" / "small-6bit")


def test_a_conversion_is_begun_followed_and_offered(
    convert: HubConvertPage, made: list[FakeWorker], finder: ModelFinder, tmp_path: Path
) -> None:
    save_settings(Settings(models_dir=str(tmp_path)))
    every = {one.text(): one for one in (convert.cancel_button, convert.convert_button, convert.use_button)}

    def shown() -> str:
        return ", ".join(text if one.isEnabled() else f"({text})" for text, one in every.items() if one.isVisible())

    def sizes() -> list[str]:
        return [label.text() for label in convert._sizes.values()]

    assert (shown(), convert.out.value()) == ("(Convert)", "")
    bits = [
        "4.5 bits a weight",
        "5.5 bits a weight",
        "6.5 bits a weight",
        "8.5 bits a weight",
        "4.25 bits a weight",
    ]
    assert sizes() == bits
    convert.set_model("org/big")
    assert (shown(), convert.out.value(), sizes()) == ("Convert", str(tmp_path / "big-4bit"), bits)
    finder.entries = [ModelEntry("org/big", Path("/m/big"), 16_000_000_000, "llama", cached=True)]
    finder.found.emit(finder.entries)
    taken = [
        "about 4.5\u00a0GB",
        "about 5.5\u00a0GB",
        "about 6.5\u00a0GB",
        "about 8.5\u00a0GB",
        "about 4.25\u00a0GB",
    ]
    assert sizes() == taken
    convert.set_model("/m/big")
    assert sizes() == taken
    child(convert, QRadioButton, "convert.quantization.6bit").click()
    assert (convert.quantization, convert.out.value()) == ("6bit", str(tmp_path / "big-6bit"))
    convert.out.choose(str(tmp_path))
    assert shown() == "(Convert)", "a folder that is there is not written over"
    why = child(convert, QLabel, "convert.why_not")
    assert why.text() == "This folder is there already, and nothing is written over."
    assert convert.convert_button.toolTip() == why.text()
    convert.out.choose("")
    assert shown() == "(Convert)"
    convert.out.choose(str(tmp_path / "mine"))
    assert (shown(), convert.convert_button.property("kind")) == ("Convert", "primary")
    assert (why.text(), convert.convert_button.toolTip()) == ("", "Writes the new folder")
    convert.convert_button.click()
    worker, said = made[-1], convert.progress.text
    assert read_job(worker.job_dir) == ConvertJob(model="/m/big", out=tmp_path / "mine", quantization="6bit")
    assert (shown(), said.text()) == ("Stop", "Starting …")
    worker.say(event.Progressed(phase="Reading", done=1, total=4))
    assert said.text() == "Reading · 1 of 4"
    arrived: list[str] = []
    convert.arrived.connect(arrived.append)
    convert.chosen.connect(arrived.append)
    data = {"path": str(tmp_path / "mine"), "bytes": 6_500_000_000, "source_bytes": 16_000_000_000}
    worker.say(event.Result(name="convert", data=data))
    assert shown() == "Stop", "until it has ended"
    worker.end(event.Finished())
    told = f"Converted: 6.5\u00a0GB instead of 16\u00a0GB, in {tmp_path / 'mine'}"
    assert (said.text(), said.property("role"), _asked(finder)) == (told, "good", 1)
    assert (shown(), convert.convert_button.property("kind")) == ("Convert, Use this model", "")
    convert.use_button.click()
    assert arrived == [str(tmp_path / "mine")] * 2
    convert.convert()
    assert shown() == "Stop"
    convert.stop()
    assert made[-1].commands == [Stop()]
    made[-1].end(event.Finished(reason="stopped", message="Nothing was written."))
    assert (said.text(), shown()) == ("Nothing was written.", "Convert"), (
        "what was made before is not offered again"
    )
    convert.source.choose("")
    assert (convert.out.value(), shown()) == ("", "(Convert)")


# -- places and access ---------------------------------------------------------------------------------------


@pytest.fixture
def access(qtbot: QtBot, made: list[FakeWorker]) -> Iterator[HubAccessPage]:
    assert made == []
    page = HubAccessPage()
    qtbot.addWidget(page)
    page.show()
    yield page
    page.shutdown()


@pytest.mark.parametrize(
    ("standing", "said", "role", "can_forget"),
    [
        ((False, "", False, False), "No token is stored; most models need none.", "small", False),
        ((True, "", False, True), "A token is stored in the keychain.", "small", True),
        ((True, "", False, False), "A token is stored in a file that only you can read.", "small", True),
        ((True, "", True, False), "The token in the environment variable HF_TOKEN is used.", "small", False),
        ((True, "ada", False, True), "Stored in the keychain: the token of ada.", "good", True),
    ],
)
def test_what_stands_of_a_token_is_asked_once_and_told(
    access: HubAccessPage,
    made: list[FakeWorker],
    standing: tuple[object, ...],
    said: str,
    role: str,
    can_forget: bool,
) -> None:
    access.ask()
    access.ask()
    (worker,) = made
    assert read_job(worker.job_dir) == HubLoginJob(action="status")
    data = dict(zip(("set", "user", "from_environment", "in_keychain"), standing, strict=True))
    worker.say(event.Result(name="token", data=data))
    assert not access.forget_button.isEnabled(), "not while it is asked"
    worker.end(event.Finished())
    access.ask()
    assert made == [worker]
    told = access.token_status
    assert (told.text(), told.property("role"), access.forget_button.isEnabled()) == (said, role, can_forget)


def test_a_token_goes_to_the_worker_once_and_what_fails_is_told(
    access: HubAccessPage, made: list[FakeWorker]
) -> None:
    access.token.returnPressed.emit()
    access.token.setText("  ")
    access.token.returnPressed.emit()
    assert (made, access.save_button.isEnabled()) == ([], False)
    access.token.setText(" hf_secret ")
    assert access.save_button.isEnabled()
    access.token.returnPressed.emit()
    (worker,) = made
    assert read_job(worker.job_dir) == HubLoginJob(action="login")
    assert (access.token.text(), access.token_status.text()) == ("", "Asking the hub …")
    access.token.setText("hf_other")
    assert not access.save_button.isEnabled(), "while the first is checked"
    worker.say(event.Ready(), event.Ready())
    assert worker.commands == [GiveToken(token="hf_secret"), GiveToken(token="")]
    worker.end(event.Failed(message="The hub does not know this token."))
    told = access.token_status
    assert (told.text(), told.property("role")) == ("The hub does not know this token.", "error")
    assert access.save_button.isEnabled()
    access.forget_button.setProperty("there", True)
    access._show_buttons()
    access.save_button.click()
    made[-1].end(event.Failed(message="The hub cannot be reached."))
    access.forget_button.click()
    assert read_job(made[-1].job_dir) == HubLoginJob(action="logout")
    made[-1].say(event.Ready())
    assert made[-1].commands == [GiveToken(token="")], "nothing is left of one that was never asked for"
    assert not access.forget_button.isEnabled()
    made[-1].end(event.Finished())
    assert access.forget_button.isEnabled()


def test_places_are_taken_where_they_can_be_folders(access: HubAccessPage, tmp_path: Path) -> None:
    file, problem, changed = tmp_path / "file", access.place_problem, list[int]()
    file.write_text("")
    access.changed.connect(lambda: changed.append(1))
    for text, said in (
        ("models", "Give the whole path, beginning with / or ~."),
        (str(file), f"{file} is a file, not a folder."),
    ):
        access.place.choose(text)
        assert (problem.text(), problem.isVisible(), load_settings().models_dir) == (said, True, "")
    assert changed == []
    for text in (str(tmp_path), str(tmp_path / "yet to be made"), "~/models", ""):
        access.place.choose(text)
        assert (problem.text(), problem.isVisible(), load_settings().models_dir) == ("", False, text)
    assert len(changed) == 4
    assert not access.remove_button.isEnabled()
    for folder in ("/a", "/b", "/a"):
        access.add_folder(folder)
    assert (len(changed), access.folders.count(), access.remove_button.isEnabled()) == (6, 2, False)
    access.folders.setCurrentRow(1)
    assert access.remove_button.isEnabled()
    access.remove_button.click()
    assert (len(changed), load_settings().model_folders) == (7, ("/a",))
    assert [access.folders.item(row).text() for row in range(access.folders.count())] == ["/a"]
