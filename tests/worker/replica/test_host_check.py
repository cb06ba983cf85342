"""The check of hosts: each says what it is or what is wrong; those that fit join. ssh is a script on the PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.command.main import run_command
from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.replica.hostfile import RUN_HOSTS, Hostfile, ReplicaHost, save_hostfile
from app.core.run.folder import prepare_run
from app.core.setup.config_file import save_config
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on

HERE = ("127.0.0.1",)
# What another machine would answer: refused, or what this one does, without the words that ssh takes.
SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
case $2 in
  gone) echo "ssh: connect to host gone port 22: Connection refused" >&2; exit 255;;
  *) PATH=/usr/bin:/bin exec sh -c "$3";;
esac
"""
OLD = """#!/bin/sh
echo '{"type": "hello", "time": 1, "task": "replica", "protocol": PROTOCOL, "versions": {"luthier": "0.0.1"}}'
echo '{"type": "ready", "time": 1}'
cat >/dev/null
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "model", layers=1)
    write_model(folder / "other", layers=1, hidden_size=64)
    return folder


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with an ssh that stays here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("ssh", SSH), ("old", OLD.replace("PROTOCOL", str(event.Hello(task="").protocol)))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def checked(hosts: list[ReplicaHost], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    file = tmp_path / "hosts.json"
    save_hostfile(Hostfile((ReplicaHost("localhost", HERE), *hosts)), file)
    code = run_command(["hosts", str(file), "--model", str(model), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("ssh")
def test_hosts_that_fit_join_also_by_ssh(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checked([ReplicaHost("mac-2", HERE)], models / "model", tmp_path, capsys)
    assert found["joined"], found
    assert code == 0
    assert all(row["ok"] and "Luthier" in row["about"] for row in found["hosts"])
    assert found["latency_s"] > 0
    assert found["bytes_per_s"] > 1e5


def test_each_host_is_told_what_is_wrong_with_it(
    models: Path, ssh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = [
        ReplicaHost("gone", HERE),
        ReplicaHost("mac-3", HERE, (), str(ssh / "old")),
        ReplicaHost("mac-4", HERE, (), "/nowhere/luthier"),
        ReplicaHost("localhost", HERE, (), "", str(models / "other")),
        ReplicaHost("localhost", HERE, (), "", str(models / "none")),
    ]
    code, found = checked(hosts, models / "model", tmp_path, capsys)
    assert (code, found["joined"]) == (1, False)
    assert found["hosts"][0]["ok"]
    gone, old, nowhere, other, none = (" ".join(row["problems"]) for row in found["hosts"][1:])
    assert gone.startswith(
        "Replica 1 (gone) is not reached: ssh: connect to host gone port 22: Connection refused."
    )
    assert "Replica 2 (mac-3): luthier is 0.0.1 there and 0.1.0 here." in old
    assert nowhere.startswith("Replica 3 (mac-4): there is no luthier.")
    assert "not that of this machine: config.json is another, model.safetensors is another." in other
    assert none.startswith(f"Replica 5 (this machine): There is no model in {models / 'none'}.")


def test_a_run_with_another_model_elsewhere_does_not_begin(models: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", train=8, valid=2)
    run = prepare_run(config_for(models / "model", data), tmp_path / "run")
    hosts = (ReplicaHost("localhost", HERE), ReplicaHost("localhost", HERE, (), "", str(models / "other")))
    save_hostfile(Hostfile(hosts), run.path / RUN_HOSTS)
    with pytest.raises(UnusableError) as raised:
        go_on(run)
    (problem,) = raised.value.problems
    assert problem.message.startswith("The base model of replica 1 (this machine) is not that of this machine")
    assert "name its folder in the hostfile" in problem.hint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replicas", "8"], "A batch of 4 cannot be shared by 8 replicas."),
        (["--replicas", "2", "--hosts", "x.json"], "Give --hosts or --replicas"),
        (["--hosts", "/nowhere/x.json"], "It cannot be read: No such file or directory."),
    ],
)
def test_the_command_line_refuses_in_words(
    arguments: list[str], said: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", train=8, valid=2)
    config: TrainConfig = config_for(models / "model", data)
    save_config(config, tmp_path / "config.yaml")
    assert run_command(["train", str(tmp_path / "config.yaml"), *arguments]) == 2
    assert said in capsys.readouterr().err
