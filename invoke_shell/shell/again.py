"""A line once more: as it was typed, its relative handles made absolute, flags changed, typed seeds left out."""

from __future__ import annotations

import json
from dataclasses import replace

from invoke_shell.errors import BlockedError, Fault, LineError, nearest
from invoke_shell.metadata.history import from_metadata, loads
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value, to_text
from invoke_shell.pipeline.param import Param
from invoke_shell.pipeline.text import quote
from invoke_shell.pipeline.types import RANDOM, Handle, Seed, Sweep
from invoke_shell.records import StepRecord, topological
from invoke_shell.shell.session import Session

__all__ = ["chain_again", "changed"]


def chain_again(shell: Session, word: str) -> tuple[Chain, StepRecord]:
    """The line of a result as it was typed, its relative handles made absolute; and what was recorded of the result.

    A handle may name several results of one line. Raises BlockedError.
    """
    rows = shell.keeper.rows(word)
    if len({row.line for row in rows}) > 1:
        several = f"{word} was made by several lines, and again runs one"
        raise BlockedError(several, hint=f"as in: again {rows[-1].handle}", code="unknown-handle")
    row = rows[-1]
    line = shell.keeper.store.line(row.line)
    if line is None:
        raise BlockedError(f"the line of {word} is gone", code="unknown-handle")
    reading = shell.read(line.text)
    chains = [b.chain for b in reading.bound if b.chain.stages and b.builtin is None]
    if reading.faults or not chains:
        raise BlockedError(f"{word} was not made by a line", hint=f"replay {word}", code="unknown-handle")
    plan = json.loads(shell.keeper.store.plan(row.line) or "{}")
    return _absolute(chains[-1], plan.get("handles", {})), from_metadata(loads(row.metadata))


def _absolute(chain: Chain, handles: dict[str, list[str]]) -> Chain:
    def plain(found: Handle) -> tuple[Handle, ...]:
        return tuple(Handle(text) for text in handles.get(found.text, [found.text]))

    def value(v: Value) -> Value:
        if isinstance(v.value, Handle) and len(plain(v.value)) == 1:
            return replace(v, value=Handle(plain(v.value)[0].text, v.value.field))
        return v

    stages = [
        replace(
            s,
            handles=tuple(h for old in s.handles for h in plain(old)),
            values={n: value(v) for n, v in s.values.items()},
        )
        for s in chain.stages
    ]
    if chain.continues:
        stages.insert(0, Stage(node="", handles=plain(Handle("|"))))
    return replace(chain, stages=tuple(stages), continues=False)


def changed(shell: Session, chain: Chain, flags: dict[str, str], step: StepRecord) -> Chain:
    """The chain with flags changed, and fresh seeds in the place of typed ones: as many as there were.

    step: the result that is made again. With --variation its seed stays; `--seed +1` counts on from it.
    """
    stages = list(chain.stages)
    for name, text in flags.items():
        i = _stage_of(shell, stages, name)
        p = shell.registry[stages[i].node].flags[_spelled(name)]
        if p.kind.is_seed and text.startswith("+") and text[1:].isdigit():
            new = Value(Seed(_recorded_seed(step, stages[i].node, p) + int(text[1:])), Source.LINE)
        else:
            new = _value(shell, p, stages[i], text)
        rest = {n: v for n, v in stages[i].values.items() if n not in (p.arg.excludes, p.name)}
        stages[i] = replace(stages[i], values={**rest, p.name: new})
    given = {shell.registry[stages[_stage_of(shell, stages, n)].node].flags[_spelled(n)].name for n in flags}
    for i, stage in enumerate(stages):
        node = shell.registry[stage.node] if stage.node else None
        if node is not None and node.seed and node.seed.name not in given:
            seed = _recorded_seed(step, node.name, node.seed) if "variation" in given else None
            first = not any(s.node and shell.registry[s.node].seed for s in stages[:i])
            stages[i] = _reseeded(stage, node.seed.name, seed, flows=first and bool(stages[0].handles))
    changed = replace(chain, stages=tuple(stages))
    return understand(to_text(changed, shell.registry), shell.registry, shell.settings.values())[0].chain


def _spelled(name: str) -> str:
    """A flag as a node knows it, its stage left out: `-n`, `--steps`."""
    flag = name.rpartition(".")[2].replace("_", "-")
    return f"-{flag}" if len(flag) == 1 else f"--{flag}"


def _recorded_seed(step: StepRecord, node: str, p: Param) -> int:
    """The seed that the last step of a node drew with; 0 when it is not recorded."""
    seeds = [s.params[p.name] for s in topological(step) if s.node == node and p.name in s.params]
    return next((seed for seed in reversed(seeds) if isinstance(seed, int)), 0)


def _reseeded(stage: Stage, name: str, seed: int | None, *, flows: bool) -> Stage:
    """A stage with this seed; None is a fresh one, and of a sweep of seeds as many as it had.

    flows: without one the seed would follow from the pictures of a handle, and be what it was.
    """
    typed = stage.values.get(name)
    values = {n: v for n, v in stage.values.items() if n != name}
    if seed is not None or flows:
        values[name] = Value(RANDOM if seed is None else Seed(seed), Source.LINE)
    if seed is not None:
        return replace(stage, values=values)
    if typed is not None and isinstance(typed.value, Sweep) and "count" not in values:
        values["count"] = Value(len(typed.value.values), Source.LINE)
    return replace(stage, values=values)


def _value(shell: Session, p: Param, stage: Stage, text: str) -> Value:
    """A flag's value as if it had been typed. Raises LineError."""
    node = shell.registry[stage.node]
    needed = " ".join(
        f"{q.flag} {quote('x')}" for q in node.params.values() if q.required and q.arg.text and q is not p
    )
    front = "@1 | " if node.takes != "none" else ""
    word = "" if p.kind.is_switch else quote(text) if p.kind.is_text else text
    flag = p.flag if not p.kind.is_switch or text != "off" else "--no-" + p.flag[2:]
    line = f"{front}{node.name} {needed} {flag} {word}".strip()
    try:
        bound = understand(line, shell.registry, shell.settings.values())
    except LineError as error:  # of a line that nobody typed: it is said of the word that was
        fault = Fault(0, max(1, len(text)), error.message, error.hint, error.code)
        raise LineError(text, [fault]) from None
    return bound[0].chain.stages[-1].values[p.name]


def _stage_of(shell: Session, stages: list[Stage], name: str) -> int:
    """The stage a flag means. Raises LineError naming the spellings when several have it."""
    where, flag, word = name.rpartition(".")[0], _spelled(name), ("--" if len(name) > 1 else "-") + name
    having = [i for i, s in enumerate(stages) if s.node and flag in shell.registry[s.node].flags]
    if where.isdigit():
        having = [i for i in having if i == int(where) - 1]
    elif where:
        having = [i for i in having if stages[i].node == where]
    if len(having) == 1:
        return having[0]
    if not having:
        known = [f for s in stages if s.node for f in shell.registry[s.node].flags]
        guess = nearest(flag, known)
        hint = f"did you mean {guess}?" if guess else ""
        raise LineError(word, [Fault(0, len(word), f"no stage of the line has {flag}", hint, "unknown-flag")])
    twice = len({stages[i].node for i in having}) < len(having)
    spellings = [f"--{i + 1 if twice else stages[i].node}.{flag.lstrip('-')}" for i in having]
    message = f"{flag} could be of {' or '.join(stages[i].node for i in having)}"
    raise LineError(word, [Fault(0, len(word), message, "write " + " or ".join(spellings), "unknown-flag")])
