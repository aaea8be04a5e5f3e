"""The model folder: a genuine Stable Diffusion folder that plain diffusers and transformers read."""

import json
from pathlib import Path

import pytest

import invoke_shell
from training.pocket.scene import vocabulary
from training.pocket.tokenizer import write_tokenizer

FOLDER = Path(invoke_shell.__file__).parent / "assets" / "pocket"
needs_folder = pytest.mark.skipif(not (FOLDER / "model_index.json").exists(), reason="no model folder in this checkout")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def test_every_word_is_one_token_and_comes_back(tokenizer):
    for word in vocabulary():
        assert len(tokenizer.tokenize(word)) == 1
        assert tokenizer.decode(tokenizer(word).input_ids, skip_special_tokens=True).strip() == word


@pytest.mark.parametrize("text", ["cathedral", "日本", "🎈", "weird-unseen_wörds", "starboard"])
def test_unknown_text_falls_to_bytes_and_comes_back(tokenizer, text):
    ids = tokenizer(text).input_ids

    assert tokenizer.unk_token_id not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == text


def test_long_text_is_cut_at_77(tokenizer):
    assert len(tokenizer("red " * 200, truncation=True).input_ids) == 77


@needs_folder
def test_folder_carries_the_tokenizer_and_the_vocabulary_of_the_draughtsman(tokenizer):
    assert json.loads((FOLDER / "tokenizer" / "vocab.json").read_text("utf-8")) == tokenizer.get_vocab()
    assert json.loads((FOLDER / "vocabulary.json").read_text())["words"] == vocabulary()


@needs_folder
def test_folder_keeps_to_its_size():
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]

    assert max(sizes) <= 16_000_000
    assert sum(sizes) <= 24_000_000


@needs_folder
def test_text_encoder_and_tokenizer_agree_on_the_end_of_a_text():
    from transformers import CLIPTextConfig, CLIPTokenizer

    tokens = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer")
    config = CLIPTextConfig.from_pretrained(FOLDER / "text_encoder")

    assert config.vocab_size == len(tokens)
    assert config.eos_token_id == tokens.eos_token_id == len(tokens) - 1


@needs_folder
def test_folder_draws_with_plain_diffusers():
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(FOLDER, safety_checker=None, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    asked = {"num_inference_steps": 10, "guidance_scale": 5, "generator": torch.Generator().manual_seed(1)}

    drawn = pipe("a red boat on a green sea", output_type="pt", **asked).images

    assert pipe.unet.dtype == pipe.vae.dtype == pipe.text_encoder.dtype == torch.float32
    assert drawn.shape == (1, 3, 128, 128)
    red, green, blue = drawn[0, :, -24:, :].mean((1, 2))  # the lower edge is sea
    assert green > red
    assert green > blue
