"""Numbers, against Python's exact arithmetic: repr() on the way in, float() and Fraction() on the way out."""
import math
import random
import struct
import unittest
from fractions import Fraction

import documents
import flagstore
from flagstore import FlagstoreError, Store, TYPE_MISMATCH

SEED, COUNT = 88, 20_000


def doubles(rng):
    """Extreme ones by bit pattern, subnormal ones, integral ones, and the short ones people write."""
    yield from (number for number in documents.EDGE_NUMBERS if isinstance(number, float))
    for exponent in range(-325, 309):  # where repr() changes to and from an exponent, among others
        yield from [float(f"1e{exponent}"), float(f"-9.999999999999999e{min(exponent, 307)}")]
    for _ in range(COUNT // 4):
        yield documents.random_double(rng)
        yield struct.unpack("<d", rng.randrange(1, 2**52).to_bytes(8, "little"))[0]
        yield float(rng.randrange(-2**rng.randrange(1, 80), 2**rng.randrange(1, 80)))
        yield rng.randrange(-10**6, 10**6) / 10**rng.randrange(8)


def midpoints(rng):
    """The exact decimal half way between two doubles, and a hair beside it: the hardest texts to round."""
    for _ in range(500):
        double = min(abs(documents.random_double(rng)), 1e308)
        exact = (Fraction(double) + Fraction(math.nextafter(double, math.inf))) / 2
        places = exact.denominator.bit_length() - 1
        for hair in [-1, 0, 1]:
            yield f"{exact.numerator * 5**places * 10 + hair}e-{places + 1}"


def number_texts(rng):
    def digits(most):
        return "".join(rng.choices("0123456789", k=rng.randint(1, most)))
    for _ in range(COUNT):
        whole = rng.choice(["0", rng.choice("123456789") + digits(rng.choice([2, 18, 25]))])
        fraction = rng.choice(["", "", "." + digits(3), "." + "0" * rng.randint(1, 25), "." + digits(25)])
        power = rng.choice(["e", "E", "e+", "e-"]) + str(rng.randint(0, rng.choice([3, 25, 400])))
        exponent = rng.choice(["", "", power])
        yield rng.choice(["", "-"]) + whole + fraction + exponent
    for near in [2**63, -2**63, 2**53, 10**18]:  # at the edges, in many spellings
        for step in range(-3, 4):
            text = str(near + step)
            yield from [text, text + ".0", text + ".5", text + "00e-2", text[:-3] + "." + text[-3:] + "e3", text + "e1"]


def bits(double):
    return struct.pack("<d", double)


def setUpModule():
    print(f"\nnumbers, seed {SEED}")


class Numbers(unittest.TestCase):
    def setUp(self):
        self.store = Store.memory()
        self.addCleanup(self.store.close)
        self.rng = random.Random(SEED)

    def answer(self, read):
        """The number, or None if the library says TYPE_MISMATCH."""
        try:
            return read("key")
        except FlagstoreError as error:
            self.assertEqual(error.code, TYPE_MISMATCH, error)
            return None

    def test_set_double_writes_what_repr_writes_and_reads_it_back(self):
        for double in doubles(self.rng):
            self.store.set_double("key", double)
            self.assertEqual(self.store.get_json("key"), repr(double))
            self.assertEqual(bits(self.store.get_double("key")), bits(double), repr(double))

    def test_get_double_is_float_of_the_text(self):
        for texts in [number_texts(self.rng), midpoints(self.rng)]:
            for text in texts:
                self.store.set_json("key", text)
                answer = self.answer(self.store.get_double)
                if math.isinf(float(text)):
                    self.assertIsNone(answer, text)
                else:
                    self.assertEqual(answer if answer is None else bits(answer), bits(float(text)), text)

    def test_get_int64_is_the_exact_value_of_the_text_or_none(self):
        answered = 0
        for text in number_texts(self.rng):
            self.store.set_json("key", text)
            exact = Fraction(text)
            fits = exact.denominator == 1 and -2**63 <= exact < 2**63
            answered += fits
            self.assertEqual(self.answer(self.store.get_int64), int(exact) if fits else None, text)
        self.assertGreater(answered, COUNT // 10)

    def test_a_million_digits_are_read_exactly_too(self):
        zeros, nines = "0" * 1_000_000, "9" * 1_000_000
        for text, double, integer in [
            ("1" + zeros + "e-1000000", 1.0, 1), ("0." + zeros + "1e1000001", 1.0, 1),
            ("-3" + zeros + "e-1000001", -0.3, None), ("1" + zeros, None, None), ("0." + zeros + "1", 0.0, None),
            ("-0." + zeros + "e9", -0.0, 0), ("1." + nines, 2.0, None), (nines + "e-1000000", 1.0, None),
            (f"{2**53 + 1}." + zeros, 2.0**53, 2**53 + 1), (f"{2**53 + 1}." + zeros + "1", 2.0**53 + 2, None),
            ("1e" + nines, None, None), ("-1e-" + nines, -0.0, None), ("0e" + nines, 0.0, 0),
            ("1e-0" + zeros + "1", 0.1, None), ("7e0" + zeros, 7.0, 7),
        ]:
            self.store.set_json("key", text)
            name = f"{text[:20]}...{text[-12:]}"
            answer = self.answer(self.store.get_double)
            self.assertEqual(*[None if number is None else bits(number) for number in (answer, double)], name)
            self.assertEqual(self.answer(self.store.get_int64), integer, name)

    def test_set_int64_writes_every_digit(self):
        for _ in range(COUNT // 4):
            number = self.rng.randrange(-2**63, 2**63) >> self.rng.randrange(63)
            self.store.set_int64("key", number)
            self.assertEqual((self.store.get_json("key"), self.store.get_int64("key")), (str(number), number))
