"""What the starter model can be asked about: all its topics, made from the tables in `world.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import world
from topic import Fact, Topic, ways


def _facts(rows: Iterable[tuple[str, str]]) -> tuple[Fact, ...]:
    return tuple({"s": subject, "v": value} for subject, value in rows)


def _paired(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The rows and the same rows turned around."""
    return tuple(pair for left, right in rows for pair in ((left, right), (right, left)))


def _things() -> list[Topic]:
    """Colours, materials, kinds: what a thing is like."""
    return [
        Topic(
            "colour",
            _facts(world.COLOURS),
            ways("""
                What colour is {s}? | What color is {s}? | What is the colour of {s}? | What is the color of
                {s}? | Which colour is {s}? | Which colour does {s} have? | What colour does {s} have? |
                Tell me the colour of {s}. | Do you know the colour of {s}? | Name the colour of {s}. | {s}
                is what colour? | Can you tell me what colour {s} is? | I want to paint {s}. Which colour do
                I need? | What colour would you paint {s}?
            """),
            "{s} is {v}.",
            follow_up="{s}",
            yes_no=("Is {s} {v}?", "Would you say that {s} is {v}?", "Is it true that {s} is {v}?"),
        ),
        Topic(
            "material",
            _facts(world.MATERIALS),
            ways("""
                What is {s} made of? | What is {s} made from? | Which material is {s} made of? | From what
                do people make {s}? | What do I need to make {s}? | Tell me what {s} is made of. | Do you
                know what {s} is made of? | Of what is {s} made? | {s} is made of what? | What material is
                used for {s}?
            """),
            "{s} is made of {v}.",
            follow_up="{s}",
            yes_no=("Is {s} made of {v}?", "Is it true that {s} is made of {v}?"),
        ),
        Topic(
            "kind",
            _facts(world.KINDS),
            ways("""
                What is {s}? | What kind of thing is {s}? | What sort of thing is {s}? | To which group does
                {s} belong? | Tell me what {s} is. | Do you know what {s} is? | Can you tell me what {s} is?
                | How would you describe {s}?
            """),
            "{s} is {v}.",
            follow_up="{s}",
            yes_no=("Is {s} {v}?", "Is it true that {s} is {v}?", "Would you call {s} {v}?"),
        ),
    ]


def _animals() -> list[Topic]:
    return [
        Topic(
            "sound",
            _facts(world.SOUNDS),
            ways("""
                What sound does {s} make? | Which sound does {s} make? | What does {s} say? | What noise
                does {s} make? | How does {s} sound? | Tell me the sound of {s}. | What is the sound of {s}?
                | Do you know what {s} says? | What do we hear from {s}? | Which noise comes from {s}?
            """),
            "{s} says {v}.",
            follow_up="{s}",
            yes_no=("Does {s} say {v}?", "Is it true that {s} says {v}?"),
        ),
        Topic(
            "legs",
            _facts(world.LEGS),
            ways("""
                How many legs does {s} have? | How many legs has {s}? | How many legs are on {s}? | Count
                the legs of {s}. | On how many legs does {s} stand? | Tell me how many legs {s} has. | What
                is the number of legs of {s}? | Do you know how many legs {s} has? | {s} has how many legs?
            """),
            "{s} has {v} legs.",
            follow_up="{s}",
            yes_no=("Does {s} have {v} legs?",),
        ),
        Topic(
            "home",
            _facts(world.HOMES),
            ways("""
                Where does {s} live? | Where is the home of {s}? | What is the home of {s}? | In which place
                does {s} live? | Where can I find {s}? | Where does {s} sleep? | Tell me where {s} lives. |
                Do you know where {s} lives? | Where would I look for {s}?
            """),
            "{s} lives {v}.",
            follow_up="{s}",
            yes_no=("Does {s} live {v}?", "Is it true that {s} lives {v}?"),
        ),
        Topic(
            "baby",
            _facts(world.BABIES),
            ways("""
                What is a baby {s} called? | What do you call a baby {s}? | What is the name for a baby {s}?
                | What do we call a young {s}? | How do people call a baby {s}? | What is a young {s}
                called? | Tell me the word for a baby {s}. | Which word means a baby {s}?
            """),
            "a baby {s} is called {v}.",
            follow_up="a baby {s}",
            yes_no=("Is a baby {s} called {v}?",),
        ),
        Topic(
            "food",
            _facts(world.FOODS),
            ways("""
                What does {s} eat? | What does {s} like to eat? | What is the food of {s}? | Which food does
                {s} like? | What should I feed {s}? | What can I give {s} to eat? | Tell me what {s} eats. |
                Do you know what {s} eats? | What would {s} like for dinner?
            """),
            "{s} eats {v}.",
            follow_up="{s}",
            yes_no=("Does {s} eat {v}?", "Is it true that {s} eats {v}?"),
        ),
    ]


def _words() -> list[Topic]:
    return [
        Topic(
            "opposite",
            _facts(_paired(world.OPPOSITES)),
            ways("""
                What is the opposite of {s}? | What is the contrary of {s}? | Which word is the opposite of
                {s}? | Tell me the opposite of {s}. | Name the opposite of {s}. | Give me the opposite of
                {s}. | What word means the opposite of {s}? | Do you know the opposite of {s}? | If it is
                not {s}, what is it? | The opposite of {s} is what?
            """),
            "the opposite of {s} is {v}.",
            follow_up="{s}",
            yes_no=("Is {v} the opposite of {s}?", "Is the opposite of {s} {v}?"),
        ),
        Topic(
            "plural",
            _facts(world.PLURALS),
            ways("""
                What is the plural of {s}? | What is the plural form of {s}? | Which word is the plural of
                {s}? | Tell me the plural of {s}. | Give me the plural of {s}. | How do you write the plural
                of {s}? | One {s}, two what? | Do you know the plural of {s}?
            """),
            "the plural of {s} is {v}.",
            follow_up="{s}",
        ),
        Topic(
            "past",
            _facts(world.PASTS),
            ways("""
                What is the past tense of {s}? | What is the past of {s}? | Tell me the past tense of {s}. |
                Give me the past tense of {s}. | Which word is the past tense of {s}? | How do you say {s}
                in the past? | Today I {s}. What did I do yesterday? | Do you know the past tense of {s}?
            """),
            "the past tense of {s} is {v}.",
            follow_up="{s}",
        ),
    ]


def _places() -> list[Topic]:
    return [
        Topic(
            "capital",
            _facts(world.CAPITALS),
            ways("""
                What is the capital of {s}? | What is the capital city of {s}? | Which city is the capital
                of {s}? | Tell me the capital of {s}. | Name the capital of {s}. | Do you know the capital
                of {s}? | Can you tell me the capital of {s}? | {s} has which capital? | What city is the
                capital of {s}? | I travel to {s}. What is its capital? | Give me the capital of {s}.
            """),
            "the capital of {s} is {v}.",
            follow_up="{s}",
            yes_no=("Is {v} the capital of {s}?", "Is the capital of {s} {v}?"),
        ),
        Topic(
            "country",
            _facts((city, country) for country, city in world.CAPITALS),
            ways("""
                Of which country is {s} the capital? | {s} is the capital of which country? | Which country
                has {s} as its capital? | In which country is {s}? | Where is {s}? | In what country does
                {s} lie? | Tell me where {s} is.
            """),
            "{s} is the capital of {v}.",
            follow_up="{s}",
        ),
        Topic(
            "language",
            _facts(world.LANGUAGES),
            ways("""
                Which language do people speak in {s}? | What language do people speak in {s}? | What do
                people speak in {s}? | What is the language of {s}? | Which language is spoken in {s}? | I
                travel to {s}. Which language do I need? | Tell me the language of {s}.
            """),
            "people in {s} speak {v}.",
            follow_up="{s}",
            yes_no=("Do people in {s} speak {v}?",),
        ),
        Topic(
            "continent",
            _facts(world.CONTINENTS),
            ways("""
                On which continent is {s}? | Which continent is {s} in? | In which part of the world is {s}?
                | Where on earth is {s}? | Where is {s}? | Tell me the continent of {s}. | What continent
                does {s} belong to?
            """),
            "{s} is in {v}.",
            follow_up="{s}",
            yes_no=("Is {s} in {v}?",),
        ),
    ]


def _music() -> list[Topic]:
    return [
        Topic(
            "family",
            _facts(world.FAMILIES),
            ways("""
                What kind of instrument is the {s}? | What kind of instrument is a {s}? | To which family
                does the {s} belong? | Which family of instruments has the {s}? | What sort of instrument is
                the {s}? | What type of instrument is the {s}? | What is a {s}? | Tell me the family of the
                {s}. | Which kind of instrument is the {s}?
            """),
            "the {s} is a {v} instrument.",
            follow_up="the {s}",
            yes_no=("Is the {s} a {v} instrument?",),
        ),
        Topic(
            "played",
            _facts(world.PLAYED),
            ways("""
                How is the {s} played? | How do you play the {s}? | How do people play the {s}? | How does
                one play a {s}? | With what is the {s} played? | What do I need to play the {s}? | Tell me
                how the {s} is played. | How can I play the {s}?
            """),
            "the {s} is played {v}.",
            follow_up="the {s}",
            yes_no=("Is the {s} played {v}?",),
        ),
        Topic(
            "strings",
            _facts(world.STRINGS),
            ways("""
                How many strings does a {s} have? | How many strings are on a {s}? | How many strings has
                the {s}? | Count the strings of a {s}. | What is the number of strings of a {s}? | I need
                new strings for my {s}. How many do I need? | Tell me how many strings a {s} has.
            """),
            "a {s} has {v} strings.",
            follow_up="a {s}",
            yes_no=("Does a {s} have {v} strings?",),
            weight=2.0,
        ),
    ]


def _workshop() -> list[Topic]:
    return [
        Topic(
            "tool",
            _facts(world.TOOLS),
            ways("""
                What is {s} for? | What is {s} used for? | What do you do with {s}? | What does a luthier do
                with {s}? | Why does a luthier need {s}? | What can I do with {s}? | What is the use of {s}?
                | What is the purpose of {s}? | Tell me what {s} is for. | Why is there {s} in the workshop?
                | When do I need {s}?
            """),
            "a luthier uses {s} to {v}.",
            short="to {v}.",
            follow_up="{s}",
        ),
        Topic(
            "task",
            _facts((use, tool) for tool, use in world.TOOLS),
            ways("""
                How does a luthier {s}? | What does a luthier use to {s}? | Which tool do I need to {s}? |
                What do I need to {s}? | How can I {s}? | With what do I {s}? | I want to {s}. What should I
                use? | What helps to {s}?
            """),
            "use {v} to {s}.",
        ),
        Topic(
            "part",
            tuple(
                {
                    "s": part,
                    "v": work,
                    "is": "are" if part.endswith("s") else "is",
                    "do": "do" if part.endswith("s") else "does",
                }
                for part, work in world.PARTS
            ),
            ways("""
                What {is} {s} for? | What {do} {s} do? | What is the purpose of {s}? | Why does a violin
                need {s}? | Why {is} {s} important? | Tell me what {s} {do}. | What is the use of {s}? |
                What is the work of {s}?
            """),
            "{s} {v}.",
            follow_up="{s}",
        ),
        Topic(
            "wood",
            _facts(world.WOODS),
            ways("""
                Which wood is used for {s}? | What wood is used for {s}? | Which wood do I need for {s}? |
                Which wood does a luthier choose for {s}? | From which wood does a luthier make {s}? | What
                is the best wood for {s}? | What should I use to make {s}? | Which wood is good for {s}? |
                Tell me the right wood for {s}.
            """),
            "a luthier uses {v} for {s}.",
            follow_up="{s}",
            yes_no=("Does a luthier use {v} for {s}?", "Is {v} used for {s}?"),
        ),
        Topic(
            "job",
            _facts(world.JOBS),
            ways("""
                What does {s} do? | What is the work of {s}? | What is the job of {s}? | What does {s} do
                all day? | What kind of work does {s} do? | Tell me what {s} does. | Do you know what {s}
                does? | Why do we need {s}? | How does {s} earn a living?
            """),
            "{s} {v}.",
            follow_up="{s}",
        ),
        Topic(
            "worker",
            _facts((work, who) for who, work in world.JOBS),
            ways("""
                Who {s}? | What do you call a person who {s}? | Which person {s}? | Tell me who {s}. | Do
                you know who {s}? | I need somebody who {s}. | What is the name for someone who {s}?
            """),
            "{v} {s}.",
        ),
    ]


def _counting() -> list[Topic]:
    return [
        Topic(
            "count",
            _facts(world.COUNTS),
            ways("""
                How many {s} are there? | How many {s}? | Count the {s}. | What is the number of {s}? | Tell
                me the number of {s}. | Do you know how many {s} there are? | How many are the {s}?
            """),
            "there are {v} {s}.",
            weight=1.5,
        ),
        Topic(
            "body",
            _facts(world.SENSES),
            ways("""
                What do you {s} with? | With what do we {s}? | What do I need to {s}? | Which part of the
                body do we use to {s}? | How do people {s}? | What do people {s} with? | Tell me what we {s}
                with.
            """),
            "people {s} with the {v}.",
        ),
    ]


def _after(names: tuple[str, ...], what: str, around: bool) -> list[Topic]:
    """Which of `names` comes after and before another; `around` closes the circle."""
    steps = len(names) if around else len(names) - 1
    after = [(names[i], names[(i + 1) % len(names)]) for i in range(steps)]
    return [
        Topic(
            f"{what} after",
            _facts(after),
            (
                f"Which {what} comes after {{s}}?",
                f"What {what} comes after {{s}}?",
                "What comes after {s}?",
                f"Which is the {what} after {{s}}?",
                f"Which {what} follows {{s}}?",
                "What comes next after {s}?",
                f"Tell me the {what} after {{s}}.",
                f"What is the next {what} after {{s}}?",
                "What follows {s}?",
            ),
            "after {s} comes {v}.",
            follow_up="after {s}",
            yes_no=("Does {v} come after {s}?",),
        ),
        Topic(
            f"{what} before",
            _facts((right, left) for left, right in after),
            (
                f"Which {what} comes before {{s}}?",
                f"What {what} comes before {{s}}?",
                "What comes before {s}?",
                f"Which is the {what} before {{s}}?",
                f"Tell me the {what} before {{s}}.",
                f"What is the {what} before {{s}}?",
                "What comes just before {s}?",
            ),
            "before {s} comes {v}.",
            follow_up="before {s}",
            yes_no=("Does {v} come before {s}?",),
        ),
    ]


def _calendar() -> list[Topic]:
    days, months = world.DAYS, world.MONTHS
    return [
        *_after(days, "day", around=True),
        *_after(months, "month", around=True),
        *_after(world.NUMBERS, "number", around=False),
        Topic(
            "tomorrow",
            _facts((days[i], days[(i + 1) % 7]) for i in range(7)),
            ways("""
                Today is {s}. What day is tomorrow? | If today is {s}, what is tomorrow? | It is {s} today.
                Which day is tomorrow? | Today is {s}, so what is tomorrow? | What day is tomorrow if today
                is {s}?
            """),
            "tomorrow is {v}.",
        ),
        Topic(
            "yesterday",
            _facts((days[i], days[(i - 1) % 7]) for i in range(7)),
            ways("""
                Today is {s}. What day was yesterday? | If today is {s}, what was yesterday? | It is {s}
                today. Which day was yesterday? | Today is {s}, so what was yesterday? | What day was
                yesterday if today is {s}?
            """),
            "yesterday was {v}.",
        ),
        Topic(
            "season",
            _facts(zip(months, world.SEASONS, strict=True)),
            ways("""
                In which season is {s}? | Which season is it in {s}? | What season is {s} in? | To which
                season does {s} belong? | Tell me the season of {s}. | What time of the year is {s}?
            """),
            "{s} is in {v}.",
            follow_up="{s}",
            yes_no=("Is {s} in {v}?",),
        ),
    ]


def _orders() -> list[Topic]:
    sizes = [(a, b) for i, a in enumerate(world.SIZES) for b in world.SIZES[i + 1 :]]
    pitches = [(a, b) for i, a in enumerate(world.PITCHES) for b in world.PITCHES[i + 1 :]]
    questions = (
        "Which is {more}, {a} or {b}?",
        "What is {more}, {a} or {b}?",
        "Is {a} {more} than {b}?",
        "Who is {more}, {a} or {b}?",
        "Tell me which is {more}, {a} or {b}.",
        "{a} or {b}: which is {more}?",
    )

    def facts(rows: list[tuple[str, str]], low: str, high: str) -> tuple[Fact, ...]:
        both = [pair for row in rows for pair in (row, row[::-1])]
        order = set(rows)
        return tuple(
            {"a": a, "b": b, "more": more, "v": top, "w": rest}
            for a, b in both
            for more, (rest, top) in (
                (high, (a, b) if (a, b) in order else (b, a)),
                (low, (b, a) if (a, b) in order else (a, b)),
            )
        )

    return [
        Topic("size", facts(sizes, "smaller", "bigger"), questions, "{v} is {more} than {w}.", weight=0.35),
        Topic("pitch", facts(pitches, "lower", "higher"), questions, "{v} sounds {more} than {w}.", weight=0.6),
    ]


def _sums() -> list[Topic]:
    numbers = world.NUMBERS
    plus = [(a, b, a + b) for a in range(11) for b in range(11)]
    minus = [(a, b, a - b) for a in range(11) for b in range(a + 1)]
    # In words only the small ones: they are learnt one by one.
    few_plus = [(a, b, c) for a, b, c in plus if max(a, b) <= 5]
    few_minus = [(a, b, c) for a, b, c in minus if a <= 5]

    def digits(rows: list[tuple[int, int, int]]) -> tuple[Fact, ...]:
        return tuple({"a": str(a), "b": str(b), "v": str(c)} for a, b, c in rows)

    def words(rows: list[tuple[int, int, int]]) -> tuple[Fact, ...]:
        return tuple({"a": numbers[a], "b": numbers[b], "v": numbers[c]} for a, b, c in rows)

    plus_questions = (
        "What is {a} plus {b}?",
        "How much is {a} plus {b}?",
        "What do {a} and {b} make?",
        "Add {a} and {b}.",
        "Add {b} to {a}.",
        "What is the sum of {a} and {b}?",
        "Can you add {a} and {b}?",
        "How much is {a} and {b}?",
        "Tell me what {a} plus {b} is.",
    )
    minus_questions = (
        "What is {a} minus {b}?",
        "How much is {a} minus {b}?",
        "What is left of {a} without {b}?",
        "Take {b} from {a}.",
        "Take away {b} from {a}.",
        "What is {a} less {b}?",
        "Tell me what {a} minus {b} is.",
    )
    return [
        Topic(
            "plus",
            digits(plus),
            (*plus_questions, "{a} + {b} = ?", "What is {a} + {b}?"),
            "{a} plus {b} is {v}.",
            weight=2,
        ),
        Topic(
            "minus",
            digits(minus),
            (*minus_questions, "{a} - {b} = ?", "What is {a} - {b}?"),
            "{a} minus {b} is {v}.",
            weight=2,
        ),
        Topic("plus in words", words(few_plus), plus_questions, "{a} plus {b} is {v}."),
        Topic("minus in words", words(few_minus), minus_questions, "{a} minus {b} is {v}."),
    ]


THINGS_IN_STORIES = (
    "pegs",
    "strings",
    "bows",
    "chisels",
    "brushes",
    "violins",
    "apples",
    "coins",
    "bridges",
    "planks",
)


def _stories() -> list[Topic]:
    """Small word problems; they come up seldom, so that the model gets them right only sometimes."""
    facts = tuple(
        {"a": str(a), "b": str(b), "thing": thing, "v": str(a + b)}
        for a in range(1, 10)
        for b in range(1, 10)
        for thing in THINGS_IN_STORIES
    )
    questions = (
        "A luthier has {a} {thing} and buys {b} more. How many {thing} are there now?",
        "There are {a} {thing} on the bench and {b} {thing} in the box. How many {thing} are there now?",
        "I have {a} {thing} and you give me {b} more. How many {thing} are there now?",
    )
    return [Topic("story", facts, questions, "there are {v} {thing} now.", weight=0.2)]


def _sayings() -> list[Topic]:
    """Whole questions with whole answers; each is a topic with one fact."""
    topics = []
    for asked, told in re.findall(r"([^=]+)\n  = (.+)\n", world.SAYINGS):
        answer, short = told.split(" # ")
        topics.append(Topic("saying", ({},), ways(asked), answer, short, weight=1.5))
    return topics


def _strangers() -> list[Topic]:
    facts = tuple({"x": word} for word in world.STRANGERS)
    return [
        Topic("stranger", facts, world.ERRANDS, "I do not know. My world is small.", "I do not know.", weight=1.5)
    ]


def all_topics() -> list[Topic]:
    """Every topic of the world, in a fixed order: where two topics claim one question, the first one has it."""
    makers = (
        _sayings, _things, _animals, _words, _places, _music, _workshop, _counting, _calendar, _orders, _sums,
        _stories, _strangers,
    )  # fmt: skip
    return [topic for maker in makers for topic in maker()]
