"""The formats, their options, and what is refused of each."""

from __future__ import annotations

import json

import pytest

from app.core.export.endpoint import Endpoint
from app.core.export.format import EXPORT_FORMATS, export_format
from app.core.export.option import ExportOption, OptionChoice, option_values
from app.core.problem import UnusableError

SOME = (
    ExportOption("name", "Name", "What it is called.", "", required=True),
    ExportOption("kind", "Kind", "How it is stored.", "a", (OptionChoice("a", "A"), OptionChoice("b", "B"))),
    ExportOption("strength", "Strength", "How much of it.", 1.0, least=0.5, most=4.0),
    ExportOption("public", "Public", "Who may see it.", False),
)


def test_what_is_not_given_has_its_default() -> None:
    assert option_values(SOME, {"name": "x"}) == {"name": "x", "kind": "a", "strength": 1.0, "public": False}
    tried: tuple[dict[str, object], ...] = ({"strength": 0.5}, {"strength": 4}, {"kind": "b"}, {"public": True})
    for given in tried:
        values = option_values(SOME, {"name": "x", **given})
        assert {key: values[key] for key in given} == given
    assert option_values(SOME[1:], {"kind": "b"})["kind"] == "b"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": " "}, {"name": "Name is not given. What it is called."}),
        ({}, {"name": "Name is not given. What it is called."}),
        ({"name": 3}, {"name": "“3” is no text. What it is called."}),
        ({"name": "x", "kind": "c"}, {"kind": "“c” is none of a, b. How it is stored."}),
        ({"name": "x", "public": 1}, {"public": "“1” is neither yes nor no. Who may see it."}),
        *(
            (
                {"name": "x", "strength": value},
                {"strength": f"“{value}” is no number from 0.5 to 4. How much of it."},
            )
            for value in (0.4, 4.1, True, "1")
        ),
        (
            {"name": "x", "odd": 1},
            {"odd": "This format has no option “odd”. It has name, kind, strength, public."},
        ),
    ],
)
def test_what_cannot_be_taken_says_why(given: dict[str, object], said: dict[str, str]) -> None:
    with pytest.raises(UnusableError) as caught:
        option_values(SOME, given)
    assert {one.path: one.text for one in caught.value.problems} == said


def test_all_that_cannot_be_taken_is_told_at_once() -> None:
    with pytest.raises(UnusableError) as caught:
        option_values(SOME, {"odd": 1, "strength": 9, "public": "yes"})
    assert [one.path for one in caught.value.problems] == ["odd", "name", "strength", "public"]
    with pytest.raises(UnusableError, match="It has none"):
        option_values((), {"odd": 1})


def test_a_format_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UnusableError) as caught:
        export_format("onnx")
    [problem] = caught.value.problems
    assert problem.path == "format"
    assert problem.text == (
        "“onnx” is no format that Luthier exports. Choose one of adapter, fused, peft, hf, gguf, gguf-adapter, "
        "lmstudio, ollama, hub."
    )
    assert export_format("gguf") is EXPORT_FORMATS["gguf"]


def test_each_format_offers_its_options_with_what_is_usual() -> None:
    offered = {name: dict(option_values(one.options, {"repository": "a/b"} if name == "hub" else {}))
               for name, one in EXPORT_FORMATS.items()}  # fmt: skip
    scale, tools = {"scale": 1.0}, {"llama_cpp": ""}
    bits = {"bits": "16bit", "lossy": False}
    assert offered == {
        "adapter": scale,
        "fused": scale | bits,
        "peft": scale,
        "hf": scale,
        "gguf": scale | {"type": "BF16"} | tools,
        "gguf-adapter": scale,
        "lmstudio": scale | {"type": "Q8_0"} | tools,
        "ollama": scale | {"type": "Q8_0"} | tools | {"create": False, "name": ""},
        "hub": {"repository": "a/b", "content": "adapter", "public": False, "upload": False} | scale | bits,
    }
    for least, is_taken in ((0.0, True), (4.0, True), (-0.1, False), (4.1, False)):
        assert bool(EXPORT_FORMATS["adapter"].options[0].fault(least)) is not is_taken
    assert "Name on the hub is not given." in EXPORT_FORMATS["hub"].options[0].fault("")


def test_others_ask_an_endpoint_by_what_it_says() -> None:
    endpoint = Endpoint("http://127.0.0.1:8080/v1", 'my "own"', "it's secret", "/base", "/adapter")
    assert Endpoint.from_dict(json.loads(json.dumps(endpoint.as_dict()))) == endpoint
    assert endpoint.curl("Où?") == (
        "curl http://127.0.0.1:8080/v1/chat/completions \\\n"
        "  -H 'Authorization: Bearer it'\"'\"'s secret' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        """  -d '{"model": "my \\"own\\"", "messages": [{"role": "user", "content": "Où?"}]}'"""
    )
    compile(endpoint.python(), "asked", "exec")
    lines = endpoint.python().splitlines()
    assert """client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="it's secret")""" in lines
    assert """    model="my \\"own\\"",""" in lines
    assert """    messages=[{"role": "user", "content": "Hello!"}],""" in lines
