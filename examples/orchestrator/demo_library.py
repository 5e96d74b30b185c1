"""The small library that the demo repairs: fourteen modules, each with one bug and its test.

`MODULES` maps a module's name to its source, the source of its test and the repair as a pair
(old text, new text). Pure data; `demo_project` writes it into a repository.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """One module with a bug; `repair` and `half_repair` are (old text, new text)."""

    source: str
    checks: str  # body of the test methods
    repair: tuple[str, str]
    half_repair: tuple[str, str] | None = None

    def test(self, name: str) -> str:
        """Give the source of the unittest."""
        lines = "".join(f"    {line}\n" if line else "\n" for line in self.checks.splitlines())
        return (
            f'"""What textkit.{name} promises."""\n\nimport unittest\n\n'
            f"from textkit import {name}\n\n\nclass {name.title()}Test(unittest.TestCase):\n{lines}"
        )


MODULES: dict[str, Module] = {
    "slug": Module(
        source='''"""Titles to parts of an address."""

import re


def slug(title):
    """Lower case, words joined by single dashes."""
    return re.sub(r"[^a-z0-9]", "-", title.lower())
''',
        checks="""def test_runs_of_signs_become_one_dash(self):
    self.assertEqual(slug.slug("Hello,  World"), "hello-world")

def test_no_dash_at_the_ends(self):
    self.assertEqual(slug.slug("(draft) One!"), "draft-one")
""",
        repair=(
            're.sub(r"[^a-z0-9]", "-", title.lower())',
            're.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")',
        ),
    ),
    "price": Module(
        source='''"""Prices in cents to text."""


def price(cents):
    """Give 1234 as 12.34; negative amounts keep their sign."""
    return f"{cents // 100}.{cents % 100}"
''',
        checks="""def test_cents_have_two_digits(self):
    self.assertEqual(price.price(1205), "12.05")

def test_a_refund_keeps_its_sign(self):
    self.assertEqual(price.price(-150), "-1.50")
""",
        half_repair=("{cents % 100}", "{cents % 100:02d}"),
        repair=(
            'return f"{cents // 100}.{cents % 100:02d}"',
            (
                'sign = "-" if cents < 0 else ""\n'
                '    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"'
            ),
        ),
    ),
    "dates": Module(
        source='''"""The calendar."""


def is_leap_year(year):
    """Say whether the year has a 29 February."""
    return year % 4 == 0
''',
        checks="""def test_centuries_are_not_leap_years(self):
    self.assertFalse(dates.is_leap_year(1900))

def test_every_fourth_century_is(self):
    self.assertTrue(dates.is_leap_year(2000))
    self.assertTrue(dates.is_leap_year(2024))
""",
        repair=("year % 4 == 0", "year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)"),
    ),
    "roman": Module(
        source='''"""Roman numbers."""

SIGNS = [(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]


def roman(number):
    """Write 1 to 3999 in Roman signs."""
    text = ""
    for value, sign in SIGNS:
        text += sign * (number // value)
        number %= value
    return text
''',
        checks="""def test_four_and_nine_are_written_by_taking_away(self):
    self.assertEqual(roman.roman(4), "IV")
    self.assertEqual(roman.roman(1999), "MCMXCIX")
""",
        repair=(
            '[(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]',
            (
                '[(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),\n'
                '         (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"),\n'
                '         (1, "I")]'
            ),
        ),
    ),
    "wrap": Module(
        source='''"""Long lines to short ones."""


def wrap(text, width):
    """Break between words; no line is longer than `width` unless one word is."""
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]
''',
        checks="""def test_the_space_counts(self):
    self.assertEqual(wrap.wrap("aaaa bbbbb", 9), ["aaaa", "bbbbb"])
""",
        repair=(
            "if len(line) + len(word) > width:",
            "if line and len(line) + 1 + len(word) > width:",
        ),
    ),
    "median": Module(
        source='''"""The middle of numbers."""


def median(numbers):
    """Give the middle one, or the mean of the two middle ones."""
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2]
''',
        checks="""def test_an_even_count_has_two_middles(self):
    self.assertEqual(median.median([4, 1, 3, 2]), 2.5)
""",
        repair=(
            "return ordered[len(ordered) // 2]",
            (
                "half = len(ordered) // 2\n"
                "    if len(ordered) % 2:\n        return ordered[half]\n"
                "    return (ordered[half - 1] + ordered[half]) / 2"
            ),
        ),
    ),
    "luhn": Module(
        source='''"""Check digits of card numbers."""


def is_valid(number):
    """Say whether the digits pass the Luhn check."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value
    return total % 10 == 0
''',
        checks="""def test_two_digits_are_added_one_by_one(self):
    self.assertTrue(luhn.is_valid("79927398713"))
    self.assertFalse(luhn.is_valid("79927398710"))
""",
        repair=("total += value", "total += value - 9 if value > 9 else value"),
    ),
    "duration": Module(
        source='''"""Seconds to text."""


def duration(seconds):
    """Give 3725 as 1:02:05."""
    return f"{seconds // 3600}:{seconds // 60}:{seconds % 60}"
''',
        checks="""def test_minutes_and_seconds_have_two_digits(self):
    self.assertEqual(duration.duration(3725), "1:02:05")
""",
        repair=(
            "{seconds // 60}:{seconds % 60}",
            "{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        ),
    ),
    "initials": Module(
        source='''"""Names to initials."""


def initials(name):
    """Give Ada Lovelace as A. L."""
    return " ".join(part[0] + "." for part in name.split(" "))
''',
        checks="""def test_double_spaces_do_not_matter(self):
    self.assertEqual(initials.initials("Ada  Lovelace"), "A. L.")
""",
        repair=('name.split(" ")', "name.split()"),
    ),
    "plural": Module(
        source='''"""One or many."""


def plural(count, word):
    """Give 1 box, 2 boxes."""
    return f"{count} {word}s"
''',
        checks="""def test_one_stays_one(self):
    self.assertEqual(plural.plural(1, "box"), "1 box")

def test_a_hiss_takes_another_vowel(self):
    self.assertEqual(plural.plural(2, "box"), "2 boxes")
""",
        repair=(
            'return f"{count} {word}s"',
            (
                "if count == 1:\n"
                '        return f"1 {word}"\n'
                '    ending = "es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s"\n'
                '    return f"{count} {word}{ending}"'
            ),
        ),
    ),
    "columns": Module(
        source='''"""Lines of comma-separated text."""


def columns(line):
    """Split at commas; a quoted field may hold one."""
    return line.split(",")
''',
        checks="""def test_a_quoted_comma_does_not_split(self):
    self.assertEqual(columns.columns('a,"b,c"'), ["a", "b,c"])
""",
        repair=('return line.split(",")', "import csv\n\n    return next(csv.reader([line]))"),
    ),
    "kelvin": Module(
        source='''"""Temperatures."""


def to_kelvin(celsius):
    """Convert; nothing is colder than 0 K."""
    return celsius + 273.15
''',
        checks="""def test_nothing_is_colder_than_zero(self):
    with self.assertRaises(ValueError):
        kelvin.to_kelvin(-300)
""",
        repair=(
            "return celsius + 273.15",
            (
                'if celsius < -273.15:\n        raise ValueError("colder than 0 K")\n'
                "    return celsius + 273.15"
            ),
        ),
    ),
    "acronym": Module(
        source='''"""Phrases to acronyms."""


def acronym(phrase):
    """Give portable network graphics as PNG."""
    return "".join(word[0] for word in phrase.split()).upper()
''',
        checks="""def test_a_dash_parts_words(self):
    self.assertEqual(acronym.acronym("first-in first-out"), "FIFO")
""",
        repair=("phrase.split()", 'phrase.replace("-", " ").split()'),
    ),
    "checksum": Module(
        source='''"""Sums over bytes."""


def checksum(data):
    """Give the sum of the bytes, modulo 256."""
    return sum(data)
''',
        checks="""def test_it_fits_into_one_byte(self):
    self.assertEqual(checksum.checksum(b"\\xff\\x02"), 1)
""",
        repair=("return sum(data)", "return sum(data) % 256"),
    ),
}
