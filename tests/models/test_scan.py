"""Scans of folders as other programs lay them out: found by name, opened once, brought up to date, stopped anywhere."""

import os
import shutil

import pytest
from model_files import checkpoint, compact, kohya_lora, many_files, mine, vae, write
from test_catalogue import message, opened
from test_probe import pipeline

from invoke_shell.errors import Cancelled
from invoke_shell.models import examine
from invoke_shell.models.catalogue import Catalogue

TINY = {"emb_params": (2, 768)}


@pytest.fixture
def here(tmp_path):
    return opened(tmp_path / "home")


@pytest.fixture
def looked(monkeypatch):
    """The paths that are opened."""
    paths = []
    real = examine.look
    monkeypatch.setattr(examine, "look", lambda path: (paths.append(path), real(path))[1])
    return paths


def found(entries):
    return sorted((e.kind, e.name) for e in entries)


def cached(hub, repository, revision, *, main=True):
    """A repository in Hugging Face's cache: the folder of one snapshot, whose files are links to blobs."""
    here = hub / f"models--{repository.replace('/', '--')}"
    (here / "refs").mkdir(parents=True, exist_ok=True)
    if main:
        (here / "refs/main").write_text(revision)
    (here / "blobs").mkdir(exist_ok=True)
    return here / "snapshots" / revision


def blob(snapshot, name, shapes):
    target = snapshot.parents[1] / "blobs" / f"{len(list((snapshot.parents[1] / 'blobs').iterdir())):064x}"
    write(target, shapes)
    (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
    (snapshot / name).symlink_to(target)


# -- layouts ---------------------------------------------------------------------------------------------------------


def test_automatic1111(here, tmp_path):
    root = tmp_path / "stable-diffusion-webui"
    write(root / "models/Stable-diffusion/dream.safetensors", checkpoint("sd1"))
    write(root / "models/Lora/style/fox.safetensors", kohya_lora("sd1"))
    write(root / "models/VAE/ema.safetensors", vae())
    write(root / "models/ESRGAN/odd.safetensors", {"layers.0.weight": (1,)})
    write(root / "embeddings/bad.safetensors", TINY)
    write(root / "venv/lib/site-packages/x/test.safetensors", TINY)
    (root / "models/ESRGAN/4x.pth").write_bytes(b"PK\x03\x04")

    out = here.scan([root])

    assert found(out.new) == [
        ("checkpoint", "dream"), ("embedding", "bad"), ("lora", "fox"), ("upscaler", "odd"), ("vae", "ema"),
    ]  # fmt: skip
    assert out.pickles == [str(root / "models/ESRGAN/4x.pth")]


def test_comfyui(here, tmp_path):
    root = tmp_path / "ComfyUI/models"
    write(root / "checkpoints/xl/dream.safetensors", checkpoint("sdxl"))
    write(root / "upscale_models/4x.safetensors", compact())
    write(root / "loras/fox.safetensors", kohya_lora("sdxl"))
    (root / "checkpoints/put_checkpoints_here").touch()

    assert found(here.scan([root]).new) == [("checkpoint", "dream"), ("lora", "fox"), ("upscaler", "4x")]


@pytest.mark.parametrize("place", ["models/sd-1/main/dream", "models/7a1f0c3e-aaaa-bbbb-cccc-0123456789ab/dream"])
def test_invokeai(here, tmp_path, place):
    root = tmp_path / "invokeai"
    pipeline(root / place)
    write(root / "models/sd-1/vae/ema/diffusion_pytorch_model.safetensors", vae())
    (root / "models/sd-1/vae/ema/config.json").write_text('{"_class_name": "AutoencoderKL"}')

    out = here.scan([root])

    assert found(out.new) == [("checkpoint", "dream"), ("vae", "ema")]
    assert all(e.finding.format == "folder" for e in out.new)


def test_the_cache_of_hugging_face(here, tmp_path):
    hub = tmp_path / "huggingface/hub"
    old, new = "1" * 40, "2" * 40
    cached(hub, "runway/dream", old)
    pipeline(hub / "models--runway--dream/snapshots" / old)
    pipeline(cached(hub, "runway/dream", new))
    blob(cached(hub, "me/fox", "3" * 40), "pytorch_lora_weights.safetensors", kohya_lora("sd1"))
    blob(cached(hub, "me/two", "4" * 40, main=False), "style.safetensors", kohya_lora("sd1"))
    (hub / "datasets--me--x/snapshots").mkdir(parents=True)
    cached(hub, "me/configs-only", "5" * 40)

    out = here.scan([hub])

    assert found(out.new) == [("checkpoint", "dream"), ("lora", "fox"), ("lora", "style")]
    assert {e.source for e in out.new} == {f"hf:runway/dream@{new}", f"hf:me/fox@{'3' * 40}", f"hf:me/two@{'4' * 40}"}
    assert out.refused == {}


def test_links_to_folders_are_followed_once(here, tmp_path):
    write(tmp_path / "a/fox.safetensors", kohya_lora("sd1"))
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/there").symlink_to(tmp_path / "a")
    (tmp_path / "b/nowhere.safetensors").symlink_to(tmp_path / "nothing")

    out = here.scan([tmp_path / "b"])

    assert [str(e.path) for e in out.new] == [str(tmp_path / "b/there/fox.safetensors")]
    assert out.files == 1


def test_one_file_under_two_names_is_one_model(here, tmp_path):
    path = write(tmp_path / "a/fox.safetensors", kohya_lora("sd1"))
    (tmp_path / "a/hard.safetensors").hardlink_to(path)
    (tmp_path / "a/soft.safetensors").symlink_to(path)

    assert len(here.scan([tmp_path / "a"]).new) == 1
    assert len(mine(here, "lora")) == 1
    assert here.scan([tmp_path / "a"]).moved == []


# -- again -----------------------------------------------------------------------------------------------------------


def test_a_second_scan_opens_nothing(here, tmp_path, looked):
    files = list(many_files(tmp_path / "a", 40))
    (tmp_path / "a/x.ckpt").write_bytes(b"PK\x03\x04")
    pipeline(tmp_path / "a/dream")
    here.entries()
    looked.clear()

    first = here.scan([tmp_path / "a"])
    opened_first = len(looked)
    second = here.scan([tmp_path / "a"])

    assert (len(first.new), opened_first) == (len(files) + 1, len(files) + 2)
    assert (second.files, second.same, len(second.new), len(looked)) == (
        len(files) + 2,
        len(files) + 1,
        0,
        opened_first,
    )
    assert list(second.refused) == list(first.refused) == [str(tmp_path / "a/x.ckpt")]


def test_only_what_is_new_or_changed_is_opened(here, tmp_path, looked):
    one, two = (write(tmp_path / f"a/{n}.safetensors", kohya_lora("sd1")) for n in "12")
    here.scan([tmp_path / "a"])
    key = here.entry("1").key
    looked.clear()

    write(one, kohya_lora("sdxl"))
    write(tmp_path / "a/3.safetensors", kohya_lora("sd1"))
    out = here.scan([tmp_path / "a"])

    assert (found(out.changed), found(out.new), out.same) == ([("lora", "1")], [("lora", "3")], 1)
    assert looked == [one, tmp_path / "a/3.safetensors"]
    assert (here.entry("1").key, here.entry("1").finding.base) == (key, "sdxl")
    assert two.exists()


def test_a_moved_file_keeps_its_name_key_and_hash(here, tmp_path, looked):
    path = write(tmp_path / "a/fox.safetensors", kohya_lora("sd1"))
    here.scan([tmp_path / "a"])
    before = here.hash(here.rename(here.entry("fox"), "vixen"))
    looked.clear()

    (tmp_path / "a/new").mkdir()
    path.rename(tmp_path / "a/new/fox.safetensors")
    out = here.scan([tmp_path / "a"])

    assert [str(e.path) for e in out.moved] == [str(tmp_path / "a/new/fox.safetensors")]
    assert (out.new, out.gone, looked) == ([], [], [])
    after = here.entry("vixen")
    assert (after.key, after.hash) == (before.key, before.hash)


def test_what_is_gone_leaves_the_catalogue(here, tmp_path):
    write(tmp_path / "a/stays.safetensors", TINY)
    goes = write(tmp_path / "a/goes.safetensors", kohya_lora("sd1"))
    other = write(tmp_path / "ab/other.safetensors", vae())
    here.scan([tmp_path / "a", tmp_path / "ab"])

    goes.unlink()
    other.unlink()
    out = here.scan([tmp_path / "a"])

    assert out.gone == [str(goes)]
    assert found(mine(here)) == [("embedding", "stays"), ("vae", "other")]


def test_a_disk_that_is_not_there_today_loses_nothing(here, tmp_path):
    write(tmp_path / "disk/fox.safetensors", kohya_lora("sd1"))
    here.scan([tmp_path / "disk"])
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "disk").mkdir()

    out = here.scan([tmp_path / "disk"])

    assert out.gone == []
    assert here.entry("fox")


def test_a_model_that_is_none_any_more_leaves_the_catalogue(here, tmp_path):
    path = write(tmp_path / "a/fox.safetensors", kohya_lora("sd1"))
    here.scan([tmp_path / "a"])
    path.write_bytes(b"\xff\xd8\xff")

    out = here.scan([tmp_path / "a"])

    assert out.refused == {str(path): f"{path} is a JPEG picture: download the model's file, not what its page shows"}
    assert mine(here, "lora") == []


def test_what_was_removed_by_hand_does_not_come_back(here, tmp_path):
    path = write(tmp_path / "a/fox.safetensors", kohya_lora("sd1"))
    here.scan([tmp_path / "a"])
    here.remove(here.entry("fox"))

    out = here.scan([tmp_path / "a"])

    assert (out.new, mine(here, "lora")) == ([], [])
    assert out.refused[str(path)] == f"{path} was removed: models add {path} brings it back"


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_every_file_that_is_no_model_is_told_with_its_reason(here, tmp_path):
    root = tmp_path / "a"
    write(root / "odd.safetensors", {"x\x1b[2J": (1,)})
    (root / "page.safetensors").write_bytes(b"<html>" + b" " * 90)
    (root / "old.ckpt").write_bytes(b"\x80\x02}q\x00.")
    shutil.rmtree(pipeline(root / "half") / "vae")
    write(root / "fox.safetensors", TINY)

    out = here.scan([root])

    assert out.refused == {
        str(root / "half"): f"{root}/half is half a model: its vae is missing: download it again, whole",
        str(root / "odd.safetensors"): f'{root}/odd.safetensors is unknown: 1 tensor, "x\\u{{1b}}[2J"',
        str(root / "old.ckpt"): (
            f"{root}/old.ckpt is a pickle, which could run any program when it is opened: "
            f"models convert {root}/old.ckpt makes a safetensors file of it"
        ),
        str(root / "page.safetensors"): (
            f"{root}/page.safetensors is a web page: the site wanted a login, or the link was not to the file: "
            "download it again"
        ),
    }
    assert found(out.new) == [("embedding", "fox")]
    assert found(mine(here)) == [("embedding", "fox")]


def test_names_that_are_no_text(here, tmp_path):
    root = tmp_path / "a"
    root.mkdir()
    raw = os.fsencode(root) + b"/\xff.safetensors"
    with open(raw, "wb") as file:
        file.write(write(tmp_path / "x.safetensors", TINY).read_bytes())
    write(root / "new\nline\x1b.safetensors", TINY)

    out = here.scan([root])

    assert [e.name for e in out.new] == ["new-line"]
    (fault,) = out.faults
    assert fault.endswith("/\\xff.safetensors' has a name that is not Unicode: rename it")


def test_what_cannot_be_read_is_told_and_the_rest_is_found(here, tmp_path):
    write(tmp_path / "a/fox.safetensors", TINY)
    (tmp_path / "a/loop").symlink_to(tmp_path / "a/loop")

    out = here.scan([tmp_path / "a"])

    assert out.faults == [f"{tmp_path}/a/loop cannot be read: too many levels of symbolic links"]
    assert found(out.new) == [("embedding", "fox")]


def test_a_folder_that_is_none(here, tmp_path):
    path = write(tmp_path / "x.safetensors", TINY)

    assert message(here.scan, [tmp_path / "gone"]) == f"there is no folder {tmp_path}/gone"
    assert message(here.scan, [path]) == f"{path} is a file\n  models add {path}"


@pytest.mark.parametrize("batch", [5, 200])
def test_a_scan_that_is_stopped_keeps_what_it_found(here, tmp_path, monkeypatch, batch):
    monkeypatch.setattr("invoke_shell.models.scan.BATCH", batch)
    list(many_files(tmp_path / "a", 30))

    def stop(done, total):
        if done == 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        here.scan([tmp_path / "a"], stop)
    assert len(mine(here)) == 12

    assert len(here.scan([tmp_path / "a"]).new) == 18


def test_progress_is_told_by_the_file(here, tmp_path):
    list(many_files(tmp_path / "a", 7))
    told = []

    here.scan([tmp_path / "a"], lambda done, total: told.append((done, total)))

    assert told == [(n, 7) for n in range(1, 8)]


def test_two_shells_scan_the_same_folder_at_once(tmp_path):
    import threading

    files = list(many_files(tmp_path / "a", 60))
    faults = []

    def work():
        try:
            Catalogue(path=tmp_path / "catalogue.db").scan([tmp_path / "a"])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = [e for e in Catalogue(path=tmp_path / "catalogue.db").entries() if e.origin != "box"]
    assert faults == []
    assert len(entries) == len({e.name for e in entries}) == len(files)
