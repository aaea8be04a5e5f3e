"""recall in the shell: a line as a person would type it, that still says all that this session would not."""

from contextlib import closing

import pytest
from PIL import Image

from invoke_shell.compose import Options, compose


@pytest.fixture
def shell(home):
    with closing(compose(Options(home=str(home), inline=True), interactive=True)) as session:
        yield session


def recalled(shell, word: str) -> str:
    assert shell.run(f"recall {word}") == 0
    text, shell.recalled = shell.recalled, ""
    return text


def test_what_would_be_the_same_untyped_is_left_out(shell):
    shell.run('txt2img "a red boat" --size 64x64 --seed 7 | img2img --strength 0.5 --seed 8 | upscale')

    line = recalled(shell, "@1")

    assert line.startswith('txt2img "a red boat" --size 64x64')
    assert "--seed 7" in line
    assert "--strength 0.5" in line
    assert line.endswith("| upscale")
    for usual in ("--hires", "--ensd", "--clip-skip", "--refiner-start", "--scale"):
        assert usual not in line


def test_the_line_makes_the_same_picture(shell):
    shell.run('txt2img "a red boat" --negative fog --size 64x64 --seed 7 -n 2 | img2img --strength 0.5 | contact_sheet')
    line = recalled(shell, "@3")
    shell.run(line)

    first, last = shell.keeper.row("@3"), shell.keeper.row("@-1")

    assert first.n != last.n
    assert first.pixel_hash == last.pixel_hash


def test_what_the_session_has_set_otherwise_stays_in(shell):
    shell.run('txt2img "a red boat" --size 64x64 --seed 7 --guidance 7.5 --clip-skip 0')
    assert "--clip-skip" not in recalled(shell, "@1")

    shell.run("set clip_skip 1")

    assert "--clip-skip 0" in recalled(shell, "@1")


def test_printed_it_says_everything(invoke):
    made = invoke("--json", "-c", "txt2img boat --size 64x64 --seed 7")

    line = invoke("recall", made.results[0]["path"]).out

    assert "--clip-skip 0" in line


def test_what_is_true_of_every_picture_of_a_line_is_said_once(invoke, folder):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(folder / "mask.png")

    made = invoke("-c", "txt2img boat --size 64x64 --seed 7 -n 3 | inpaint fox --mask mask.png")

    assert made.err.count("paints 50 % of the picture") == 1
