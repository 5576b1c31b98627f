"""Strings in many scripts, to compare tokenizers on: the same ones for the same seed."""

import random
import unicodedata
from collections.abc import Callable

# First and last code point of blocks that people write in; the unassigned ones among them are left out.
BLOCKS = {
    "ASCII": (0x20, 0x7E),
    "Latin": (0xA0, 0x24F),
    "IPA": (0x250, 0x2AF),
    "Combining": (0x300, 0x36F),
    "Greek": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x52F),
    "Armenian": (0x531, 0x58F),
    "Hebrew": (0x591, 0x5F4),
    "Arabic": (0x600, 0x6FF),
    "Syriac": (0x700, 0x74F),
    "Devanagari": (0x900, 0x97F),
    "Bengali": (0x980, 0x9FE),
    "Tamil": (0xB82, 0xBFA),
    "Telugu": (0xC00, 0xC7F),
    "Malayalam": (0xD00, 0xD7F),
    "Sinhala": (0xD81, 0xDF4),
    "Thai": (0xE01, 0xE5B),
    "Lao": (0xE81, 0xEDF),
    "Tibetan": (0xF00, 0xFDA),
    "Burmese": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF),
    "Hangul parts": (0x1100, 0x11FF),
    "Ethiopic": (0x1200, 0x139F),
    "Cherokee": (0x13A0, 0x13FD),
    "Khmer": (0x1780, 0x17F9),
    "Mongolian": (0x1800, 0x18AA),
    "Vietnamese": (0x1EA0, 0x1EFF),
    "Old Greek": (0x1F00, 0x1FFE),
    "Punctuation": (0x2000, 0x206F),
    "Small digits": (0x2070, 0x209C),
    "Currency": (0x20A0, 0x20C0),
    "Letterlike": (0x2100, 0x214F),
    "Numbers": (0x2150, 0x218B),
    "Arrows and mathematics": (0x2190, 0x22FF),
    "Technical": (0x2300, 0x23FF),
    "Enclosed": (0x2460, 0x24FF),
    "Boxes and shapes": (0x2500, 0x25FF),
    "Symbols": (0x2600, 0x27BF),
    "Chinese punctuation": (0x3000, 0x303F),
    "Hiragana": (0x3041, 0x309F),
    "Katakana": (0x30A0, 0x30FF),
    "Bopomofo": (0x3105, 0x312F),
    "Chinese": (0x4E00, 0x9FFF),
    "Yi": (0xA000, 0xA48C),
    "Hangul": (0xAC00, 0xD7A3),
    "Private use": (0xE000, 0xE0FF),
    "Ligatures": (0xFB00, 0xFB4F),
    "Arabic forms": (0xFE70, 0xFEFC),
    "Wide": (0xFF01, 0xFFEE),
    "Gothic": (0x10330, 0x1034A),
    "Deseret": (0x10400, 0x1044F),
    "Cuneiform": (0x12000, 0x12399),
    "Mathematical letters": (0x1D400, 0x1D7FF),
    "Emoji": (0x1F300, 0x1F64F),
    "More emoji": (0x1F900, 0x1F9FF),
    "Rare Chinese": (0x20000, 0x2A6DF),
}
SPACES = (
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r\n",
    "\n\n",
    "\r",
    " \n",
    "\n ",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u0085",
    "\u2028",
)
WORDS = (
    "the",
    "The",
    "THE",
    "don't",
    "DON'T",
    "I'll",
    "we've",
    "they'RE",
    "it's",
    "O'Brien",
    "rock'n'roll",
    "'s",
    "''",
    "'",
    "naïve",
    "Straße",
    "İstanbul",
    "ǅ",
    "ﬁne",
    "Привет",
    "мир",
    "Κόσμος",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "สวัสดี",
    "你好",
    "世界",
    "日本語",
    "カタカナ",
    "한국어",
    "ひらがな",
    "a1b2",
    "x_y",
    "camelCase",
    "e-mail",
    "user@example.org",
    "https://example.org/a?b=c",
    "1,000.50",
    "3.14e-10",
    "0x1F",
    "½",
    "²",
    "Ⅷ",
    "١٢٣",
    "१२३",
    "...",
    "!?",
    "--",
    "—",
    "“x”",
    "(a)",
    "[b]",
    "{c}",
    "<d>",
    "&amp;",
    "#",
    "$5",
    "€5",
    "%",
    "^",
    "~",
    "`",
    "|",
    "\\",
)
CODE = (
    "def f(x: int) -> str:\n    return f\"{x!r}\"\n",
    "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i] * 2;\n}\n",
    "SELECT a, COUNT(*) FROM t WHERE b >= 10 GROUP BY a;\r\n",
    "<div class=\"x\">&nbsp;</div>\n",
    '{"a": [1, 2, {"b": null}], "c": -1.5e+3}',
    "fn main() { println!(\"{:?}\", vec![1u8; 3]); }\n",
    "#include <stdio.h>\n\n#define X(a) ((a)##_t)\n",
    "if [[ -n \"$A\" ]]; then\n  echo \"${A:-1}\" | sed 's/a/b/'; fi\n",
    "\\frac{1}{2} \\sum_{i=0}^{n} x_i^2 \\leq \\epsilon",
)  # fmt: skip
EMOJI = ("😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "🧑🏿‍🚀", "☕", "©️")
MARKS = ("\u0301", "\u0308", "\u0327", "\u200d", "\ufe0f", "\u200b", "\u00ad", "\u0345", "\u0e31", "\u093f")
CONTROLS = (*map(chr, (*range(1, 32), 0x7F, *range(0x80, 0xA0))), "\0", "\ufeff", "\ufffd", "\uffff")


def many_strings(count: int, seed: int) -> list[str]:
    """`count` strings, of each kind about as many."""
    source = random.Random(seed)
    kinds: list[Callable[[random.Random], str]] = [
        _of_one_block, _of_blocks, _words, _spaced, _numbers, _code, _emoji, _marked, _controls, _anything,
    ]  # fmt: skip
    strings = [kinds[number % len(kinds)](source) for number in range(count)]
    return [text for text in strings if text]


def _of_one_block(source: random.Random) -> str:
    return _from_block(source, source.choice(list(BLOCKS)), source.randint(1, 20))


def _of_blocks(source: random.Random) -> str:
    blocks = source.choices(list(BLOCKS), k=source.randint(2, 6))
    return "".join(_from_block(source, block, source.randint(1, 5)) + _gap(source) for block in blocks)


def _words(source: random.Random) -> str:
    return "".join(source.choice(WORDS) + _gap(source) for _ in range(source.randint(2, 12)))


def _spaced(source: random.Random) -> str:
    parts = source.choices([*SPACES, *SPACES, "a", "B", "1", ".", "é", "中"], k=source.randint(2, 15))
    return "".join(parts)


def _numbers(source: random.Random) -> str:
    digits = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "²³¹½⅓Ⅷ④"]  # noqa: RUF001 - wide
    parts = []
    for _ in range(source.randint(1, 6)):
        kind = source.choice([digits[0], *digits])
        parts.append("".join(source.choices(kind, k=source.randint(1, 9))))
        parts.append(source.choice(["", " ", ",", ".", "-", "/", ":", "e", "px", "\n"]))
    return "".join(parts)


def _code(source: random.Random) -> str:
    text = "".join(source.choices(CODE, k=source.randint(1, 2)))
    start = source.randrange(len(text))
    return text[start : start + source.randint(5, 60)]


def _emoji(source: random.Random) -> str:
    return "".join(source.choice([*EMOJI, *WORDS[:10], *SPACES[:6]]) for _ in range(source.randint(2, 10)))


def _marked(source: random.Random) -> str:
    """Letters with marks upon them, and marks upon nothing."""
    letters = source.choices("aeiouAEIOUnszgкиеअกあ .'1", k=source.randint(2, 15))  # noqa: RUF001 - Cyrillic
    marks = [source.choice(["", *MARKS]) + source.choice(["", "", *MARKS]) for _ in letters]
    return "".join(letter + mark for letter, mark in zip(letters, marks, strict=True))


def _controls(source: random.Random) -> str:
    return "".join(source.choice([*CONTROLS, *WORDS[:12], *SPACES]) for _ in range(source.randint(2, 12)))


def _anything(source: random.Random) -> str:
    """Assigned code points from all of Unicode."""
    found: list[str] = []
    wanted = source.randint(1, 12)
    while len(found) < wanted:
        character = chr(source.randrange(0x20, source.choice([0x800, 0x10000, 0x30000])))
        if _is_assigned(character):
            found.append(character)
    return "".join(found)


def _from_block(source: random.Random, block: str, length: int) -> str:
    first, last = BLOCKS[block]
    characters = [character for character in map(chr, range(first, last + 1)) if _is_assigned(character)]
    return "".join(source.choice(characters) for _ in range(length))


def _gap(source: random.Random) -> str:
    return source.choice([" ", " ", " ", "", ". ", ", ", source.choice(SPACES)])


def _is_assigned(character: str) -> bool:
    return unicodedata.category(character) not in ("Cn", "Cs")
