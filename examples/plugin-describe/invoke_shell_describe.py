"""A node that says what is in a picture, with an image-to-text model in a folder that you bring yourself.

Nothing is ever downloaded, and no code from the folder is run.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from invoke_shell import Arg, Context, Frame, RunError, node

Folder = Annotated[Path, Arg(help="Folder of a captioning model (BLIP, GIT), as transformers saves it.", pixels=False)]
Words = Annotated[int, Arg(help="Most tokens to say.", ge=1, le=200, pixels=False)]


@node(version=1, group="view", stage_only=True, examples=["@-1 | describe ~/models/blip-image-captioning-base"])
def describe(ctx: Context, frame: Frame, folder: Folder, *, words: Words = 40) -> None:
    """Say what is in each picture; the pictures pass on unchanged."""
    if not find_spec("transformers"):
        message = "describe needs transformers, which is not installed"
        raise RunError(message, hint="python -m pip install transformers")
    if not (folder / "config.json").is_file():
        message = f"{folder.name or folder} is no folder of an image-to-text model: config.json is not in it"
        raise RunError(message, hint="a folder such as save_pretrained writes", code="unknown-model")
    processor, model = _loaded(folder, ctx.device)
    inputs = processor(images=frame.image.pil().convert("RGB"), return_tensors="pt").to(ctx.device)
    tokens = model.generate(**inputs, max_new_tokens=words, do_sample=False)
    ctx.say(processor.batch_decode(tokens, skip_special_tokens=True)[0].strip())


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> tuple[Any, Any]:
    """The folder's model, kept for the next picture."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    own: Any = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, **own)
        return AutoProcessor.from_pretrained(folder, **own), model.to(device).eval()
    except (OSError, ValueError) as error:
        message = f"{folder.name} cannot be loaded as an image-to-text model"
        raise RunError(message, hint=str(error).splitlines()[0][:200], code="bad-model") from error
