"""Fifty prompts with what tokenizers differ in: spaces, digits, case, marks, lines, scripts, code."""

from __future__ import annotations

PROMPTS = [
    "", " ", "  ", "\n", "\t", "a", "Z", "Hello", " Hello", "Hello ", "  two  spaces  ",
    "Hello world", "hello WORLD",
    "It's what I'll say; he'd've gone, WE'RE here, DON'T.", "1", "12", "123", "1234", "12345678901", "3.14159",
    "1,000,000 €", "50% of £20", "2024-11-28T12:33:45Z", "a\nb", "a\n\n\nb", "a\r\nb", "line \n  indented\n\tmore",
    "trailing\n", "def f(x: int) -> int:\n    return x ** 2  # square\n", "if (a && b) { c += d[0]; }", "x=y==z!=w",
    "snake_case camelCase PascalCase HTTPServer2Go", "email@example.org https://example.org/a?b=c&d=e#f",
    "C:\\a\\b",
    "“quoted” — dashed … done", "naïve façade Größe Ærøskøbing", "é and ß", "Привет, мир!", "日本語のテキスト。",
    "한국어 문장입니다.", "مرحبا بالعالم", "नमस्ते दुनिया", "🙂", "👍🏽 👩‍👩‍👧", "\u200bzero\u00a0width", "ǅ Ⅷ ½ ²",
    "((nested [brackets {here}]))", "!!!???...", "<b>bold</b> & <i>it</i>",
    "The quick brown fox jumps over the lazy dog.",
]  # fmt: skip
