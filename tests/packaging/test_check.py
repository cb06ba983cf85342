"""What is checked: the hooks before a commit are those of `.ci/run`, and the marks that it looks for are known."""

from __future__ import annotations

import re

import yaml

from tests import ROOT


def test_the_hooks_are_what_ci_checks_besides_the_tests() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"], "nothing is downloaded"
    entries = [hook["entry"] for hook in hooks[0]["hooks"]]
    script = (ROOT / ".ci" / "run").read_text()
    assert entries == re.findall(r"^    check nice (.*)$", script, re.M)
    assert re.findall(r"^check (.*)$", script, re.M) == ["python3 packaging/dev.py setup --dev", "run_tests"]
