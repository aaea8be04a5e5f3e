"""How a prompt is cut into tokens and what each weighs, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from invoke_shell.pipeline.prompts import Part, read_prompt
from invoke_shell.pipeline.types import number
from invoke_shell.runtime.clip import NOT_OF_A_PIECE, Chunk, Encoder, Inversion

__all__ = ["token_lines"]

END = "</w>"  # of a word


def token_lines(label: str, text: str, encoder: Encoder, inversions: Sequence[Inversion] = ()) -> Iterator[str]:
    """`prompt: 4 tokens of 75: a red×1.21 cath·edral`; a line for each chunk of each text that is joined."""
    prompt = read_prompt(text)
    for n, part in enumerate(prompt.parts, 1):
        place = f" {n} of {len(prompt.parts)}, weight {number(part.weight)}" if prompt.joined else ""
        yield from (f"{label}{place}: {line}" for line in _of_part(part, encoder, inversions))


def _of_part(part: Part, encoder: Encoder, inversions: Sequence[Inversion]) -> Iterator[str]:
    chunks = encoder.chunks(part.pieces, inversions)
    for n, chunk in enumerate(chunks, 1):
        count = sum(piece != NOT_OF_A_PIECE for piece in chunk.pieces)
        chunked = f", chunk {n} of {len(chunks)}" if len(chunks) > 1 else ""
        tokens = f"{count} token{'' if count == 1 else 's'} of {encoder.room}{chunked}"
        yield ": ".join([tokens, *([" ".join(_words(chunk, encoder, inversions))] if count else [])])


def _words(chunk: Chunk, encoder: Encoder, inversions: Sequence[Inversion]) -> Iterator[str]:
    """Words, the tokens of one parted by `·`, each with its weight."""
    word, weighs = "", 1.0
    for token, weight, piece in zip(chunk.ids, chunk.weights, chunk.pieces, strict=True):
        if piece == NOT_OF_A_PIECE:
            continue
        text = _spelled(token, encoder, inversions)
        word, weighs = (f"{word}·" if word else "") + text.removesuffix(END), weight
        if text.endswith(END):
            yield word + _weight_text(weighs)
            word = ""
    if word:
        yield word + _weight_text(weighs)


def _spelled(token: int, encoder: Encoder, inversions: Sequence[Inversion]) -> str:
    if token >= 0:
        return encoder.tokenizer.convert_ids_to_tokens(token)
    row = -1 - token
    for inversion in inversions:
        rows = len(inversion.vectors[encoder.place])
        if row < rows:
            return f"<{inversion.word}>" + (END if row == rows - 1 else "")
        row -= rows
    raise AssertionError("a row belongs to an inversion")


def _weight_text(weight: float) -> str:
    return "" if weight == 1 else f"×{number(round(weight, 3))}"
