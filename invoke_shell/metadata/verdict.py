"""How a replay compares with the picture it replays. Pure functions on pixels and recorded values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from invoke_shell.metadata.jpeg_webp import PNG, Form, encode_other
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image, Json, StepRecord, topological

__all__ = ["CLOSE", "Verdict", "differences", "is_edited", "is_of", "reasons", "through", "verdict"]

DECODERS = 6  # of 255: what JPEG libraries differ by
CLOSE = 40.0  # dB: about three of 255 off on average, which no eye sees side by side


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """max_difference: of one 8-bit sample; psnr: in dB over all samples. Both None where there is nothing to compare.

    psnr is None for an exact picture too: infinity is no JSON. unlike: why there is nothing to compare, a sentence.
    """

    outcome: Literal["exact", "close", "different"]
    max_difference: int | None = None
    psnr: float | None = None
    unlike: str = ""


def verdict(recorded_hash: str, new: Image, old: Image | None = None, form: Form = PNG) -> Verdict:
    """The verdict on a replay's picture.

    exact: its pixels have the recorded hash. close: at least CLOSE dB from `old`, the file's own pixels. different:
    below that, of another size or mode, or nothing to compare with (`old` None, or not the recorded picture).
    form: how the file was written; where that lost pixels, the new ones are compared as such a file gives them back.
    """
    if new.hash == recorded_hash:
        return Verdict(outcome="exact", max_difference=0)
    new = through(new, form)
    if old is None:
        return Verdict(outcome="different")
    if old.size != new.size:
        return Verdict(outcome="different", unlike=f"the picture is {_size(old)}, the new one {_size(new)}")
    if old.mode != new.mode:
        return Verdict(outcome="different", unlike=f"the picture has channels {old.mode}, the new one {new.mode}")
    worst, psnr = _compared(new, old)
    return Verdict(outcome="close" if psnr is None or psnr >= CLOSE else "different", max_difference=worst, psnr=psnr)


def _size(image: Image) -> str:
    return f"{image.width}x{image.height}"


def _compared(new: Image, old: Image) -> tuple[int, float | None]:
    """Largest difference of a sample, and PSNR in dB (None when there is no difference)."""
    from PIL import ImageChops

    histogram = ImageChops.difference(new.pil(), old.pil()).histogram()
    counts = [sum(histogram[value::256]) for value in range(256)]
    squares = sum(count * value * value for value, count in enumerate(counts))
    worst = max(value for value, count in enumerate(counts) if count)
    return worst, 10 * math.log10(255**2 * sum(counts) / squares) if squares else None


def is_edited(recorded_hash: str, own: Image) -> bool:
    """True when the pixels of a file without loss are not those its metadata was written for."""
    return own.hash != recorded_hash


def through(image: Image, form: Form) -> Image:
    """The pixels that a file of this form gives back."""
    if form.lossless or (form.name == "jpeg" and image.mode == "RGBA"):  # no JPEG was made of it
        return image
    from invoke_shell.metadata.decode import read_image

    return read_image(encode_other(image, form, comment="", xmp="", software=""))[0]


def is_of(own: Image, made: Image, form: Form) -> bool:
    """True when a file's pixels are what a lossy file of `made` gives back, as far as decoders agree."""
    back = through(made, form)
    if (back.mode, back.size) != (own.mode, own.size):
        return False
    return _compared(back, own)[0] <= DECODERS


def reasons(old: StepRecord, new: StepRecord) -> list[str]:
    """What may be why a replay differs: how its steps' environments and facts are not the recorded ones, each once."""
    pairs = zip(topological(old), topological(new), strict=False)
    found = (differences(getattr(a, part), getattr(b, part)) for a, b in pairs for part in ("environment", "facts"))
    return list(dict.fromkeys(sentence for sentences in found for sentence in sentences))


def differences(recorded: Mapping[str, Json], current: Mapping[str, Json]) -> list[str]:
    """A sentence for each value that is not as it was, objects by their own values (`precision.vae was ...`).

    What was not recorded is no reason; what is no longer there is.
    """
    now = dict(_flat(current))
    return [
        f"{visible(name)} was {_value(then)}, now it is {_value(now.get(name))}"
        for name, then in _flat(recorded)
        if now.get(name) != then and not name.startswith("replay.")  # what an earlier replay was compared with
    ]


def _flat(values: Mapping[str, Json], within: str = "") -> Iterator[tuple[str, Json]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", list(value) if isinstance(value, tuple) else value


def _value(value: Json) -> str:
    words = {True: "on", False: "off", None: "not there"}
    text = words[value] if value is None or isinstance(value, bool) else visible(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
