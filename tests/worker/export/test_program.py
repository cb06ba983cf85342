"""Other programs that an export runs: where they are found, what they are given, and what is told of a failure."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.problem import TaskError
from app.worker.export import ollama
from app.worker.export.gguf import GgufWriter
from app.worker.export.llama_cpp import convert_with, llama_cpp_tool, quantize_with, run_program


@pytest.fixture(autouse=True)
def _asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.export.llama_cpp._POLL_S", 0.001)


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{sys.executable} -S\nimport json, os, sys, time\n{text}\n")
    file.chmod(0o755)
    return file


def nothing(_done: int, _total: int) -> None:
    """Nobody is told."""


def test_a_program_is_looked_for_in_the_folder_or_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert llama_cpp_tool("tool", " ") is None
    there = program(tmp_path / "bin" / "tool", "")
    assert llama_cpp_tool("tool", "") == there
    place = tmp_path / "llama"
    assert llama_cpp_tool("tool", str(place)) is None, "a folder that is named is the only one"
    for inner in ("build/bin/tool", "bin/tool", "tool"):  # the nearest counts
        assert llama_cpp_tool("tool", str(place)) != place / inner
        program(place / inner, "")
        assert llama_cpp_tool("tool", str(place)) == place / inner
    monkeypatch.setenv("HOME", str(tmp_path))
    assert llama_cpp_tool("tool", "~/llama") == place / "tool"


def test_a_program_runs_without_our_pythons_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OWN", "kept")
    kept = tmp_path / "kept"
    tool = program(
        tmp_path / "tool", f"open({str(kept)!r}, 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]))"
    )
    told: list[tuple[int, int]] = []
    quantize_with(tool, Path("a"), Path("b"), "Q4_K_M", lambda done, total: told.append((done, total)))
    arguments, environment = json.loads(kept.read_text())
    assert arguments == ["a", "b", "Q4_K_M"]
    assert (environment["OWN"], "PYTHONPATH" in environment, "PYTHONHOME" in environment) == ("kept", False, False)
    assert told[-1] == (1, 1)
    assert set(told[:-1]) <= {(0, 1)}
    convert_with(tool, Path("model"), Path("out"), nothing)
    assert json.loads(kept.read_text())[0] == ["model", "--outfile", "out", "--outtype", "bf16"]


@pytest.mark.parametrize(("said", "told"), [
    ("", "it said nothing"), ("bad magic", "bad magic"), ("one\n two", "one two"),
    ("1\n2\n\n3\n 4 \n5\n", "2 / 3 / 4 / 5"), ("1\n2\n", "1 / 2"),
])  # fmt: skip
def test_the_last_lines_of_a_program_that_failed_are_told(said: str, told: str, tmp_path: Path) -> None:
    tool = program(tmp_path / "tool", f"sys.stderr.write({said!r}); sys.exit(3)")
    with pytest.raises(TaskError) as caught:
        run_program([str(tool), "a", "b"], nothing)
    assert caught.value.message == f"tool failed (3): {told}."
    assert caught.value.hint == f"Try it by hand: {tool} a b"


def test_what_a_program_says_is_given_back_and_a_stop_ends_it(tmp_path: Path) -> None:
    assert run_program([str(program(tmp_path / "tool", "print('Größe')")), "x"], nothing) == "Größe\n"
    pid, new = tmp_path / "pid", str(tmp_path / "new")
    tool = program(
        tmp_path / "endless",
        f"open({new!r}, 'w').write(str(os.getpid())); os.rename({new!r}, {str(pid)!r})\nwhile True: time.sleep(1)",
    )

    def stop(_done: int, _total: int) -> None:
        if pid.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_program([str(tool)], stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


# -- Ollama ---------------------------------------------------------------------------------------------------


def tokenizer(template: str = "plain") -> Any:
    """What a Modelfile asks of a tokenizer."""

    def apply_chat_template(messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize
        if template == "odd":
            raise ValueError("no\nreason")
        turns = "".join(f"<{one['role']}>{one['content']}<end>" for one in messages)
        return turns + ("<assistant>" if add_generation_prompt else "")

    texts = {0: "<end>", 1: 'a"b', 7: "<stop>"}
    return SimpleNamespace(
        bos_token=None, bos_token_id=None, encode=lambda _text: [], apply_chat_template=apply_chat_template,
        eos_token_ids={7, 0}, convert_ids_to_tokens=texts.__getitem__,
    )  # fmt: skip


def plan(base: Path, name: str = "", word: str = "A run, the 2nd!", **config: Any) -> Any:
    return SimpleNamespace(
        values={"name": name, "create": False}, source=SimpleNamespace(word=word), base=base, base_config=config
    )


def test_a_modelfile_has_template_samplers_context_and_ends(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 1}')
    (tmp_path / "generation_config.json").write_text(json.dumps(
        {"temperature": 0.7, "top_k": 20, "top_p": True, "min_p": "0", "repetition_penalty": 1.1}))  # fmt: skip
    lines = ollama.modelfile(plan(tmp_path, max_position_embeddings=40960), tokenizer(), "x.gguf").splitlines()
    template = lines.pop(2)
    assert lines == [
        "# a-run-the-2nd: ollama create a-run-the-2nd -f Modelfile", "FROM ./x.gguf",
        "PARAMETER temperature 0.7", "PARAMETER top_k 20", "PARAMETER num_ctx 8192",
        'PARAMETER stop "<end>"', 'PARAMETER stop "<stop>"',
    ]  # fmt: skip
    assert template.startswith('TEMPLATE """{{ range')
    assert template.endswith('"""')
    for odd in ("[1]", "{", None):
        if odd is None:
            (tmp_path / "generation_config.json").unlink()
        else:
            (tmp_path / "generation_config.json").write_text(odd)
        text = ollama.modelfile(plan(tmp_path, " mine ", max_position_embeddings=512), tokenizer("odd"), "x.gguf")
        assert text.splitlines() == [
            "# mine: ollama create mine -f Modelfile", "FROM ./x.gguf",
            "# No TEMPLATE: it refuses a plain conversation (no). Ollama then goes by the template in the file.",
            "PARAMETER num_ctx 512", 'PARAMETER stop "<end>"', 'PARAMETER stop "<stop>"',
        ]  # fmt: skip
    assert "num_ctx" not in ollama.modelfile(plan(tmp_path), tokenizer(), "x.gguf")


@pytest.mark.parametrize(("name", "is_one"), [
    ("mine", True), ("ada/mine:8b-Q4", True), ("7b.x_y-z", True), ("Mine", False), ("a/b/c", False), ("-a", False),
])  # fmt: skip
def test_names_of_models_in_ollama(
    name: str, is_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GgufWriter, "problems", lambda _writer, _plan: [])
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "ollama", "sys.exit(sys.argv[1:] != ['list'])")
    asked = plan(tmp_path, name)
    asked.values["create"] = True
    found = [(one.path, one.message, one.hint) for one in ollama.OllamaWriter().problems(asked)]
    said = f"“{name}” is no name for a model in Ollama."
    assert found == ([] if is_one else [("name", said, "Small letters, digits, “.”, “_” and “-”.")])
    (tmp_path / "ollama").write_text("no program")
    (broken, *_) = ollama.OllamaWriter().problems(asked)
    later = "Choose not to make it in Ollama; `ollama create` can be run later, in the folder."
    assert (broken.path, broken.message) == ("create", "Ollama is installed, and does not run.")
    assert broken.hint == f"Start it. {later}"
