"""The cache of step results: gives back what was put or nothing, stays small, survives anything done to its folder."""

import os
import shutil

import pytest

from invoke_shell.pipeline.cache import Kept
from invoke_shell.records import Image, Made
from invoke_shell.runtime.cache import StepCache


def key(n):
    return f"blake3:{n:064x}"


def made(value, size=8, mode="RGB"):
    image = Image(mode=mode, width=size, height=size, pixels=bytes([value]) * (size * size * len(mode)))
    return Made(image=image, facts={"noise": {"seed": value}, "sigma": 0.1 + value, "nothing": None})


def kept(value, **options):
    return Kept(made=(made(value, **options),))


def files(folder):
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_another_process_gets_what_was_put(tmp_path, mode):
    put = Kept(made=(made(1, mode=mode), made(2, size=16, mode=mode)), said=("they are none", "of à kind"))

    StepCache(tmp_path).put(key(1), put)

    assert StepCache(tmp_path).get(key(1)) == put


def test_no_pictures_are_a_result_too(tmp_path):
    StepCache(tmp_path).put(key(1), Kept(made=()))

    assert StepCache(tmp_path).get(key(1)) == Kept(made=())


def test_unknown_key_is_none(tmp_path):
    assert StepCache(tmp_path).get(key(1)) is None
    assert StepCache(None).get(key(1)) is None


def test_without_a_folder_memory_answers():
    cache = StepCache(None)

    cache.put(key(1), kept(1))

    assert cache.get(key(1)) == kept(1)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"x", lambda data: b"x" + data[1:]]
)
def test_damaged_file_is_not_there(tmp_path, damage):
    StepCache(tmp_path).put(key(1), kept(1))
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))

    assert StepCache(tmp_path).get(key(1)) is None


def test_folder_may_be_deleted_at_any_time(tmp_path):
    cache = StepCache(tmp_path / "steps", memory=0)
    cache.put(key(1), kept(1))
    shutil.rmtree(tmp_path / "steps")

    assert cache.get(key(1)) is None
    cache.put(key(1), kept(1))
    assert cache.get(key(1)) == kept(1)


def test_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "steps").write_text("a file where the folder should be")
    cache = StepCache(tmp_path / "steps")

    cache.put(key(1), kept(1))

    assert cache.get(key(1)) == kept(1)


def test_longest_unused_goes_when_the_folder_is_full(tmp_path):
    cache = StepCache(tmp_path, limit=100_000, memory=0)
    for n in range(4):
        cache.put(key(n), kept(n, size=64))  # 12 kB each
        os.utime(files(tmp_path)[-1], (n, n))
    assert cache.get(key(0)) == kept(0, size=64)  # used now

    for n in range(4, 12):
        cache.put(key(n), kept(n, size=64))

    assert sum(path.stat().st_size for path in files(tmp_path)) <= 125_000
    assert cache.get(key(0)) is not None
    assert cache.get(key(1)) is None


def test_memory_is_bounded():
    cache = StepCache(None, memory=50_000)

    for n in range(10):
        cache.put(key(n), kept(n, size=64))

    assert cache.get(key(0)) is None
    assert cache.get(key(9)) == kept(9, size=64)


def test_litter_of_a_killed_process_is_swept(tmp_path):
    litter = tmp_path / "0.123.tmp"
    litter.write_bytes(b"half a picture")
    os.utime(litter, (1, 1))

    StepCache(tmp_path).put(key(1), kept(1))

    assert not litter.exists()


def test_facts_that_are_no_json_are_not_kept(tmp_path):
    cache = StepCache(tmp_path)

    cache.put(key(1), Kept(made=(Made(image=made(1).image, facts={"what": object()}),)))

    assert cache.get(key(1)) is None
