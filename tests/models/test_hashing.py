"""Hashes of files and folders: equal to other programs' values, one read for all, noticed changes."""

import hashlib
import json
import os

import pytest
from blake3 import blake3

from invoke_shell.errors import BlockedError, Cancelled
from invoke_shell.models import mapped, onepass
from invoke_shell.models.hashing import Digests, file_hash, folder_stamp, loaded_files, tree_hash
from invoke_shell.models.onepass import PIECE, algorithms, hash_file


@pytest.fixture
def model(tmp_path):
    """A file of three pieces and a bit."""
    path = tmp_path / "model.safetensors"
    header = b'{"x": 1}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(3 * PIECE + 17))
    return path


# The values that InvokeAI gives for the same bytes.
VECTORS = [
    (b"model data", "blake3", "ce3f0c5f3c05d119f4a5dcaf209b50d3149046a0d3a9adee9fed4c83cad6b4d0"),
    (b"model data", "md5", "a0cd925fc063f98dbf029eee315060c3"),
    (b"", "blake3", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
]


@pytest.mark.parametrize("way", ["read", "mapped"])
@pytest.mark.parametrize(("content", "name", "wanted"), VECTORS)
def test_values_are_those_of_invokeai(tmp_path, content, name, wanted, way):
    path = tmp_path / "x"
    path.write_bytes(content)

    assert hash_file(path, (name,), mapped=way == "mapped") == {name: wanted}


@pytest.mark.parametrize("in_memory", [lambda at: True, lambda at: False, lambda at: at % 3 == 0])
def test_what_is_mapped_and_what_is_read_are_one_hash(model, monkeypatch, in_memory):
    monkeypatch.setattr(mapped, "STRETCH", 1 << 20)
    monkeypatch.setattr(mapped, "is_in_memory", lambda fd, start, stop: in_memory(start >> 20))
    told = []

    found = hash_file(model, ("blake3",), lambda done, total: told.append(done), mapped=True)

    assert found["blake3"] == blake3(model.read_bytes()).hexdigest()
    assert told[-1] == model.stat().st_size


def test_what_was_just_written_lies_in_memory_and_what_is_not_there_does_not(model):
    with model.open("rb") as file:
        size = model.stat().st_size
        assert mapped.is_in_memory(file.fileno(), 0, size) is hasattr(os, "RWF_NOWAIT")
        assert not mapped.is_in_memory(file.fileno(), 0, size + 1)


def test_a_file_that_is_cut_short_while_it_is_mapped_is_noticed(model, monkeypatch):
    monkeypatch.setattr(mapped, "STRETCH", 1 << 20)

    def cut(done, total):
        os.truncate(model, 1 << 20)

    with pytest.raises(BlockedError, match="changed while it was read"):
        hash_file(model, ("blake3",), cut, mapped=True)


def test_a_file_hash_is_what_b3sum_prints(model):
    assert file_hash(model) == "blake3:" + blake3(model.read_bytes()).hexdigest()


def test_every_algorithm_of_hashlib_in_one_read(model):
    data = model.read_bytes()
    simple = [n for n in algorithms() if n in hashlib.algorithms_guaranteed and not n.startswith("shake")]
    told = []

    found = hash_file(model, [*simple, "shake_128:16", "blake3"], lambda done, total: told.append((done, total)))

    assert found.pop("shake_128:16") == hashlib.shake_128(data).hexdigest(16)
    assert found.pop("blake3") == blake3(data).hexdigest()
    assert found == {name: hashlib.new(name, data).hexdigest() for name in simple}
    assert [total for _, total in told] == [len(data)] * 4
    assert [done for done, _ in told] == [PIECE, 2 * PIECE, 3 * PIECE, len(data)]  # each byte is read once


def test_autov3_leaves_the_header_out_and_autov1_looks_at_a_window(model):
    data = model.read_bytes()

    found = hash_file(model, ("autov3", "autov1", "sha256"))

    assert found["autov3"] == hashlib.sha256(data[16:]).hexdigest()
    assert found["autov1"] == hashlib.sha256(data[0x100000:0x110000]).hexdigest()
    assert found["sha256"] == hashlib.sha256(data).hexdigest()


def test_autov1_of_a_short_file(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"x" * (0x100000 + 10))

    assert hash_file(path, ("autov1",))["autov1"] == hashlib.sha256(b"x" * 10).hexdigest()


@pytest.mark.parametrize("name", ["sha0", "shake_128", "shake_128:0", "shake_128:1025", "md5:4", "md5:x", "../x"])
def test_a_name_that_is_no_algorithm_is_told_with_the_list(model, name):
    with pytest.raises(BlockedError, match="there is no hash called") as caught:
        hash_file(model, (name,))

    assert "shake_128:32" in caught.value.hint
    assert "blake2b" in caught.value.hint


def test_autov3_of_what_is_no_safetensors_file(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"short")

    with pytest.raises(BlockedError, match=r"x\.safetensors has no AutoV3"):
        hash_file(path, ("autov3",))


def test_a_file_that_changes_while_it_is_read_is_noticed(model):
    def change(done, total):
        if done == PIECE:
            with model.open("ab") as file:
                file.write(b"more")

    digests = Digests()
    with pytest.raises(BlockedError) as caught:
        digests.of(model, ("blake3",), change)

    assert str(caught.value) == f"{model} changed while it was read\n  try again when it is written completely"
    assert digests.of(model, ("blake3",))["blake3"] == blake3(model.read_bytes()).hexdigest()


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(model, tmp_path):
    def replace(done, total):
        (tmp_path / "other").write_bytes(model.read_bytes())
        (tmp_path / "other").replace(model)

    with pytest.raises(BlockedError, match="changed while it was read"):
        hash_file(model, ("sha256",), replace)


def test_hashing_stops_when_asked(model):
    def stop(done, total):
        raise Cancelled

    digests = Digests()
    with pytest.raises(Cancelled):
        digests.of(model, ("blake3", "sha256"), stop)

    assert digests.known(onepass.stamp(model.stat())) == {}


def test_a_path_where_nothing_is_says_so(tmp_path):
    with pytest.raises(BlockedError, match=r"there is no model at .*gone") as caught:
        Digests().of(tmp_path / "gone")

    assert caught.value.code == "unknown-model"


# -- kept ------------------------------------------------------------------------------------------------------------


def read_by(monkeypatch):
    """The files that are really read."""
    read = []
    real = onepass.hash_file
    monkeypatch.setattr(onepass, "hash_file", lambda p, *rest: (read.append(p), real(p, *rest))[1])
    return read


def test_an_unchanged_file_is_read_once_even_by_the_next_process(model, tmp_path, monkeypatch):
    read = read_by(monkeypatch)
    first = Digests(tmp_path / "cache" / "digests.json")
    first.of(model, ("blake3",))
    first.save()

    again = Digests(tmp_path / "cache" / "digests.json")

    assert again.of(model, ("blake3",)) == first.of(model, ("blake3",))
    assert read == [model]


def test_only_what_is_missing_is_read_for(model, monkeypatch):
    read = read_by(monkeypatch)
    digests = Digests()

    digests.of(model, ("blake3",))
    digests.of(model, ("blake3", "sha256"))
    digests.of(model, ("sha256",))

    assert read == [model, model]


def test_two_processes_keep_what_both_learned(model, tmp_path):
    kept = tmp_path / "digests.json"
    one, two = Digests(kept), Digests(kept)
    one.learn("a", {"blake3": "1"})
    two.learn("b", {"blake3": "2"})
    one.save()
    two.save()

    assert set(json.loads(kept.read_text())) == {"a", "b"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digests.json", model.name]


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "b"}', "\0"])
def test_a_broken_cache_is_made_again(tmp_path, content):
    kept = tmp_path / "digests.json"
    kept.write_text(content)

    digests = Digests(kept)
    digests.learn("a", {"blake3": "1"})
    digests.save()

    assert Digests(kept).known("a") == {"blake3": "1"}


# -- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "model"
    for name in ("unet/a.safetensors", "unet/config.json", "vae/b.safetensors", "model_index.json"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    return here


def test_a_tree_hash_is_of_paths_sizes_and_contents(folder):
    names = ["model_index.json", "unet/a.safetensors", "unet/config.json", "vae/b.safetensors"]
    lines = [f"{n}\t{len(n)}\tblake3:{blake3(n.encode()).hexdigest()}\n" for n in names]

    assert tree_hash(folder) == "blake3-tree:" + blake3("".join(lines).encode()).hexdigest()


def test_a_tree_hash_follows_the_model_not_its_place(folder, tmp_path):
    before = tree_hash(folder)
    (folder / "README.md").write_text("words")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_text("never loaded")

    assert tree_hash(folder.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("name", ["unet/config.json", "unet/a.safetensors", "unet/more.safetensors"])
def test_a_tree_hash_sees_every_file_that_is_loaded(folder, name):
    before, stamp = tree_hash(folder), folder_stamp(folder)

    (folder / name).write_text("other")

    assert tree_hash(folder) != before
    assert folder_stamp(folder) != stamp


def test_an_empty_folder_is_an_error_not_a_constant(tmp_path):
    with pytest.raises(BlockedError, match="has no weights or configs in it"):
        tree_hash(tmp_path)


def test_a_component_is_a_folder_of_its_own(folder):
    assert [p.name for p in loaded_files(folder / "unet")] == ["a.safetensors", "config.json"]


def test_progress_of_a_folder_counts_all_its_bytes(folder):
    told = []

    tree_hash(folder, tick=lambda done, total: told.append((done, total)))

    whole = sum(p.stat().st_size for p in loaded_files(folder))
    assert told[-1] == (whole, whole)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
