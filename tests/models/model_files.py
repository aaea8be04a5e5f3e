"""Weight files of full size for tests: true names and shapes, no weights, so that they take no space on the disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

Shapes = dict[str, tuple[int, ...]]
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "U8": 1}


def write(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16", metadata: dict | None = None) -> Path:
    """A safetensors file of these tensors, sparse: zeros that are not stored."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return write_raw(path, json.dumps(header).encode(), at)


def write_raw(path: Path, header: bytes, size: int) -> Path:
    """A safetensors file with this header and `size` bytes of nothing behind it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return path


def under(prefix: str, shapes: Shapes) -> Shapes:
    """The same tensors below a prefix."""
    return {prefix + name: shape for name, shape in shapes.items()}


def numbers(shapes: Shapes) -> float:
    """Millions of parameters."""
    return sum(math.prod(shape) for shape in shapes.values()) / 1e6


def _linear(name: str, into: int, out: int, *, bias: bool = True, kernel: tuple[int, ...] = ()) -> Shapes:
    weight: Shapes = {f"{name}.weight": (out, into, *kernel)}
    return {**weight, f"{name}.bias": (out,)} if bias else weight


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


# -- the U-Net as the first Stable Diffusion named it ----------------------------------------------------------------


def unet(
    *, text: int, width: int = 320, levels=(1, 2, 4, 4), depths=(1, 1, 1, 0), middle: int = 1, label: int = 0,
    channels: int = 4, linear: bool = False,
) -> Shapes:  # fmt: skip
    """text: width of the text. depths: transformer blocks a level."""
    made = _UNet(text, width, linear)
    return made.build(levels, depths, middle, label, channels)


class _UNet:
    def __init__(self, text: int, width: int, linear: bool) -> None:
        self.text, self.width, self.linear = text, width, linear
        self.shapes: Shapes = {}

    def build(self, levels, depths, middle: int, label: int, channels: int) -> Shapes:
        w, s = self.width, self.shapes
        s |= _linear("time_embed.0", w, 4 * w) | _linear("time_embed.2", 4 * w, 4 * w)
        if label:
            s |= _linear("label_emb.0.0", label, 4 * w) | _linear("label_emb.0.2", 4 * w, 4 * w)
        s |= _linear("input_blocks.0.0", channels, w, kernel=(3, 3))
        skips, at, n = [w], w, 1
        for level, (times, depth) in enumerate(zip(levels, depths, strict=True)):
            for _ in range(2):
                at = self.block(f"input_blocks.{n}", at, w * times, depth)
                skips.append(at)
                n += 1
            if level < len(levels) - 1:
                s |= _linear(f"input_blocks.{n}.0.op", at, at, kernel=(3, 3))
                skips.append(at)
                n += 1
        self.residual("middle_block.0", at, at)
        self.transformer("middle_block.1", at, middle)
        self.residual("middle_block.2", at, at)
        n = 0
        for level, (times, depth) in reversed(list(enumerate(zip(levels, depths, strict=True)))):
            for i in range(3):
                at = self.block(f"output_blocks.{n}", at + skips.pop(), w * times, depth)
                if level and i == 2:
                    s |= _linear(f"output_blocks.{n}.{2 if depth else 1}.conv", at, at, kernel=(3, 3))
                n += 1
        return s | _norm("out.0", w) | _linear("out.2", w, 4, kernel=(3, 3))

    def block(self, name: str, into: int, out: int, depth: int) -> int:
        self.residual(f"{name}.0", into, out)
        if depth:
            self.transformer(f"{name}.1", out, depth)
        return out

    def residual(self, name: str, into: int, out: int) -> None:
        self.shapes |= _norm(f"{name}.in_layers.0", into) | _linear(f"{name}.in_layers.2", into, out, kernel=(3, 3))
        self.shapes |= _linear(f"{name}.emb_layers.1", 4 * self.width, out) | _norm(f"{name}.out_layers.0", out)
        self.shapes |= _linear(f"{name}.out_layers.3", out, out, kernel=(3, 3))
        if into != out:
            self.shapes |= _linear(f"{name}.skip_connection", into, out, kernel=(1, 1))

    def transformer(self, name: str, w: int, depth: int) -> None:
        kernel = () if self.linear else (1, 1)
        self.shapes |= _norm(f"{name}.norm", w) | _linear(f"{name}.proj_in", w, w, kernel=kernel)
        for d in range(depth):
            block = f"{name}.transformer_blocks.{d}"
            for attention, context in (("attn1", w), ("attn2", self.text)):
                self.shapes |= _linear(f"{block}.{attention}.to_q", w, w, bias=False)
                for to in ("to_k", "to_v"):
                    self.shapes |= _linear(f"{block}.{attention}.{to}", context, w, bias=False)
                self.shapes |= _linear(f"{block}.{attention}.to_out.0", w, w)
            self.shapes |= _linear(f"{block}.ff.net.0.proj", w, 8 * w) | _linear(f"{block}.ff.net.2", 4 * w, w)
            for k in (1, 2, 3):
                self.shapes |= _norm(f"{block}.norm{k}", w)
        self.shapes |= _linear(f"{name}.proj_out", w, w, kernel=kernel)


UNETS: dict[str, dict] = {
    "sd1": {"text": 768},
    "sd2": {"text": 1024, "linear": True},
    "sdxl": {"text": 2048, "levels": (1, 2, 4), "depths": (0, 2, 10), "middle": 10, "label": 2816, "linear": True},
    "refiner": {
        "text": 1280, "width": 384, "depths": (0, 4, 4, 0), "middle": 4, "label": 2560, "linear": True,
    },
}  # fmt: skip


# -- text encoders and VAE -------------------------------------------------------------------------------------------


def clip(width: int = 768, layers: int = 12) -> Shapes:
    """As transformers names it."""
    e = "text_model.embeddings"
    shapes: Shapes = {f"{e}.token_embedding.weight": (49408, width), f"{e}.position_embedding.weight": (77, width)}
    for n in range(layers):
        layer = f"text_model.encoder.layers.{n}"
        for to in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= _linear(f"{layer}.self_attn.{to}", width, width)
        shapes |= _linear(f"{layer}.mlp.fc1", width, 4 * width) | _linear(f"{layer}.mlp.fc2", 4 * width, width)
        shapes |= _norm(f"{layer}.layer_norm1", width) | _norm(f"{layer}.layer_norm2", width)
    return shapes | _norm("text_model.final_layer_norm", width)


def open_clip(width: int, layers: int) -> Shapes:
    """As OpenCLIP names it."""
    shapes: Shapes = {
        "positional_embedding": (77, width), "text_projection": (width, width), "logit_scale": (),
        "token_embedding.weight": (49408, width),
    }  # fmt: skip
    for n in range(layers):
        block = f"transformer.resblocks.{n}"
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= _linear(f"{block}.attn.out_proj", width, width)
        shapes |= _linear(f"{block}.mlp.c_fc", width, 4 * width) | _linear(f"{block}.mlp.c_proj", 4 * width, width)
        shapes |= _norm(f"{block}.ln_1", width) | _norm(f"{block}.ln_2", width)
    return shapes | _norm("ln_final", width)


def vae(latents: int = 4) -> Shapes:
    """The autoencoder as the first Stable Diffusion named it; of 16 channels it has no quant_conv."""
    shapes = _coder("encoder", "down", (128, 256, 512, 512), 2, 3, 2 * latents)
    shapes |= _coder("decoder", "up", (128, 256, 512, 512), 3, latents, 3)
    if latents == 4:
        shapes |= _linear("quant_conv", 8, 8, kernel=(1, 1)) | _linear("post_quant_conv", 4, 4, kernel=(1, 1))
    return shapes


def _coder(name: str, way: str, widths: tuple[int, ...], blocks: int, into: int, out: int) -> Shapes:
    first, last = (widths[0], widths[-1]) if way == "down" else (widths[-1], widths[0])
    shapes = _linear(f"{name}.conv_in", into, first, kernel=(3, 3))
    at, order = first, list(enumerate(widths))
    for level, width in order if way == "down" else order[::-1]:
        for b in range(blocks):
            shapes |= _residual(f"{name}.{way}.{level}.block.{b}", at, width)
            at = width
        if level != (len(widths) - 1 if way == "down" else 0):
            shapes |= _linear(f"{name}.{way}.{level}.{way}sample.conv", at, at, kernel=(3, 3))
    middle = widths[-1]
    for b in (1, 2):
        shapes |= _residual(f"{name}.mid.block_{b}", middle, middle)
    shapes |= _norm(f"{name}.mid.attn_1.norm", middle)
    for to in ("q", "k", "v", "proj_out"):
        shapes |= _linear(f"{name}.mid.attn_1.{to}", middle, middle, kernel=(1, 1))
    return shapes | _norm(f"{name}.norm_out", last) | _linear(f"{name}.conv_out", last, out, kernel=(3, 3))


def _residual(name: str, into: int, out: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", into) | _linear(f"{name}.conv1", into, out, kernel=(3, 3))
    shapes |= _norm(f"{name}.norm2", out) | _linear(f"{name}.conv2", out, out, kernel=(3, 3))
    return shapes | (_linear(f"{name}.nin_shortcut", into, out, kernel=(1, 1)) if into != out else {})


# -- whole checkpoints -----------------------------------------------------------------------------------------------

DENOISER, FIRST_STAGE = "model.diffusion_model.", "first_stage_model."


def checkpoint(family: str, channels: int = 4) -> Shapes:
    """A single file as people download it: denoiser, text encoders, VAE."""
    shapes = under(DENOISER, unet(**UNETS[family], channels=channels)) | under(FIRST_STAGE, vae())
    if family == "sd1":
        return shapes | under("cond_stage_model.transformer.", clip())
    if family == "sd2":
        return shapes | under("cond_stage_model.model.", open_clip(1024, 23))
    if family == "refiner":
        return shapes | under("conditioner.embedders.0.model.", open_clip(1280, 32))
    shapes |= under("conditioner.embedders.0.transformer.", clip())
    return shapes | under("conditioner.embedders.1.model.", open_clip(1280, 32))


def sd3(depth: int = 24, *, newer: bool = False) -> Shapes:
    """The transformer of SD3; of 3.5 with normed queries and keys, and in its middle size with a second attention."""
    width = 64 * depth
    shapes: Shapes = {"pos_embed": (1, 36864, width)} | _linear("x_embedder.proj", 16, width, kernel=(2, 2))
    shapes |= _linear("context_embedder", 4096, width) | _linear("y_embedder.mlp.0", 2048, width)
    for n in range(depth):
        for side in ("context_block", "x_block"):
            block = f"joint_blocks.{n}.{side}"
            shapes |= _linear(f"{block}.attn.qkv", width, 3 * width) | _linear(f"{block}.attn.proj", width, width)
            shapes |= _linear(f"{block}.mlp.fc1", width, 4 * width) | _linear(f"{block}.mlp.fc2", 4 * width, width)
            shapes |= _linear(f"{block}.adaLN_modulation.1", width, 6 * width)
        if newer:
            shapes |= _linear(f"joint_blocks.{n}.x_block.attn2.qkv", width, 3 * width)
    return shapes | _linear("final_layer.linear", width, 64)


def flux(channels: int = 64, *, guided: bool = True) -> Shapes:
    """The transformer of Flux.1; dev is guided, schnell is not."""
    w = 3072
    shapes = _linear("img_in", channels, w) | _linear("txt_in", 4096, w) | _linear("time_in.in_layer", 256, w)
    shapes |= _linear("vector_in.in_layer", 768, w) | (_linear("guidance_in.in_layer", 256, w) if guided else {})
    for n in range(19):
        for side in ("img", "txt"):
            block = f"double_blocks.{n}.{side}"
            shapes |= {f"{block}_attn.norm.{x}_norm.scale": (128,) for x in ("query", "key")}
            shapes |= _linear(f"{block}_attn.qkv", w, 3 * w) | _linear(f"{block}_attn.proj", w, w)
            shapes |= _linear(f"{block}_mlp.0", w, 4 * w) | _linear(f"{block}_mlp.2", 4 * w, w)
            shapes |= _linear(f"{block}_mod.lin", w, 6 * w)
    for n in range(38):
        block = f"single_blocks.{n}"
        shapes |= {f"{block}.norm.{x}_norm.scale": (128,) for x in ("query", "key")}
        shapes |= _linear(f"{block}.linear1", w, 7 * w) | _linear(f"{block}.linear2", 5 * w, w)
        shapes |= _linear(f"{block}.modulation.lin", w, 3 * w)
    return shapes | _linear("final_layer.linear", w, channels)


# -- what adds to a model --------------------------------------------------------------------------------------------


def kohya_lora(family: str, rank: int = 8) -> Shapes:
    """LoRA of the U-Net and of a text encoder, named as kohya's scripts do; widths as in the family."""
    width = {"sd1": 768, "sd2": 1024, "sdxl": 2048}[family]
    encoder = {"sd1": ("lora_te", 768), "sd2": ("lora_te", 1024), "sdxl": ("lora_te2", 1280)}[family]
    shapes: Shapes = {}
    for name, into in (
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", width),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_k", 640),
        (f"{encoder[0]}_text_model_encoder_layers_0_self_attn_k_proj", encoder[1]),
    ):
        shapes |= {f"{name}.lora_down.weight": (rank, into), f"{name}.lora_up.weight": (640, rank), f"{name}.alpha": ()}
    return shapes


def peft_lora(name: str, width: int, rank: int = 8) -> Shapes:
    """LoRA of one layer, named as peft and diffusers do."""
    return {f"{name}.lora_A.weight": (rank, width), f"{name}.lora_B.weight": (640, rank)}


def esrgan(blocks: int = 23, first: int = 3) -> Shapes:
    """RRDB as Real-ESRGAN names it."""
    shapes = _linear("conv_first", first, 64, kernel=(3, 3))
    for n in range(blocks):
        for dense in ("rdb1", "rdb2", "rdb3"):
            for c in range(1, 6):
                out = 64 if c == 5 else 32
                shapes |= _linear(f"body.{n}.{dense}.conv{c}", 64 + 32 * (c - 1), out, kernel=(3, 3))
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        shapes |= _linear(name, 64, 64, kernel=(3, 3))
    return shapes | _linear("conv_last", 64, 3, kernel=(3, 3))


def compact(scale: int = 4, depth: int = 16) -> Shapes:
    """SRVGG: convolutions and slopes in a row."""
    shapes = _linear("body.0", 3, 64, kernel=(3, 3)) | {"body.1.weight": (64,)}
    for n in range(depth):
        shapes |= _linear(f"body.{2 * n + 2}", 64, 64, kernel=(3, 3)) | {f"body.{2 * n + 3}.weight": (64,)}
    return shapes | _linear(f"body.{2 * depth + 2}", 64, 3 * scale * scale, kernel=(3, 3))


def many_files(folder: Path, count: int, seed: int = 0) -> Iterator[Path]:
    """A collection: 5 % SDXL and 10 % SD 1.5 by their headers, the rest LoRAs."""
    headers = {"sdxl": checkpoint("sdxl"), "sd1": checkpoint("sd1"), "lora": kohya_lora("sdxl")}
    for n in range(count):
        kind = "sdxl" if n % 20 == 0 else "sd1" if n % 10 == 1 else "lora"
        place = folder / ("loras" if kind == "lora" else "checkpoints") / f"set{n % 7}"
        yield write(place / f"{kind}-{seed}-{n:04}.safetensors", headers[kind])


def mine(catalogue, kind=""):
    """What is here beside that which comes with the program."""
    return [e for e in catalogue.entries(kind) if e.origin != "box"]
