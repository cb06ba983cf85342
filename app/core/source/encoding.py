"""The encoding of a text, judged by what it holds outside ASCII: Unicode, East Asian, Cyrillic or a Western one."""

from __future__ import annotations

import re

SAMPLE_BYTES = 20_000
SHORT_SAMPLE_BYTES = 200  # less gives charset-normalizer too little to go by

# Encodings tried when a text is not Unicode; the multi-byte ones refuse most texts that are not theirs.
LEGACY_ENCODINGS = (
    "cp1252", "latin_1", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949", "cp1251", "koi8_r",
    "cp1253",
)  # fmt: skip
EAST_ASIAN = frozenset(("shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949"))
# Of one byte a character: the first that fits best is taken. Each with the small letters that its languages have.
_WEST = "äöüßéèêëàâáåãçñíìîïóòôõøúùûýÿæœšžðþªº"
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžäöüßőűôľĺŕăâîşţđ"
_SINGLE_BYTE = (
    ("cp1252", _WEST), ("mac_roman", _WEST), ("cp1250", _CENTRAL), ("iso8859_2", _CENTRAL), ("cp1254", "çğıöşüâîû"),
)  # fmt: skip
_OUTSIDE = re.compile(r"(?<=(.))([^\x00-\x7f])(?=(.))", re.DOTALL)
_MARKS = frozenset("“”‘’„‚‹›«»–—…¡¿°€£•©®™×÷·\u00a0")
_INNER_MARKS = frozenset("’–—…·×")  # those that may stand between two letters
# Bytes that are no part of a longer character in any of the encodings.
_CUTS = re.compile(rb"[\r\n\t \",:]")
_LABELS = {
    "cp1252": "Latin-1 (Windows-1252)", "latin-1": "Latin-1", "mac_roman": "Mac Roman (mac_roman)",
    "cp932": "shift_jis (Windows)", "cp949": "euc_kr (Windows)", "cp1250": "Central European (Windows-1250)",
    "iso8859_2": "Central European (Latin-2)", "cp1254": "Turkish (Windows-1254)", "cp1251": "cp1251 (Cyrillic)",
    "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32": "UTF-32",
}  # fmt: skip
EXAMPLE_CHARACTERS = 60


def reading_of(text: str, encoding: str) -> str:
    """In which encoding a text is read, with a line of it that shows whether that is right."""
    said = f"Read as {_LABELS.get(encoding, encoding)}"
    found = re.search(r"[^\r\n]*[^\x00-\x7f\ufeff][^\r\n]*", text[:200_000])
    if found is None:
        return f"{said}."
    line = found[0].strip("\ufeff \t")
    # From the start, or from a little before the first character that tells.
    telling = next(at for at, character in enumerate(line) if not character.isascii())
    start = max(telling - EXAMPLE_CHARACTERS // 2, 0)
    end = start + EXAMPLE_CHARACTERS
    return f"{said}, for example “{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}”."


def encoding_of(block: bytes, *, is_cut: bool) -> str:
    """UTF-8 when most of the lines outside ASCII are; a line or two may be broken and are reported as such.

    ``is_cut`` when the block goes on, so that its last character may be half of one.
    """
    lines = [line for line in re.split(rb"[\r\n]+", block) if not line.isascii()]
    good = sum(1 for line in lines if _is_utf8(line))
    if good * 2 >= len(lines):
        return "utf-8"
    if is_cut and len(lines) > 1 and block[-1:] not in (b"\r", b"\n"):
        lines.pop()
    sample = _sample(lines, is_cut=is_cut)
    western, is_likely = _western(sample)
    if len(sample) < SHORT_SAMPLE_BYTES and is_likely:
        return western
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(LEGACY_ENCODINGS), enable_fallback=False).best()
    if best is None or best.encoding in ("latin_1", "cp1252"):
        return western
    if is_likely and best.encoding not in EAST_ASIAN:
        return western
    return best.encoding


def _sample(lines: list[bytes], *, is_cut: bool) -> bytes:
    """The first lines, whole ones: a character that is cut in two fits no encoding."""
    sample = b""
    for line in lines:
        if sample and len(sample) + len(line) > SAMPLE_BYTES:
            return sample
        sample += line + b"\n"
    if len(sample) > SAMPLE_BYTES or (is_cut and len(lines) == 1):
        ends = [match.end() for match in _CUTS.finditer(sample, 0, min(SAMPLE_BYTES, len(sample) - 1))]
        sample = sample[: ends[-1]] if ends else sample
    return sample


def _western(sample: bytes) -> tuple[str, bool]:
    """The likeliest encoding of one byte a character, and whether the text looks like words under it."""
    best, best_score, share = "", 0, 0.0
    for name, letters in _SINGLE_BYTE:
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        good, bad = _looks(text, letters)
        if not best or good - bad > best_score:
            best, best_score, share = name, good - bad, good / max(good + bad, 1)
    return best or "latin-1", share > 0.7


def _looks(text: str, letters: str) -> tuple[int, int]:
    """How many characters outside ASCII stand where one of their kind belongs, and how many do not."""
    good = bad = 0
    for match in _OUTSIDE.finditer(f" {text} "):
        if _belongs(match[2], match[1], match[3], letters):
            good += 1
        else:
            bad += 1
    return good, bad


def _belongs(character: str, before: str, after: str, letters: str) -> bool:
    """A letter stands among small ones, a capital in front of them, a mark at a word's edge."""
    if character in letters:
        return (before.isascii() or after.isascii()) and not before.isupper() | after.isupper()
    if character.lower() in letters:
        return after.isascii() and not before.islower()
    if character in _MARKS:
        return character in _INNER_MARKS or not (before.isalpha() and after.isalpha())
    return False


def _is_utf8(line: bytes) -> bool:
    """A line at the end of a block may be cut in the middle of a character."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(line) - 3 and error.start > 0
    return True
