"""The values of the language: what their texts mean, and what is refused. That they read back is a property."""

from pathlib import Path
from typing import Literal

import pytest

from invoke_shell.pipeline.kinds import kind_of
from invoke_shell.pipeline.param import Arg, Param
from invoke_shell.pipeline.types import (
    Box,
    Color,
    Handle,
    ModelName,
    PixelHash,
    Ratio,
    Seed,
    Side,
    Size,
    Weighted,
    number,
)
from invoke_shell.records import Image, Mask, ModelRecord

HEX = "0123456789ab"
LORA = Weighted[ModelRecord]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (int, "+5", 5),
        (float, "5", 5.0),
        (float, ".5", 0.5),
        (float, "-.5e-3", -0.0005),
        (float | None, "none", None),
        (str, "none", "none"),
        (str | None, "none", "none"),
        (bool, "on", True),
        (bool, "off", False),
        (Literal["a", "b"], "a", "a"),
        (Literal["a", "b"] | None, "none", None),
        (Literal[1, 2], "2", 2),
        (Path, "none", Path("none")),
        (Path | None, "none", None),
        (Path | None, "./none", Path("none")),
        (Size, "512x768", Size(512, 768)),
        (Size, "512", Size(512, 512)),
        (Size | Ratio, "16:9", Ratio(16, 9)),
        (Size | Ratio, "768x", Side(768, 0)),
        (Size | Ratio, "x768", Side(0, 768)),
        (Box, "0:1:2:3", Box(0, 1, 2, 3)),
        (Color, "#f80", Color(255, 136, 0)),
        (Color, "ff8800", Color(255, 136, 0)),
        (Color, "#ff880080", Color(255, 136, 0, 128)),
        (Color, "Red", Color(255, 0, 0)),
        (Seed, "18446744073709551615", 2**64 - 1),
        (Seed, "random", "random"),
        (Seed | None, "none", None),
        (Image, "a.png", Path("a.png")),
        (Image, "@12", Handle("@12")),
        (Image, "./@12", Path("@12")),
        (Image, f"blake3:{HEX}", PixelHash(f"blake3:{HEX}")),
        (Mask, "@fox[2]", Handle("@fox[2]")),
        (Image | None, "none", None),
        (ModelRecord, "sd@9f21c0", ModelName("sd@9f21c0")),
        (ModelRecord, "@12", Handle("@12")),
        (LORA, "a", Weighted(ModelName("a"), 1.0)),
        (LORA, "a:0.5", Weighted(ModelName("a"), 0.5)),
        (LORA, "a:b:-1", Weighted(ModelName("a:b"), -1.0)),
        (LORA, "a:b", Weighted(ModelName("a:b"), 1.0)),
        (LORA, "blake3:123456789012", Weighted(ModelName("blake3:123456789012"), 1.0)),
        (LORA, "@12:0.5", Weighted(Handle("@12"), 0.5)),
    ],
)
def test_what_a_text_means(annotation, text, value):
    read = kind_of(annotation).parse(text)

    assert read == value
    assert type(read) is type(value) or isinstance(read, Seed)


@pytest.mark.parametrize(
    ("annotation", "texts"),
    [
        (int, ["", "5.0", "x", "5 ", "1e3", "none", "--5"]),
        (float, ["", "x", "inf", "nan", "1e999", "5,0", "none"]),
        (bool, ["true", "1", "yes", "On", ""]),
        (Literal["a", "b"], ["A", "c", "", "none"]),
        (Path, [""]),
        (Size, ["5x", "x", "3:4", "axb", "5x5x5", "-5x5", "5.5x5", "1234567x5", ""]),
        (Size | Ratio, ["0:4", "4:0", "0x", "x0", ":", "x"]),
        (Box, ["1:2:3", "a:b:c:d", "1:2:3:4:5", "-1:0:1:1", ""]),
        (Color, ["#12345", "reddish", "", "#gg0000"]),
        (Seed, ["+1", "1.5", "", "Random", "@12"]),
        (Image, ["", "@", "@12.x.y"]),
        (ModelRecord, ["", "@"]),
        (LORA, ["", "a:1e999"]),
    ],
)
def test_what_a_kind_refuses_with_what_it_wants(annotation, texts):
    kind = kind_of(annotation)

    for text in texts:
        with pytest.raises(ValueError, match=r"^(a|an|the|one|on) "):
            kind.parse(text)


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (int, [True, 1.0, "1", None]),
        (int | None, [True, "none"]),
        (float, [True, "1", None, float("inf"), float("nan")]),
        (bool, [1, "on", None]),
        (str, [1, None]),
        (Size, [512, "x", [1, 2], None]),
        (Seed, ["random", 1.5, True]),
        (Literal["a"], ["b", 1]),
        (Path, ["", 1]),
    ],
)
def test_json_of_another_form_is_refused(annotation, plain):
    kind = kind_of(annotation)

    for value in plain:
        with pytest.raises(ValueError, match=r"."):
            kind.from_plain(value)


@pytest.mark.parametrize(
    ("annotation", "value", "plain"),
    [
        (int, 5, 5),
        (float, 5.0, 5),
        (float, 0.5, 0.5),
        (bool, True, True),
        (str, "x", "x"),
        (Size, Size(1, 2), "1x2"),
        (Literal[1, 2], 2, "2"),
        (int | None, None, None),
        (Seed, Seed(7), 7),
    ],
)
def test_json_of_a_value(annotation, value, plain):
    found = kind_of(annotation).plain(value)

    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    "text",
    [
        "@12",
        "@-1",
        "@15..22",
        "@-4..-1",
        "@@",
        "@kept",
        "@fox",
        "@fox[2]",
        "@fox-2",
        "@12.seed",
        "@@.seed",
        "@fox.start_step",
    ],
)
def test_what_a_handle_is(text):
    assert str(Handle.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["@", "12", "@1.", "@12..", "@fox[", "@fox[x]", "@-", "@1.Seed", "@a b", "@@@", "@12[1]"]
)
def test_what_a_handle_is_not(text):
    with pytest.raises(ValueError, match="a handle such as @12"):
        Handle.parse(text)


@pytest.mark.parametrize(
    ("ratio", "area", "size"),
    [
        (Ratio(1, 1), 512 * 512, Size(512, 512)),
        (Ratio(3, 4), 512 * 512, Size(440, 592)),
        (Ratio(16, 9), 1024 * 1024, Size(1368, 768)),
        (Ratio(1, 9999), 64 * 64, Size(8, 6400)),
    ],
)
def test_a_ratio_keeps_the_area_in_multiples_of_eight(ratio, area, size):
    assert ratio.at(area) == size


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.1, "0.1"), (-0.0, "0"), (1e20, "1e+20"), (1e15, "1000000000000000.0"), (7, "7")]
)
def test_numbers_are_written_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("annotation", "arg", "value", "wrong"),
    [
        (int, Arg(help=".", ge=1, le=5), 6, "--x is 1 to 5, not 6"),
        (int, Arg(help=".", ge=1), 0, "--x is 1 or more, not 0"),
        (int, Arg(help=".", le=5, unit="px"), 6, "--x is at most 5 px, not 6"),
        (int, Arg(help=".", ge=0, le=5), 0, ""),
        (float, Arg(help=".", ge=0.5), 0.25, "--x is 0.5 or more, not 0.25"),
        (Size, Arg(help=".", ge=8, le=64), Size(8, 65), "--x is 8 to 64, not 8x65"),
        (Size | Ratio, Arg(help=".", multiple_of=8), Side(9, 0), "--x is a multiple of 8, not 9x"),
        (Size | Ratio, Arg(help=".", multiple_of=8), Ratio(9, 7), ""),
        (
            LORA,
            Arg(help=".", ge=-2, le=2),
            Weighted(ModelName("a"), 3.0),
            "--x takes -2 to 2 behind its colon, not a:3",
        ),
        (int | None, Arg(help=".", ge=1), None, ""),
    ],
)
def test_ranges(annotation, arg, value, wrong):
    assert Param(name="x", kind=kind_of(annotation), arg=arg).check(value) == wrong
