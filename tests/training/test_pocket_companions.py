"""What comes with the model in the box does what its name says: a style, a word. Drawn by the real program."""

import json
import subprocess
import sys
from statistics import mean

import pytest

from invoke_shell.models.catalogue import Catalogue

RED = "a big red boat in the middle, plain green background"
BLUE = "a big blue boat in the middle"
LINES = {
    "plain": f'txt2img "{RED}" --seed 1..3',
    "ink": f'txt2img "{RED}" --seed 1..3 --lora pocket-ink',
    "half": f'txt2img "{RED} <lora:pocket-ink:0.5>" --seed 1..3',
    "bare": f'txt2img "{BLUE}" --seed 1..3',
    "candy": f'txt2img "{BLUE}, pocket-candy" --seed 1..3 --embedding pocket-candy',
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The three pictures of each line, as a tensor (3, 3, 128, 128), -1 to 1."""
    from PIL import Image

    from training.pocket.common import pixels

    command = [sys.executable, "-m", "invoke_shell", "--home", str(tmp_path_factory.mktemp("home")), "--json"]
    for line in LINES.values():
        command += ["-c", line]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "does not know" not in ran.stderr + ran.stdout  # pocket was never taught the word; the embedding brings it
    results = [row for row in map(json.loads, ran.stdout.splitlines()) if row["event"] == "result"]
    pictures = pixels([Image.open(row["path"]).convert("RGB") for row in results])
    return dict(zip(LINES, pictures.split(3), strict=True))


def test_ink_prints_in_one_ink_and_half_of_it_half_way(drawn):
    from training.pocket.ink import from_tones

    far = {name: mean(map(from_tones, drawn[name])) for name in ("plain", "half", "ink")}

    assert far["ink"] < far["half"] < far["plain"]
    assert far["ink"] < far["plain"] / 2


def test_candy_is_a_word_for_pink_stripes(drawn):
    from training.pocket.candy import CANDY
    from training.pocket.judge import grounds_of

    assert grounds_of(drawn["candy"]) == [CANDY] * 3
    assert CANDY not in grounds_of(drawn["bare"])


def test_the_catalogue_knows_them():
    found = {entry.name: entry.kind for entry in Catalogue().entries()}

    assert found == {
        "pocket": "checkpoint",
        "pocket-candy": "embedding",
        "pocket-ink": "lora",
        "pocket-2x": "upscaler",
        "pocket-4x": "upscaler",
    }
