"""The models of another program's picture are found in this home: by hash whatever they are called, else by name."""

import pytest
from model_files import kohya_lora, write
from PIL import Image, PngImagePlugin

DENOISER = {
    "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
    "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 768),
}
TEXT = "a red boat{}\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 64x64, {}"


@pytest.fixture
def shown(invoke, tmp_path):
    """What a home's hashes are: the model `mine` and the LoRA `style`, both read."""
    invoke("models", "add", str(write(tmp_path / "files/mine.safetensors", DENOISER)))
    invoke("models", "add", str(write(tmp_path / "files/style.safetensors", kohya_lora("sd1"))))
    invoke("models", "verify")
    return {n: invoke("--json", "models", "show", n).records[0] for n in ("mine", "style")}


@pytest.fixture
def picture(tmp_path):
    """A picture as AUTOMATIC1111 writes it: `picture("Model hash: ...")`; more is put into the prompt."""

    def made(details, more=""):
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", TEXT.format(more, details))
        Image.new("RGB", (64, 64), "red").save(tmp_path / "theirs.png", pnginfo=info)
        return str(tmp_path / "theirs.png")

    return made


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 10), ("sha256", 64), ("autov1", 8)])
def test_a_model_is_found_by_its_hash_under_another_name(invoke, shown, picture, algorithm, length):
    digits = shown["mine"]["hashes"][algorithm][:length]

    ran = invoke("recall", picture(f"Model hash: {digits}, Model: theirs"))

    name = f"mine@{shown['mine']['hash'].partition(':')[2][:6]}"
    assert f" --model {name}" in ran.out
    assert "there is no" not in ran.out + ran.err


def test_a_replay_runs_that_model(invoke, shown, picture):
    digits = shown["mine"]["hashes"]["sha256"][:10]

    ran = invoke("--json", "replay", picture(f"Model hash: {digits}, Model: theirs"))

    (result,) = [r for r in ran.records if r["event"] == "result"]
    assert f"--model mine@{shown['mine']['hash'].partition(':')[2][:6]}" in result["command"]


def test_a_lora_is_found_by_its_autov3(invoke, shown, picture):
    digits = shown["style"]["hashes"]["autov3"][:12]

    ran = invoke("recall", picture(f'Model hash: 0123456789, Lora hashes: "theirs: {digits}"', " <lora:theirs:0.8>"))

    assert f"--lora style@{shown['style']['hash'].partition(':')[2][:6]}:0.8" in ran.out


def test_a_name_is_found_as_it_is_written_here_and_another_content_is_said(invoke, shown, picture):
    ran = invoke("--json", "info", picture("Model hash: 0123456789, Model: Mine"))

    (record,) = ran.records
    assert "--model mine " in record["command"] + " "
    assert "mine here is another file than the picture's, which had autov2 0123456789" in ran.out


def test_a_model_that_is_not_here_is_missing_and_unread_ones_may_be_it(invoke, shown, picture, tmp_path):
    invoke("models", "add", str(write(tmp_path / "files/unread.safetensors", {**DENOISER, "model_ema.x": (1,)})))

    ran = invoke("--json", "info", picture("Model hash: 0123456789, Model: theirs"))

    assert "there is no model theirs here" in ran.out
    assert "1 model here was never read, and may be it: models verify reads them" in ran.out


def test_a_hash_alone_is_enough(invoke, shown, picture):
    digits = shown["mine"]["hashes"]["sha256"][:10]

    ran = invoke("--json", "info", picture(f"Model hash: {digits}"))

    assert f"--model mine@{shown['mine']['hash'].partition(':')[2][:6]}" in ran.records[0]["command"]
    assert "known by its hash alone" not in ran.out
