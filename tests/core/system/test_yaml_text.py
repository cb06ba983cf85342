"""YAML of a few bytes never fills the memory, and what is valid is read."""

from __future__ import annotations

import pytest
import yaml

from app.core.language import Told, tr
from app.core.problem import UnusableError
from app.core.setup.config_file import parse_config
from app.core.system.yaml_text import MOST_LEVELS, BoundError, bounded_yaml, dumped_yaml


def bomb(levels: int) -> str:
    rows = ["x0: &x0 {k: v}"]
    rows += [f"x{i}: &x{i} [{', '.join(f'*x{i - 1}' for _ in range(10))}]" for i in range(1, levels)]
    return "\n".join(rows)


HOSTILE = {
    "aliases": bomb(9),
    "itself": "a: &a [*a]",
    "brackets": "[" * 5000,
    "braces": "{a: " * 5000,
    "indented": "\n".join(f"{' ' * i}a:" for i in range(400)),
    "dashes": "- " * 3000 + "a",
    "merges": "a: &a {k: 1}\n" + "\n".join(
        f"b{i}: &b{i} {{<<: [{', '.join(f'*b{i - 1}' if i else '*a' for _ in range(40))}]}}" for i in range(6)
    ),
    "long": "a: " + "x" * 5_000_000,
    "month": "day: 2024-13-45",
    "tag": "!!python/object/apply:os.system [true]",
}  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused(name: str) -> None:
    with pytest.raises(yaml.YAMLError):
        bounded_yaml(HOSTILE[name])
    with pytest.raises(UnusableError) as caught:
        parse_config(HOSTILE[name])
    assert "Error" not in caught.value.problems[0].message


def test_ordinary_aliases_and_depth_are_read() -> None:
    assert bounded_yaml("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]")["d"] == [{"b": [1, 2]}, {"b": [1, 2]}]
    deep = "[" * (MOST_LEVELS - 1) + "1" + "]" * (MOST_LEVELS - 1)
    assert str(bounded_yaml(f"a: {deep}")["a"]) == deep
    assert len(bounded_yaml(bomb(5))["x4"]) == 10


def test_brackets_of_both_kinds_are_levels_alike() -> None:
    deep = "[{a: " * (MOST_LEVELS // 2 + 1) + "1" + "}]" * (MOST_LEVELS // 2 + 1)
    with pytest.raises(BoundError, match="nested"):
        bounded_yaml(f"a: {deep}")


def test_merge_keys_give_what_a_mapping_leaves_out() -> None:
    text = "model: m\nbase: &base {rank: 4, scale: 8.0}\nlora_parameters:\n  <<: *base\n  scale: 2.0\n"
    found = parse_config(text).config.lora_parameters
    assert (found.rank, found.scale) == (4, 2.0)


def test_a_key_given_twice_is_refused_beside_a_merge() -> None:
    with pytest.raises(UnusableError, match="given twice"):
        parse_config("base: &base {rank: 4}\nlora_parameters:\n  <<: *base\n  rank: 2\n  rank: 3\n")


class KnowingText(str):
    """A text that knows more than its letters, as those do that are shown in several languages."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


@pytest.mark.parametrize("text", ["mlx over LoRA rank", "😀 over seed", "a: b", ""])
def test_a_text_of_a_class_of_its_own_is_written_as_plain_text(text: str) -> None:
    tree = {"tags": [KnowingText(text)], KnowingText("name"): KnowingText(text)}
    found = dumped_yaml(tree)
    assert yaml.safe_load(found) == {"tags": [text], "name": text}
    assert "!!" not in found


def test_a_tree_is_written_as_people_write_it() -> None:
    tree = {"model": "b", "a": [1, 2.5], "said": "größer 😀", "none": None}
    assert dumped_yaml(tree) == "model: b\na:\n- 1\n- 2.5\nsaid: größer 😀\nnone: null\n"
    assert dumped_yaml({"b": 1, "a": 2}, sort_keys=True) == "a: 2\nb: 1\n"
    assert dumped_yaml({"said": "größer 😀"}, in_unicode=False) == 'said: "gr\\xF6\\xDFer \\U0001F600"\n'
    words = " ".join(["word"] * 40)
    assert max(map(len, dumped_yaml({"said": words}).splitlines())) < 100
    assert dumped_yaml({"said": words}, width=1000) == f"said: {words}\n"


def test_a_text_that_knows_of_what_it_was_made_is_written_as_plain_text() -> None:
    made = tr("{name} stands twice", name="rank 😀")
    assert isinstance(made, Told)
    assert dumped_yaml({"tags": [made], made: "b"}) == "tags:\n- rank 😀 stands twice\nrank 😀 stands twice: b\n"
    plain = tr("{name} stands twice", name="rank")
    assert isinstance(plain, Told)
    assert dumped_yaml({"name": plain, "data": "b"}) == "name: rank stands twice\ndata: b\n"


def test_a_name_that_is_no_text_is_written_with_its_codes() -> None:
    assert dumped_yaml({"path": "caf\udce9"}) == 'path: "caf\\uDCE9"\n'


@pytest.mark.parametrize("words", ["a\x85b", "a\x85😀", "\u2028 😀\u2029", "😀\x00\x7f", "ä\udcff\n😀"])
def test_odd_texts_are_read_as_they_were_written(words: str) -> None:
    for in_unicode in (True, False):
        assert yaml.safe_load(dumped_yaml({"a": words}, in_unicode=in_unicode)) == {"a": words}
