"""A line once more: as it was typed, its relative handles made absolute, flags changed, typed seeds left out."""

from __future__ import annotations

import json
from dataclasses import replace

from invoke_shell.errors import BlockedError, Fault, LineError
from invoke_shell.pipeline.bind import understand
from invoke_shell.pipeline.chain import Chain, Source, Stage, Value, to_text
from invoke_shell.pipeline.param import Param
from invoke_shell.pipeline.text import quote
from invoke_shell.pipeline.types import Handle, Seed
from invoke_shell.shell.session import Session

__all__ = ["chain_again", "changed"]


def chain_again(shell: Session, word: str) -> Chain:
    """The line of a result as it was typed, its relative handles made absolute."""
    row = shell.keeper.row(word)
    line = shell.keeper.store.line(row.line)
    if line is None:
        raise BlockedError(f"the line of {word} is gone", code="unknown-handle")
    reading = shell.read(line.text)
    chains = [b.chain for b in reading.bound if b.chain.stages and b.builtin is None]
    if reading.faults or not chains:
        raise BlockedError(f"{word} was not made by a line", hint=f"replay {word}", code="unknown-handle")
    plan = json.loads(shell.keeper.store.plan(row.line) or "{}")
    return _absolute(chains[-1], plan.get("handles", {}))


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


def changed(shell: Session, chain: Chain, flags: dict[str, str]) -> Chain:
    """The chain with flags changed and typed seeds left out, so that fresh ones are drawn."""
    stages = list(chain.stages)
    for name, text in flags.items():
        i = _stage_of(shell, stages, name)
        p = shell.registry[stages[i].node].flags["--" + name.rpartition(".")[2].replace("_", "-")]
        old = stages[i].values.get(p.name)
        if p.kind.is_seed and text.startswith("+") and text[1:].isdigit():
            before = old.value if old is not None and isinstance(old.value, int) else 0
            new = Value(Seed(before + int(text[1:])), Source.LINE)
        else:
            new = _value(shell, p, stages[i], text)
        rest = {n: v for n, v in stages[i].values.items() if n not in (p.arg.excludes, p.name)}
        stages[i] = replace(stages[i], values={**rest, p.name: new})
    for i, stage in enumerate(stages):
        node = shell.registry[stage.node] if stage.node else None
        if node is not None and node.seed and not any(f.rpartition(".")[2] == node.seed.name for f in flags):
            values = {n: v for n, v in stage.values.items() if n != node.seed.name}
            stages[i] = replace(stage, values=values)
    changed = replace(chain, stages=tuple(stages))
    return understand(to_text(changed, shell.registry), shell.registry, shell.settings.values())[0].chain


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
    return understand(line, shell.registry, shell.settings.values())[0].chain.stages[-1].values[p.name]


def _stage_of(shell: Session, stages: list[Stage], name: str) -> int:
    """The stage a flag means. Raises LineError naming the spellings when several have it."""
    where, _, flag = name.rpartition(".")
    flag = "--" + flag.replace("_", "-")
    having = [i for i, s in enumerate(stages) if s.node and flag in shell.registry[s.node].flags]
    if where.isdigit():
        having = [i for i in having if i == int(where) - 1]
    elif where:
        having = [i for i in having if stages[i].node == where]
    if len(having) == 1:
        return having[0]
    if not having:
        raise LineError(name, [Fault(0, len(name), f"no stage of the line has {flag}", "", "unknown-flag")])
    twice = len({stages[i].node for i in having}) < len(having)
    spellings = [f"--{i + 1 if twice else stages[i].node}.{flag[2:]}" for i in having]
    message = f"{flag} could be of {' or '.join(stages[i].node for i in having)}"
    raise LineError(name, [Fault(0, len(name), message, "write " + " or ".join(spellings), "unknown-flag")])
