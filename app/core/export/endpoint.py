"""An endpoint: where a served model answers in OpenAI's protocol, and how other programs ask it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import Any

# Nothing but this machine reaches it: what is served has no encryption.
LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS_TRIED = 8080, 20
EXAMPLE = "Hello!"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``url`` ends in ``/v1``; ``model`` is the name to ask for, ``key`` goes into the header ``Authorization``.

    ``base`` is the base model's folder and ``adapter`` the weights file that is on it.
    """

    url: str
    model: str
    key: str
    base: str
    adapter: str

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Endpoint:
        """What `as_dict` made."""
        return cls(**{name: str(data[name]) for name in cls.__slots__})

    def as_dict(self) -> dict[str, str]:
        """Plain JSON."""
        return asdict(self)

    def curl(self, question: str = EXAMPLE) -> str:
        """A command for a terminal that asks ``question``."""
        body = {"model": self.model, "messages": [{"role": "user", "content": question}]}
        return (
            f"curl {self.url}/chat/completions \\\n"
            f"  -H {shlex.quote(f'Authorization: Bearer {self.key}')} \\\n"
            f"  -H 'Content-Type: application/json' \\\n"
            f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
        )

    def python(self, question: str = EXAMPLE) -> str:
        """A program that asks ``question`` with OpenAI's Python package, and prints the answer as it comes."""
        url, key, model, asked = (json.dumps(text) for text in (self.url, self.key, self.model, question))
        return (
            "from openai import OpenAI\n\n"
            f"client = OpenAI(base_url={url}, api_key={key})\n"
            "answer = client.chat.completions.create(\n"
            f"    model={model},\n"
            f'    messages=[{{"role": "user", "content": {asked}}}],\n'
            "    stream=True,\n"
            ")\n"
            "for chunk in answer:\n"
            '    print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
        )
