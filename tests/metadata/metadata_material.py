"""Pictures, steps and PNG bytes for the tests of metadata, plain and random."""

from __future__ import annotations

import struct
import zlib

from hypothesis import strategies as st

from invoke_shell.records import Frame, Image, ModelRecord, Resource, StepRecord

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SHA256 = "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516"

MODEL = ModelRecord(
    name="pocket",
    kind="checkpoint",
    base="sd1",
    format="folder",
    path="/home/alice/models/pocket",
    hash="blake3-tree:" + "ab" * 32,
    bytes=50_000_000,
    license="Apache-2.0",
    hashes={"sha256": SHA256, "autov2": SHA256[:10]},
    advice={"steps": 20},
)
ENVIRONMENT = {"torch": "2.13.0", "device": "cpu", "device_name": "AMD EPYC", "threads": 2, "deterministic": True}


def image(width: int = 6, height: int = 4, mode: str = "RGB", seed: int = 1) -> Image:
    """A picture whose pixels are a simple function of `seed`."""
    count = width * height * len(mode)
    return Image(
        mode=mode, width=width, height=height, pixels=bytes((i * 37 * seed + seed) % 256 for i in range(count))
    )


def txt2img(picture: Image | None = None, **params: object) -> StepRecord:
    """A generation step that made `picture`."""
    picture = picture or image()
    values = {
        "prompt": "a red boat on a green sea",
        "negative": "",
        "size": f"{picture.width}x{picture.height}",
        "steps": 20,
        "guidance": 7.5,
        "scheduler": "euler_a",
        "seed": 42,
        "lora": [],
        "embedding": [],
        "clip_skip": 0,
        "control": [],
        "control_start": [],
        "control_end": [],
        "ip_adapter": [],
        "refiner_start": 0.8,
        **params,
    }
    return StepRecord(
        node="txt2img",
        version=1,
        package="invoke_shell",
        params=values,
        models={"model": MODEL},
        facts={"steps_run": 20, "noise": {"function": "torch.randn", "device": "cpu", "dtype": "float32"}},
        environment=ENVIRONMENT,
        output_hash=picture.hash,
        width=picture.width,
        height=picture.height,
    )


def after(step: StepRecord, node: str, picture: Image, **params: object) -> StepRecord:
    """A step without a model that takes the picture of `step`."""
    return StepRecord(
        node=node,
        version=1,
        package="invoke_shell",
        params=params,
        inputs={"frame": (step,)},
        environment={"pillow": "13.0.0"},
        output_hash=picture.hash,
        width=picture.width,
        height=picture.height,
    )


def frame(**params: object) -> Frame:
    """A small finished picture."""
    picture = image()
    return Frame(image=picture, step=txt2img(picture, **params))


# -- bytes -----------------------------------------------------------------------------------------------------------


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A PNG chunk; `crc` to say a wrong one."""
    right = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", right if crc is None else crc)


def png(*before: bytes, after: bytes = b"", width: int = 1, height: int = 1) -> bytes:
    """A grey PNG with chunks before and after its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (width + 1) * min(height, 64)))
    return SIGNATURE + header + b"".join(before) + pixels + after + chunk(b"IEND", b"")


def text(keyword: str, value: bytes) -> bytes:
    return chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + value)


def ztxt(keyword: str, value: bytes) -> bytes:
    return chunk(b"zTXt", keyword.encode("latin-1") + b"\0\0" + zlib.compress(value))


def itxt(keyword: str, value: bytes, packed: bool = False) -> bytes:
    body = zlib.compress(value) if packed else value
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0" + bytes([packed, 0]) + b"en\0key\0" + body)


# -- random ----------------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, plain, max_size=4)
hashes = st.integers(0, 2**256 - 1).map(lambda n: f"blake3:{n:064x}")
sides = st.integers(1, 20_000)
base_names = words.map(lambda w: w.replace("/", "").replace("\\", ""))
models = st.builds(
    ModelRecord,
    name=base_names,
    kind=st.sampled_from(["checkpoint", "vae", "lora", "upscaler"]),
    base=st.sampled_from(["", "sd1", "sdxl"]),
    format=st.sampled_from(["", "file", "folder"]),
    path=st.just("/home/alice/secret/model.safetensors"),
    hash=hashes | st.just(""),
    bytes=st.integers(0, 2**40),
    license=words,
    hashes=st.dictionaries(names, words, max_size=2),
    advice=st.just({"steps": 9}),
)
resources = st.builds(
    Resource,
    hash=hashes,
    width=sides,
    height=sides,
    mode=st.sampled_from(["RGB", "RGBA", "L"]),
    name=base_names,
    file_hash=hashes | st.just(""),
    facts=objects,
)


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> StepRecord:
    """A step with a random graph behind it; every step has an output of its own, so no two are equal."""
    made: list[StepRecord] = []
    environments = draw(st.lists(objects, min_size=1, max_size=2))
    for number in range(draw(st.integers(1, most))):
        givers = st.sampled_from(made) | resources if made else resources
        made.append(
            StepRecord(
                node=draw(names),
                version=draw(st.integers(0, 99)),
                package=draw(words),
                params=draw(objects),
                inputs=draw(st.dictionaries(words, st.lists(givers, max_size=3).map(tuple), max_size=2)),
                models=draw(st.dictionaries(words, models, max_size=2)),
                facts=draw(st.dictionaries(words | st.sampled_from(["id", "facts", "width"]), plain, max_size=3)),
                environment=draw(st.sampled_from(environments)),
                output_hash=f"blake3:{number:064x}",
                width=draw(sides),
                height=draw(sides),
            )
        )
    return made[-1]
