"""Replay: run a picture from what is inside it, and say whether it is the same picture.

exact: equal pixels. close: at least 40 dB PSNR. different: below. blocked: something it needs is not here.
A replay never reads the step cache, the session's settings, the config or a model's advice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from invoke_shell.errors import BlockedError, MetadataError
from invoke_shell.metadata.check import contradictions
from invoke_shell.metadata.decode import read_image
from invoke_shell.metadata.replay import overridden
from invoke_shell.metadata.verdict import Verdict, is_edited, is_of, reasons, verdict
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.chain import Value
from invoke_shell.pipeline.plan import Plan, needs, plan
from invoke_shell.pipeline.script import resolved_text
from invoke_shell.pipeline.text import quote
from invoke_shell.pipeline.types import ModelName
from invoke_shell.records import Image, Json, ModelRecord, StepRecord, topological
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.display.wrapping import hung
from invoke_shell.shell.gather import Gatherer
from invoke_shell.shell.replay.finding import find_target, foreign_of, is_own, recalled_here
from invoke_shell.shell.replay.large import large
from invoke_shell.shell.session import Session

if TYPE_CHECKING:
    from invoke_shell.metadata.foreign.line import Line
    from invoke_shell.shell.running import Remark

__all__ = ["Replayed", "replay", "worst"]

MODEL = "model"  # the flag that is read before there is a plan: without that model there may be none


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How a replay went. path: where the new picture is."""

    label: str
    verdict: str
    path: str = ""
    max_difference: int | None = None
    psnr: float | None = None
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    edited: bool = False
    lossy: str = ""
    changed: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """For people, in one line and what explains it."""
        lines = [f"{visible(self.label)}: {self._head()}"]
        if self.edited:
            lines.append("  edited since it was made: its pixels are not the recorded ones")
        if self.lossy and not self.edited and self.verdict != "blocked":
            compared = "the pixels it was made from" if self.verdict == "exact" else "the new picture in that format"
            kind = {"jpeg": "JPEG", "webp": "WebP with loss"}[self.lossy]
            lines.append(f"  the file is a {kind}: what was compared is {compared}")
        lines += [f"  {m}" for m in self.missing]
        if self.verdict in ("close", "different") and self.reasons and not self.changed:
            lines.append("  possible reasons: " + "; ".join(self.reasons))
        return "\n".join(lines)

    def _head(self) -> str:
        if self.changed:
            flags = " ".join(f"--{name} {text}" for name, text in self.changed.items())
            return f"made anew with {flags}"
        if self.verdict in ("exact", "blocked"):
            return self.verdict
        numbers = []
        if self.max_difference is not None:
            numbers.append(f"off by at most {self.max_difference} of 255")
        if self.psnr is not None:
            numbers.append(f"{self.psnr:.1f} dB")
        return self.verdict + (f" ({', '.join(numbers)})" if numbers else "")

    def plain(self) -> dict[str, object]:
        """What --json prints."""
        return {
            "event": "replay",
            "image": self.label,
            "verdict": self.verdict,
            "path": self.path or None,
            "max_difference": self.max_difference,
            "psnr": self.psnr,
            "reasons": list(self.reasons),
            "missing": list(self.missing),
            "edited": self.edited,
            "lossy": self.lossy or None,
        }


def replay(
    session: Session, words: Sequence[str], changes: Mapping[str, str], where: Where, *, yes: bool = False
) -> list[Replayed]:
    """Make each picture again and compare. What fails is told and is that picture's verdict; the others go on.

    yes: pictures from elsewhere may be as much work as they like.
    """
    outcomes = []
    for word in words:
        try:
            outcome = _one(session, word, changes, where, yes=yes)
        except (BlockedError, MetadataError) as error:
            another = error.message.startswith("there is no model ") and MODEL not in changes  # no LoRA, no VAE
            way = ("replay --model NAME draws it with another one",) if another else ()
            outcome = Replayed(label=word, verdict="blocked", missing=(error.message, *way))
        outcomes.append(outcome)
        session.view.text(hung(outcome.sentence()), outcome.plain())
    return outcomes


def _one(session: Session, word: str, changes: Mapping[str, str], where: Where, *, yes: bool) -> Replayed:
    if line := foreign_of(session, word):
        return _foreign(session, word, line, changes, where, yes=yes)
    target = find_target(session, word)
    for warning in target.warnings:
        session.view.say(warning, warning=True)
    recalled = recalled_here(session, target.step)
    another = session.catalogue.find(changes[MODEL]) if MODEL in changes else None
    missing = tuple(m for m in recalled.missing if another is None or not m.startswith("the checkpoint "))
    if missing:
        return Replayed(label=word, verdict="blocked", missing=missing)
    for note in recalled.notes:
        session.view.say(note, warning=True)
    made = _changed(session, _by_another(session, recalled.plan, another), changes)
    if not yes and not is_own(session, target):
        _ask_about(session, made, word, changes)
    lossy = not target.form.lossless
    edited = target.image is not None and not lossy and is_edited(target.step.output_hash, target.image)
    old = None if edited else target.image
    compared = partial(verdict, target.step.output_hash, old=old, form=target.form)
    remark = _remark(target.step.output_hash, compared, changes)
    with session.with_threads(_threads(target.step)):
        finished = session.run_plan(made, where, cached=False, remark=remark)
    if not finished:
        raise BlockedError(f"{visible(word)} gave no picture", code="missing-input")
    result, frame = finished[-1]
    found = compared(frame.image)
    if lossy and target.image is not None and found.outcome == "exact":
        edited = not is_of(target.image, frame.image, target.form)
    edits = contradictions(target.data) if found.outcome != "exact" and not changes else ()
    why = (*filter(None, [found.unlike]), *recalled.notes, *edits, *reasons(target.step, frame.step))
    return Replayed(
        label=word,
        verdict=found.outcome,
        path=result.path,
        max_difference=found.max_difference,
        psnr=found.psnr,
        reasons=why,
        edited=edited,
        lossy=target.form.name if lossy else "",
        changed=changes,
    )


def _threads(step: StepRecord) -> object:
    """The threads of the step that drew last, None when none was drawn."""
    drawn = [s.environment.get("threads") for s in topological(step) if "threads" in s.environment]
    return drawn[-1] if drawn else None


def _ask_about(session: Session, made: Plan, word: str, changes: Mapping[str, str]) -> None:
    """A picture from elsewhere does not start hours of work. Raises BlockedError; in the shell Enter runs it then."""
    if not (much := large(made, session.registry)):
        return
    flags = "".join(f" --{name} {quote(text)}" for name, text in changes.items())
    if session.interactive:
        session.recalled = f"replay {quote(word)}{flags} --yes"
        raise BlockedError(f"{much}: Enter runs it all the same")
    raise BlockedError(f"{much}: replay --yes runs it all the same")


def _remark(recorded: str, compared: Callable[[Image], Verdict], changes: Mapping[str, str], tool: str = "") -> Remark:
    """What the new picture's step says of the one it replays."""

    def remark(image: Image) -> dict[str, Json]:
        of: dict[str, Json] = {"of": recorded, **({"tool": tool} if tool else {})}
        if changes:
            return {**of, "changed": dict(changes)}
        found = compared(image)
        return {**of, "verdict": found.outcome, "max_difference": found.max_difference, "psnr": found.psnr}

    return remark


def _foreign(
    session: Session, word: str, line: Line, changes: Mapping[str, str], where: Where, *, yes: bool
) -> Replayed:
    """Run the line of another program's picture and compare with its pixels; what it cannot carry are the reasons."""
    if not line.text or line.continues or line.lacks:
        return Replayed(label=word, verdict="blocked", missing=line.missing)
    made = _changed(session, _planned(session, line.text, changes.get(MODEL, "")), changes)
    if not yes:
        _ask_about(session, made, word, changes)
    old, _ = read_image(Path(word).expanduser())
    remark = _remark(old.hash, partial(_beside, old), changes, line.tool)
    finished = session.run_plan(made, where, cached=False, remark=remark)
    if not finished:
        raise BlockedError(f"{visible(word)} gave no picture", code="missing-input")
    result, frame = finished[-1]
    found = _beside(old, frame.image)
    return Replayed(
        label=word,
        verdict=found.outcome,
        path=result.path,
        max_difference=found.max_difference,
        psnr=found.psnr,
        reasons=(*filter(None, [found.unlike]), *line.missing, *line.guessed),
        changed=changes,
    )


def _beside(old: Image, new: Image) -> Verdict:
    """The verdict on pixels alone; those of a picture with alpha or without colour brought to the new one's mode."""
    if old.mode != new.mode:
        old = Image.from_pil(old.pil().convert(new.mode))
    return verdict(old.hash, new, old)


def _changed(session: Session, made: Plan, changes: Mapping[str, str]) -> Plan:
    """The plan with the other values that were asked for; another model is in it already."""
    rest = {name: text for name, text in changes.items() if name != MODEL}
    return overridden(made, session.registry, rest, session.draw) if rest else made


def _by_another(session: Session, made: Plan, model: ModelRecord | None) -> Plan:
    """The plan with every picture drawn by another model; as it is for None."""
    if model is None:
        return made
    draws = {call.id for call in made.calls if call.node and MODEL in session.registry[call.node].params}
    calls = [replace(c, params={**c.params, MODEL: model}) if c.id in draws else c for c in made.calls]
    changed = replace(made, calls=tuple(calls))
    return replace(changed, source=resolved_text(changed, session.registry))


def _planned(session: Session, text: str, model: str = "") -> Plan:
    """The plan of a line, without the session's settings. model: another one for all of it."""
    chain = understand(text, session.registry)[0].chain
    if model:
        new = {MODEL: Value(ModelName(model))}
        draws = [MODEL in session.registry[stage.node].params for stage in chain.stages]
        stages = [s.with_values(**new) if draw else s for s, draw in zip(chain.stages, draws, strict=True)]
        chain = replace(chain, stages=tuple(stages))
    facts = Gatherer.of(session).facts(chain, needs(chain, session.registry, {}))
    return plan(chain, session.registry, facts, {}, session.draw)


def worst(outcomes: Sequence[Replayed], *, exact: bool) -> int:
    """The exit status: 3 when one is blocked; with exact, 1 unless all are exact."""
    if any(o.verdict == "blocked" for o in outcomes):
        return 3
    return int(exact and any(o.verdict != "exact" for o in outcomes))
