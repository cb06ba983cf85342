"""Alphabets: what the characters of a text tell of its language, so that the right encoding can be told by them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

# A character outside ASCII with those before and after it.
_OUTSIDE = re.compile(r"(?<=(.))([^\x00-\x7f])(?=(.))", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_MARKS = frozenset("“”‘’„‚‹›«»–—…¡¿°€£•©®™×÷·§\u00a0¢¥½¼²³±")
_INNER_MARKS = frozenset("’–—…·×\u00a0")  # those that may stand between two letters
_WIDE_MARKS = frozenset("，。、？！：；（）「」『』“”‘’《》〈〉…—　・～％／［］【】")
LANGUAGE_BONUS = 0.4

Triples = Counter[tuple[str, str, str]]


@dataclass(frozen=True)
class Alphabet:
    """The letters outside ASCII that a language has: usual ones, rare ones, and those that only end a word; and
    some of its commonest words. Letters of ``mixes`` stand beside those of ASCII in one word, others never do."""

    usual: str
    rare: str = ""
    final: str = ""
    words: str = ""
    mixes: bool = True

    @cached_property
    def weights(self) -> dict[str, float]:
        """Each small letter with how much it speaks for the language."""
        return dict.fromkeys(self.rare, 0.4) | dict.fromkeys(self.usual + self.final, 1.0)

    @cached_property
    def common_words(self) -> frozenset[str]:
        """The words."""
        return frozenset(self.words.split())

    def worth(self, before: str, character: str, after: str) -> float:
        """How well a character stands where it does in this language: 1 very, -1 not at all."""
        small = character.lower()
        weight = self.weights.get(small)
        if weight is None:
            return _worth_of_mark(before, character, after)
        if not self.mixes and (_is_ascii_letter(before) or _is_ascii_letter(after)):
            return -1.0
        if character in self.final and after.isalpha():
            return -1.0
        if not before.isalpha() and not after.isalpha():
            weight = min(weight, 0.3)  # words of one letter are rare
        if character != small:  # a capital begins a word, or stands in one of capitals
            if before.islower():
                return -1.0
            return weight * (0.3 if before.isalpha() else 1.0)
        return -0.7 if before.isupper() and after.isupper() else weight


def _worth_of_mark(before: str, character: str, after: str) -> float:
    if character not in _MARKS:
        return -1.0
    return 0.6 if character in _INNER_MARKS or not (before.isalpha() and after.isalpha()) else -1.0


def _is_ascii_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()


_FRENCH = "éèàêçâîôûùëïœ"
ALPHABETS: dict[str, Alphabet] = {
    "de": Alphabet("äöüß", "éàèêçñ", words="der die und ist das nicht ein eine mit von den wie auf es sich zu im"),
    "fr": Alphabet(_FRENCH, "üæÿñö", words="le la les de des est et un une que qui dans pour pas du en au"),
    "es": Alphabet("áéíóúñü", "çïº", words="el la los de que y en un una es por con para del se las no"),
    "pt": Alphabet("ãáéçíóõêâàúô", "üèªº", words="o a os de que e do da em um uma para com não se as no na"),
    "it": Alphabet("èàùòìé", "îóíúâê", words="il la di che e un una per non con del è in si le dei sono"),
    "ca": Alphabet("àèéíòóúçïü", "·", words="el la els de que i en un una es per amb no les del"),
    "sv": Alphabet("åäö", "éüàèáç", words="och att det i en som på är av för med den till inte om har"),
    "da": Alphabet("æøå", "éüöäòèô", words="og at det i en som på er af for med den til ikke har jeg"),
    "fi": Alphabet("äö", "åéüšž", words="ja on ei se että hän oli mutta kun niin myös ovat kuin"),
    "is": Alphabet("áðéíóúýþæö", "", words="og að í á er það sem til við um ekki hann með fyrir"),
    "nl": Alphabet("ëéïèöüê", "áóíàçú", words="de het een en van is dat in te niet op met voor zijn die"),
    "en": Alphabet("", "éèêëàâäãåöõøüûùïîíìñçôóòáúæœßð", words="the of and to in is a that for it was on with as"),
    "pl": Alphabet("ąćęłńóśźż", "éüöäáč", words="i w nie na z do się że to jest co jak o po od za przez"),
    "cs": Alphabet("áčďéěíňóřšťúůýž", "öüäë", words="a je v na se to že s z do o i jako k ve pro by ale"),
    "sk": Alphabet("áäčďéíľňóôšťúýžĺŕ", "öüěë", words="a je v na sa to že s z do o i ako k vo pre by ale"),
    "hu": Alphabet("áéíóöőúüű", "äôß", words="a az és hogy nem is egy ez de meg volt csak már mint"),
    "ro": Alphabet("ăâîşţșț", "éáöüóő", words="și şi a de în la cu nu o să că un pe este care din"),
    "hr": Alphabet("čćđšž", "éöüá", words="i je u na se da za od su s kao ne što će bi o"),
    "et": Alphabet("äõöü", "šžé", words="ja on ei et see oli ka kui ning mis ta oma või"),
    "lt": Alphabet("ąčęėįšųūž", "éöü", words="ir yra kad į iš su ne tai kaip buvo o jis bet"),
    "lv": Alphabet("āčēģīķļņšūž", "õöéü", words="un ir ar no uz ka tas par kā bija viņš arī bet"),
    "tr": Alphabet("çğıöşü", "âîûİé", words="ve bir bu da de için ile çok ne o gibi daha mi var"),
    "ru": Alphabet("оеаинтсрвлкмдпуяьы", "гзбчйхжшюцщэфъё", words="и в не на что я с он а как по это", mixes=False),
    "uk": Alphabet("оаиніветрслкудмпяь", "гзбчйхжшюцщєфїґ'", words="і в не на що з у та як до це", mixes=False),
    "bg": Alphabet("аеиотнрсвлкдпмъз", "угяцчбщжхюшйфьэы", words="и на в за да се от с не че по", mixes=False),
    "sr": Alphabet("аоиенрсујтквдпмлз", "гбчшцжћхњљђфџ", words="и у је да се на за су од са", mixes=False),
    "el": Alphabet("αοιετσνηυρπκμλωάίέόή", "θγδχφβξζψύώϊϋΐΰ", "ς", "και το να του η της την ο με για", False),
    "he": Alphabet("יוהלאמרתבשעדנקחפגכזצ", "טס־׳״ְֱֲִֵֶַָֹּ", "םןךףץ", "של את על לא זה עם הוא כי", False),
    "ar": Alphabet("اليمنوةرتبعدسهفكقحجأ", "شصطخزىإذغضآثءئؤظ،؟؛ًٌٍَُِّْـپچژگ", "", "في من على أن إلى", False),
    "th": Alphabet("านรอกเงมยลวดทสตะปบคหแ่้ัิี", "จพชขใไโผุู์็ึำฉซญฎฏฐฑฒณถธฝฟภฤศษฬฮฯโๆๅ฿๊๋ื๐๑๒๓๔๕๖๗๘๙",
                   mixes=False),
}  # fmt: skip
# The commonest characters of Chinese, of either script.
_COMMON_HAN = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点"
    "这個們來為國會說時對著過發後裡經麼學當動還進樣開從實無與長機關點問間沒頭種請請您吗呢什怎哪什麼嗎誰谁很最"
)


def triples_of(text: str) -> Triples:
    """The characters outside ASCII, each with its neighbours, and how often they stand so."""
    return Counter((match[1], match[2], match[3]) for match in _OUTSIDE.finditer(f" {text} "))


def fit_of(alphabet: Alphabet, triples: Triples, words: Counter[str]) -> float:
    """How well a text fits a language: the mean worth of its characters outside ASCII, and more for its words."""
    total = sum(alphabet.worth(*triple) * count for triple, count in triples.items())
    known = sum(count for word, count in words.items() if word in alphabet.common_words)
    return total / max(triples.total(), 1) + LANGUAGE_BONUS * min(5 * known / max(words.total(), 1), 1.0)


def word_counts(text: str) -> Counter[str]:
    """The words of a text in small letters."""
    return Counter(word.lower() for word in _WORD.findall(text))


def lead_of(alphabet: Alphabet, text: str, other: Alphabet, read: str) -> float:
    """How much better a text fits than another reading of the same bytes, of those characters alone that differ."""
    one, two = f" {text} ", f" {read} "
    places = [at for at in range(1, len(one) - 1) if one[at] != two[at]]
    lead = sum(
        alphabet.worth(*one[at - 1 : at + 2]) - other.worth(*two[at - 1 : at + 2]) for at in places
    )  # fmt: skip
    return lead / max(len(places), 1)


def east_asian_fit(language: str, text: str) -> float:
    """How well a text fits Chinese (``zh``), Japanese (``ja``) or Korean (``ko``)."""
    counts = Counter(character for character in text if not character.isascii())
    worth = {"zh": _worth_in_chinese, "ja": _worth_in_japanese, "ko": _worth_in_korean}[language]
    fit = sum(worth(character) * count for character, count in counts.items()) / max(counts.total(), 1)
    if language == "ja" and not any("ぁ" <= character <= "ヿ" for character in counts):
        fit = min(fit, 0.3)
    return fit


def _worth_in_chinese(character: str) -> float:
    if character in _COMMON_HAN:
        return 1.2
    if character in _WIDE_MARKS:
        return 0.8
    if not _is_han(character):
        return -1.0
    return 0.5 if _is_usual(character, "gb2312", 0xD7) or _is_usual(character, "big5", 0xC6) else -0.7


def _worth_in_japanese(character: str) -> float:
    if "ぁ" <= character <= "ゖ" or "ァ" <= character <= "ー":
        return 1.0
    if character in _WIDE_MARKS:
        return 0.8
    if not _is_han(character):
        return -0.8  # the katakana of half width too, as other encodings are taken for them
    return 0.6 if _is_usual(character, "euc_jp", 0xCF) else -0.6


def _worth_in_korean(character: str) -> float:
    if "가" <= character <= "힣":
        return 1.0 if _is_usual(character, "euc_kr", 0xC8) else -0.3
    if _is_han(character):
        return -1.5  # hardly one stands in a text of today
    return 0.6 if character in _WIDE_MARKS or character in _MARKS else -0.8


def _is_han(character: str) -> bool:
    return "一" <= character <= "鿿"


def _is_usual(character: str, encoding: str, last: int) -> bool:
    """True for a character of the first level of a standard, which holds the usual ones."""
    try:
        found = character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return len(found) == 2 and found[0] <= last  # longer ones put a syllable together


def readable_share(text: str) -> float:
    """The share of characters that can stand in a text: printed ones, line ends and tabs, none unassigned."""
    return sum(count for one, count in Counter(text).items() if is_readable(one)) / max(len(text), 1)


def is_readable(character: str) -> bool:
    """Whether a character can stand in a text."""
    return character in "\t\r\n" or character.isprintable() or unicodedata.category(character) in ("Zs", "Cf")
