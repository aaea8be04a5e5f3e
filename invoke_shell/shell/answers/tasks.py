"""What people want to do, in their words, and the line that does it. Tests bind every line and look for every word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["TASKS", "Task", "alike", "split", "tasks_for", "words_of"]

# Words of a question that say nothing about what is looked for.
EMPTY = frozenset({
    "a", "an", "the", "of", "my", "me", "i", "you", "it", "its", "to", "do", "does", "how",
    "what", "is", "are", "can", "with", "without", "for", "from", "in", "into", "on", "at", "and", "or",
    "not", "no", "please", "picture", "pictures", "image", "images", "photo", "make", "get", "some", "want",
    "more", "one", "same", "all", "this",
})  # fmt: skip
STEM = 4  # letters of which a word has at least, to stand for longer ones: `face` for `faces`


@dataclass(frozen=True, kw_only=True)
class Task:
    """what: a sentence. line: what is typed. words: what else it is called."""

    what: str
    line: str
    words: str = ""


TASKS: Sequence[Task] = (
    Task(
        what="Make a picture larger",
        line="@-1 | upscale --scale 2",
        words="bigger big enlarge resolution hires superresolution upscaler zoom 4k",
    ),
    Task(
        what="Make it larger and draw new details in",
        line="@-1 | upscale_diffuse --scale 2",
        words="bigger enlarge resolution hires sharper",
    ),
    Task(what="Make it smaller, or another size", line="@-1 | resize 512x512", words="scale shrink dimensions"),
    Task(
        what="Say what shall not be in it: a negative prompt",
        line='txt2img "a boat" --negative "people, text"',
        words="avoid exclude keep out unwanted remove",
    ),
    Task(
        what="The same picture again, from what is inside it",
        line="replay @-1",
        words="reproduce repeat identical exactly seed redo recreate regenerate",
    ),
    Task(
        what="The same line again, with a change",
        line="again --steps 30",
        words="repeat redo retry rerun reroll regenerate seed another different",
    ),
    Task(what="Its line in the edit line, to be changed", line="recall @-1", words="prompt reuse edit seed same again"),
    Task(
        what="Variations of one that you like",
        line="again --variation 0.2 -n 4",
        words="similar slightly different subtle alternatives",
    ),
    Task(
        what="Many pictures at once",
        line='txt2img "a boat" -n 8',
        words="batch several multiple count number amount iterations seeds",
    ),
    Task(
        what="Try values against each other, on one sheet",
        line='txt2img "a boat" --guidance 3,5,7 --seed 1..3 | contact_sheet --axes',
        words="sweep grid xy plot compare matrix values",
    ),
    Task(
        what="Put two side by side, with what differs",
        line="compare @-2 @-1",
        words="difference comparison versus beside",
    ),
    Task(
        what="Change a picture by a new prompt",
        line='@-1 | img2img "a boat in winter" --strength 0.6',
        words="image2image redraw alter modify style variation",
    ),
    Task(
        what="Paint one part of it anew",
        line="@-1 | mask_from ellipse --box 8:8:48:48 as @m; @-2 | inpaint a lamp --mask @m",
        words="inpaint inpainting mask region area object remove replace erase edit fix retouch change background",
    ),
    Task(
        what="Paint beyond its sides",
        line='@-1 | outpaint "a wide sea" --left 64 --right 64',
        words="outpaint outpainting extend expand uncrop wider background",
    ),
    Task(
        what="Make one colour transparent: a plain background, a green screen",
        line="@-1 | mask_from color --key white --tolerance 40 as @m; @-2 | apply_mask @m",
        words="remove background cutout cut out transparency alpha isolate",
    ),
    Task(what="Make it sharper, or softer", line="@-1 | sharpen", words="blur crisp focus unsharp soft"),
    Task(
        what="Change its light and colours",
        line="@-1 | contrast 1.2 | saturation 1.1",
        words="brightness hue darker lighter colour color vivid black white grayscale",
    ),
    Task(
        what="Lay two over each other",
        line="@-2 | blend @-1 --opacity 0.5",
        words="merge mix combine overlay double exposure",
    ),
    Task(
        what="Draw faces anew",
        line="@-1 | restore_faces --face-model gfpgan",
        words="face eyes portrait fix gfpgan codeformer restore",
    ),
    Task(
        what="Something small, with all of the model's attention (hands, faces)",
        line='@-1 | inpaint "a hand" --mask @m --zoom',
        words="hands face fingers eyes fix detail details adetailer broken",
    ),
    Task(
        what="Draw faster: fewer steps",
        line='txt2img "a boat" --steps 8',
        words="speed quick quicker slow time performance turbo lcm",
    ),
    Task(
        what="Draw several together on a GPU: faster, with other last bits",
        line="set batch auto",
        words="speed quick quicker batch performance parallel",
    ),
    Task(
        what="Follow the prompt more, or less",
        line='txt2img "a boat" --guidance 9',
        words="cfg guidance scale prompt strength closer ignore",
    ),
    Task(
        what="Weigh a word of the prompt",
        line='txt2img "a (red)1.4 boat"',
        words="emphasis weight attention stronger weights parentheses",
    ),
    Task(
        what="Another sampler",
        line='txt2img "a boat" --scheduler dpmpp_2m_karras',
        words="sampler scheduler euler dpm karras ddim method; help schedulers lists them",
    ),
    Task(what="Each of some words in turn", line='txt2img "a {red|blue} boat"', words="wildcard random dynamic choose"),
    Task(what="A style: a LoRA beside the model", line='txt2img "a boat" --lora pocket-ink:0.8', words="lora lycoris"),
    Task(what="Another model", line="set model pocket", words="checkpoint switch choose change style"),
    Task(
        what="Models of another program, without copying them",
        line="models scan ~/ComfyUI/models",
        words="checkpoints add import install comfyui automatic1111 folder safetensors find",
    ),
    Task(what="Download a model", line="models add hf:owner/name", words="huggingface install checkpoint get"),
    Task(
        what="The shape of another picture: its edges as a ControlNet's guide",
        line="load_image a.png | canny as @edges",
        words="controlnet control pose depth edges composition sketch lineart; then txt2img --control",
    ),
    Task(what="A copy where you want it", line="@-1 | save boat.jpg", words="export save file jpeg jpg webp download"),
    Task(what="For a friend, with all that it was made of", line="@-1 | save boat.png --embed", words="share send"),
    Task(what="Keep the good ones, the others go", line="keep @-1; discard --rest", words="favourite favorite best"),
    Task(what="Throw one away, or take that back", line="discard @-1; undo", words="delete remove trash rid restore"),
    Task(what="Take back the last thing", line="undo", words="revert mistake restore undelete"),
    Task(what="Look at all of them in a browser", line="gallery --open", words="overview html web page thumbnails"),
    Task(what="How it was made", line="info @-1", words="metadata parameters settings prompt seed exif workflow"),
    Task(what="Take out what is inside it", line="strip a.png", words="metadata remove privacy clean exif prompt"),
    Task(what="A line that was typed before", line="history boat", words="search earlier past previous find old"),
    Task(what="This session as a file that makes it again", line="export today.invoke", words="script save batch file"),
    Task(what="Go on after a stop", line="resume", words="interrupted cancelled crash continue stopped ctrl-c"),
    Task(what="Leave", line="exit", words="quit bye end close stop"),
)  # fmt: skip


def split(text: str) -> list[str]:
    """The words of a text, in small letters; of `--pure-noise` and `mask_from` the parts too."""
    found = re.findall(r"[\w'-]+", text.lower())
    return [part for word in found for part in dict.fromkeys((word.strip("-'"), *re.split(r"[-_]+", word))) if part]


def words_of(text: str) -> list[str]:
    """The words of a question that count; all of them where none does."""
    found = split(text)
    return [word for word in found if word not in EMPTY] or found


def alike(word: str, other: str) -> bool:
    """Whether one word is the other's beginning, as `face` is of `faces`."""
    short, long = sorted((word, other), key=len)
    return short == long or (len(short) >= STEM and long.startswith(short))


def tasks_for(text: str) -> Iterator[Task]:
    """Those that have every word of a question; first those that say them, then those that are also called so."""
    words = words_of(text)
    ranked = []
    for place, task in enumerate(TASKS):
        said, other = split(f"{task.what} {task.line}"), split(task.words)
        if all(any(alike(word, w) for w in (*said, *other)) for word in words):
            ranked.append((-sum(any(alike(word, w) for w in said) for word in words), place, task))
    yield from (task for *_, task in sorted(ranked, key=lambda found: found[:2]))
