"""The short texts beside `sd-metadata` that other programs read: `parameters`, `Dream`, and the mark of AI origin."""

from __future__ import annotations

import json
import re
from html import escape, unescape

from invoke_shell.metadata.summary import Summary
from invoke_shell.pipeline.schedulers import SCHEDULERS
from invoke_shell.pipeline.types import number

__all__ = ["dream", "metadata_in", "parameters", "xmp"]

SAMPLERS = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "pndm": "PLMS",
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "dpm2": "DPM2",
    "dpm2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_2s": "DPM++ 2S",
    "dpmpp_sde": "DPM++ SDE",
    "unipc": "UniPC",
    "deis": "DEIS",
    "lms": "LMS",
    "sa_solver": "SA-Solver",
    "dpmpp_2m_lu": "DPM++ 2M Lu",
    "lcm": "LCM",
    "tcd": "TCD",
}
LEVELS = {"karras": "Karras", "exponential": "Exponential", "beta": "Beta", "sgm": "SGM Uniform"}
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NAMESPACE = "urn:invoke-shell:sd-metadata:1#"
PROPERTY = re.compile(r"<sd:metadata[^<>]*>([^<]*)</sd:metadata>")


def parameters(made: Summary, app_version: str, *, privacy: bool = False) -> str:
    """The line of AUTOMATIC1111's web UI, so that civitai and every viewer can read it.

    Its fields in its order; model hashes as its 10 hex digits (AutoV2). privacy: no model's name.
    """
    lines = [_escaped(made.prompt)]
    if made.negative:
        lines.append(f"Negative prompt: {_escaped(made.negative)}")
    fields = {**_sampling(made), **_model(made, privacy), **_noise(made), "Version": f"invoke_shell {app_version}"}
    return "\n".join([*lines, ", ".join(f"{key}: {_field(value)}" for key, value in fields.items() if value)])


def _sampling(made: Summary) -> dict[str, str]:
    known = SCHEDULERS.get(made.scheduler)
    plain = known.base or known.name if known else made.scheduler
    return {
        "Steps": str(made.steps),
        "Sampler": SAMPLERS.get(plain, made.scheduler),
        "Schedule type": LEVELS.get(known.sigmas, "") if known else "",
        "CFG scale": number(made.guidance),
        "Seed": str(made.seed),
        "Size": f"{made.width}x{made.height}",
    }


def _model(made: Summary, privacy: bool) -> dict[str, str]:
    if made.model is None:
        return {}
    hashes = made.model.hashes
    short = hashes.get("autov2") or hashes.get("sha256", "")[:10]
    return {"Model hash": short, "Model": "" if privacy else made.model.name}


def _noise(made: Summary) -> dict[str, str]:
    """What decides the noise. RNG: without the word the reader would draw it on the GPU; NV is philox there."""
    # There is room for one other seed there.
    seed, share = made.variations[0] if len(made.variations) == 1 else ("", 0)
    ensd = made.params.get("ensd")
    return {
        "Denoising strength": "" if made.strength is None else number(made.strength),
        "Variation seed": str(seed),
        "Variation seed strength": number(share) if share else "",
        "ENSD": str(ensd) if ensd else "",
        "RNG": "NV" if made.params.get("rng") == "philox" else "CPU",
        "Tiling": "True" if made.params.get("seamless") == "both" else "",
    }


def _escaped(prompt: str) -> str:
    """Brackets are weights there and text here."""
    return re.sub(r"([\\()\[\]])", r"\\\1", prompt)


def _field(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value


def dream(made: Summary | None) -> str:
    """InvokeAI 1's one-line command; its readers crash on `sd-metadata` without it."""
    if made is None:
        return '""'
    prompt = " ".join(made.whole_prompt.split()).replace("\\", "\\\\").replace('"', '\\"')
    text = f'"{prompt}" -s {made.steps} -S {made.seed} -W {made.width} -H {made.height} -C {number(made.guidance)}'
    text += f" -A {made.invokeai_sampler}" if made.scheduler else ""
    return text if made.strength is None else f"{text} -f {number(made.strength)}"


def xmp(term: str, metadata: str = "") -> str:
    """An XMP packet: IPTC's word for how a picture came to be ("" for none), and `sd-metadata` for files without texts.

    metadata: JSON in ASCII, as PROPERTY in a namespace of its own.
    """
    mark = f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}{term}</Iptc4xmpExt:DigitalSourceType>" if term else ""
    own = f'<sd:metadata xmlns:sd="{NAMESPACE}">{escape(metadata, quote=False)}</sd:metadata>' if metadata else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f'{mark}{own}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def metadata_in(packet: str) -> str:
    """The `sd-metadata` of an XMP packet; "" when there is none. A search, no XML parser: the file is a stranger's."""
    found = PROPERTY.search(packet)
    return unescape(found[1]) if found else ""
