"""The text encoder: a small CLIP, taught to tell what a caption says before any picture is made from it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.pocket import words
from training.pocket.common import Budget, autocast, load, note, save
from training.pocket.muon import Muon
from training.pocket.scene import Scene, caption, scenes

__all__ = ["WIDTH", "build", "tokens", "train"]

WIDTH, BATCH = 128, 96
GROUNDS = (*words.GROUNDS, *words.SCENERY)


def build(vocabulary: int) -> CLIPTextModel:
    """`vocabulary`: the number of tokens; the last one ends a text, the one before it starts one."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def tokens(tokenizer: CLIPTokenizer, texts: list[str], length: int = 77) -> Tensor:
    return tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def train(scratch: Path, tokenizer: CLIPTokenizer, minutes: float, *, device: torch.device) -> CLIPTextModel:
    """Teach the encoder to name, at the end mark and at the padding after it, everything the caption states.

    Tried: learning it from the U-Net's loss alone; words then take thousands of steps to mean anything, and one step
    of a U-Net costs five of these.
    """
    torch.manual_seed(2)
    model, heads = build(len(tokenizer)).to(device), Heads().to(device)
    state = load(scratch / "text.pt") or {}
    optimiser = Muon(nn.ModuleList([model, heads]), 2e-3, hidden=3e-3)
    if state:
        model.load_state_dict(state["model"])
        heads.load_state_dict(state["heads"])
        optimiser.load_state_dict(state["optimiser"])
    budget, step = Budget(minutes=minutes, spent=state.get("spent", 0.0)), state.get("step", 0)
    drawn, rng = scenes(2**27 + step * BATCH), Random(step)

    def finish() -> None:
        save(
            scratch / "text.pt",
            model=model.state_dict(), heads=heads.state_dict(), optimiser=optimiser.state_dict(),
            step=step, spent=budget.spent,
        )  # fmt: skip

    while budget.tick():
        batch = list(islice(drawn, BATCH))
        length = 77 if step % 8 == 0 else 32  # captions fit in 32; the far padding needs no more than a reminder
        ids = tokens(tokenizer, [caption(scene, rng) for scene in batch], length).to(device)
        optimiser.scale(budget.rate(step, 100))
        with autocast(device):
            hidden = model(ids).last_hidden_state
        loss, right = heads(hidden.float(), ids, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 250 == 0:
            finish()
            found = f"loss {loss.item():.4f} | all named right {right:.3f}"
            note(scratch / "log.md", f"| text | {step} | {budget.spent:.1f} | {found} |")
    finish()
    return model


class Heads(nn.Module):
    """What the encoder is asked; thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [len(options) for _, options in QUESTIONS]
        self.read = nn.Linear(WIDTH, sum(self.sizes))

    def forward(self, hidden: Tensor, ids: Tensor, batch: list[Scene]) -> tuple[Tensor, float]:
        """The loss, and the share of captions with every answer right."""
        rows = torch.arange(len(ids), device=ids.device)
        end = (ids == ids.max()).int().argmax(1)
        later = end + ((ids.shape[1] - end) * torch.rand(len(ids), device=ids.device)).long()
        asked = [[answer(scene) for answer, _ in QUESTIONS] for scene in batch]
        truth = torch.tensor(asked, device=ids.device)
        losses, right = [], torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for place in (end, later):
            for i, logits in enumerate(self.read(hidden[rows, place]).split(self.sizes, 1)):
                known = truth[:, i] >= 0
                losses.append(cross_entropy(logits[known], truth[known, i]) if known.any() else logits.sum() * 0)
                right &= ~known | (logits.argmax(1) == truth[:, i])
        return torch.stack(losses).mean(), float(right.float().mean())


UNSAID = -1


def of_thing(which: int, part: Callable[[Scene], int]) -> Callable[[Scene], int]:
    return lambda scene: part(scene) if which < len(scene.things) else UNSAID


def said(scene: Scene, word: str, options: tuple[str, ...], value: str | None) -> int:
    return options.index(value) if value is not None and word in scene.said else UNSAID


COLOURS, SIZES, PLACES = tuple(words.COLOURS), tuple(words.SIZES), tuple(words.PLACES)
Question = tuple[Callable[[Scene], int], tuple[object, ...]]
QUESTIONS: tuple[Question, ...] = (
    (lambda s: words.THINGS.index(s.things[0].name), words.THINGS),
    (lambda s: said(s, "colour", COLOURS, s.things[0].colour), COLOURS),
    (of_thing(1, lambda s: words.THINGS.index(s.things[1].name)), words.THINGS),
    (of_thing(1, lambda s: said(s, "colour", COLOURS, s.things[1].colour)), COLOURS),
    (lambda s: said(s, "size", SIZES, s.things[0].size), SIZES),
    (lambda s: said(s, "place", PLACES, s.place), PLACES),
    (lambda s: words.RELATIONS.index(s.relation) if s.relation else UNSAID, words.RELATIONS),
    (lambda s: GROUNDS.index(s.ground.kind) if "ground" in s.said else UNSAID, GROUNDS),
    (lambda s: said(s, "ground", COLOURS, s.ground.colour), COLOURS),
    (lambda s: words.STYLES.index(s.style), words.STYLES),
    (lambda s: len(s.things) - 1, (1, 2)),
)
