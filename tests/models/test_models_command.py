"""`models` as people and programs use it: what it prints, its records, its exit statuses."""

import os
import re
import subprocess
import sys
import time

import pytest
from model_files import checkpoint, kohya_lora, many_files, write

from invoke_shell.models.catalogue import Catalogue
from invoke_shell.models.entry import Entry
from invoke_shell.models.finding import Finding
from invoke_shell.models.known import known_folders, offer
from invoke_shell.models.rows import Rows


@pytest.fixture
def lora(tmp_path):
    told = {"modelspec.trigger_phrase": "sks, a dog", "modelspec.title": "Fox \x1b[31m", "modelspec.license": "MIT"}
    return write(tmp_path / "files/fox.safetensors", kohya_lora("sdxl"), metadata=told)


def test_the_list_is_a_table_of_80_columns(invoke, tmp_path):
    write(tmp_path / f"files/{'long' * 20}.safetensors", checkpoint("sdxl", channels=9))
    write(tmp_path / "files/狐狸.safetensors", kohya_lora("sd1"))
    invoke("models", "scan", str(tmp_path / "files"))

    ran = invoke("models")

    lines = ran.out.splitlines()
    assert lines[0].startswith("pocket                     checkpoint   sd1 ")
    own = [line for line in lines if not line.startswith("pocket")]
    assert own[0].split() == ["longlonglonglonglonglongl…", "checkpoint", "sdxl", "inpaint", "6.94", "GB"]
    assert own[1].startswith("狐狸                       lora         sd1 kohya")
    assert max(map(len, lines)) <= 80
    assert ran.status == 0


def test_json_may_stand_behind_the_command(invoke):
    behind = invoke("models", "show", "pocket", "--json")

    assert behind.records == invoke("--json", "models", "show", "pocket").records
    assert behind.records[0]["name"] == "pocket"


def test_a_list_of_some_kinds(invoke, lora):
    invoke("models", "add", str(lora))

    assert [r["name"] for r in invoke("--json", "models", "list", "lora").records] == ["pocket-ink", "fox"]
    assert [r["name"] for r in invoke("--json", "models", "list", "--kind", "lora").records] == ["pocket-ink", "fox"]
    ran = invoke("models", "list", "vae")
    assert (ran.out, ran.err, ran.status) == ("", "no such models are here\n", 0)
    wrong = invoke("models", "list", "loras")
    assert wrong.status == 2
    assert wrong.err.splitlines()[:3] == ["  models list loras", "              ^^^^^", "there is no kind loras"]


def test_every_record_of_the_list_has_the_same_keys(invoke, lora):
    invoke("models", "add", str(lora))

    records = invoke("--json", "models").records

    keys = "event name kind base variant format dtype bytes path hash key words origin"
    assert {tuple(r) for r in records} == {tuple(keys.split())}
    assert {r["event"] for r in records} == {"model"}


def test_show_says_base_and_trigger_words(invoke, lora):
    assert invoke("models", "add", str(lora)).out == (
        "fox is a LoRA for sdxl: pairs of small matrices named as kohya does; its\n"
        "  matrices read a width of 2048, as those of sdxl\n"
    )

    out = invoke("models", "show", "fox").out

    assert out.startswith("fox: lora, sdxl\n  variant     kohya\n  why         pairs of small matrices")
    assert "\n  words       sks, a dog\n  title       Fox \\u{1B}[31m\n  license     MIT\n" in out
    assert "\n  hash        not read yet; models verify fox does it\n" in out
    assert f"\n  path        {lora}\n" in out


def test_show_has_every_hash_that_is_known_and_any_other_on_request(invoke, lora):
    import hashlib

    invoke("models", "add", str(lora))
    invoke("models", "verify", "fox")

    out = invoke("models", "show", "fox").out
    for name in ("blake3", "sha256", "autov1", "autov3"):
        assert re.search(rf"^  {name:<11} [0-9a-f]{{64}}$", out, re.M)
    assert max(len(line) for line in out.splitlines() if "path" not in line and "why" not in line) <= 80
    ran = invoke("--json", "models", "show", "fox", "--hash", "md5", "--hash", "shake_128:4")
    content = lora.read_bytes()
    md5, shake = hashlib.md5(content).hexdigest(), hashlib.shake_128(content).hexdigest(4)
    assert ran.records[0]["hashes"].items() >= {"md5": md5, "shake_128:4": shake}.items()
    assert ran.records[0]["told"]["license"] == "MIT"
    assert invoke("models", "show", "pocket", "--hash", "md5").status == 3


def test_a_life(invoke, lora, tmp_path):
    (record,) = invoke("--json", "models", "add", str(lora), "--name", "reynard").records
    assert (record["name"], record["base"], record["words"]) == ("reynard", "sdxl", ["sks", "a dog"])
    assert invoke("models", "rename", "reynard", "vixen").out == "reynard is vixen now\n"
    assert invoke("models", "verify").out.splitlines()[-1] == "vixen                      is read for the first time"
    digits = invoke("--json", "models", "show", "vixen").records[0]["hash"].partition(":")[2]
    assert invoke("--json", "models", "show", digits[:6]).records[0]["key"] == record["key"]
    assert invoke("--json", "models", "show", record["key"]).records[0]["name"] == "vixen"
    ran = invoke("models", "remove", "vixen")
    assert ran.err == f"vixen is out of the catalogue; its file stays at {lora}\n"
    assert invoke("models", "show", "vixen").status == 3


def test_verify_ends_with_1_when_a_model_is_not_what_it_was(invoke, lora):
    invoke("models", "add", str(lora))
    invoke("models", "verify", "fox")
    write(lora, kohya_lora("sd1"))

    ran = invoke("--json", "models", "verify", "fox")

    assert (ran.status, ran.records[0]["verdict"], ran.records[0]["base"]) == (1, "changed", "sd1")
    lora.unlink()
    gone = invoke("models", "verify", "fox")
    assert (gone.status, gone.out) == (1, "fox                        is no longer there\n")


def test_a_scan_says_what_it_found_and_what_it_left(invoke, tmp_path):
    root = tmp_path / "ComfyUI/models"
    list(many_files(root, 20))
    for n in range(3):
        (root / f"{n}.ckpt").write_bytes(b"PK\x03\x04")
    (root / "page.safetensors").write_bytes(b"<html>" + b" " * 99)

    ran = invoke("models", "scan", str(root))

    assert ran.out.splitlines() == [
        f"{root}: 24 files, 20 new",
        "  17 lora, 3 checkpoint",
        "  3 pickles are left out, which could run any program; this makes each safe:",
        f"    models convert {root}/0.ckpt",
        f"  {root}/page.safetensors",
        "    is a web page: the site wanted a login, or the link was not to the file:",
        "    download it again",
    ]
    (root / "loras/set2/lora-0-0002.safetensors").unlink()
    again = invoke("--json", "models", "scan")  # the folders of before
    (record,) = again.records
    assert (record["folder"], record["files"], record["same"], record["new"]) == (str(root), 23, 19, [])
    assert record["gone"] == [f"{root}/loras/set2/lora-0-0002.safetensors"]
    assert len(record["refused"]) == 4


def test_many_refused_files_are_counted(invoke, tmp_path):
    for n in range(30):
        write(tmp_path / f"files/{n}.safetensors", {"x": (n,)})

    ran = invoke("models", "scan", str(tmp_path / "files"))

    assert ran.out.count(" is unknown: ") == 10
    assert ran.out.endswith("  … and 20 more; --json tells all\n")


def test_a_pickle_says_how_to_convert_it(invoke, tmp_path):
    path = tmp_path / "old.ckpt"
    path.write_bytes(b"PK\x03\x04" + b"x" * 100)

    ran = invoke("models", "add", str(path))

    assert (ran.status, ran.err) == (
        3,
        f"{path} is a pickle, which could run any program when it is opened\n"
        f"  models convert {path} makes a safetensors file of it\n",
    )


def test_what_convert_did_is_said_before_what_it_cannot_tell(invoke, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "odd.ckpt"
    torch.save({"a": torch.zeros(3)}, path)

    ran = invoke("models", "convert", str(path))

    assert ran.status == 3
    assert ran.err.splitlines()[:2] == [
        f"1 tensor is in {tmp_path}/odd.safetensors; {path} stays as it is",
        f"{tmp_path}/odd.safetensors is unknown: 1 tensor, a",
    ]
    assert invoke("models", "add", f"{tmp_path}/odd.safetensors", "--kind", "upscaler").status == 0


@pytest.mark.parametrize("action", ["show", "add", "remove", "scan", "convert"])
def test_an_action_that_lacks_its_word_says_how_it_is_used(invoke, action):
    ran = invoke("models", action)

    assert ran.status == 2
    assert f"models {action} needs to know what\n  as in: models {action} " in ran.err


def test_mistakes_of_a_line_are_told_before_anything_runs(invoke):
    ran = invoke("-c", "models lsit")
    assert (ran.status, ran.err.splitlines()[2:]) == (2, ["there is no action lsit", "  did you mean list?"])
    assert invoke("-c", "models show pocket --kind loras").status == 2


def test_a_file_may_not_change_the_catalogue_unless_it_is_trusted(invoke, lora, tmp_path):
    script = tmp_path / "a.invoke"
    script.write_text(f'models list\nmodels add "{lora}"\n')

    refused = invoke(str(script))

    assert refused.status == 2
    assert "models add changes the catalogue, which a file may only with --trust" in refused.err
    assert invoke("--trust", str(script)).status == 0


def test_a_line_uses_what_was_added(invoke, tmp_path):
    from test_probe import pipeline

    invoke("models", "add", str(pipeline(tmp_path / "files/dream")))

    ran = invoke("-c", "explain txt2img x --model dream")

    assert ran.status == 0, ran.err
    assert "model dream@" in ran.out


def test_a_read_only_catalogue_is_said_and_used(invoke, tmp_path, lora):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/catalogue.db").mkdir()

    ran = invoke("models", "add", str(lora))

    assert ran.status == 0
    assert "catalogue.db cannot be written (is a directory); the catalogue of models is kept in memory only" in ran.err


def test_two_thousand_models_are_listed_quickly(invoke, tmp_path):
    rows = Rows(tmp_path / "home/catalogue.db")
    some = [
        Entry(name=f"fox-{n}", path=tmp_path / f"{n}", stamp=str(n), origin="scanned",
              finding=Finding(kind="lora", base="sdxl", reason="because", words=("a", "b"), told={"title": "Fox"}))
        for n in range(2000)
    ]  # fmt: skip
    rows.put(some)
    invoke("models", "list", "vae")

    start = time.process_time()
    ran = invoke("models")
    spent = time.process_time() - start

    assert sum(line.startswith("fox-") for line in ran.out.splitlines()) == 2000
    assert spent < 0.6  # with start-up, on a busy machine; benchmarks/models.py measures it


def test_doctor_counts_the_models_and_names_those_whose_files_are_gone(invoke, lora):
    invoke("models", "add", str(lora))
    assert re.search(r"^models     .*\b2 lora\b", invoke("doctor").out, re.M)

    lora.unlink()

    assert f"! fox is no longer at {lora}" in invoke("doctor").out


def test_the_beginning_of_a_name_is_enough_for_a_hint(invoke, tmp_path):
    for name in ("vae-ft-mse-840000", "fox-style", "fox-night"):
        invoke("models", "add", str(write(tmp_path / f"{name}.safetensors", kohya_lora("sd1"))))

    assert invoke("models", "show", "vae-ft").err.endswith("\n  did you mean vae-ft-mse-840000?\n")
    assert invoke("models", "show", "NIGHT").err.endswith("\n  did you mean fox-night?\n")
    assert invoke("models", "show", "fox").err.endswith("\n  did you mean fox-night or fox-style?\n")
    assert "there is: " in invoke("models", "show", "o").err


# -- other programs' folders -----------------------------------------------------------------------------------------


def test_folders_of_other_programs_are_found_by_name(tmp_path):
    for name in ("ComfyUI/models/vae", "ai/stable-diffusion-webui/models", ".cache/huggingface/hub/x", "pictures"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.safetensors").touch()
    (tmp_path / "Fooocus/models").mkdir(parents=True)  # installed, and without models
    (tmp_path / "Documents").symlink_to(tmp_path)  # the same ComfyUI a second time

    assert list(known_folders(tmp_path, {})) == [
        ("AUTOMATIC1111", tmp_path / "ai/stable-diffusion-webui"),
        ("ComfyUI", tmp_path / "ComfyUI/models"),
        ("Hugging Face", tmp_path / ".cache/huggingface/hub"),
    ]


def test_folders_may_be_named_by_variables(tmp_path):
    for name in ("a/models", "b/hub"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.ckpt").touch()

    found = known_folders(tmp_path, {"INVOKEAI_ROOT": str(tmp_path / "a"), "HF_HOME": str(tmp_path / "b")})

    assert list(found) == [("InvokeAI", tmp_path / "a/models"), ("Hugging Face", tmp_path / "b/hub")]


def test_the_offer_is_made_once_and_its_line_works(invoke, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "ComfyUI/models/loras/fox.safetensors", kohya_lora("sd1"))
    write(tmp_path / "sd/SwarmUI/Models/a b.safetensors", kohya_lora("sdxl"))
    here = Catalogue(path=tmp_path / "home/catalogue.db")

    said = offer(here, tmp_path, {})

    assert said == (
        "found models of ComfyUI and SwarmUI; to use them where they lie:\n"
        "  models scan ~/ComfyUI/models ~/sd/SwarmUI/Models"
    )
    assert offer(here, tmp_path, {}) == ""
    ran = invoke("-c", said.splitlines()[1].strip())
    assert ran.status == 0, ran.err
    assert {r["name"] for r in invoke("--json", "models", "list", "lora").records} == {"fox", "a-b", "pocket-ink"}


def test_there_is_no_offer_where_there_is_nothing(tmp_path):
    here = Catalogue(path=tmp_path / "catalogue.db")

    assert offer(here, tmp_path, {}) == ""
    (tmp_path / "Fooocus/models").mkdir(parents=True)
    assert offer(here, tmp_path, {}) == ""
    (tmp_path / "Fooocus/models/fox.safetensors").touch()
    assert offer(here, tmp_path, {}).startswith("found models of Fooocus; ")


def test_a_lora_for_another_family_is_told_before_anything_runs(invoke, lora):
    invoke("models", "add", str(lora))

    ran = invoke("-c", "txt2img a --lora fox:0.5")

    assert ran.status == 2
    assert ran.err.splitlines() == [
        "  txt2img a --lora fox:0.5",
        "                   ^^^^^^^",
        "the lora fox is for sdxl, and the model pocket is of sd1",
    ]


def test_a_vae_for_several_families_fits_each(invoke, tmp_path):
    from model_files import vae

    for name, channels in (("four", 4), ("sixteen", 16)):
        invoke("models", "add", str(write(tmp_path / f"{name}.safetensors", vae(channels))))

    assert invoke("-c", "explain txt2img a --vae four").status == 0
    ran = invoke("-c", "explain txt2img a --vae sixteen")
    assert "the vae sixteen is for sd3/flux, and the model pocket is of sd1" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", ""], ['there is no model ""']),
        (["list", "loras"], ["there is no kind loras", "  did you mean lora?"]),
        (["rename", "fox"], ["models rename takes a model and its new name", "  as in: models rename fox vixen"]),
        (["rename", "fox", "a", "b"], ["models rename takes a model and its new name"]),
        (["add", "civitai:12"], ["civitai:12 is not at Hugging Face, the one site asked here"]),
    ],
)
def test_words_that_cannot_be_meant_are_a_sentence(invoke, lora, words, said):
    invoke("models", "add", str(lora))

    ran = invoke("models", *words)

    assert ran.status in (2, 3)
    assert [line for line in ran.err.splitlines() if line in said] == said


def test_names_that_begin_alike_are_all_offered(invoke, tmp_path):
    for name in ("ink-line", "ink-wash"):
        invoke("models", "add", str(write(tmp_path / f"{name}.safetensors", kohya_lora("sd1"))))

    assert invoke("models", "show", "ink").err.splitlines()[1] == "  did you mean ink-line or ink-wash?"


def test_what_a_file_is_beats_what_it_is_called(invoke, tmp_path):
    path = write(tmp_path / "fox.safetensors", checkpoint("sd1"))

    ran = invoke("models", "add", str(path), "--kind", "lora")

    assert ran.err.splitlines() == [f"{path} is a model that draws, not a LoRA", f"  it is given as --model {path}"]
    assert "fox" not in invoke("models").out


def test_a_model_whose_file_is_gone_is_shown_and_removed_so(invoke, lora):
    invoke("models", "add", str(lora))
    lora.unlink()

    assert "nothing is there any more: models scan its new folder" in invoke("models", "show", "fox").out
    assert invoke("models", "remove", "fox").err == "fox is out of the catalogue\n"


def test_a_reader_that_leaves_early_is_no_fault(tmp_path):
    command = [sys.executable, "-m", "invoke_shell", "--home", str(tmp_path / "home"), "models", "show", "pocket"]
    reading, writing = os.pipe()
    os.close(reading)

    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_damaged_catalogue_is_told_by_the_first_line_that_meets_it(invoke, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalogue.db").write_bytes(b"no database")

    ran = invoke("-c", "txt2img x --seed 1 --model fox")

    assert ran.status == 3
    assert f"{home / 'catalogue.db'} is damaged; it was set aside as catalogue.db.damaged-" in ran.err
    assert "damaged" not in invoke("-c", "txt2img x --seed 1 --model fox").err
