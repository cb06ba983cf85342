"""What a new setup begins as: a chosen config's values, without what belongs to one run alone."""

from __future__ import annotations

from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import Problem
from app.core.setup.config_file import save_config
from app.core.setup.default import FOLLOWING, new_setup, new_setup_problems
from app.core.setup.trial import trial_config


def test_without_one_it_is_what_is_declared() -> None:
    assert new_setup("") == (TrainConfig(), FOLLOWING)


def test_values_are_taken_and_what_is_a_run_s_own_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    mine = TrainConfig(
        model="/m", data="/d", adapter_name="friendly", learning_rate=3e-5, steps_per_eval=17, seed=4,
        completion_feature="answer",
    )  # fmt: skip
    save_config(mine, file)
    config, following = new_setup(str(file))
    assert (config.learning_rate, config.steps_per_eval, config.seed) == (3e-5, 17, 4)
    assert (config.model, config.data, config.adapter_name) == ("", "", TrainConfig().adapter_name)
    assert config.completion_feature == TrainConfig().completion_feature
    assert "steps_per_eval" not in following


def test_what_the_form_cannot_begin_as_is_told(tmp_path: Path) -> None:
    assert new_setup_problems(str(tmp_path / "none.yaml"))
    (tmp_path / "odd.yaml").write_text("learning_rate: [\n")
    assert new_setup_problems(str(tmp_path / "odd.yaml"))
    save_config(trial_config(METHODS["dpo"]), tmp_path / "dpo.yaml")
    said = "dpo.yaml trains by DPO, and the Setup form trains on examples."
    hint = "Choose a config of supervised training."
    [problem] = new_setup_problems(str(tmp_path / "dpo.yaml"))
    assert problem == Problem("", said, hint=hint, file=str(tmp_path / "dpo.yaml"))
    assert new_setup_problems("") == ()


def test_all_that_a_run_has_of_its_own_begins_anew(tmp_path: Path) -> None:
    """And of all the rest what was chosen."""
    own = {
        "model", "data", "valid_data", "test_data", "sheet", "encoding", "answers_by", "data_format",
        "adapter_name", "adapter_path", "resume_adapter_file", "group_feature", "prompt_feature",
        "completion_feature", "chat_feature", "text_feature", "system_feature",
    }  # fmt: skip
    mine = TrainConfig().with_values(dict.fromkeys(own - {"data_format"}, "x") | {"data_format": "chat"})
    mine = mine.with_values({"reward_functions_file": "r.py", "template_date": "2026-01-01"})
    save_config(mine, tmp_path / "mine.yaml")
    config, following = new_setup(str(tmp_path / "mine.yaml"))
    plain = TrainConfig()
    assert {path for path in own if config.value(path) != plain.value(path)} == set()
    assert (config.template_date, config.seed) == ("2026-01-01", 0)
    assert following == frozenset()
    (tmp_path / "short.yaml").write_text("config_version: 1\nsteps_per_eval: 7\n")
    assert new_setup(str(tmp_path / "short.yaml"))[1] == {"mask_prompt", "save_every", "adapter_name"}
