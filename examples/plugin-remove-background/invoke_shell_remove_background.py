"""A node that makes the background of a picture transparent, with rembg and a network that you bring yourself.

Nothing is ever downloaded: rembg's sessions for files of one's own load what is there, or nothing.
"""

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from invoke_shell import Arg, Context, Frame, Image, Made, RunError, node

SESSIONS = {  # network -> rembg's session for files of its kind
    "u2net": "u2net_custom",
    "u2netp": "u2net_custom",
    "u2net_human_seg": "u2net_custom",
    "silueta": "u2net_custom",
    "isnet-general-use": "dis_custom",
    "isnet-anime": "dis_custom",
}
Network = Annotated[
    Literal["u2net", "u2netp", "u2net_human_seg", "silueta", "isnet-general-use", "isnet-anime"],
    Arg(help="The network that finds the subject; the file NETWORK.onnx in rembg's folder."),
]


@node(version=1, group="change", examples=["@-1 | remove_background", "@-1 | remove_background --network u2netp"])
def remove_background(ctx: Context, frame: Frame, *, network: Network = "u2net") -> Made:
    """Make everything but the subject of a picture transparent.

    Colours stay under the transparency. An alpha the picture had is replaced.
    """
    for package in ("rembg", "onnxruntime"):  # rembg ends the process when onnxruntime is not there
        if not find_spec(package):
            hint = 'python -m pip install "rembg[cpu]"'
            raise RunError(f"remove_background needs {package}, which is not installed", hint=hint)
    path = _folder() / f"{network}.onnx"
    if not path.is_file():
        message = f"remove_background finds no {network}.onnx in rembg's folder"
        raise RunError(message, hint="copy it there; U2NET_HOME says where the folder is", code="unknown-model")
    ctx.tick(0, 1)
    from rembg import remove

    picture = frame.image.pil().convert("RGB")
    picture.putalpha(remove(picture, session=_session(network, path), only_mask=True).convert("L"))
    return Made(image=Image.from_pil(picture), facts={"network": {"name": network, "hash": _hash(path)}})


def _folder() -> Path:
    """Where rembg looks for networks, and will load one from."""
    default = os.path.join(os.environ.get("XDG_DATA_HOME", "~"), ".u2net")
    return Path(os.environ.get("U2NET_HOME", default)).expanduser()


@lru_cache(maxsize=1)
def _session(network: str, path: Path) -> Any:
    """The loaded network, kept for the next picture. On the CPU, where it gives the same each time."""
    from rembg import new_session

    return new_session(SESSIONS[network], model_path=str(path), providers=["CPUExecutionProvider"])


@lru_cache
def _hash(path: Path) -> str:
    """What the network is, for the record: files of one name differ."""
    from blake3 import blake3

    return "blake3:" + blake3(max_threads=1).update_mmap(path).hexdigest()
