"""No command rewrites a picture where it lies: what can be typed is tried on files that must stay as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from invoke_shell.compose import everything

REGISTRY = everything()
EXAMPLES = [example for node in REGISTRY.values() for example in node.examples if node.name not in ("exit",)]
ATTEMPTS = [
    "load_image a.png | save a.png",
    "load_image a.png | blur 2 | save a.png",
    "load_image photo.jpg | save photo.jpg",
    "load_image photo.jpg | save ./photo.jpg --embed",
    "@1 | save {result}",
    "strip a.png -o a.png",
    "strip photo.jpg -o photo.jpg --all",
    "strip photo.webp a.png -o .",
    "strip {result} -o {result}",
    "info a.png photo.jpg photo.webp --check",
    "info {result} --check",
    "recall a.png photo.jpg {result}",
    "replay {result}",
    "replay photo.jpg",
    "load_image {result} --graft --embed | save {result}",
    "load_image photo.webp --embed | save photo.webp",
]


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    files = [p for p in folder.rglob("*") if p.suffix in (".png", ".jpg", ".webp", ".json") and p.is_file()]
    return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}


@pytest.fixture
def pictures(folder: Path) -> Path:
    Image.effect_noise((64, 64), 80).convert("RGB").save(folder / "photo.jpg")
    Image.effect_noise((64, 64), 80).convert("RGB").save(folder / "photo.webp")
    return folder


def test_files_of_the_person_stay_as_they_are_whatever_is_typed(invoke, home, pictures):
    made = invoke("--json", "-c", 'txt2img "a fox" --seed 3 --size 64x64', "-c", "load_image a.png | blur")
    result = made.results[0]["path"]
    before = digests(pictures), digests(home / "outputs")

    lines = [*ATTEMPTS, *EXAMPLES]
    invoke("--keep-going", *[word for line in lines for word in ("-c", line.replace("{result}", result))])

    after = digests(pictures)
    assert {name: after.get(name) for name in before[0]} == before[0]
    # A result may have been discarded by an example: its bytes are then in the trash, as they were.
    there = {digest for digest, _ in digests(home).values()}
    assert {digest for digest, _ in before[1].values()} <= there


@pytest.mark.parametrize(
    "line", ["load_image a.png | save a.png", "strip a.png -o a.png", "strip photo.jpg -o photo.jpg"]
)
def test_an_attempt_is_answered(invoke, pictures, line):
    ran = invoke("-c", line)

    assert ran.status == 1
    assert "is there already, and nothing is overwritten" in ran.err
