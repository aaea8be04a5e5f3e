"""Pictures in the terminal: what it is asked, which protocol follows, and that the text really holds the pixels."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import termios
import time

import pyte
import pytest
from faketerm import PROFILES, fake_terminal, run_in_terminal
from PIL import Image as Pillow

from invoke_shell.errors import SettingError
from invoke_shell.records import Image
from invoke_shell.shell import posix
from invoke_shell.shell.display import encoders
from invoke_shell.shell.display.pictures import Pictures, drawn
from invoke_shell.shell.display.terminal import Answer, Terminal, ask, detect, window
from invoke_shell.shell.display.themes import DARK, LIGHT, NONE, theme_of

ENV = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def colourful(width=128, height=128) -> Image:
    red = Pillow.linear_gradient("L").resize((width, height))
    green = red.transpose(Pillow.Transpose.ROTATE_90).resize((width, height))
    blue = Pillow.radial_gradient("L").resize((width, height))
    return Image.from_pil(Pillow.merge("RGB", (red, green, blue)))


def flat(colour, size=(8, 8), mode="RGB") -> Image:
    return Image.from_pil(Pillow.new(mode, size, colour))


def shown(protocol, **more) -> Terminal:
    return Terminal(protocol=protocol, why="test", **more)


def screen_of(text, columns=100, rows=60):
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return screen


def half_block_pixels(screen, columns, rows) -> Pillow.Image:
    """The picture a person sees: ink above, paper below."""
    found = Pillow.new("RGB", (columns, rows * 2))
    for y in range(rows):
        for x in range(columns):
            cell = screen.buffer[y][x]
            assert cell.data == "▀"
            found.putpixel((x, 2 * y), tuple(bytes.fromhex(cell.fg)))
            found.putpixel((x, 2 * y + 1), tuple(bytes.fromhex(cell.bg)))
    return found


# ---- detection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "protocol"),
    [
        ("kitty", "kitty"),
        ("ghostty", "kitty"),
        ("wezterm", "iterm2"),
        ("iterm2", "iterm2"),
        ("konsole", "iterm2"),
        ("foot", "sixel"),
        ("mlterm", "sixel"),
        ("xterm", "half-blocks"),
        ("xterm with sixel", "sixel"),
        ("vte", "half-blocks"),
        ("alacritty", "half-blocks"),
        ("vscode", "sixel"),
        ("apple", "half-blocks"),
        ("silent", "half-blocks"),
    ],
)
def test_protocol_of_each_terminal(profile, protocol):
    with fake_terminal(profile) as fake:
        terminal = detect(fake.stdin, fake.stdout, ENV)

    assert (terminal.protocol, terminal.true_colour) == (protocol, True)
    assert terminal.why
    assert fake.heard == b"\x1b[>q\x1b[16t\x1b]11;?\x1b\\\x1b[c"


def test_silent_terminal_costs_under_half_a_second_and_says_so():
    with fake_terminal("silent") as fake:
        start = time.monotonic()
        terminal = detect(fake.stdin, fake.stdout, ENV)
        spent = time.monotonic() - start

    assert terminal.why == "the terminal did not answer"
    assert spent < 0.6


@pytest.mark.parametrize("profile", ["kitty", "silent", "vte"])
def test_keys_typed_ahead_are_kept_in_order(profile):
    keys = b"txt2img a\x1b[A\x1b[D\x1bb caf\xc3\xa9"
    with fake_terminal(profile) as fake:
        quiet = termios.tcgetattr(fake.slave)
        fake.type(keys[:9])
        answer = None

        def kept(leftover):
            nonlocal answer
            answer = leftover

        pictures = Pictures(fake.stdin, fake.stdout, ENV, kept)
        fake.profile = {q: keys[9:] + a if q.endswith(b"c") else a for q, a in fake.profile.items()}
        pictures.terminal()
        pictures.terminal()

        assert termios.tcgetattr(fake.slave) == quiet
        assert fake.heard.count(b"\x1b[>q") == 1
    assert answer == (keys if profile != "silent" else keys[:9])


BACKGROUND = rb"\x1b\]11;\?\x1b\\"


@pytest.mark.parametrize(
    ("said", "background", "theme"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", (255, 255, 255), LIGHT),
        (b"\x1b]11;rgb:1e1e/20ff/3000\x07", (30, 32, 48), DARK),
        (b"\x1b]11;rgb:fd/f6/e3\x1b\\", (253, 246, 227), LIGHT),
        (b"", None, DARK),
    ],
)
def test_the_background_is_asked_too_and_decides_the_theme(said, background, theme):
    profile = {BACKGROUND: said, **PROFILES["xterm"]} if said else dict(PROFILES["xterm"])
    with fake_terminal(profile) as fake:
        fake.type(b"hello")
        answer = ask(fake.stdin, fake.stdout, {})

    assert (answer.background, answer.leftover) == (background, b"hello")
    assert theme_of("auto", {}, answer.background) is theme


def test_a_theme_by_setting_or_variable():
    assert theme_of("auto", {"COLORFGBG": "0;15"}) is LIGHT
    assert theme_of("auto", {"COLORFGBG": "15;default;0"}) is DARK
    assert theme_of("dark", {"COLORFGBG": "0;15"}, (255, 255, 255)) is DARK
    assert theme_of("none", {}) is NONE
    assert not [style for style in NONE.style.values() if "ansi" in style or "#" in style]
    assert DARK.style.keys() == LIGHT.style.keys()


def test_answer_cut_off_by_the_budget_is_no_typing():
    with fake_terminal({rb"\x1b\[>q": b"ls\x1bP>|kit"}) as fake:
        answer = ask(fake.stdin, fake.stdout, ENV, budget=0.1)

    assert answer.leftover == b"ls"


def test_nothing_is_asked_when_the_variable_or_the_setting_says():
    with fake_terminal("kitty") as fake:
        by_variable = detect(fake.stdin, fake.stdout, {**ENV, "INVOKE_IMAGE_PROTOCOL": "sixel"})
        by_setting = detect(fake.stdin, fake.stdout, {**ENV, "INVOKE_IMAGE_PROTOCOL": "sixel"}, setting="half-blocks")

        assert fake.heard == b""
    assert (by_variable.protocol, by_variable.why) == ("sixel", "INVOKE_IMAGE_PROTOCOL says so")
    assert (by_setting.protocol, by_setting.why) == ("half-blocks", "the setting says so")


def test_the_variable_wins_where_the_output_is_no_terminal():
    terminal = detect(io.StringIO(), io.StringIO(), {"INVOKE_IMAGE_PROTOCOL": "kitty"})

    assert (terminal.protocol, terminal.cell) == ("kitty", (10, 20))


def test_unknown_protocol_is_a_sentence():
    with pytest.raises(SettingError) as caught:
        detect(io.StringIO(), io.StringIO(), {"INVOKE_IMAGE_PROTOCOL": "kity"})

    assert str(caught.value) == (
        "INVOKE_IMAGE_PROTOCOL is auto, kitty, iterm2, sixel, half-blocks or path, not 'kity'\n  did you mean kitty?"
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"NO_COLOR": "1"}, "NO_COLOR is set"),
        ({"TERM": "dumb"}, "TERM=dumb has no colours"),
        ({"TERM": "vt220"}, "TERM=vt220 has no colours"),
        ({"TERM": ""}, "TERM is not set"),
    ],
)
def test_only_the_path_where_pictures_are_unwelcome(more, why):
    with fake_terminal("kitty") as fake:
        terminal = detect(fake.stdin, fake.stdout, {**ENV, **more})

        assert fake.heard == b""
    assert (terminal.protocol, terminal.why) == ("path", why)


def test_plain_beats_everything():
    with fake_terminal("kitty") as fake:
        terminal = detect(fake.stdin, fake.stdout, {**ENV, "INVOKE_IMAGE_PROTOCOL": "kitty"}, plain=True)

    assert (terminal.protocol, terminal.why) == ("path", "plain is on")


def test_pipes_get_no_escape_codes():
    out = io.StringIO()

    assert Pictures(io.StringIO(), out, ENV).show([colourful()]) is False
    assert out.getvalue() == ""


def test_terminal_is_not_asked_when_the_input_is_a_pipe():
    with fake_terminal("kitty") as fake:
        terminal = detect(io.StringIO(), fake.stdout, ENV)
        by_variable = detect(io.StringIO(), fake.stdout, {**ENV, "TERM": "xterm-kitty"})

        assert fake.heard == b""
    assert (terminal.protocol, terminal.why) == (
        "half-blocks",
        "the input is not a terminal, so it could not be asked",
    )
    assert by_variable.protocol == "kitty"


@pytest.mark.parametrize(
    ("profile", "more", "protocol", "why"),
    [
        ("apple", {"TERM_PROGRAM": "ghostty"}, "kitty", "TERM_PROGRAM=ghostty"),
        ("apple", {"LC_TERMINAL": "iTerm2"}, "iterm2", "LC_TERMINAL=iTerm2"),
        ("silent", {"TERM": "foot-extra"}, "sixel", "TERM=foot-extra"),
        ("apple", {"TERM_PROGRAM": "ghostty", "STY": "1.pts"}, "half-blocks", "the terminal lists no picture protocol"),
        ("vte", {"TERM_PROGRAM": "WezTerm"}, "half-blocks", "the terminal lists no picture protocol"),
        ("xterm with sixel", {"TERM": "xterm-kitty"}, "sixel", "the terminal lists sixel among its abilities"),
    ],
)
def test_variables_count_only_where_the_terminal_gave_no_name(profile, more, protocol, why):
    with fake_terminal(profile) as fake:
        terminal = detect(fake.stdin, fake.stdout, {**ENV, **more})

    assert (terminal.protocol, terminal.why) == (protocol, why)


@pytest.mark.parametrize(
    ("profile", "more", "true_colour"),
    [
        ("apple", {"COLORTERM": ""}, False),
        ("apple", {"COLORTERM": "24bit"}, True),
        ("vte", {"COLORTERM": ""}, True),
        ("apple", {"COLORTERM": "", "TERM": "xterm-direct"}, True),
    ],
)
def test_true_colour_where_it_is_said_or_the_terminal_is_young(profile, more, true_colour):
    with fake_terminal(profile) as fake:
        terminal = detect(fake.stdin, fake.stdout, {**ENV, **more})

    assert terminal.true_colour is true_colour


def test_cell_size_is_asked_then_the_drivers_then_one_to_two():
    with fake_terminal("alacritty", cell=(7, 15)) as asked, fake_terminal("apple", cell=(7, 15)) as driver:
        assert detect(asked.stdin, asked.stdout, ENV).cell == (9, 18)
        assert detect(driver.stdin, driver.stdout, ENV).cell == (7, 15)
        assert window(driver.stdout) == (100, 40)
    with fake_terminal("apple") as unknown:
        assert detect(unknown.stdin, unknown.stdout, ENV).cell == (10, 20)


def test_output_that_cannot_write_half_blocks_gets_the_path():
    with fake_terminal("vte") as fake, open(fake.slave, "w", closefd=False, encoding="latin-1") as latin:
        terminal = detect(fake.stdin, latin, ENV)

    assert (terminal.protocol, terminal.why) == ("path", "the output is latin-1, which has no half-blocks")


@pytest.mark.parametrize(
    ("answer", "protocol", "why"),
    [
        (Answer(outer="kitty(0.42.1) xterm-kitty", passthrough=True), "kitty", "tmux passes pictures on to kitty"),
        (Answer(outer="kitty(0.42.1)"), "half-blocks", "set -g allow-passthrough on"),
        (Answer(outer="ghostty 1.3", sixel=True), "sixel", "set -g allow-passthrough on"),
        (Answer(outer="foot(1.23.1)", sixel=True), "sixel", "tmux shows sixel"),
        (Answer(outer="iTerm2 3.6.2", passthrough=True), "half-blocks", "this tmux shows no pictures"),
    ],
)
def test_inside_tmux(answer, protocol, why):
    with fake_terminal("silent") as fake:
        terminal = detect(fake.stdin, fake.stdout, {**ENV, "TMUX": "/tmp/x,1,0"}, asked=lambda: answer)

    assert terminal.protocol == protocol
    assert terminal.tmux
    assert why in terminal.why


def test_process_in_the_background_does_not_touch_the_terminal(monkeypatch):
    monkeypatch.setattr(posix, "in_foreground", lambda fd: False)
    with fake_terminal("kitty") as fake:
        terminal = detect(fake.stdin, fake.stdout, ENV)

        assert fake.heard == b""
    assert terminal.why == "the terminal belongs to another job"


def test_import_costs_no_pillow_and_works_without_posix():
    code = """
import sys, os, re, dataclasses, pathlib, select, typing, subprocess
sys.platform = "win32"
sys.modules["termios"] = sys.modules["fcntl"] = None
import io
from invoke_shell.shell import posix
from invoke_shell.shell.display import pictures, terminal
assert "PIL" not in sys.modules and not posix.AVAILABLE
class Console(io.StringIO):
    encoding = "utf-8"
    def isatty(self): return True
print(terminal.detect(Console(), Console(), {}).why)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("terminals are not asked on this system\n", "")


TMUX_CHILD = """
import os, sys
from invoke_shell.records import Image
from invoke_shell.shell.display.pictures import Pictures
pictures = Pictures(sys.stdin, sys.stdout, os.environ)
terminal = pictures.terminal()
pictures.show([Image(mode="RGB", width=4, height=4, pixels=bytes([200, 30, 30] * 16))], columns=8)
open(sys.argv[1], "w").write(f"{terminal.protocol}: {terminal.why}")
"""


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
@pytest.mark.parametrize(
    ("passthrough", "protocol"), [("on", "kitty"), ("off", "half-blocks")], ids=["passthrough", "no passthrough"]
)
def test_real_tmux_in_a_kitty(tmp_path, passthrough, protocol):
    said, conf, child = tmp_path / "said", tmp_path / "tmux.conf", tmp_path / "child.py"
    conf.write_text(f"set -g allow-passthrough {passthrough}\nset -ga terminal-features ',*:RGB'\n")
    child.write_text(TMUX_CHILD)
    command = f"sleep 0.3; {sys.executable} {child} {said} 2> {tmp_path}/errors; sleep 0.3"
    socket = f"test-{os.getpid()}-{passthrough}"
    env = {**os.environ, **ENV, "PYTHONPATH": os.getcwd(), "LC_ALL": "C.UTF-8"}
    for name in ("TMUX", "TMUX_PANE", "NO_COLOR", "INVOKE_IMAGE_PROTOCOL"):
        env.pop(name, None)

    heard = run_in_terminal(["tmux", "-u", "-L", socket, "-f", str(conf), "new-session", command], "kitty", env)

    assert said.read_text().startswith(protocol), (tmp_path / "errors").read_text()
    assert (b"\x1b_Ga=T" in heard) == (passthrough == "on")
    assert ("\U0010eeee".encode() in heard) == (passthrough == "on")
    assert ("▀".encode() in heard) == (passthrough == "off")


# ---- encoders ----------------------------------------------------------------------------------------------------


def test_half_blocks_are_the_exact_pixels():
    image = colourful(80, 60)

    screen = screen_of(drawn([image], terminal=shown("half-blocks"), columns=40, window=(100, 40)))

    wanted = image.pil().resize((40, 30), Pillow.Resampling.LANCZOS)
    assert half_block_pixels(screen, 40, 15).tobytes() == wanted.tobytes()
    assert screen.cursor.y == 15
    assert screen.buffer[15][0].bg == "default"


def test_half_blocks_of_an_odd_height_leave_the_background():
    screen = screen_of(drawn([flat((1, 2, 3), (2, 3))], terminal=shown("half-blocks"), columns=2))

    assert [(screen.buffer[1][x].data, screen.buffer[1][x].fg, screen.buffer[1][x].bg) for x in range(2)] == [
        ("▀", "010203", "default")
    ] * 2


def test_256_colours_where_24_bit_are_not_known():
    text = drawn([flat((95, 135, 255), (4, 4))], terminal=shown("half-blocks", true_colour=False), columns=4)

    assert text == "\x1b[48;5;69m\x1b[38;5;69m▀▀▀▀\x1b[0m\n" * 2
    assert "38;2" not in drawn([colourful()], terminal=shown("half-blocks", true_colour=False))


def kitty_picture(text) -> tuple[dict[str, str], Pillow.Image]:
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert all(len(data) <= 4096 for _, data in pieces)
    assert [re.search(r"m=(\d)", keys)[1] for keys, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    keys = dict(pair.split("=") for pair in pieces[0][0].split(","))
    return keys, Pillow.open(io.BytesIO(base64.b64decode("".join(data for _, data in pieces))))


def test_kitty_payload_is_the_png_in_chunks():
    image = colourful(400, 400)

    text = drawn([image], terminal=shown("kitty"), window=(100, 40))

    keys, picture = kitty_picture(text)
    assert (keys["a"], keys["f"], keys["t"], keys["c"], keys["r"], keys["q"]) == ("T", "100", "d", "40", "20", "2")
    assert "i" not in keys  # an unnumbered picture is never replaced by a later one
    assert picture.tobytes() == image.pixels
    assert text.endswith("\x1b\\\n")


def test_kitty_through_tmux_is_wrapped_and_placed_by_cells():
    text = drawn([colourful(400, 400)], terminal=shown("kitty", tmux=True), columns=6, window=(100, 40))

    wrapped = "".join(part.replace("\x1b\x1b", "\x1b") for part in re.findall(r"\x1bPtmux;(.*?[^\x1b])\x1b\\", text))
    keys, picture = kitty_picture(wrapped + "\\" * wrapped.endswith("\x1b"))
    rows = re.findall(r"\x1b\[38;5;(\d+)m(.*?)\x1b\[39m\n", text)
    marks = encoders._marks()
    assert (keys["U"], keys["c"], keys["r"], picture.size) == ("1", "6", "3", (60, 60))
    for y, (low, cells) in enumerate(rows):
        found = re.findall("\U0010eeee(.)(.)(.)", cells)
        assert [(marks.index(a), marks.index(b)) for a, b, _ in found] == [(y, x) for x in range(6)]
        assert {marks.index(c) << 24 | int(low) for _, _, c in found} == {int(keys["i"])}


def test_marks_are_the_297_of_the_protocol():
    marks = encoders._marks()

    assert (len(marks), marks[0], marks[3], marks[296]) == (297, "\u0305", "\u0310", "\U0001d244")


def test_pictures_in_tmux_have_different_numbers():
    numbers = {encoders._picture_number() for _ in range(200)}

    assert len(numbers) == 200
    assert all(0 < number & 255 < 256 and 0 < number >> 24 < 256 for number in numbers)


def test_iterm2_payload_is_the_png():
    image = colourful(400, 300)

    text = drawn([image], terminal=shown("iterm2"), window=(100, 40))

    head, data = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07\n", text).groups()
    png = base64.b64decode(data)
    fields = dict(pair.split("=") for pair in head.split(";"))
    assert (fields["inline"], fields["width"], fields["height"], fields["size"]) == ("1", "40", "15", str(len(png)))
    assert Pillow.open(io.BytesIO(png)).tobytes() == image.pixels


def sixel_pixels(text) -> Pillow.Image:
    """A small decoder: transparent where no colour was laid."""
    width, height, body = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\\n', text, re.S).groups()
    canvas = Pillow.new("RGBA", (int(width), int(height)))
    colours, x, top, ink = {}, 0, 0, None
    for token in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+.|[$-]|[?-~]", body):
        if token[0] == "#":
            index, *rgb = token[1:].split(";")
            ink = int(index)
            if rgb:
                colours[ink] = (*(round(int(v) * 255 / 100) for v in rgb[1:]), 255)
        elif token in "$-":
            x, top = 0, top + (6 if token == "-" else 0)
        else:
            run, char = (int(token[1:-1]), token[-1]) if token[0] == "!" else (1, token)
            for column in range(x, x + run):
                for bit in range(6):
                    if ord(char) - 63 >> bit & 1:
                        canvas.putpixel((column, top + bit), colours[ink])
            x += run
    return canvas


def test_sixel_of_flat_colours_is_exact():
    image = Pillow.new("RGB", (40, 60), (255, 0, 0))
    image.paste((0, 255, 0), (10, 0, 25, 60))
    image.paste((0, 0, 255), (0, 33, 40, 60))

    text = drawn([Image.from_pil(image)], terminal=shown("sixel"), columns=4)

    assert sixel_pixels(text).convert("RGB").tobytes() == image.tobytes()


def test_sixel_of_a_photo_is_near():
    image = colourful(120, 120)

    text = drawn([image], terminal=shown("sixel"), columns=12)

    found, wanted = sixel_pixels(text).convert("RGB").tobytes(), image.pixels
    assert sum(abs(a - b) for a, b in zip(found, wanted, strict=True)) / len(wanted) < 5  # 14,400 colours in 255


def test_sixel_ends_on_a_whole_band_so_that_text_follows_below():
    text = drawn([colourful(100, 100)], terminal=shown("sixel"), columns=10)

    assert '"1;1;100;96' in text  # 100 pixels, 5 rows: a 17th band would reach into the sixth row
    assert not text.endswith("-\x1b\\\n")


# ---- scaling and sheets ------------------------------------------------------------------------------------------


def test_small_pictures_keep_square_pixels():
    image = Image(mode="RGB", width=2, height=2, pixels=bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]))

    _, picture = kitty_picture(drawn([image], terminal=shown("kitty"), columns=4))

    assert picture.size == (40, 40)
    assert picture.tobytes() == image.pil().resize((40, 40), Pillow.Resampling.NEAREST).tobytes()


def test_enlarging_by_a_broken_factor_mixes_only_at_the_edges():
    image = Image.from_pil(Pillow.new("RGB", (128, 128)))
    half = image.pil()
    half.paste((200, 100, 50), (64, 0, 128, 128))

    _, picture = kitty_picture(drawn([Image.from_pil(half)], terminal=shown("kitty")))

    row = [picture.getpixel((x, 7)) for x in range(400)]
    assert row[:200] == [(0, 0, 0)] * 200
    assert row[200:] == [(200, 100, 50)] * 200


@pytest.mark.parametrize(("cell", "rows"), [((10, 20), 20), ((9, 20), 18), ((8, 16), 20), ((12, 20), 24)])
def test_shape_is_kept_whatever_shape_a_cell_has(cell, rows):
    for protocol in ("half-blocks", "kitty"):
        text = drawn([colourful(512, 512)], terminal=shown(protocol, cell=cell), window=(200, 100))
        found = text.count("\n") if protocol == "half-blocks" else int(kitty_picture(text)[0]["r"])
        assert found == rows


def test_picture_is_bounded_by_the_window():
    tall = drawn([colourful(100, 400)], terminal=shown("half-blocks"), window=(80, 24))
    narrow = screen_of(drawn([colourful()], terminal=shown("half-blocks"), window=(20, 24)), 20, 24)

    assert tall.count("\n") == 21
    assert (narrow.buffer[9][19].data, narrow.buffer[10][0].data) == ("▀", " ")


def test_four_pictures_stand_side_by_side_over_their_handles():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]

    text = drawn([flat(c) for c in colours], ["@5", "@6", "@7", "@8"], terminal=shown("half-blocks"), window=(83, 24))

    screen = screen_of(text, 83, 24)
    assert [screen.buffer[0][x].fg for x in (0, 21, 42, 63)] == ["ff0000", "00ff00", "0000ff", "090909"]
    assert [screen.buffer[3][x].bg for x in (19, 20, 21)] == ["ff0000", "default", "00ff00"]
    assert screen.display[10].split() == ["@5", "@6", "@7", "@8"]
    assert [screen.display[10].index(h) for h in ("@5", "@6", "@7", "@8")] == [0, 21, 42, 63]


def test_a_sheet_has_every_handle_under_its_picture():
    handles = [f"@{n}" for n in range(415, 427)]
    images = [flat((n, 0, 0)) for n in range(12)]

    text = drawn(images, handles, terminal=shown("half-blocks"), window=(80, 40))

    screen = screen_of(text, 80, 60)
    for n, handle in enumerate(handles):
        y, line = next((y, line) for y, line in enumerate(screen.display) if handle in line)
        assert screen.buffer[y - 1][line.index(handle)].fg == f"{n:02x}0000"
    assert text.count("\n") <= 37


def test_a_sheet_keeps_pictures_of_different_sizes_whole():
    text = drawn(
        [colourful(200, 100), colourful(100, 200), *[colourful()] * 3],
        terminal=shown("kitty"),
        window=(100, 40),
    )

    pictures = [kitty_picture(part + "\n")[1] for part in text.split("\n")[:-1]]
    assert pictures[0].mode == "RGBA"
    assert pictures[0].getpixel((0, pictures[0].height - 1))[3] == 0


def test_few_pictures_make_rows_in_a_narrow_window():
    text = drawn([colourful()] * 4, ["@1", "@2", "@3", "@4"], terminal=shown("half-blocks"), window=(40, 60))

    assert [line.split() for line in text.split("\n") if line.startswith("@")] == [["@1", "@2", "@3"], ["@4"]]


def test_one_picture_has_no_label_and_none_is_nothing():
    assert "@5" not in drawn([colourful()], ["@5"], terminal=shown("half-blocks"))
    assert drawn([], terminal=shown("half-blocks")) == ""
    assert drawn([colourful()], terminal=shown("path")) == ""


def test_transparent_pixels_show_a_chessboard():
    _, picture = kitty_picture(drawn([flat((0, 0, 0, 0), (40, 40), "RGBA")], terminal=shown("kitty"), columns=4))

    assert picture.convert("L").getcolors() == [(800, 0x66), (800, 0x99)]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("protocol", ["kitty", "iterm2", "sixel", "half-blocks"])
def test_every_mode_can_be_drawn(mode, protocol):
    images = [flat(0, (30, 20), mode)] * 5

    assert drawn(images, terminal=shown(protocol)).endswith("\n")


def test_show_writes_to_the_terminal():
    with fake_terminal("kitty") as fake:
        shown_there = Pictures(fake.stdin, fake.stdout, ENV).show([colourful()])
        deadline = time.monotonic() + 5
        while b"m=0;" not in fake.heard and time.monotonic() < deadline:
            time.sleep(0.01)

    assert shown_there
    assert b"\x1b_Ga=T" in fake.heard
    assert len(PROFILES) >= 8
