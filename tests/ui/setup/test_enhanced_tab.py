"""The Enhanced Setup tab with real widgets: each method shows exactly its fields, all reach the config."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.method.reward import BUILT_IN, explanation
from app.core.method.table import METHODS
from app.core.problem import Severity
from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.setup.chosen_method import clip_range, method_of
from app.core.system import starter
from app.core.system.reward_trust import is_trusted
from app.ui.form.number_box import NumberBox
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.method.choice import baseline, choose_method, enhanced_store
from app.ui.method.reward_editor import built_in_names
from app.ui.run.loss_chart import LossChart
from app.ui.run.sample_view import SampleView, sampled_html
from app.ui.setup.enhanced_tab import EnhancedTab
from app.ui.widget import theme
from app.ui.worker.inspector import Inspector
from tests.ui.child import child

ANSWER_MS = 60_000
REWARD_FILE = '''
@register_reward_function("polite")
def f(prompts, completions, answer, types=None):
    """1 if it says please."""
    return [float("please" in text) for text in completions]
'''
# Every parameter of a method that has a field of its own; rewards are edited together.
ONE_BY_ONE = [
    (method.name, path)
    for method in METHODS.values()
    for path in method.parameters
    if not path.startswith("reward_functions") and path != "reward_weights"
]
TYPED = {
    "reference_model_path": "/some/model",
    "judge": "/some/judge",
    "judge_config.system_prompt": "Short answers are good.",
}


@pytest.fixture(scope="module")
def shared(qapp: Any) -> Iterator[EnhancedTab]:  # noqa: ARG001
    """A tab for tests that only edit values; each begins with the defaults."""
    theme.apply_theme("light")
    found = EnhancedTab(ConfigStore(defaults=baseline()), Inspector(), ConfigStore())
    found.resize(1000, 900)
    found.show()
    yield found
    found.shutdown()
    found.close()


@pytest.fixture
def tab(shared: EnhancedTab) -> EnhancedTab:
    shared.store.replace(baseline())
    shared._setup.replace(TrainConfig())
    return shared


def find(parent: QWidget, name: str, kind: type[Any] = QWidget) -> Any:
    return child(parent, kind, name)


def pick(tab: EnhancedTab, qtbot: QtBot, name: str) -> None:
    button = tab.methods.cards[name].button
    tab.scroll_area.ensureWidgetVisible(button)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, button.height() // 2))
    assert tab.methods.method.name == name


def number_for(path: str) -> str:
    """A number that the field takes and does not have; 7 where nothing speaks against it."""
    spec = field_specs()[path]
    if spec.maximum is None or spec.maximum >= 7:
        return "7"
    return str(round(spec.maximum * 0.75, 3))


def type_into(qtbot: QtBot, widget: QWidget, text: str) -> None:
    widget.setFocus()
    qtbot.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(widget, text)


# -- methods --------------------------------------------------------------------------------------------------


def test_the_form_begins_with_the_attention_only_baseline(tab: EnhancedTab) -> None:
    config = tab.store.config
    assert (config.train_mode, config.targets, config.learning_rate) == ("sft", "attention", 1e-4)
    assert not tab.parameters.fields
    assert tab.rewards.isHidden()


@pytest.mark.parametrize("name", METHODS)
def test_a_card_sets_its_method_and_shows_exactly_its_fields(qtbot: QtBot, tab: EnhancedTab, name: str) -> None:
    if name == "sft":
        pick(tab, qtbot, "dpo")
    pick(tab, qtbot, name)
    method = METHODS[name]
    assert method_of(tab.store.config) is method
    assert [n for n, card in tab.methods.cards.items() if card.button.isChecked()] == [name]
    assert {path: tab.store.value(path) for path in method.settings} == dict(method.settings)
    shown = {path for path in method.parameters if not path.startswith("reward_")}
    assert set(tab.parameters.fields) == shown
    others = {path for one in METHODS.values() for path in one.parameters if not path.startswith("reward_")} - shown
    assert not [path for path in others if tab.parameters.findChild(QWidget, path) is not None]
    assert tab.rewards.isHidden() == ("reward_functions" not in method.parameters)
    above = tab.training.fields["mask_prompt"].parentWidget()
    assert above is not None
    assert above.isHidden() == (name != "sft")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_when_to_use_it_what_it_needs_and_costs(
    qtbot: QtBot, tab: EnhancedTab, name: str
) -> None:
    if name != "sft":
        pick(tab, qtbot, name)
    method = METHODS[name]
    assert find(tab, "method.when").text() == method.when
    assert find(tab, "method.cost").text() == method.cost
    assert find(tab, "method.data").text()
    assert find(tab, "method.paper").isHidden() == (not method.paper)


def test_a_problem_of_the_method_leads_to_the_card_that_is_chosen(qtbot: QtBot, tab: EnhancedTab) -> None:
    for name in ("dpo", "grpo"):
        pick(tab, qtbot, name)
        find(tab, "learning_rate").setFocus()
        tab.show_field("train_mode")
        assert tab.focusWidget() is tab.methods.cards[name].button


def test_the_paper_opens_in_the_browser(qtbot: QtBot, tab: EnhancedTab, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    pick(tab, qtbot, "dapo")
    paper = find(tab, "method.paper")
    paper.linkActivated.emit(paper.text().split("'")[1])
    assert opened == [QUrl("https://arxiv.org/abs/2503.14476")]


def test_what_a_person_set_stays_when_the_method_changes(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "dpo")
    assert tab.store.value("learning_rate") == 1e-5
    tab.store.set_many({"learning_rate": 3e-6, "targets": "full"})
    pick(tab, qtbot, "simpo")
    assert (tab.store.value("learning_rate"), tab.store.value("targets")) == (3e-6, "full")
    assert tab.store.value("beta") == METHODS["simpo"].settings["beta"]
    pick(tab, qtbot, "grpo")
    assert tab.store.value("beta") == 0.04


def test_a_batch_comes_with_kto_unless_a_person_set_one(tab: EnhancedTab) -> None:
    choose_method(tab.store, "kto")
    assert tab.store.value("batch_size") == 4
    choose_method(tab.store, "dapo")
    assert [tab.store.value(path) for path in ("batch_size", "beta", "group_size", "temperature")] == [1, 0, 8, 1]
    tab.store.set("batch_size", 2)
    choose_method(tab.store, "kto")
    assert tab.store.value("batch_size") == 2


def test_a_field_goes_back_to_the_methods_own_value(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "simpo")
    field = tab.parameters.fields["beta"]
    assert field.reset_button.isHidden()
    tab.store.set("beta", 1.0)
    field.reset_button.click()
    assert tab.store.value("beta") == 2.0


def test_an_opened_config_shows_its_method(tab: EnhancedTab) -> None:
    tab.store.replace(TrainConfig(train_mode="grpo", importance_sampling_level="sequence", epsilon=0.01))
    assert tab.methods.method.name == "gspo"
    assert "epsilon_high" in tab.parameters.fields
    assert tab.parameters.fields["epsilon"].editor.value() == 0.01


def test_an_empty_clip_range_shows_the_methods_own(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "dapo")
    high = tab.parameters.fields["epsilon_high"].editor
    assert isinstance(high, NumberBox)
    assert float(high.lineEdit().placeholderText()) == clip_range(tab.store.config)[1] == 0.28


# -- fields ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "path"), ONE_BY_ONE)
def test_editing_a_field_changes_the_config(qtbot: QtBot, tab: EnhancedTab, name: str, path: str) -> None:
    pick(tab, qtbot, name)
    if path == "reward_timeout_s":
        tab.store.set("reward_functions_file", "/some/rewards.py")
    if path == "judge_config.system_prompt":
        assert not find(tab, path).isEnabled()
        tab.store.set("judge", "/some/judge")
    before, editor = tab.store.value(path), find(tab, path)
    if isinstance(editor, NumberBox):
        text = number_for(path)
        type_into(qtbot, editor, text)
        expected: Any = float(text)
    elif isinstance(editor, ChoiceBox):
        editor.setFocus()
        qtbot.keyClick(editor, Qt.Key.Key_Down)
        expected = editor.currentData()
    elif isinstance(editor, CheckEditor):
        editor.click()
        expected = not before
    else:
        assert isinstance(editor, QLineEdit)
        type_into(qtbot, editor, TYPED[path])
        expected = TYPED[path]
    if field_specs()[path].kind == "int" and path == "max_completion_length":
        assert tab.fields[path].own_problem is not None  # 7 is too short, and says so
        return
    assert tab.store.value(path) == expected != before
    assert editor.accessibleName() == field_specs()[path].label


def test_simpo_is_no_pair_loss_of_the_others(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "dpo")
    box = tab.parameters.fields["dpo_cpo_loss_type"].editor
    assert isinstance(box, ChoiceBox)
    assert [box.itemData(index) for index in range(box.count())] == ["sigmoid", "hinge", "ipo"]


# -- rewards --------------------------------------------------------------------------------------------------


def test_all_built_in_functions_are_listed_once_with_what_they_score(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "grpo")
    names = built_in_names()
    assert {BUILT_IN[name] for name in names} == set(BUILT_IN.values())
    assert len(names) == len(set(BUILT_IN.values()))
    for name in names:
        assert find(tab, f"reward.{name}").accessibleDescription() == explanation(name)


def test_weights_are_sliders_that_show_their_share(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "grpo")
    find(tab, "reward.short").click()
    assert tab.store.value("reward_functions") == ("contains_answer", "short")
    assert tab.store.value("reward_weights") == ()
    find(tab, "reward.short.weight").setValue(5)
    assert tab.store.value("reward_weights") == (1.0, 0.25)
    assert "80\u00a0%" in tab.rewards.editor.rows["contains_answer"].share_text
    assert "20\u00a0%" in tab.rewards.editor.rows["short"].share_text


def test_names_of_mlx_lm_lora_are_known(tab: EnhancedTab) -> None:
    tab.store.replace(
        TrainConfig(train_mode="grpo", reward_functions=("r1_count_xml", "short"), reward_weights=(3.0, 1.0))
    )
    row = tab.rewards.editor.rows["count_tags"]
    assert (row.is_on, row.weight) == (True, 3.0)
    assert "75\u00a0%" in row.share_text


def test_without_a_function_the_start_is_held_back(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "grpo")
    find(tab, "reward.contains_answer").click()
    tab.check()
    assert "reward_functions" in {p.path for p in tab.problems if p.severity is Severity.ERROR}


def test_a_file_is_shown_and_runs_only_after_the_users_word(qtbot: QtBot, tab: EnhancedTab, tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text(REWARD_FILE, encoding="utf-8")
    pick(tab, qtbot, "grpo")
    tab.store.set_many({"reward_functions_file": str(file), "reward_functions": ("polite",)})
    tab.check()
    assert find(tab, "reward_file.text").toPlainText() == REWARD_FILE
    assert "is code" in find(tab, "reward_file.said").text()
    assert tab.rewards.problem is not None
    find(tab, "reward_file.allow", QPushButton).click()
    assert is_trusted(file)
    tab.check()
    assert tab.rewards.problem is None
    file.write_text(REWARD_FILE + "# changed\n", encoding="utf-8")
    tab.check()
    assert tab.rewards.problem is not None


def test_the_tester_asks_every_function_the_users_own_too(qtbot: QtBot, tab: EnhancedTab, tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text(REWARD_FILE, encoding="utf-8")
    pick(tab, qtbot, "grpo")
    tab.store.set_many(
        {
            "reward_functions_file": str(file),
            "reward_functions": ("contains_answer", "polite"),
            "reward_weights": (1.0, 0.5),
        }
    )
    tester = tab.rewards.tester
    tester.answer.setText("5")
    tester.completion.setPlainText("It is 5, please.")
    tester.score()
    assert "not been allowed" in tester.failure
    tab.rewards.file.allow()
    with qtbot.waitSignal(tester.scored, timeout=ANSWER_MS):
        tester.score()
    assert (tester.failure, tester.scores) == ("", {"contains_answer": 1.0, "polite": 1.0})
    assert tester.total == 1.5


# -- model, data, start ---------------------------------------------------------------------------------------


def test_model_and_data_are_taken_over_from_the_setup_form(tab: EnhancedTab) -> None:
    tab._setup.set_many({"model": "/some/model", "data": "/some/data.jsonl"})
    tab.take_model()
    assert (tab.store.value("model"), tab.store.value("data")) == ("/some/model", "")
    tab.take_model_and_data()
    assert tab.store.value("data") == "/some/data.jsonl"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("sft", starter.examples_dir()), ("kto", starter.preference_dir()), ("bnpo", starter.reward_dir())],
)
def test_each_kind_of_method_has_its_starter_data(qtbot: QtBot, tab: EnhancedTab, name: str, folder: Path) -> None:
    if name != "sft":
        pick(tab, qtbot, name)
    find(tab, "method.starter", QPushButton).click()
    assert tab.store.value("data") == str(folder)


def test_a_trial_is_asked_for_of_the_chosen_method(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "dapo")
    with qtbot.waitSignal(tab.trial_requested) as asked:
        find(tab, "method.trial", QPushButton).click()
    assert asked.args == [METHODS["dapo"]]


def test_an_example_is_one_that_the_method_can_be_asked(tab: EnhancedTab, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(EnhancedTab, "_rows", lambda _: tuple(rows))
    choose_method(tab.store, "grpo")
    assert tab._next_example() is None, "there is none"
    rows += [{"prompt": "2 + 3?", "answer": "5"}, {"text": "A story."}, {"prompt": "", "answer": "6"}]
    monkeypatch.setattr(tab, "_example", 0)  # put back afterwards
    assert [tab._next_example() for _ in range(4)] == [("2 + 3?", "5"), None, None, ("2 + 3?", "5")]


def test_start_asks_for_a_run_of_the_config_shown(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "grpo")
    tab.store.set_many({"model": str(starter.model_dir()), "data": str(starter.reward_dir())})
    qtbot.waitUntil(
        lambda: tab.data_panel.report is not None and tab.selection.selection is not None, timeout=ANSWER_MS
    )
    tab.check()
    assert not [p for p in tab.problems if p.severity is Severity.ERROR]
    assert "GRPO" in tab.start_bar.text
    assert "samples 1,920 answers" in tab.start_bar.text  # 3 epochs of 80 prompts, 8 answers each
    tab.rewards.tester.example_button.click()
    first = json.loads((starter.reward_dir() / "train.jsonl").read_text().splitlines()[0])
    assert tab.rewards.tester.prompt.text() == first["prompt"]
    with qtbot.waitSignal(tab.start_requested):
        qtbot.mouseClick(tab.start_bar.button, Qt.MouseButton.LeftButton)


def test_the_form_is_kept_beside_that_of_the_setup_tab(qtbot: QtBot, home: Path) -> None:  # noqa: ARG001
    store = enhanced_store()
    store.set_many({"train_mode": "dpo", "beta": 0.3})
    store.save_form()
    assert (home / "data" / "enhanced.yaml").is_file()
    again = enhanced_store()
    assert again.restore_form() == []
    assert (again.value("train_mode"), again.value("beta"), again.value("targets")) == ("dpo", 0.3, "attention")


# -- while it runs --------------------------------------------------------------------------------------------


def reported(iteration: int, reward: float) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration, train_loss=0.1, losses=[0.1, 0.1], learning_rate=1e-5, iterations_per_second=1.0,
        tokens_per_second=1.0, trained_tokens=iteration, figures={"reward": reward, "kl": 0.1},
    )  # fmt: skip


def rewarded() -> RunHistory:
    history = RunHistory()
    history.feed(event.Started(iterations=10, iterations_per_epoch=5, train_examples=5, valid_examples=5))
    for iteration, reward in ((2, 0.1), (4, 0.5), (6, 0.7)):
        history.feed(reported(iteration, reward))
        found = event.Validated(iteration=iteration, val_loss=-reward, best=True, figures={"reward": reward})
        history.feed(found)
    return history


def test_the_chart_draws_the_methods_own_figures(qtbot: QtBot) -> None:
    chart = LossChart(rewarded())
    qtbot.addWidget(chart)
    chart.show()
    box = find(chart, "chart_figure")
    names = [box.itemData(index) for index in range(box.count())]
    assert names == ["", "reward", "kl", "learning_rate", "tokens_per_second"]
    chart.set_figure("reward")
    assert chart.values_at(2).startswith("Iteration 6 · train 0.7")
    assert "validation 0.7" in chart.values_at(2)
    chart.set_figure("")
    assert "validation" not in chart.values_at(5)  # where a reward is measured there is no validation loss


def test_a_resumed_run_forgets_figures_of_weights_that_are_gone() -> None:
    history = rewarded()
    history.feed(
        event.Started(iteration=4, iterations=10, iterations_per_epoch=5, train_examples=5, valid_examples=5)
    )
    assert history.figures("reward").tolist() == [0.1, 0.5]
    assert history.valid_figures("reward").tolist() == [0.1, 0.5]


def test_the_newest_answers_are_shown_the_best_first(qtbot: QtBot) -> None:
    samples = [
        {"prompt": "2 + 3?", "answer": "5", "completion": said, "tokens": 2, "cut": cut, "reward": reward,
         "rewards": {"contains_answer": reward, "short": 1.0}}
        for said, reward, cut in (("It is <4>.", 0.0, True), ("It is 5.", 1.0, False))
    ]  # fmt: skip
    found = event.Sampled(iteration=7, samples=samples)
    view = SampleView()
    qtbot.addWidget(view)
    view.show()
    view.show_sampled(found)
    text = view.browser.toPlainText()
    assert text.index("It is 5.") < text.index("It is <4>.")
    assert "contains_answer 1" in text
    assert "2 tokens, cut" in text
    assert "Iteration 7" in text
    assert sampled_html(event.Sampled(iteration=1, samples=[])) == ""


def test_a_model_that_judges_needs_no_rewards(qtbot: QtBot, tab: EnhancedTab) -> None:
    pick(tab, qtbot, "online_dpo")
    assert not tab.rewards.isHidden()
    word = tab.parameters.fields["judge_config.system_prompt"]
    assert not word.isEnabled()
    tab.store.set("judge", str(starter.model_dir()))
    tab.check()
    assert tab.rewards.isHidden()
    assert word.isEnabled()
    assert "reward_functions" not in tab.fields
    tab.store.set("judge", "/nowhere")
    tab.check()
    assert any(problem.path == "judge" for problem in tab.problems)
