"""Models are found by name, key, path and hash; what is kept outlives the process, and two may write at once."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from model_files import checkpoint, compact, esrgan, flux, kohya_lora, mine, vae, write
from test_probe import pipeline

from invoke_shell.errors import BlockedError, Cancelled, OutputError
from invoke_shell.models import catalogue as module
from invoke_shell.models import meaning
from invoke_shell.models.catalogue import Catalogue
from invoke_shell.models.entry import clean_name
from invoke_shell.models.files import stamp_of
from invoke_shell.models.hashing import Digests, tree_hash


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def opened(home):
    """The catalogue of a home, as the program opens it."""
    return Catalogue([home / "models"], Digests(home / "cache/digests.json"), path=home / "catalogue.db")


@pytest.fixture
def here(home):
    return opened(home)


@pytest.fixture
def lora(tmp_path):
    return write(tmp_path / "elsewhere/fox.safetensors", kohya_lora("sdxl"), metadata={"modelspec.license": "MIT"})


def message(work, *arguments, **options):
    with pytest.raises(BlockedError) as caught:
        work(*arguments, **options)
    return str(caught.value)


# -- the box and the home's folder -----------------------------------------------------------------------------------


def test_the_box_is_always_there_and_opens_no_file(home, here):
    record = here.find("pocket")

    assert (record.name, record.kind, record.base, record.format) == ("pocket", "checkpoint", "sd1", "folder")
    assert record.hash == tree_hash(module.ASSETS / "pocket")
    assert record.advice["size"] == "128x128"
    assert not (home / "catalogue.db").exists()


def test_what_lies_in_the_homes_folder_is_found_without_adding(home, here):
    write(home / "models/loras/fox.safetensors", kohya_lora("sd1"))
    write(home / "models/upscalers/sharp.safetensors", compact())
    pipeline(home / "models/dream")

    assert [e.name for e in mine(here)] == ["dream", "fox", "sharp"]
    assert here.find("sharp", "upscaler").path == str(home / "models/upscalers/sharp.safetensors")


def test_what_comes_and_goes_in_the_homes_folder_is_seen(home, here):
    assert mine(here, "lora") == []

    fox = write(home / "models/fox.safetensors", kohya_lora("sd1"))
    assert [e.name for e in mine(here, "lora")] == ["fox"]

    fox.unlink()
    assert mine(here, "lora") == []


def test_a_model_called_as_the_one_in_the_box_gets_another_name(home, here):
    pipeline(home / "models/pocket")

    assert [e.name for e in here.entries("checkpoint")] == ["pocket", "pocket-2"]
    assert here.find("pocket").path == str(module.ASSETS / "pocket")


def test_an_unknown_network_in_a_folder_of_upscalers_is_an_upscaler(home, here):
    write(home / "models/upscalers/odd.safetensors", {"layers.0.weight": (8, 8)})
    write(home / "models/odd.safetensors", {"layers.0.weight": (8, 9)})

    (entry,) = [e for e in here.entries() if e.origin == "home"]

    assert (entry.kind, entry.path.parent.name) == ("upscaler", "upscalers")
    assert entry.finding.reason.startswith("it lies in a folder of upscalers; unknown: 1 tensor")


# -- finding ---------------------------------------------------------------------------------------------------------


def test_a_model_is_found_by_all_that_names_it(here, lora):
    entry = here.hash(here.add(lora))
    digits = blake3(lora.read_bytes()).hexdigest()

    words = ["fox", f"fox@{digits[:6]}", f"nofox@{digits[:6]}", digits[:6], digits, f"blake3:{digits}", entry.key]
    words += [str(lora), entry.hashes["sha256"][:10], entry.hashes["autov3"][:12], digits[:8].upper()]

    assert {here.find(word, "lora").path for word in words} == {str(lora)}
    assert {here.entry(word).key for word in words} == {entry.key}


def test_a_record_has_what_a_picture_keeps(here, lora):
    here.add(lora)

    record = here.find("fox", "lora")

    assert (record.license, record.bytes, record.format) == ("MIT", lora.stat().st_size, "file")
    assert record.hash == "blake3:" + blake3(lora.read_bytes()).hexdigest()
    assert {n: len(v) for n, v in record.hashes.items()} == {"sha256": 64, "autov1": 8, "autov2": 10, "autov3": 12}
    assert record.hashes["sha256"].startswith(record.hashes["autov2"])


def test_a_relative_path_and_one_in_the_persons_folder(here, lora, monkeypatch):
    monkeypatch.chdir(lora.parent)
    monkeypatch.setenv("HOME", str(lora.parent))

    assert here.find("./fox.safetensors", "lora").path == str(lora)
    assert here.find("~/fox.safetensors", "lora").path == str(lora)


def test_without_waiting_the_hash_is_what_is_known(here, lora):
    here.add(lora)

    assert here.find("fox", "lora", read=0).hash == ""
    here.find("fox", "lora")
    assert here.find("fox", "lora", read=0).hash.startswith("blake3:")


def test_a_name_wins_over_a_hash_that_begins_so(here, lora):
    digits = blake3(lora.read_bytes()).hexdigest()[:6]
    here.add(lora)
    other = here.add(write(lora.with_name(f"{digits}.safetensors"), kohya_lora("sd1")))

    assert here.entry(digits).key == other.key


def test_equal_content_in_two_places_is_one_model_to_a_hash(here, lora):
    (lora.parent / "copy.safetensors").write_bytes(lora.read_bytes())
    for path in (lora, lora.parent / "copy.safetensors"):
        here.hash(here.add(path))

    assert here.by_hash(here.find("fox", "lora").hash, "lora").name == "copy"


def test_a_hash_of_six_digits_that_two_share_is_told(here, lora):
    one, two = here.hash(here.add(lora)), here.hash(here.add(write(lora.with_name("b.safetensors"), kohya_lora("sd1"))))
    here._rows.change(one, hash="blake3:abcdef01" + "0" * 56)
    here._rows.change(two, hash="blake3:abcdef02" + "0" * 56)

    said = message(here.find, "abcdef", "lora")

    assert said == "several models' hashes begin with abcdef: b@abcdef, fox@abcdef"
    assert here.find("abcdef01", "lora", read=0).name == "fox"


def test_large_models_are_not_read_only_to_be_found(here, lora, monkeypatch):
    here.add(lora)
    digits = blake3(lora.read_bytes()).hexdigest()

    assert here.by_hash(digits, "lora", read=1000) is None
    monkeypatch.setattr(meaning, "AT_ONCE", 1000)
    assert message(here.find, digits[:8], "lora").endswith("1 is not hashed yet (95.5 kB): models verify does it")
    here.hash(here.entry("fox"))
    assert here.by_hash(digits, "lora").name == "fox"


def test_a_name_with_digits_means_the_content_and_nothing_else(here, lora, tmp_path):
    here.add(lora)
    other = here.hash(here.add(write(tmp_path / "other.safetensors", kohya_lora("sd1"))))

    assert here.find(f"fox@{other.record.text[-6:]}", "lora").name == "other"
    text = here.hash(here.entry("fox")).record.text
    assert message(here.find, "fox@000000", "lora") == (
        f"fox is here with another content: {text}, not @000000\n  fox alone means the one that is here"
    )
    assert message(here.find, "pocket@000000").startswith("pocket is here with another content: pocket@")


def test_the_box_is_found_by_its_hash_whatever_else_is_there(here, lora):
    write(here.folders[0] / "big.safetensors", checkpoint("sd1"))

    assert here.by_hash(here.find("pocket").hash).name == "pocket"
    assert here.by_hash("blake3:" + "0" * 64) is None
    assert here.by_hash("nothing") is None


# -- what cannot be found or used ------------------------------------------------------------------------------------


def test_a_name_nobody_has(here, lora):
    here.add(lora)

    assert message(here.find, "foxx", "lora") == "there is no LoRA foxx\n  did you mean fox?"
    assert message(here.find, "xyz", "lora") == "there is no LoRA xyz\n  there is: fox, pocket-ink"
    assert message(here.find, "xyz") == "there is no model xyz\n  there is: pocket"
    assert message(here.find, "xyz", "vae") == "there is no VAE xyz"
    there = "fox, pocket, pocket-2x, pocket-4x, pocket-candy, pocket-ink"
    assert message(here.entry, "p k") == f'there is no model "p k"\n  there is: {there}'


def test_an_upscaler_given_as_a_model_that_draws(here, tmp_path):
    path = write(tmp_path / "sharp.safetensors", esrgan())
    here.add(path)

    by_name, by_path = message(here.find, "sharp"), message(here.find, str(path))

    assert by_name == "sharp is an upscaler, not a model that draws\n  it is given as --upscaler sharp"
    assert by_path == f"{path} is an upscaler, not a model that draws\n  it is given as --upscaler {path}"


def test_a_path_that_vanished(here, lora):
    here.add(lora)
    lora.unlink()

    said = message(here.find, "fox", "lora")

    assert said == f"fox is no longer at {lora}\n  models scan its new folder, or models remove fox"
    assert [e.name for e in mine(here, "lora")] == ["fox"]


def test_a_file_that_was_written_to_is_looked_at_and_hashed_anew(here, lora):
    before = here.hash(here.add(lora))
    write(lora, kohya_lora("sd1"))

    after = here.find("fox", "lora")

    assert (before.finding.base, after.base) == ("sdxl", "sd1")
    assert after.hash == "blake3:" + blake3(lora.read_bytes()).hexdigest() != before.hash
    assert here.by_hash(before.hash, "lora") is None


def test_a_file_that_was_overwritten_by_a_picture(here, lora):
    here.add(lora)
    lora.write_bytes(b"\xff\xd8\xff" + b"x" * 100)

    assert (
        message(here.find, "fox", "lora")
        == f"{lora} is a JPEG picture\n  download the model's file, not what its page shows"
    )


def test_a_file_that_changes_while_it_is_hashed_leaves_nothing_behind(here, lora):
    entry = here.add(lora)

    def change(done, total):
        lora.write_bytes(lora.read_bytes() + b"more")

    assert "changed while it was read" in message(here.hash, entry, change)
    assert here.entry("fox").hash == ""


def test_hashing_stops_when_asked_and_is_done_later(here, lora):
    def stop(done, total):
        raise Cancelled

    entry = here.add(lora)
    with pytest.raises(Cancelled):
        here.hash(entry, stop)

    assert here.hash(here.entry("fox")).hash


# -- adding, renaming, removing --------------------------------------------------------------------------------------


def test_adding_leaves_the_file_where_it_is(here, lora):
    before = (stamp_of(lora), lora.read_bytes())  # without the time of reading, which reading changes

    entry = here.add(lora)

    assert (entry.path, entry.origin, entry.source) == (lora, "added", "")
    assert len(entry.key) == 36
    assert (stamp_of(lora), lora.read_bytes()) == before
    assert list(lora.parent.iterdir()) == [lora]


def test_adding_twice_is_one_model(here, lora):
    assert here.add(lora).key == here.add(lora).key
    assert len(mine(here, "lora")) == 1


def test_two_of_one_name_get_two_names(here, tmp_path):
    paths = [write(tmp_path / d / "fox.safetensors", kohya_lora("sd1")) for d in "abc"]

    assert [here.add(p).name for p in paths] == ["fox", "fox-2", "fox-3"]


def test_a_name_may_be_given(here, lora):
    assert here.add(lora, name="my-fox").name == "my-fox"
    assert here.find("my-fox", "lora").path == str(lora)


@pytest.mark.parametrize(
    ("stem", "name"),
    [("a b", "a-b"), ("v1@2", "v1-2"), ("a,b|c", "a-b-c"), ("\x1b[31mx", "[31mx"), ("...", "model"), ("狐", "狐")],
)
def test_names_can_be_typed(stem, name):
    assert clean_name(stem) == name


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("loras/fox/pytorch_lora_weights.safetensors", "fox"),
        ("unet/diffusion_pytorch_model.fp16.safetensors", "unet"),
        ("models/0f0f0f0f-1111-2222-3333-444444444444/fox.safetensors", "fox"),
    ],
)
def test_names_that_say_nothing_are_those_of_the_folder(here, tmp_path, place, name):
    assert here.add(write(tmp_path / place, kohya_lora("sd1"))).name == name


def test_what_nobody_can_tell_is_not_added_unless_the_person_says_what_it_is(here, tmp_path):
    path = write(tmp_path / "odd.safetensors", {"x": (2,)})

    said = message(here.add, path)

    assert said == (
        f"{path} is unknown: 1 tensor, x\n  if you know what it is: models add {path} --kind upscaler, for one"
    )
    assert [e for e in here.entries() if e.origin != "box"] == []
    assert here.add(path, kind="upscaler").kind == "upscaler"


def test_what_is_broken_is_not_half_registered(here, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\xff\xd8\xff")

    assert message(here.add, path) == f"{path} is a JPEG picture\n  download the model's file, not what its page shows"
    assert here._rows.stamps() == here._rows.looked() == {}


def test_renaming(here, lora):
    key = here.add(lora).key
    here.add(write(lora.with_name("b.safetensors"), kohya_lora("sd1")))
    here.add(write(lora.with_name("c.safetensors"), vae()))

    assert here.rename(here.entry("fox"), "c").key == key  # a VAE may be called so too
    assert message(here.rename, here.entry("c", "lora"), "b") == (
        f"there is a LoRA called b already\n  it lies at {lora.with_name('b.safetensors')}"
    )
    assert message(here.rename, here.entry("b"), "a b") == '"a b" cannot be the name of a model\n  as in: a-b'
    assert message(here.rename, here.entry("pocket"), "x") == "pocket comes with the program and keeps its name"
    assert message(here.entry, "c") == "2 models are called c\n  say which with --kind lora or --kind vae"


def test_removing_leaves_the_file(here, lora):
    here.remove(here.add(lora))

    assert mine(here, "lora") == []
    assert lora.exists()
    assert here.add(lora).name == "fox"


def test_what_is_always_there_cannot_be_removed(home, here):
    write(home / "models/fox.safetensors", kohya_lora("sd1"))

    assert message(here.remove, here.entry("pocket")) == "pocket comes with the program and is always there"
    assert message(here.remove, here.entry("fox")) == (
        f"fox lies in {home}/models and is always there\n  move its file to be rid of it"
    )


# -- verifying -------------------------------------------------------------------------------------------------------


def test_verifying(here, lora):
    entry = here.add(lora)

    assert here.verify(entry)[0] == "hashed"
    verdict, entry = here.verify(here.entry("fox"))
    assert (verdict, entry.verified > 0) == ("unchanged", True)
    write(lora, kohya_lora("sd1"))
    assert here.verify(here.entry("fox"))[0] == "changed"
    lora.unlink()
    assert here.verify(here.entry("fox"))[0] == "gone"


def test_a_disk_that_changed_a_bit_is_noticed(here, lora):
    import os

    before = here.hash(here.add(lora))
    times = lora.stat().st_atime_ns, lora.stat().st_mtime_ns
    with lora.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    os.utime(lora, ns=times)

    verdict, after = here.verify(here.entry("fox"))

    assert verdict == "damaged"
    assert after.hash != before.hash


def test_verifying_a_folder_counts_its_bytes(home, here):
    folder = pipeline(home / "models/dream")
    told = []

    assert here.verify(here.entry("dream"))[0] == "hashed"
    assert here.verify(here.entry("dream"), lambda done, total: told.append((done, total)))[0] == "unchanged"
    assert told[-1][0] == told[-1][1] == here.entry("dream").finding.bytes
    (folder / "unet/config.json").write_text("{}")
    assert here.verify(here.entry("dream"))[0] == "changed"


# -- the file --------------------------------------------------------------------------------------------------------


def test_everything_outlives_the_process(home, here, lora):
    entry = here.add(lora, original={"name": "fox.ckpt", "blake3": "ab" * 32})
    entry = here.set_weights(here.hash(here.rename(entry, "vixen")), {"denoiser": "weights:1"})

    again = opened(home)

    assert mine(again, "lora") == [entry]
    assert again.by_hash("abababab", "lora").name == "vixen"  # by what it was converted from


SHELL = """
import sys
from pathlib import Path
from invoke_shell.models.catalogue import Catalogue
home, files, other = map(Path, sys.argv[1:])
here = Catalogue([home / "models"], path=home / "catalogue.db")
(home / f"ready-{other.name}").touch()
while len(list(home.glob("ready-*"))) < 2:
    pass
here.scan([files])
for path in sorted(other.glob("*.safetensors")):
    entry = here.add(path)
    here.remove(here.hash(here.rename(entry, f"{entry.name}-{other.name}"))) if path.stem.endswith("0") else None
"""


def test_two_shells_at_once_lose_nothing(home, here, tmp_path):
    for n in range(60):
        write(tmp_path / f"files/{n % 7}/lora{n % 9}.safetensors", {**kohya_lora("sd1"), f"{n}": (n,)})
        write(tmp_path / f"{'ab'[n % 2]}/own{n // 2:02}.safetensors", kohya_lora("sd2"))
    home.mkdir()

    command = [sys.executable, "-c", SHELL, str(home), str(tmp_path / "files")]
    shells = [subprocess.Popen([*command, str(tmp_path / each)], stderr=subprocess.PIPE, text=True) for each in "ab"]
    said = [shell.communicate(timeout=60)[1] for shell in shells]

    assert said == ["", ""]
    entries = mine(here, "lora")
    wanted = {p for p in (tmp_path).rglob("*.safetensors") if "own" not in p.name or not p.stem.endswith("0")}
    assert {e.path for e in entries} == wanted
    assert len({e.name for e in entries}) == len({e.key for e in entries}) == len(wanted)


def test_two_shells_see_what_the_other_does(home, here, lora):
    other = opened(home)
    other.entries()

    here.add(lora)
    assert [e.name for e in mine(other, "lora")] == ["fox"]
    other.rename(other.entry("fox"), "vixen")

    assert here.find("vixen", "lora").path == str(lora)


def test_many_may_write_at_once(home, tmp_path):
    paths = [write(tmp_path / str(n) / "fox.safetensors", kohya_lora("sd1")) for n in range(40)]
    faults = []

    def work(mine):
        try:
            catalogue = opened(home)
            for path in mine:
                catalogue.add(path)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(paths[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert sorted(e.name for e in mine(opened(home), "lora")) == sorted(["fox", *(f"fox-{n}" for n in range(2, 41))])


def test_a_catalogue_that_cannot_be_written_is_one_in_memory(tmp_path, lora):
    (tmp_path / "file").write_text("")
    catalogue = opened(tmp_path / "file" / "home")

    assert catalogue.add(lora).name == "fox"
    (notice,) = catalogue.notices()
    assert notice.endswith("cannot be written (not a directory); the catalogue of models is kept in memory only")
    assert catalogue.notices() == []


def test_a_newer_catalogue_is_only_read(home, here, lora):
    here.add(lora)
    here._rows._db.change("PRAGMA user_version=9")
    here._rows._db.close()
    before = (home / "catalogue.db").read_bytes()

    later = opened(home)
    later.rename(later.entry("fox"), "vixen")

    assert "was written by a later invoke_shell (version 9, this one knows 1)" in later.notices()[0]
    assert (home / "catalogue.db").read_bytes() == before


def test_a_catalogue_that_another_program_holds_is_a_sentence(home, here, lora):
    import sqlite3

    here.entries()
    here._rows._db.read("PRAGMA busy_timeout=50")
    holder = sqlite3.connect(home / "catalogue.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(OutputError, match="another program holds"):
        here.add(lora)

    holder.execute("ROLLBACK")
    assert here.add(lora).name == "fox"


def test_every_fact_of_a_finding_comes_back(home, here, tmp_path):
    spec = {"modelspec.title": "Fox", "modelspec.trigger_phrase": "fox"}
    entry = here.add(write(tmp_path / "x.safetensors", flux(), dtype="F8_E4M3", metadata=spec))

    assert opened(home).entry("x") == entry
    advice = {"size": "1024x1024", "steps": 28, "guidance": 3.5, "scheduler": "euler"}
    assert replace(entry.finding, told={}).advice == advice


def test_a_text_may_be_kept_by_name(home, here):
    assert here.fact("offered", "yes") == ""
    assert opened(home).fact("offered") == "yes"


def test_importing_the_catalogue_imports_no_database(tmp_path):
    code = "import sys, invoke_shell.models.catalogue; print(sorted({'sqlite3', 'blake3', 'uuid'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_names_of_the_box_cost_no_second_look(here, monkeypatch):
    here.find("pocket")
    monkeypatch.setattr("invoke_shell.models.examine.look", lambda path: pytest.fail("looked again"))

    assert json.loads(json.dumps(here.find("pocket").advice))["size"] == "128x128"
    assert Path(here.find("pocket").path).is_dir()
