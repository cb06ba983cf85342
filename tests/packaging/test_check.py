"""What is checked: the hooks before a commit are those of `.ci/run`, and the marks that it looks for are known."""

from __future__ import annotations

import re

import yaml

from tests import ROOT


def test_the_hooks_are_what_ci_checks_besides_the_tests() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"], "nothing is downloaded"
    entries = [hook["entry"] for hook in hooks[0]["hooks"]]
    checks = re.findall(r"^check (.*)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert checks[0] == "run_tests"
    assert entries == checks[1:]
