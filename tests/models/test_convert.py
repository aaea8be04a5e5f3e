"""Pickles to safetensors: the weights come through, nothing that a pickle asks for is done, both hashes are kept."""

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import pytest
import torch
from blake3 import blake3
from safetensors import safe_open
from safetensors.torch import load_file
from test_catalogue import message, opened

from invoke_shell.errors import BlockedError, OutputError
from invoke_shell.models.convert import convert
from invoke_shell.runtime.convert import Refused, main, read_pickle, weights

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")

WEIGHTS = {"body.0.weight": torch.randn(8, 3, 3, 3), "body.1.weight": torch.full((8,), 0.25, dtype=torch.float16)}


class Runs:
    """A pickle of this runs a command when it is opened."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def foreign():
    """A class of a library that is not installed when the file is read."""
    module = ModuleType("trainer_callbacks")
    source = "class Checkpoint:\n    def __init__(self, n):\n        self.n = n\n"
    exec(source, module.__dict__)
    sys.modules["trainer_callbacks"] = module
    yield module.Checkpoint
    sys.modules.pop("trainer_callbacks", None)


def saved(path, value, **options):
    torch.save(value, path, **options)
    return path


def read(path):
    loaded, _ = read_pickle(path)
    return weights(loaded)


def same(found, wanted):
    return found.keys() == wanted.keys() and all(
        torch.equal(found[n], wanted[n]) and found[n].dtype == wanted[n].dtype for n in wanted
    )


# -- what is in them -------------------------------------------------------------------------------------------------

NESTED = [
    WEIGHTS,
    {"state_dict": WEIGHTS, "global_step": 470000, "epoch": 3},
    {"params": {"x": torch.zeros(2)}, "params_ema": WEIGHTS},
    {"model": OrderedDict(WEIGHTS), "optimizer": {"state": {0: torch.zeros(3)}}},
    {"state_dict": {"no": 1}, **WEIGHTS},
]


@pytest.mark.parametrize("value", NESTED)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_found_where_trainers_put_them(tmp_path, value, zipped):
    path = saved(tmp_path / "x.ckpt", value, _use_new_zipfile_serialization=zipped)

    assert same(read(path), WEIGHTS)


def test_inner_dictionaries_become_names_with_dots(tmp_path):
    adapter = {"image_proj": {"norm.weight": torch.ones(4)}, "ip_adapter": {"1.to_k_ip.weight": torch.ones(2, 2)}}

    found = read(saved(tmp_path / "ip.bin", adapter))

    assert set(found) == {"image_proj.norm.weight", "ip_adapter.1.to_k_ip.weight"}


def test_a_textual_inversion(tmp_path):
    inner = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.ones(2, 768))})
    plain = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 768)}, "name": "fox"}

    for value in (plain, {**plain, "string_to_param": inner}):
        assert same(read(saved(tmp_path / "fox.pt", value)), {"emb_params": torch.ones(2, 768)})


def test_a_network_that_was_pickled_whole(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))

    found = read(saved(tmp_path / "x.pth", network))

    assert same(found, dict(network.state_dict()))


def test_tensors_that_share_memory_are_taken_apart(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    path = saved(tmp_path / "x.pt", {"a": whole, "b": whole, "row": whole[1], "turned": whole.T})

    assert main([str(path), str(tmp_path / "x.safetensors")]) == 0

    found = load_file(tmp_path / "x.safetensors")
    assert same(found, {"a": whole, "b": whole, "row": whole[1], "turned": whole.T})


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], {"state_dict": {}}])
def test_a_pickle_without_weights(tmp_path, value):
    with pytest.raises(Refused, match="has no weights in it"):
        read(saved(tmp_path / "x.pt", value))


# -- what they ask for -----------------------------------------------------------------------------------------------


def test_foreign_classes_are_named_and_left_out(tmp_path, foreign):
    path = saved(tmp_path / "x.ckpt", {"state_dict": WEIGHTS, "callbacks": {foreign: foreign(3), "list": [foreign(4)]}})
    del sys.modules["trainer_callbacks"]

    loaded, names = read_pickle(path)

    assert same(weights(loaded), WEIGHTS)
    assert names == {"trainer_callbacks.Checkpoint"}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_command_in_a_pickle_is_not_run(tmp_path, zipped):
    marker = tmp_path / "marker"
    value = {"state_dict": WEIGHTS, "hook": Runs(f"touch {marker}")}
    path = saved(tmp_path / "x.ckpt", value, _use_new_zipfile_serialization=zipped)

    loaded, names = read_pickle(path)

    assert same(weights(loaded), WEIGHTS)
    assert names == {"posix.system"}
    assert not marker.exists()


HOSTILE = [
    b"cos\nsystem\n(S'touch marker'\ntR.",
    b'c__builtin__\neval\n(S\'open("marker", "w")\'\ntR.',
    b"(S'touch marker'\nios\nsystem\n.",
    b"csubprocess\nPopen\n((S'touch'\nS'marker'\nltR.",
    pickle.dumps(Runs("touch marker"), protocol=4),
    b"\x80\x02\x82\x01.",  # an extension by number
    b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame of exabytes
    b"\x80\x02" + b"(" * 100_000 + b".",
    b"\x80\x02ccollections\nOrderedDict\n)R}(X\x01\x00\x00\x00aK\x01ub.",
]


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_pickles(tmp_path, monkeypatch, content, zipped):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ckpt"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3")
    else:
        path.write_bytes(content)

    with pytest.raises(Refused):
        read(path)

    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]


def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "x.pt")

    with pytest.raises(Refused, match="is a program"):
        read(tmp_path / "x.pt")


def test_any_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("a.txt", "words")

    with pytest.raises(Refused, match="is an archive without weights"):
        read(tmp_path / "x.pt")


def test_sparse_tensors_are_refused(tmp_path):
    with pytest.raises(Refused, match="cannot be converted"):
        read(saved(tmp_path / "x.pt", {"a": torch.eye(3).to_sparse()}))


# -- the whole way, in a process of its own --------------------------------------------------------------------------


def test_models_convert(tmp_path):
    from model_files import compact

    marker = tmp_path / "marker"
    shapes = compact(2, depth=1)
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    value = {"params": state, "global_step": 7, "hook": Runs(f"touch {marker}")}
    path = saved(tmp_path / "sharp.pth", value)
    here = opened(tmp_path / "home")

    done, original = here.convert(path)
    entry = here.hash(here.add(done.path, original=original))

    assert (done.path, done.tensors) == (tmp_path / "sharp.safetensors", len(state))
    assert done.left_out == ("posix.system",)
    assert not marker.exists()
    assert same(load_file(done.path), state)
    with safe_open(done.path, "pt") as file:
        assert file.metadata() == {"format": "pt", "global_step": "7"}
    assert (entry.kind, entry.finding.variant, entry.name) == ("upscaler", "compact x2", "sharp")
    before = blake3(path.read_bytes()).hexdigest()
    assert entry.original["name"] == "sharp.pth"
    assert entry.original["blake3"] == before
    assert entry.hash == "blake3:" + blake3(done.path.read_bytes()).hexdigest()
    assert opened(tmp_path / "home").by_hash(before, "upscaler").name == "sharp"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "sharp.pth", "sharp.safetensors"]

    taken = message(here.convert, path)
    assert taken == f"{tmp_path}/sharp.safetensors is there already\n  give another name with --output"


def test_what_the_child_refuses_is_a_sentence_and_leaves_nothing(tmp_path):
    path = saved(tmp_path / "x.ckpt", {"a": 1})

    with pytest.raises(BlockedError) as caught:
        convert(path)

    assert str(caught.value) == f"{path} has no weights in it"
    assert list(tmp_path.iterdir()) == [path]


def test_a_child_that_dies_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("invoke_shell.models.convert.CHILD", "antigravity_that_is_not_there")
    path = saved(tmp_path / "x.ckpt", WEIGHTS)

    with pytest.raises(BlockedError, match="the process that read it ended with status 1"):
        convert(path)


def test_what_is_no_pickle_is_not_converted(tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_text("words")

    assert message(convert, path) == f"{path} is no pickle, so there is nothing to convert\n  models add {path}"
    assert "there is no model at" in message(convert, tmp_path / "gone.ckpt")


def test_where_it_is_written_to(tmp_path):
    path = saved(tmp_path / "x.ckpt", WEIGHTS)

    assert message(convert, path, tmp_path / "x.bin") == f"{tmp_path}/x.bin must end in .safetensors"
    (tmp_path / "there").mkdir()
    (tmp_path / "there/x.safetensors").touch()
    assert "there/x.safetensors is there already" in message(convert, path, tmp_path / "there")


def test_this_process_needs_no_torch_to_convert():
    code = "import sys, invoke_shell.models.convert; print('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
    assert Path(sys.executable).exists()


def test_who_may_read_the_pickle_may_read_what_was_made_of_it(tmp_path):
    path = saved(tmp_path / "x.ckpt", WEIGHTS)
    path.chmod(0o644)

    assert convert(path).path.stat().st_mode & 0o777 == 0o644


def test_folders_are_neither_converted_nor_made(tmp_path):
    path = saved(tmp_path / "x.ckpt", WEIGHTS)

    assert message(convert, tmp_path) == f"{tmp_path} is a folder; one file is converted at a time"
    with pytest.raises(OutputError, match=f"^there is no folder {tmp_path}/none"):
        convert(path, tmp_path / "none/x.safetensors")
