"""A first picture does not begin later because its model was never read; what is written into it is the hash."""

import os
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from model_files import write
from PIL import Image
from test_probe import pipeline

from invoke_shell.errors import BlockedError, Cancelled
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.models import apart, contents
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.models.files import stamp_of
from invoke_shell.models.hashing import Digests, loaded_files, tree_hash
from invoke_shell.records import ModelRecord, Resource, StepRecord, topological
from invoke_shell.shell.beside import HashesBeside, unhashed, with_models
from invoke_shell.shell.gather import QUICK

pytestmark = pytest.mark.timeout(60)

BIG = {
    "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
    "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 768),
    "first_stage_model.x": (QUICK // 2,),
}


def model(path="/m/big", stamp="1"):
    return ModelRecord(name="big", kind="checkpoint", path=path, stamp=stamp, bytes=100)


def step_of(path):
    return from_metadata(loads(Image.open(path).text["sd-metadata"]))


# -- the whole program -----------------------------------------------------------------------------------------------


def test_a_picture_of_a_model_never_read_before_has_its_hash(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "files/big.safetensors", BIG)
    digits = blake3(path.read_bytes()).hexdigest()
    invoke("models", "add", str(path))

    planned = invoke("-c", "explain txt2img a --model big").out
    ran = invoke("--json", "-c", "txt2img a --model big --seed 1 | blur 1 | save out.png")

    assert "model big\n" in planned  # looked at, not read
    assert ran.status == 0, ran.err
    (result,) = [r for r in ran.records if r["event"] == "result"]
    assert f"--model big@{digits[:6]}" in result["command"]
    models = [m for step in topological(step_of(result["path"])) for m in step.models.values()]
    assert {m.hash for m in models} == {f"blake3:{digits}"}
    assert models[0].hashes["autov2"] == models[0].hashes["sha256"][:10]
    assert invoke("--json", "models", "show", digits[:8]).records[0]["name"] == "big"


def test_what_save_writes_has_the_hash_too(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke("models", "add", str(write(tmp_path / "files/big.safetensors", BIG)))

    assert invoke("-c", "txt2img a --model big --seed 1 | save out.png").status == 0

    assert step_of(tmp_path / "out.png").models["model"].hash.startswith("blake3:")


def test_a_small_model_is_read_at_once(invoke, tmp_path):
    invoke("models", "add", str(write(tmp_path / "small.safetensors", {**BIG, "first_stage_model.x": (1,)})))

    assert "model small@" in invoke("-c", "explain txt2img a --model small").out


# -- the thread ------------------------------------------------------------------------------------------------------


class Slow:
    """A catalogue whose hashes come when they are let go. why: refused with this sentence."""

    def __init__(self, why=""):
        self.go, self.read, self.why = threading.Event(), [], why

    def hashed(self, model, tick):
        while not self.go.wait(0.01):
            tick(50, 100)
        if self.why:
            raise BlockedError(self.why)
        self.read.append(model.stamp)
        return replace(model, hash="blake3:" + "9" * 64)


@pytest.fixture
def slow():
    made = Slow()
    yield made
    made.go.set()


def test_beginning_returns_at_once_and_waiting_tells_bytes(slow):
    beside, told = HashesBeside(slow), []
    beside.begin([model(), model()])

    def tick(done, total):
        told.append((done, total))
        slow.go.set()

    found, why = beside.hashed(model(), tick)

    assert (found.hash, why) == ("blake3:" + "9" * 64, "")
    assert told[0] in ((0, 100), (50, 100))
    assert slow.read == ["1"]
    beside.close()


def test_who_is_in_a_hurry_gets_the_model_without_its_hash_and_the_reading_goes_on(slow):
    beside = HashesBeside(slow)
    beside.begin([model()])
    threading.Timer(0.1, beside.hurry).start()

    found, why = beside.hashed(model(), lambda done, total: None)

    assert (found.hash, why) == ("", "it was not read to its end")
    slow.go.set()
    beside.begin([])
    assert beside.hashed(model(), lambda done, total: None)[0].hash
    beside.close()


def test_what_cannot_be_read_is_said_and_tried_again_by_the_next_line(slow):
    slow.why = "big.safetensors changed since it was found"
    slow.go.set()
    beside = HashesBeside(slow)
    beside.begin([model()])

    assert beside.hashed(model(), lambda done, total: None) == (model(), slow.why)
    slow.why = ""
    beside.begin([model()])
    assert beside.hashed(model(), lambda done, total: None)[0].hash
    beside.close()


def test_leaving_ends_the_reading(slow):
    beside = HashesBeside(slow)
    beside.begin([model()])

    beside.close()

    assert slow.read == []
    assert not any(t.name == "hashes" and t.is_alive() for t in threading.enumerate())


def test_the_history_is_the_same_but_for_the_hashes():
    source = Resource(hash="blake3:" + "1" * 64, width=8, height=8)
    common = {"version": 1, "package": "p", "params": {}}
    first = StepRecord(node="a", models={"model": model()}, inputs={"image": (source,)}, **common)
    second = StepRecord(node="b", models={"model": model()}, inputs={"image": (first,), "mask": (first,)}, **common)
    known = replace(model(), hash="blake3:" + "9" * 64)

    settled = with_models(second, {"1": known})

    assert [m.stamp for m in unhashed(second)] == ["1"]
    assert unhashed(settled) == []
    assert settled.inputs["image"][0] is settled.inputs["mask"][0]
    assert [s.node for s in topological(settled)] == ["a", "b"]
    assert settled.inputs["image"][0].inputs == {"image": (source,)}


# -- the process -----------------------------------------------------------------------------------------------------


def test_hashes_come_from_a_process_of_the_lowest_priority(tmp_path, monkeypatch):
    path = write(tmp_path / "a.safetensors", BIG)
    told, nice = [], []

    def tick(done, total):
        told.append((done, total))
        nice.extend(_nice_of_children())

    (found,) = apart.hashes(path, ("blake3", "md5"), tick).values()

    assert found["blake3"] == blake3(path.read_bytes()).hexdigest()
    assert set(found) == {"blake3", "md5"}
    assert told[0][1] == path.stat().st_size
    assert set(nice) <= {19}


def _nice_of_children():
    """Of the processes that this one started, by /proc; none elsewhere."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"models.apart" in (stat.parent / "cmdline").read_bytes():
            yield int(fields[16])


def test_of_a_folder_every_file_that_is_loaded_is_read(tmp_path):
    folder = pipeline(tmp_path / "dream")
    digests = Digests()

    for stamp, found in apart.hashes(folder, ("blake3",)).items():
        digests.learn(stamp, found)

    assert {stamp_of(f) for f in loaded_files(folder)} == set(digests._fresh)
    assert tree_hash(folder, digests) == tree_hash(folder)


def test_a_large_folder_is_read_by_a_process_that_may_map_it_and_once(tmp_path, monkeypatch):
    folder = pipeline(tmp_path / "dream")
    monkeypatch.setattr(contents, "LARGE", 0)
    here = Catalogue(path=tmp_path / "catalogue.db")

    found = here.hash(here.add(folder))
    monkeypatch.setattr(sys, "executable", "/nowhere")  # no other process from here on
    again = here.hash(replace(found, hash=""))

    assert found.hash == again.hash == tree_hash(folder)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BlockedError, match="there is no model at"):
        apart.hashes(tmp_path / "none.safetensors", ("blake3",))


def test_what_a_tick_raises_ends_the_process(tmp_path):
    def stop(done, total):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        apart.hashes(write(tmp_path / "a.safetensors", BIG), ("sha256",), stop)

    assert list(_nice_of_children()) == []


def test_a_replay_that_lacks_a_model_says_that_it_may_be_among_those_never_read(invoke, tmp_path, monkeypatch):
    from invoke_shell.models import meaning

    invoke("models", "add", str(write(tmp_path / "files/mine.safetensors", {**BIG, "x": (1,)})))
    (made,) = invoke("--json", "-c", "txt2img a --model mine --seed 1").records
    (tmp_path / "files/mine.safetensors").rename(tmp_path / "files/yours.safetensors")
    invoke("models", "remove", "mine")
    (tmp_path / "home/cache/digests.json").unlink()
    invoke("models", "add", str(tmp_path / "files/yours.safetensors"))
    monkeypatch.setattr(meaning, "AT_ONCE", 0)

    blocked = invoke("replay", made["path"])
    assert blocked.status == 3
    assert "1 model here was never read, and may be it: models verify reads them" in blocked.out

    invoke("models", "verify", "yours")
    again = invoke("--json", "replay", made["path"])
    assert " --model yours@" in again.records[0]["command"]


def test_hash_digits_and_keys_name_a_model_wherever_one_is_named(invoke, tmp_path):
    from model_files import kohya_lora

    invoke("models", "add", str(write(tmp_path / "fox.safetensors", kohya_lora("sd1"))))
    invoke("models", "verify", "fox")
    (fox,) = invoke("--json", "models", "show", "fox").records
    digits = fox["hash"].partition(":")[2]

    for word in (digits[:6], fox["hashes"]["sha256"][:10], fox["key"], f"fox@{digits[:6]}", fox["path"]):
        ran = invoke("-c", f"explain txt2img a --lora {word}:0.8")
        assert f"fox@{digits[:6]}:0.8" in ran.out, (word, ran.err)
        assert invoke("-c", f"set lora {word}:0.8").err == f"lora is {word}:0.8\n"


def test_a_flag_that_may_be_repeated_is_set_to_several_or_none(invoke, tmp_path):
    from model_files import kohya_lora

    for name in ("fox", "owl"):
        invoke("models", "add", str(write(tmp_path / f"{name}.safetensors", kohya_lora("sd1"))))

    both = invoke("-c", "set lora fox:0.8 owl", "-c", "explain txt2img a")
    assert re.search(r"lora +fox@\w{6}:0.8, owl@\w{6}", both.out)
    assert "lora " not in invoke("-c", "set lora none", "-c", "explain txt2img a").out
    assert invoke("-c", "set lora fox nix").err.startswith("there is no LoRA nix\n")
    assert invoke("-c", "set vae none").status == 0
