"""Weights identity: one model is itself in every layout and precision, and another is another."""

import struct

import pytest
import torch
from blake3 import blake3
from models_single import single_file
from models_small import small_sd1, small_sd2, small_sdxl
from safetensors.torch import load_file, save_file

from invoke_shell.models.identity import identities, likeness, to_texts

MAKERS = {"sd1": small_sd1, "sd2": small_sd2, "sdxl": small_sdxl}
PARTS = {
    "sd1": {"denoiser", "text_encoder", "vae"},
    "sd2": {"denoiser", "text_encoder", "vae"},
    "sdxl": {"denoiser", "text_encoder", "text_encoder_2", "vae"},
}


@pytest.fixture(params=MAKERS)
def folder(request, tmp_path):
    """A model as a folder; its name is the family."""
    return MAKERS[request.param](tmp_path / request.param)


def likenesses(one, other):
    one, other = identities(one), identities(other)
    assert one.keys() == other.keys()
    return {part: likeness(one[part], other[part]) for part in one}


def change(path, name_has, by):
    """Another number in the first tensor whose name has this."""
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if name_has in n)
    tensors[name].view(-1)[0] += by
    save_file(tensors, path)


def test_folder_and_single_file_are_the_same(folder, tmp_path):
    found = likenesses(folder, single_file(folder, tmp_path / "one.safetensors"))

    assert found == dict.fromkeys(PARTS[folder.name], "exact")


def test_half_precision_is_the_same_at_half(folder, tmp_path):
    found = likenesses(folder, single_file(folder, tmp_path / "one.safetensors", torch.float16))

    assert found == dict.fromkeys(PARTS[folder.name], "half")


def test_half_precision_and_its_copy_in_float32_are_the_same(folder, tmp_path):
    half = single_file(folder, tmp_path / "half.safetensors", torch.float16)
    full = tmp_path / "full.safetensors"
    save_file({name: tensor.float() for name, tensor in load_file(half).items()}, full)

    assert set(likenesses(half, full).values()) == {"exact"}


def test_fine_tune_is_another_denoiser_and_the_rest_is_the_same(folder, tmp_path):
    path = single_file(folder, tmp_path / "one.safetensors")
    change(path, "model.diffusion_model.", 0.01)

    found = likenesses(folder, path)

    assert found == {**dict.fromkeys(PARTS[folder.name], "exact"), "denoiser": "other"}


def test_another_vae_is_said_apart(folder, tmp_path):
    path = single_file(folder, tmp_path / "one.safetensors")
    change(path, "first_stage_model.", 0.01)

    assert likenesses(folder, path)["vae"] == "other"
    assert likenesses(folder, path)["denoiser"] == "exact"


def test_rows_that_changed_places_between_values_are_seen(tmp_path):
    """Rows may be reordered, their numbers may not: a transposed matrix is another."""
    matrix = torch.arange(12.0).reshape(3, 4)

    assert one_part(tmp_path, {"a": matrix}) == one_part(tmp_path, {"b": matrix[[2, 0, 1]]})
    assert one_part(tmp_path, {"a": matrix}) != one_part(tmp_path, {"a": matrix.T.contiguous()})


def test_fused_and_split_matrices_are_the_same(tmp_path):
    q, k = torch.randn(4, 6), torch.randn(2, 6)

    assert one_part(tmp_path, {"q": q, "k": k}) == one_part(tmp_path, {"qk": torch.cat([q, k])})
    assert one_part(tmp_path, {"q": q}) == one_part(tmp_path, {"q": q[:, :, None, None]})


def test_a_number_twice_is_not_a_number_once(tmp_path):
    assert one_part(tmp_path, {"a": torch.ones(2)}) != one_part(tmp_path, {"a": torch.ones(3)})


def one_part(folder, tensors):
    path = folder / "part.safetensors"
    save_file({f"model.diffusion_model.{name}": tensor for name, tensor in tensors.items()}, path)
    return identities(path)["denoiser"]


def test_what_is_no_weight_does_not_count(folder, tmp_path):
    path = single_file(folder, tmp_path / "one.safetensors")
    before = identities(path)
    prefix = "conditioner.embedders.0.transformer" if folder.name == "sdxl" else "cond_stage_model.transformer"
    extra = {
        "model_ema.diffusion_modelinput_blocks00weight": torch.ones(3),
        "alphas_cumprod": torch.ones(1000),
        f"{prefix}.text_model.embeddings.position_ids": torch.arange(77),
        "first_stage_model.loss.logvar": torch.zeros(1),
    }
    save_file({**load_file(path), **extra}, path)

    assert identities(path) == before


def test_openclips_last_layer_does_not_count_in_stable_diffusion_2(tmp_path):
    path = single_file(small_sd2(tmp_path / "sd2"), tmp_path / "one.safetensors")
    before = identities(path)
    unused = {"transformer.resblocks.23.ln_1.weight": torch.ones(4), "text_projection": torch.ones(4, 4)}
    save_file({**load_file(path), **{f"cond_stage_model.model.{n}": t for n, t in unused.items()}}, path)

    assert identities(path) == before


def test_quantised_part_has_no_identity(folder, tmp_path):
    path = single_file(folder, tmp_path / "one.safetensors")
    tensors = load_file(path)
    name = next(n for n in tensors if n.startswith("model.diffusion_model."))
    save_file({**tensors, name: tensors[name].to(torch.float8_e4m3fn)}, path)

    found = identities(path)

    assert "denoiser" not in found
    assert likeness(found.get("denoiser"), identities(folder)["denoiser"]) == "unknown"


def test_a_vector_of_millions_is_not_waited_for(tmp_path):
    path = tmp_path / "long.safetensors"
    save_file({"model.diffusion_model.x": torch.zeros(3, 3), "first_stage_model.x": torch.zeros(2_000_000)}, path)

    assert set(identities(path)) == {"denoiser"}


def test_bfloat16_is_read(tmp_path):
    numbers = torch.randn(5, 3).bfloat16()

    assert one_part(tmp_path, {"a": numbers}) == one_part(tmp_path, {"a": numbers.float()})


def test_variant_files_beside_the_whole_ones_are_left_out(folder):
    before = identities(folder)
    for path in list(folder.glob("*/*.safetensors")):
        save_file({n: t.half() for n, t in load_file(path).items()}, path.with_suffix(".fp16.safetensors"))

    assert identities(folder) == before


def test_progress_ends_at_the_whole_and_may_stop(folder):
    told = []

    identities(folder, lambda done, total: told.append((done, total)))

    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 100_000

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        identities(folder, stop)


def test_blocks_do_not_show(folder, monkeypatch):
    before = identities(folder)

    monkeypatch.setattr("invoke_shell.models.identity.BLOCK", 100)

    assert identities(folder) == before


# Transformers: what diffusers' own converters fuse, split and swap


class Original(dict):
    """A checkpoint in its first layout whose tensors are made when the converter takes them; `all` keeps them."""

    def __init__(self, *blocks):
        super().__init__((name, None) for name in blocks)
        self.all = {}

    def pop(self, name, *default):
        super().pop(name, None)
        return self[name]

    def __getitem__(self, name):
        if name not in self.all:
            rows = 7 * 3072 if "linear1" in name else 12  # Flux' width stands in the converter
            shape = (1, 4, 2) if name == "pos_embed" else (rows, 2) if name.endswith("weight") else (rows,)
            self.all[name] = torch.randn(shape)
        return self.all[name]


@pytest.mark.parametrize(
    ("converter", "blocks"),
    [
        (
            "convert_sd3_transformer_checkpoint_to_diffusers",
            ["joint_blocks.0.x_block.attn2.ln_q.weight", "joint_blocks.1.x_block.attn.ln_q.weight", "joint_blocks.2.x"],
        ),
        (
            "convert_flux_transformer_checkpoint_to_diffusers",
            ["double_blocks.0.x", "double_blocks.1.x", "single_blocks.0.x", "guidance_in.in_layer.weight"],
        ),
    ],
    ids=["sd3", "flux"],
)
def test_transformer_is_the_same_in_both_layouts(tmp_path, converter, blocks):
    from diffusers.loaders import single_file_utils

    original = Original(*blocks)
    converted = getattr(single_file_utils, converter)(original)
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in original.all.items()}
    save_file(prefixed, tmp_path / "one.safetensors")
    (tmp_path / "folder" / "transformer").mkdir(parents=True)
    contiguous = {name: tensor.contiguous() for name, tensor in converted.items()}
    save_file(contiguous, tmp_path / "folder" / "transformer" / "diffusion_pytorch_model.safetensors")

    assert len(original.all) < len(converted)  # something was split
    assert likenesses(tmp_path / "folder", tmp_path / "one.safetensors") == {"denoiser": "exact"}


# The specification, written once more in the plainest way


def plainly(rows, kind):
    """The digest of rows of numbers, by docs/weights-identity.md."""
    letter = {"exact": "f", "half": "e"}[kind]
    digests = sorted(blake3(struct.pack(f"<{len(row)}{letter}", *(n + 0.0 for n in row))).digest() for row in rows)
    line = f"weights 1 {kind} {len(digests)} {sum(map(len, rows))}\n".encode()
    return "weights:" + blake3(line + b"".join(digests)).hexdigest()


VECTOR = {"w": [[1.0, -0.0, 0.5], [2.0, 3.0, 0.1]], "b": [0.25, -1.0]}


def test_vector_of_the_specification(tmp_path):
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "weights-identity.md").read_text(encoding="utf-8")

    found = one_part(tmp_path, {name: torch.tensor(values) for name, values in VECTOR.items()})

    single = [struct.unpack("<f", struct.pack("<f", n))[0] for n in VECTOR["w"][1]]
    rows = [VECTOR["w"][0], single, *([n] for n in VECTOR["b"])]
    assert (found.exact, found.half) == (plainly(rows, "exact"), plainly(rows, "half"))
    assert to_texts({"denoiser": found}) == {"denoiser.exact": found.exact, "denoiser.half": found.half}
    assert found.exact in page
    assert found.half in page
