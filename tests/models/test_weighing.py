"""One model in two layouts: `models verify` says so, and a picture of the one is made again with the other."""

import pytest
import torch
from models_single import single_file
from models_small import small_sd1

from invoke_shell.models.catalogue import Catalogue
from invoke_shell.models.weighing import alike, same_model, twins, weigh


@pytest.fixture
def folder(tmp_path):
    return small_sd1(tmp_path / "files/dream")


def test_verify_says_which_models_are_the_same(invoke, folder, tmp_path):
    for name, dtype in (("whole", torch.float32), ("half", torch.float16)):
        invoke("models", "add", str(single_file(folder, tmp_path / f"{name}.safetensors", dtype)))
    invoke("models", "add", str(folder))

    lines = invoke("models", "verify").out.splitlines()

    assert [" ".join(line.split()) for line in lines if line.startswith(("dream", "half", "whole"))] == [
        "dream is read for the first time",
        "half is read for the first time; the same weights as dream (as far as float16 tells)",
        "whole is read for the first time; the same weights as dream, half (as far as float16 tells)",
    ]
    (record,) = invoke("--json", "models", "verify", "dream").records
    assert record["same_weights"] == {"half": "half", "whole": "exact"}
    (shown,) = invoke("--json", "models", "show", "dream").records
    assert shown["weights"]["denoiser.exact"].startswith("weights:")


def test_a_fine_tune_is_another_model(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    tuned = single_file(folder, tmp_path / "tuned.safetensors")
    tensors = load_file(tuned)
    next(t for name, t in sorted(tensors.items()) if name.startswith("model.diffusion")).view(-1)[0] += 1
    save_file(tensors, tuned)
    here = Catalogue()

    entries = [weigh(here, here.add(path)) for path in (folder, tuned)]

    assert all(entry.weights for entry in entries)
    assert [twins(here, entry) for entry in entries] == [{}, {}]


def test_a_picture_is_made_again_with_the_same_model_in_another_layout(invoke, folder, tmp_path):
    single = single_file(folder, tmp_path / "single.safetensors", torch.float16)
    invoke("models", "add", str(single))
    invoke("models", "verify")
    (made,) = invoke("--json", "-c", "txt2img a --model single --seed 1").records
    invoke("models", "remove", "single")
    assert invoke("replay", made["path"]).status == 3
    invoke("models", "add", str(folder))
    invoke("models", "verify", "dream")

    again = invoke("replay", made["path"])

    assert again.status == 0
    assert "another file with the same numbers as far as float16 tells" in again.err


def test_what_is_not_known_is_not_the_same():
    here = Catalogue()
    record = here.find("pocket")

    assert alike({}, {}) == ""
    assert alike({"weights": "1", "weights-half": "2"}, {"weights": "3", "weights-half": "2"}) == "half"
    assert same_model(here, record) is None  # nobody compared its weights
