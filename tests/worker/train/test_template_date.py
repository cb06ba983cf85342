"""A run keeps the day that its chat template writes: on another day it goes on with the very same tokens."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from app.core.protocol.event import Finished
from app.core.setup.config_file import load_config
from app.worker.token import tokenizer as loading
from tests.worker.tiny_model import TEMPLATE, write_data, write_model
from tests.worker.training import config_for, go_on, start


class Tomorrow(date):
    @classmethod
    def today(cls) -> Tomorrow:
        return cls(2031, 2, 3)


def test_resumed_on_another_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = write_model(tmp_path / "model", layers=1), write_data(tmp_path / "data", train=8, valid=4)
    (model / "chat_template.jinja").write_text("{{ strftime_now('%A %d %B') }}<|end|>" + TEMPLATE)
    config = config_for(model, data, iters=4, steps_per_eval=4, save_every=4, mask_prompt=True)
    whole, told = start(config.with_value("iters", 6), tmp_path / "whole")
    run, _ = start(config, tmp_path / "run")
    assert load_config(run.config).config.template_date == date.today().isoformat()
    assert load_config(run.setup).config.template_date == ""

    monkeypatch.setattr(loading, "date", Tomorrow)
    resumed = go_on(run, resume=True, extend_to=6)
    assert resumed.of(Finished)[0].iteration == 6
    assert resumed.losses[-2:] == told.losses[-2:]
    assert load_config(whole.config).config.template_date == load_config(run.config).config.template_date
