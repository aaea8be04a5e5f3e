"""Text to words: what is a word, a mark, a comment; what is unfinished and what is wrong."""

import pytest

from invoke_shell.errors import LineError
from invoke_shell.pipeline.text import parse, quote, quote_word, unescape


def words(text):
    """The words of each stage of each line."""
    return [[[t.value for t in stage.words] for stage in line.stages] for line in parse(text).lines]


def marks(text):
    return [(t.kind, t.value) for t in parse(text).tokens]


def said(text):
    return [n.message for n in parse(text).notes]


def complaint(text):
    faults = parse(text).faults
    return str(LineError(text, faults)) if faults else ""


ONE_STAGE = [
    ("a b", ["a", "b"]),
    ("  a\tb  ", ["a", "b"]),
    ("a 'b c' d", ["a", "b c", "d"]),
    ('a "b c" d', ["a", "b c", "d"]),
    ("a “b c” d", ["a", "b c", "d"]),
    ("girl's", ["girl's"]),
    ("a girl's dog's hat", ["a", "girl's", "dog's", "hat"]),
    ("dogs' and cats'", ["dogs'", "and", "cats'"]),
    ("a rock 'n' roll", ["a", "rock", "n", "roll"]),
    ("rock rock 'n roll", ["rock", "rock", "'n", "roll"]),
    ("the ’80s ‘now’", ["the", "’80s", "‘now’"]),
    ('say 5"', ["say", '5"']),
    ("a #ff8800", ["a", "#ff8800"]),
    ("a b#c", ["a", "b#c"]),
    ("a # b", ["a"]),
    ("a #", ["a"]),
    ("a \\\nb", ["a", "b"]),
    ("a\\\r\nb", ["a", "b"]),
    ("C:\\x\\y", ["C:\\x\\y"]),
    ("a\u00a0b", ["a", "b"]),
    ("a {b | c; d} e", ["a", "{b", "|", "c;", "d}", "e"]),
    ("a {b {c|d}} e", ["a", "{b", "{c|d}}", "e"]),
    ("--", ["--"]),
    ("-", ["-"]),
    ("$x", ["$x"]),
    ("a $ ls", ["a", "$", "ls"]),
    ("''", [""]),
    ('""', [""]),
    ("--x=5", ["5"]),
    ('--x="a b"', ["a b"]),
    ("--x='a b'", ["a b"]),
    ("x=y", ["x=y"]),
    ('x="a b"', ['x="a', 'b"']),
]


@pytest.mark.parametrize(("text", "wanted"), ONE_STAGE)
def test_words_of_a_stage(text, wanted):
    assert words(text) == [[wanted]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a|b", [[["a"], ["b"]]]),
        ("a | b | c", [[["a"], ["b"], ["c"]]]),
        ("a;b", [[["a"]], [["b"]]]),
        ("a\nb", [[["a"]], [["b"]]]),
        ("a\r\nb", [[["a"]], [["b"]]]),
        ("a |\n b", [[["a"], ["b"]]]),
        ("a | # why\n b", [[["a"], ["b"]]]),
        ("# a\n\n;;\n  # b | c\nd", [[["d"]]]),
        ("a; # b", [[["a"]]]),
        ("", []),
    ],
)
def test_stages_and_lines(text, wanted):
    assert words(text) == wanted


@pytest.mark.parametrize("mark", ["|", ";", "#", " # ", "\n", "{", "--steps", "as @x", "'"])
@pytest.mark.parametrize("form", ['x "a {} b"', "x “a {} b”"])
def test_a_mark_inside_quotes_is_text(mark, form):
    assert words(form.replace("{}", mark)) == [[["x", f"a {mark} b"]]]


@pytest.mark.parametrize("mark", ["|", ";", "#", "\n", '"', "\\", '\\"', "\\u{41}"])
def test_single_quotes_are_literal(mark):
    assert words(f"x 'a {mark} b'") == [[["x", f"a {mark} b"]]]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (r"a \" b", 'a " b'),
        (r"a \\ b", "a \\ b"),
        (r"a \\", "a \\"),
        (r"\{a\}", "{a}"),
        (r"\u{41}\u{1f600}", "A😀"),
        (r"\\u{41}", r"\u{41}"),
        (r"a\nb", r"a\nb"),
        (r"C:\users", r"C:\users"),
        ("a\\\nb", "ab"),
        (r"\u{110000}", r"\u{110000}"),
    ],
)
def test_escapes_in_double_quotes(body, wanted):
    assert unescape(body) == wanted
    assert words(f'x "{body}"') == [[["x", wanted]]]


def test_a_leading_pipe_goes_on_from_the_last_line():
    (line,) = parse("| upscale").lines

    assert line.continues
    assert [s.words[0].value for s in line.stages] == ["upscale"]
    assert (line.start, line.end) == (0, 9)


@pytest.mark.parametrize("dash", ["—", "–"])
@pytest.mark.parametrize("value", ["20", '"20"'])
@pytest.mark.parametrize("sign", [" ", "="])
def test_pasted_dash_is_read_as_a_flag_and_said(dash, value, sign):
    parsed = parse(f"txt2img x {dash}steps{sign}{value}")

    assert [n.message for n in parsed.notes] == [f"{dash} is read as --"]
    token = next(t for t in parsed.tokens if t.start == 10)
    assert token.value == ("20" if sign == "=" else "--steps")
    assert parsed.text[token.eq] == "=" if sign == "=" else token.eq == -1


def test_no_break_spaces_are_read_as_blanks_and_said_once():
    assert said("a\u00a0b\u00a0c") == ["no-break spaces are read as blanks"]


def test_a_dash_between_words_is_text():
    assert words("a — b") == [[["a", "—", "b"]]]
    assert said("a — b") == []


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("$ ls -l | wc", "system", "ls -l | wc"),
        ("  $ ls # x", "system", "ls # x"),
        ("txt2img?", "help", "txt2img"),
        ("@12?", "help", "@12"),
        ("@fox[2]?", "help", "@fox[2]"),
        ("txt2img ?", "chain", ""),
        ("a b?", "chain", ""),
        ("a | b?", "chain", ""),
        ("'a'?", "chain", ""),
    ],
)
def test_kinds_of_line(text, kind, rest):
    (line,) = parse(text).lines

    assert (line.kind, line.text) == (kind, rest)


def test_a_system_line_ends_at_its_newline():
    first, second = parse("$ ls | wc\nupscale").lines

    assert (first.text, second.stages[0].words[0].value) == ("ls | wc", "upscale")


UNFINISHED = [
    ('txt2img "a', '  txt2img "a\n          ^\nthis " is never closed\n  close it with "'),
    ("txt2img 'a", "  txt2img 'a\n          ^\nthis ' is never closed\n  close it with '"),
    ("txt2img “a", "  txt2img “a\n          ^\nthis “ is never closed\n  close it with ”"),
    ("a |", "  a |\n    ^\na command must follow this |"),
    ("a |\n", "  a |\n    ^\na command must follow this |"),
    ("|", "  |\n  ^\na command must follow this |"),
    ("a \\", "  a \\\n    ^\na backslash joins this line to the next"),
]


@pytest.mark.parametrize(("text", "wanted"), UNFINISHED)
def test_what_is_unfinished_is_not_wrong_yet(text, wanted):
    assert complaint(text) == wanted
    assert parse(text).incomplete


WRONG = [
    ("a || b", "  a || b\n     ^\nthere is no command before this |"),
    ("a | | b", "  a | | b\n      ^\nthere is no command before this |"),
    ("| | b", "  | | b\n    ^\nthere is no command before this |"),
    ("a |; b", "  a |; b\n    ^\na command must follow this |"),
    ("a &", "  a &\n    ^\nlines cannot run in the background\n  leave out the &, or quote it as text"),
    (
        'a "\\u{}"',
        '  a "\\u{}"\n     ^^^^\nan escape is \\u{HEX}, with 1 to 6 hex digits\n  write \\\\u for a backslash',
    ),
    (
        'a "x\\u{110000}"',
        '  a "x\\u{110000}"\n      ^^^^^^^^^^\n'
        "an escape is \\u{HEX}, with 1 to 6 hex digits\n  write \\\\u for a backslash",
    ),
]


@pytest.mark.parametrize(("text", "wanted"), WRONG)
def test_what_is_wrong_is_said_at_its_place(text, wanted):
    assert complaint(text) == wanted
    assert not parse(text).incomplete


def test_a_quoted_ampersand_is_text():
    assert complaint("a '&'") == ""


def test_each_stage_keeps_its_span():
    text = "one two | 'three'; four"

    spans = [text[s.start : s.end] for line in parse(text).lines for s in line.stages]

    assert spans == ["one two", "'three'", "four"]


def test_an_open_quote_takes_all_that_follows():
    assert marks("a 'b | c ; d") == [("word", "a"), ("word", "b | c ; d")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", '"plain"'),
        ('a "b"', r'"a \"b\""'),
        ("a\\b", r'"a\\b"'),
        ("a {b|c}", r'"a \{b|c\}"'),
        ("a\nb\tc\x00", r'"a\u{a}b\u{9}c\u{0}"'),
        ("a\u202eb", r'"a\u{202e}b"'),
        ("日本 😀", '"日本 😀"'),
    ],
)
def test_quote_writes_the_canonical_form(text, wanted):
    assert quote(text) == wanted
    assert unescape(wanted[1:-1]) == text


@pytest.mark.parametrize("text", ["a.png", "a/b_c-1.png", "x:0.8", "name@9f21c0", "50%"])
def test_a_harmless_word_stays_bare(text):
    assert quote_word(text) == text


@pytest.mark.parametrize(
    "text", ["", "a b", "-x", "@x", "#x", "~x", "a..b", "a,b", "a|b", "a;b", "as", "a*", "é", "x=y", "&", "a'b", "a?"]
)
def test_a_word_the_language_could_read_otherwise_is_quoted(text):
    assert quote_word(text) == f'"{text}"'


def test_deeply_nested_braces_take_no_time():
    parsed = parse("{" * 50_000 + "|" + "}" * 50_000)

    assert [t.kind for t in parsed.tokens] == ["word"]


def test_many_open_braces_take_no_time():
    assert len(parse("{ " * 50_000).tokens) == 50_000
