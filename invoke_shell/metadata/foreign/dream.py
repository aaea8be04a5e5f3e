"""InvokeAI 1 and 2: the command in `Dream`, read as data. Its switches are a table here; nothing of it is ever run.

"a cat" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms          the prompt quoted
banana sushi -s50 -S42 -I some file.png -f 0.4 # model_id=x     or not, switches attached or not
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from invoke_shell.metadata.foreign import loose

__all__ = ["Dream", "parse"]

SWITCHES = {
    "-s": "steps", "--steps": "steps", "-S": "seed", "--seed": "seed", "-W": "width", "--width": "width",
    "-H": "height", "--height": "height", "-C": "guidance", "--cfg_scale": "guidance", "-A": "sampler",
    "-m": "sampler", "--sampler": "sampler", "-I": "source", "--init_img": "source", "-M": "mask",
    "--init_mask": "mask", "-tm": "text mask", "--text_mask": "text mask", "-f": "strength", "--strength": "strength",
    "-T": "fit", "-fit": "fit", "--fit": "fit", "-G": "face", "--gfpgan_strength": "face",
    "--facetool_strength": "face", "-ft": "facetool", "--facetool": "facetool", "-cf": "fidelity",
    "--codeformer_fidelity": "fidelity", "-U": "upscale", "--upscale": "upscale", "-c": "outcrop",
    "--outcrop": "outcrop", "-D": "out_direction", "--out_direction": "out_direction", "-v": "variation amount",
    "--variation_amount": "variation amount", "-V": "variations", "--with_variations": "variations",
    "--hires_fix": "hires_fix", "--seamless": "seamless", "--seamless_axes": "seamless axes",
    "--threshold": "threshold", "--perlin": "perlin", "-r": "inpaint_replace", "--inpaint_replace": "inpaint_replace",
    "--invert_mask": "invert_mask", "--init_color": "init_color", "--embiggen": "embiggen",
    "--embiggen_tiles": "embiggen tiles", "--embiggen_strength": "embiggen strength", "--seam_size": "seam size",
    "--seam_blur": "seam blur", "--seam_strength": "seam strength", "--seam_steps": "seam steps",
    "--tile_size": "tile size", "--force_outpaint": "force_outpaint", "--h_symmetry_time_pct": "h_symmetry_time_pct",
    "--v_symmetry_time_pct": "v_symmetry_time_pct", "--karras_max": "karras max",
}  # fmt: skip
# What says how or where it ran, and nothing of the picture.
SILENT = (
    "-n", "--iterations", "-g", "--grid", "--no-grid", "-i", "--individual", "-x", "--skip_normalize", "-t",
    "--log_tokenization", "-o", "--outdir", "--fnformat", "--save_intermediates", "-z", "--png_compression",
    "-b", "--use_mps_noise", "-save_orig", "--save_original", "-F", "--full_precision",
)  # fmt: skip
WORDS = "|".join(re.escape(s) for s in sorted((*SWITCHES, *SILENT), key=len, reverse=True))
SWITCH = re.compile(rf"(?<!\S)({WORDS})(?![^\s\d.])")
CLOSING = re.compile(rf'"(?=\s{{0,9}}(?:\Z|(?<!\S)(?:{WORDS})(?![^\s\d.])))')
ATTACHED = re.compile(r"(?<!\S)(-[AIMV])(?=[^\s-])")  # version 1 writes -Ak_lms
INSIDE = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=]*")  # a picture inside the command
MODEL = re.compile(r"\s{0,9}model_id=(.{1,200})")
MAX_TEXT = 1 << 16


@dataclass(frozen=True)
class Dream:
    """A command: its prompt, its switches by our words, and what it is when it is no prompt at all."""

    prompt: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    other: str = ""


def parse(text: str) -> Dream:
    """The parts of a command."""
    text = (INSIDE.sub("data:", text) if "data:" in text else text).strip()[:MAX_TEXT]
    if text.startswith("!") or re.fullmatch(r"<[^<>]{1,80}>", text):  # `!fix file`, `<too lazy to implement>`
        return Dream(other=text[:200])
    body, _, comment = text.partition(" # ")
    found = MODEL.match(comment)
    prompt, switches = _split(body)
    return Dream(prompt, dict(_switches(ATTACHED.sub(r"\1 ", switches))), found[1].strip() if found else "")


def _split(text: str) -> tuple[str, str]:
    """The prompt, and the switches after it: a quoted prompt ends where a quote is followed by a switch or nothing."""
    if text.startswith('"') and (closing := CLOSING.search(text, 1)):
        return loose.words(text[1 : closing.start()].replace('\\"', '"')), text[closing.end() :]
    first = SWITCH.search(text)
    return (loose.words(text[: first.start()]), text[first.start() :]) if first else (loose.words(text), "")


def _switches(text: str) -> Iterator[tuple[str, str]]:
    """Each switch with the words up to the next; the last of a name counts."""
    found = list(SWITCH.finditer(text))
    for n, switch in enumerate(found):
        end = found[n + 1].start() if n + 1 < len(found) else len(text)
        if switch[1] in SWITCHES:
            yield SWITCHES[switch[1]], text[switch.end() : end].strip().strip('"')
