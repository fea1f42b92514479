"""Random JSON: values, keys, and the many ways in which one document may be spelled."""
import json
import math
import re
import struct

# One line per class of character that is escaped, encoded or sorted in its own way.
CHARACTERS = [
    "abcXYZ019 _-.:,[]{}",
    "\"\\/",
    "\b\f\n\r\t",
    "\x00\x01\x0b\x1b\x1f\x7f",
    "\x80\x85\xa0éßÿ",
    "ĀЖ中\u0301\u200b\u2028\u2029",
    "\ud7ff\ue000\ufeff\ufffd\uffff",  # around the surrogates: UTF-16 order differs from here on
    "\U00010000\U0001f600\U0010ffff",
]
SURROGATES = "\ud800\ud83d\udbff\udc00\ude00\udfff"
EDGE_NUMBERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -2**63, 2**64, 10**22, 10**40, -10**300,
                0.0, -0.0, 0.1, 1.0, 1e16, 1e-5, 1e-7, 123456789012345680.0, 5e-324,
                2.2250738585072014e-308, 1.7976931348623157e308]
SPACES = ["", "", "", " ", "\n", "\t", "\r\n", " \n\t "]
SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n",
                 "\r": "\\r", "\t": "\\t"}


def random_double(rng):
    """Any finite double, each bit pattern equally likely: mostly extreme exponents."""
    while True:
        double, = struct.unpack("<d", rng.randbytes(8))
        if math.isfinite(double):
            return double


def random_text(rng, most=12):
    return "".join(rng.choice(rng.choice(CHARACTERS)) for _ in range(rng.randint(0, most)))


def random_string(rng):
    """Text as it may stand inside a value, also as a nested key: with surrogates, some of them alone."""
    if rng.random() < 0.7:
        return random_text(rng)
    characters = CHARACTERS[:1] + CHARACTERS[-2:] + [SURROGATES] * 3
    return paired("".join(rng.choice(rng.choice(characters)) for _ in range(rng.randint(1, 8))))


def paired(text):
    """The text with one character for each surrogate pair, as json.loads has it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def escaped(text):
    """The JSON text with an escape for each lone surrogate, which UTF-8 cannot hold."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def random_number(rng):
    return rng.choice([
        lambda: rng.choice(EDGE_NUMBERS),
        lambda: rng.randint(-100, 100),
        lambda: rng.randint(-2**70, 2**70),
        lambda: rng.randint(-99999, 99999) / 100,
        lambda: random_double(rng),
    ])()


def random_value(rng, depth=4):
    kind = rng.randrange(9 if depth else 7)
    if kind < 3:
        return [None, True, False][kind]
    if kind < 5:
        return random_number(rng)
    if kind < 7:
        return random_string(rng)
    size = rng.choice([0, 1, 2, 4])
    if kind == 7:
        return [random_value(rng, depth - 1) for _ in range(size)]
    return {random_string(rng): random_value(rng, depth - 1) for _ in range(size)}


def random_document(rng, size, depth=3):
    return {random_text(rng): random_value(rng, depth) for _ in range(size)}


def nested(depth):
    """A value nested `depth` levels, objects and arrays in turn, as text."""
    value = 0
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return json.dumps(value)


def laid_out(rng, document):
    """`document` as some program may have written it."""
    if rng.random() < 0.4:
        return odd(rng, document)
    text = json.dumps(document, indent=rng.choice([None, 0, 2, 4, "\t"]), sort_keys=rng.random() < 0.5,
                      ensure_ascii=rng.random() < 0.5,
                      separators=rng.choice([None, (",", ":"), (" , ", " : ")]))
    text = escaped(text)
    if rng.random() < 0.3:  # no string holds a raw line end, so only the layout changes
        text = text.replace("\n", "\r\n")
    return rng.choice(SPACES) + text + rng.choice(SPACES)


def odd(rng, value):
    """`value` as no program would write it: stray space, needless escapes, disorder, repeated keys."""
    return rng.choice(SPACES) + _odd(rng, value) + rng.choice(SPACES)


def _odd(rng, value):
    if isinstance(value, str):
        return '"' + "".join(_odd_character(rng, character) for character in value) + '"'
    if isinstance(value, list):
        return "[" + (",".join(odd(rng, item) for item in value) or rng.choice(SPACES)) + "]"
    if isinstance(value, dict):
        members = list(value.items())
        rng.shuffle(members)
        if members and rng.random() < 0.3:  # an earlier duplicate, which does not count
            members.insert(0, (rng.choice(members)[0], random_value(rng, 0)))
        texts = [odd(rng, key) + ":" + odd(rng, member) for key, member in members]
        return "{" + (",".join(texts) or rng.choice(SPACES)) + "}"
    return json.dumps(value)


def _odd_character(rng, character):
    if character in SHORT_ESCAPES and rng.random() < 0.5:
        return SHORT_ESCAPES[character]
    if character < " " or character in "\"\\" + SURROGATES or rng.random() < 0.3:
        units = character.encode("utf-16-be", "surrogatepass")
        spelling = rng.choice(["\\u%04x", "\\u%04X"])
        return "".join(spelling % int.from_bytes(units[at:at + 2], "big") for at in range(0, len(units), 2))
    return character
