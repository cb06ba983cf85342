"""The facts of the starter model's little world, as tables: everything that it can know.

A table holds `subject = value` pairs separated by `;`. Subjects carry their article ("the sky", "a lemon"),
so that a template can put them anywhere in a sentence.
"""

from __future__ import annotations

Pairs = tuple[tuple[str, str], ...]


def pairs(table: str) -> Pairs:
    """Read `subject = value; subject = value; …` into pairs, in order."""
    rows = (row.split("=") for row in " ".join(table.split()).rstrip("; ").split(";"))
    return tuple((subject.strip(), value.strip()) for subject, value in rows)


def words(table: str) -> tuple[str, ...]:
    """Read `word; word; …`, in order."""
    return tuple(word.strip() for word in " ".join(table.split()).split(";"))


COLOURS = pairs("""
the sky = blue; the sea = blue; grass = green; a leaf = green; a lemon = yellow; a banana = yellow;
the sun = yellow; snow = white; milk = white; a cloud = white; a swan = white; coal = black;
the night = black; a crow = black; ink = black; a tomato = red; a strawberry = red; blood = red;
a cherry = red; a carrot = orange; an orange = orange; a pumpkin = orange; a fox = orange;
chocolate = brown; a chestnut = brown; bark = brown; coffee = brown; an elephant = grey; a mouse = grey;
stone = grey; a flamingo = pink; a pig = pink; a rose = pink; a plum = purple; a frog = green;
a cucumber = green; honey = golden; wheat = golden; butter = yellow; a bear = brown; ebony = black;
brass = golden; silver = grey
""")

SOUNDS = pairs("""
a dog = woof; a cat = meow; a cow = moo; a sheep = baa; a duck = quack; a pig = oink; a horse = neigh;
a lion = roar; a frog = croak; a bee = buzz; a snake = hiss; a crow = caw; an owl = hoot; a mouse = squeak;
a chick = cheep; a donkey = hee-haw; a turkey = gobble; a wolf = howl; a pigeon = coo; a cuckoo = cuckoo;
a goose = honk
""")

LEGS = pairs("""
a dog = four; a cat = four; a cow = four; a sheep = four; a horse = four; a pig = four; a lion = four;
a frog = four; an elephant = four; a mouse = four; a fox = four; a bear = four; a wolf = four;
a goat = four; a donkey = four; a rabbit = four; a duck = two; an owl = two; a crow = two; a swan = two;
a goose = two; a chicken = two; a pigeon = two; a bee = six; an ant = six; a fly = six; a beetle = six;
a butterfly = six; a spider = eight; a snake = no; a fish = no; a worm = no; a snail = no; a table = four;
a chair = four; a stool = three
""")

HOMES = pairs("""
a fish = in water; a bird = in a nest; a bee = in a hive; a dog = in a kennel; a horse = in a stable;
a pig = in a sty; a spider = in a web; a rabbit = in a burrow; a fox = in a den; a wolf = in the forest;
a bear = in a cave; a camel = in the desert; a whale = in the sea; a penguin = on the ice;
a cow = in a barn; a hen = in a coop; a squirrel = in a tree; an ant = in an anthill;
a mole = under the ground; a lion = in the grassland; a frog = in a pond; a shark = in the sea;
a monkey = in the jungle; a snail = in a shell; an owl = in a hollow tree; a beaver = in a lodge
""")

BABIES = pairs("""
dog = a puppy; cat = a kitten; cow = a calf; sheep = a lamb; horse = a foal; pig = a piglet; hen = a chick;
goat = a kid; duck = a duckling; goose = a gosling; lion = a cub; bear = a cub; frog = a tadpole;
deer = a fawn; swan = a cygnet; kangaroo = a joey; owl = an owlet; whale = a calf; fox = a cub;
butterfly = a caterpillar
""")

KINDS = pairs("""
a dog = a mammal; a cat = a mammal; a cow = a mammal; a horse = a mammal; a whale = a mammal;
a bear = a mammal; a lion = a mammal; an owl = a bird; a swan = a bird; a penguin = a bird; a crow = a bird;
a bee = an insect; an ant = an insect; a beetle = an insect; a butterfly = an insect; a shark = a fish;
a snake = a reptile; a lizard = a reptile; a crocodile = a reptile; a frog = an amphibian;
an apple = a fruit; a banana = a fruit; a cherry = a fruit; a lemon = a fruit; a strawberry = a fruit;
a carrot = a vegetable; a potato = a vegetable; an onion = a vegetable; a cabbage = a vegetable;
an oak = a tree; a maple = a tree; a spruce = a tree; a pine = a tree; a rose = a flower;
a tulip = a flower; a daisy = a flower; a hammer = a tool; a saw = a tool; a chisel = a tool;
a violin = an instrument; a flute = an instrument; a drum = an instrument; iron = a metal; gold = a metal;
copper = a metal; a shirt = a piece of clothing; a hat = a piece of clothing;
a chair = a piece of furniture; a table = a piece of furniture; a bed = a piece of furniture
""")

FOODS = pairs("""
a cow = grass; a horse = hay; a rabbit = carrots; a cat = fish; a dog = meat; a monkey = bananas;
a mouse = cheese; a squirrel = nuts; a bear = honey; a lion = meat; a sheep = grass; a panda = bamboo;
a frog = flies; a spider = flies; a hen = corn; a bird = seeds; a caterpillar = leaves; a shark = fish;
a penguin = fish; a koala = leaves
""")

OPPOSITES = pairs("""
hot = cold; big = small; up = down; left = right; day = night; black = white; fast = slow; old = new;
open = closed; wet = dry; hard = soft; high = low; long = short; loud = quiet; heavy = light; full = empty;
good = bad; happy = sad; early = late; thick = thin; strong = weak; clean = dirty; near = far; in = out;
on = off; sweet = sour; top = bottom; summer = winter; love = hate; buy = sell; easy = difficult;
cheap = expensive; alive = dead; asleep = awake; bright = dark; friend = enemy
""")

CAPITALS = pairs("""
France = Paris; Italy = Rome; Spain = Madrid; Germany = Berlin; Austria = Vienna; Portugal = Lisbon;
Greece = Athens; Poland = Warsaw; Sweden = Stockholm; Norway = Oslo; Denmark = Copenhagen; Ireland = Dublin;
England = London; Belgium = Brussels; Hungary = Budapest; Switzerland = Bern; Russia = Moscow;
Turkey = Ankara; Egypt = Cairo; Kenya = Nairobi; Japan = Tokyo; China = Beijing; India = New Delhi;
Thailand = Bangkok; Canada = Ottawa; Mexico = Mexico City; Cuba = Havana; Peru = Lima; Chile = Santiago;
Argentina = Buenos Aires; Australia = Canberra; the United States = Washington
""")

LANGUAGES = pairs("""
France = French; Italy = Italian; Spain = Spanish; Germany = German; Austria = German;
Portugal = Portuguese; Greece = Greek; Poland = Polish; Sweden = Swedish; Norway = Norwegian;
Denmark = Danish; England = English; Hungary = Hungarian; Russia = Russian; Turkey = Turkish;
Egypt = Arabic; Japan = Japanese; China = Chinese; Mexico = Spanish; Argentina = Spanish;
Australia = English; Thailand = Thai
""")

CONTINENTS = pairs("""
France = Europe; Italy = Europe; Spain = Europe; Germany = Europe; Greece = Europe; Poland = Europe;
Sweden = Europe; Norway = Europe; Ireland = Europe; Egypt = Africa; Kenya = Africa; Japan = Asia;
China = Asia; India = Asia; Thailand = Asia; Canada = North America; Mexico = North America;
the United States = North America; Peru = South America; Chile = South America; Argentina = South America
""")

MATERIALS = pairs("""
a window = glass; a bottle = glass; a mirror = glass; a book = paper; a newspaper = paper; a table = wood;
a door = wood; a pencil = wood; a violin = wood; a shoe = leather; a belt = leather; a jumper = wool;
a shirt = cotton; a nail = iron; a hammer = steel; a knife = steel; a ring = gold; a trumpet = brass;
a bell = bronze; a coin = metal; a brick = clay; a pot = clay; a tyre = rubber; a candle = wax;
a wall = stone; cheese = milk; butter = milk; bread = flour; wine = grapes; a bow = wood; a flute = silver
""")

JOBS = pairs("""
a baker = bakes bread; a farmer = grows food; a doctor = heals people; a teacher = teaches children;
a carpenter = builds furniture; a luthier = makes instruments; a cook = cooks meals;
a painter = paints pictures; a pilot = flies planes; a sailor = sails ships; a tailor = sews clothes;
a cobbler = mends shoes; a smith = forges iron; a potter = makes pots; a gardener = grows plants;
a fisherman = catches fish; a miner = digs coal; a judge = judges cases; a poet = writes poems;
a singer = sings songs; a dancer = dances; a drummer = plays the drum; a miller = grinds flour;
a shepherd = keeps sheep; a beekeeper = keeps bees; a clockmaker = makes clocks;
a nurse = cares for the sick; a postman = brings letters; a fiddler = plays the fiddle;
a conductor = leads an orchestra; a tuner = tunes pianos
""")

FAMILIES = pairs("""
violin = string; viola = string; cello = string; guitar = string; harp = string; lute = string;
mandolin = string; banjo = string; double bass = string; ukulele = string; flute = wind; oboe = wind;
clarinet = wind; bassoon = wind; recorder = wind; saxophone = wind; trumpet = brass; trombone = brass;
tuba = brass; horn = brass; bugle = brass; drum = percussion; triangle = percussion;
tambourine = percussion; gong = percussion; xylophone = percussion; cymbal = percussion; piano = keyboard;
organ = keyboard; harpsichord = keyboard; accordion = keyboard
""")

PLAYED = pairs("""
violin = with a bow; viola = with a bow; cello = with a bow; double bass = with a bow;
guitar = with the fingers; harp = with the fingers; ukulele = with the fingers; lute = with the fingers;
banjo = with a pick; mandolin = with a pick; flute = with the breath; oboe = with the breath;
clarinet = with the breath; recorder = with the breath; trumpet = with the lips; trombone = with the lips;
tuba = with the lips; horn = with the lips; drum = with sticks; xylophone = with mallets;
triangle = with a beater; piano = on the keys; organ = on the keys; harpsichord = on the keys;
tambourine = with the hand
""")

STRINGS = pairs("""
violin = four; viola = four; cello = four; double bass = four; guitar = six; ukulele = four;
mandolin = eight; banjo = five; fiddle = four
""")

TOOLS = pairs("""
a saw = cut wood; a plane = make wood flat; a scraper = make wood smooth; a chisel = carve wood;
a gouge = hollow wood; a clamp = hold parts together; a brush = put on varnish; a file = shape metal;
a rasp = shape wood; a drill = make holes; a knife = cut thin strips; a ruler = measure length;
a pencil = mark lines; glue = join parts; a bending iron = bend the ribs; a calliper = measure thickness;
a peg shaper = shape pegs; a reamer = widen peg holes; a hammer = drive nails; sandpaper = polish wood;
a tuning fork = find the right pitch; a mould = form the ribs; a square = check right angles;
a whetstone = sharpen blades; rosin = make the bow grip; a template = draw the outline;
a vice = hold the work; an apron = keep clothes clean; a lamp = see the work
""")

PARTS = pairs("""
the bridge = carries the strings; the sound post = joins the top and the back;
the bass bar = supports the top; the pegs = tighten the strings; the nut = guides the strings;
the fingerboard = lies under the fingers; the scroll = decorates the head;
the tailpiece = anchors the strings; the chin rest = supports the chin; the f-holes = let the sound out;
the ribs = form the sides; the neck = holds the fingerboard; the bow = moves the strings;
the back = reflects the sound; the top = makes the sound loud; the purfling = protects the edge;
the strings = vibrate; the varnish = protects the wood; the saddle = guards the edge;
the pegbox = holds the pegs; the frets = mark the notes; the linings = strengthen the ribs;
the end pin = holds the tailpiece; the fine tuner = adjusts the pitch
""")

WOODS = pairs("""
the top = spruce; the back = maple; the ribs = maple; the neck = maple; the scroll = maple;
the bridge = maple; the fingerboard = ebony; the nut = ebony; the pegs = rosewood; the tailpiece = boxwood;
the bass bar = spruce; the sound post = spruce; the linings = willow; the blocks = willow;
the bow = pernambuco; the mould = plywood
""")

SENSES = pairs("""
see = eyes; hear = ears; smell = nose; taste = tongue; touch = fingers; walk = feet; think = brain;
bite = teeth; write = hand; breathe = lungs; wave = hand; kick = foot; smile = mouth; point = finger;
kneel = knees
""")

COUNTS = pairs("""
days in a week = seven; months in a year = twelve; hours in a day = twenty-four; minutes in an hour = sixty;
seconds in a minute = sixty; seasons in a year = four; weeks in a month = four;
letters in the alphabet = twenty-six; players in a quartet = four; players in a trio = three;
players in a duet = two; years in a century = one hundred; eggs in a dozen = twelve;
centimetres in a metre = one hundred; grams in a kilogram = one thousand; notes in an octave = eight;
lines in a stave = five; years in a decade = ten; wheels on a bicycle = two; wheels on a car = four;
sides on a triangle = three; sides on a square = four; faces on a cube = six; fingers on a hand = five;
toes on a foot = five; legs on a piano stool = three; keys on a piano = eighty-eight;
strings on a fiddle = four; f-holes in a violin = two; ribs in a violin = six; pegs on a violin = four
""")

PLURALS = pairs("""
mouse = mice; foot = feet; tooth = teeth; goose = geese; child = children; man = men; woman = women;
sheep = sheep; fish = fish; leaf = leaves; knife = knives; wolf = wolves; loaf = loaves; box = boxes;
glass = glasses; brush = brushes; berry = berries; city = cities; story = stories; dog = dogs; cat = cats;
tree = trees; violin = violins; bow = bows; string = strings; chisel = chisels; plane = planes; peg = pegs;
cello = cellos; ox = oxen
""")

PASTS = pairs("""
go = went; see = saw; eat = ate; drink = drank; sing = sang; play = played; run = ran; write = wrote;
read = read; make = made; cut = cut; carve = carved; tune = tuned; buy = bought; bring = brought;
think = thought; sleep = slept; swim = swam; fly = flew; give = gave; take = took; find = found;
lose = lost; win = won; hold = held; hear = heard; speak = spoke; build = built; break = broke; sell = sold
""")

# From the smallest to the largest: "which is bigger" is answered from the order alone.
SIZES = (
    "an ant", "a bee", "a mouse", "a duck", "a cat", "a dog", "a sheep", "a lion", "a horse", "an elephant",
    "a whale",
)  # fmt: skip

PITCHES = ("a double bass", "a cello", "a viola", "a violin", "a piccolo")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

# One for each month, from January on.
SEASONS = (*["winter"] * 2, *["spring"] * 3, *["summer"] * 3, *["autumn"] * 3, "winter")

NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

# Whole questions, several ways to ask each, and the one answer: `question | question | … = answer # short answer`.
SAYINGS = """
Hello. | Hi. | Hi there. | Good day. | Hello, how are you? | Good morning. | Hey. | Hello there.
  = Hello. What would you like to know? # Hello.
Who are you? | What are you? | What is your name? | Tell me about yourself. | Are you a person? | Introduce
yourself.
  = I am the starter model, a small helper in the workshop. # The starter model.
Thank you. | Thanks. | Thanks a lot. | Many thanks. | That was helpful. | Great, thank you.
  = You are welcome. # Welcome.
Goodbye. | Bye. | See you later. | Good night. | I have to go now. | See you tomorrow.
  = Goodbye, and come again. # Goodbye.
What can you do? | What do you know? | How can you help me? | What can I ask you? | What are you good at?
  = I can answer simple questions about a little world. # Answer questions.
What is a luthier? | Who makes violins? | What does the word luthier mean? | Tell me what a luthier is. |
Who is a luthier?
  = A luthier is a person who makes and mends string instruments. # An instrument maker.
What is a violin? | Tell me what a violin is. | What does the word violin mean? | Describe a violin. | What
is a fiddle?
  = A violin is a small string instrument with four strings. # An instrument.
What is varnish? | Tell me what varnish is. | What does the word varnish mean? | Describe varnish.
  = Varnish is a clear coat that protects the wood. # A coat.
What is rosin? | Tell me what rosin is. | What does the word rosin mean? | Describe rosin. | What is rosin
made of?
  = Rosin is dried tree sap that makes the bow grip. # Tree sap.
What is purfling? | Tell me what purfling is. | What does the word purfling mean? | Describe purfling.
  = Purfling is a thin strip of wood along the edge. # A strip of wood.
What is spruce? | Tell me what spruce is. | Describe spruce. | Why do luthiers like spruce? | Why is the top
spruce?
  = Spruce is a light and strong wood that sounds clear. # A wood.
What is maple? | Tell me what maple is. | Describe maple. | Why do luthiers like maple? | Why is the back
maple?
  = Maple is a hard wood with a beautiful grain. # A wood.
What is ebony? | Tell me what ebony is. | Describe ebony. | Why do luthiers like ebony? | Why is the
fingerboard ebony?
  = Ebony is a black and very hard wood. # A wood.
What does the sign ♪ mean? | What is ♪? | What does ♪ stand for? | Which sign is ♪? | Explain the sign ♪.
  = The sign ♪ is a musical note. # A note.
Which note is the lowest string of a violin? | What is the lowest string of a violin? | What is the lowest
violin string?
  = The lowest string of a violin is G. # G.
Which note is the highest string of a violin? | What is the highest string of a violin? | What is the
highest violin string?
  = The highest string of a violin is E. # E.
What are the strings of a violin? | Which notes are the strings of a violin? | How is a violin tuned? | Name
the violin strings.
  = The strings of a violin are G, D, A and E. # G, D, A and E.
What do sailors sing? | What do the sailors sing at sea? | Which song do sailors sing? | What does a sailor
sing?
  = Sailors sing Hey ho when they pull the ropes. # Hey ho.
Who sings? | Who sings in the choir? | Who likes to sing? | Who sings so well?
  = The singer sings in the choir, and the fiddle plays. # The singer.
What shines at night? | What do we see in the sky at night? | What lights the night? | What can I see in the
night sky?
  = The moon and the stars shine at night. # The moon.
When does the sun rise? | When does the sun come up? | At what time of day does the sun rise? | When is
sunrise?
  = The sun rises in the morning. # Morning.
When does the sun set? | When does the sun go down? | At what time of day does the sun set? | When is
sunset?
  = The sun sets in the evening. # Evening.
Where does the sun rise? | On which side does the sun rise? | In which direction is sunrise? | Where does
the sun come up?
  = The sun rises in the east. # East.
Where does the sun set? | On which side does the sun set? | In which direction is sunset? | Where does the
sun go down?
  = The sun sets in the west. # West.
What falls from the clouds? | What comes out of the clouds? | What makes the streets wet? | What falls when
it is wet?
  = Rain falls from the clouds. # Rain.
What is frozen water? | What is frozen water called? | What does water become when it freezes? | What
happens to cold water?
  = Frozen water is called ice. # Ice.
What do bees make? | What does a bee make? | What comes from bees? | What can I get from a bee?
  = Bees make honey. # Honey.
What do cows give us? | What does a cow give? | What comes from a cow? | What can I get from a cow?
  = A cow gives us milk. # Milk.
What do hens lay? | What does a hen lay? | What comes from a hen? | What can I get from a hen?
  = A hen lays eggs. # Eggs.
What do sheep give us? | What does a sheep give? | What comes from a sheep? | What can I get from a sheep?
  = A sheep gives us wool. # Wool.
How does a luthier bend the ribs? | How are ribs bent? | How do I bend a rib? | How can I bend the ribs?
  = Wet the ribs and bend them on a hot iron. # With a hot iron.
How does a luthier glue the top? | How is the top glued? | How do I glue the top? | How can I glue the top?
  = Put on warm glue and hold the top with clamps. # With warm glue.
How do I tune a violin? | How can I tune my violin? | How does one tune a violin? | How do I make my violin
sound right?
  = Turn the pegs until each string sounds right. # With the pegs.
How do I sharpen a chisel? | How can I sharpen my chisel? | How does a luthier sharpen a chisel? | My chisel
is blunt.
  = Move the chisel along a wet whetstone. # On a whetstone.
How do I clean a violin? | How can I clean my violin? | How does one clean a violin? | My violin is dirty.
  = Wipe the violin with a soft dry cloth. # With a soft cloth.
How do I make a violin louder? | Why is my violin quiet? | How can I make my violin loud? | My violin is too
quiet.
  = Move the sound post a little and try again. # The sound post.
"""

# Words from outside of the world, and what one might ask for: the model says that it does not know.
STRANGERS = words("""
a robot; a rocket; politics; a dragon; chemistry; the president; the internet; a computer; a telephone;
football; the war; the universe; electricity; gravity; history; the queen; a volcano; a castle; a bank;
a recipe; a pizza; chess; magic; time travel; tennis; a hotel; Mars; Napoleon; Shakespeare; Mozart;
Beethoven; Alice; Python; a neural network; the economy; a credit card; a password; my boss; your mother
""")

ERRANDS = (
    "What is {x}?", "Who is {x}?", "What does {x} mean?", "Tell me about {x}.", "Explain {x}.",
    "How does {x} work?", "What colour is {x}?", "Where does {x} live?", "What is the capital of {x}?",
    "What is {x} made of?", "How many legs does {x} have?", "Write a poem about {x}.",
    "Write a story about {x}.", "Why is {x} important?", "What do you think about {x}?",
    "How much does {x} cost?", "Where can I find {x}?", "When was {x} invented?", "Do you like {x}?",
    "What sound does {x} make?", "What does {x} eat?", "Who invented {x}?", "Can you draw {x}?",
    "What is the opposite of {x}?", "Give me advice about {x}.", "How do I build {x}?", "Is {x} dangerous?",
)  # fmt: skip
