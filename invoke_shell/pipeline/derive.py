"""What follows from a signature: help, completion items, JSON Schema. Text and data only; the shell draws them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from invoke_shell.pipeline.bind import Pending
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry

__all__ = ["PROMPT_NAME", "Item", "complete", "flow", "help_node", "json_schema", "kind_text", "usage", "wrapped"]

COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Item:
    """One completion: the word, where it begins in the text, what it is, and a note beside it."""

    text: str
    start: int
    note: str = ""
    space: bool = True


# -- help ------------------------------------------------------------------------------------------------------------


def flow(node: Node[Any, Any]) -> str:
    """What goes in and comes out, as `picture → picture`."""
    if node.builtin:
        return ""
    into = {"none": "nothing", "each": "each picture", "all": "all pictures"}[node.takes]
    return f"{into} → {'the same' if node.stage_only else 'picture' if node.takes != 'none' else 'pictures'}"


def kind_text(p: Param) -> str:
    """The kind of value for people: `1 to 150`, `text`, `euler, ddim, ...`."""
    if p.kind.is_switch:
        return "switch"
    if p.kind.choices:
        shown = ", ".join(p.kind.choices[:4])
        return shown + (f", … {len(p.kind.choices) - 4} more" if len(p.kind.choices) > 4 else "")
    if p.span:
        return p.span
    plain = p.kind.label.split(":")[0].split(" such as")[0]
    return plain.removeprefix("a ").removeprefix("an ").removeprefix("the ")


def default_text(p: Param) -> str:
    """The default for people; "" when there is none to say."""
    if p.required or p.default is None or p.default == ():
        return ""
    values = p.default if p.kind.many else (p.default,)
    return ", ".join(p.kind.format(v) or '""' for v in values)


def usage(node: Node[Any, Any]) -> str:
    """`txt2img PROMPT [--flags]`."""
    words = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in node.positionals]
    more = ["[--flags]"] if len(node.params) > len(node.positionals) else []
    return " ".join([node.name, *words, *more])


def help_node(node: Node[Any, Any], most: int | None = None) -> list[str]:
    """The help page of a command, in lines of 80 columns.

    most: lines of it. Where it has more, flags that are seldom typed are only named: the examples stand in any case.
    """
    head = [*wrapped(f"{node.name}: {node.summary}")]
    head.append(f"  {usage(node)}" + (f"    ({flow(node)})" if flow(node) else ""))
    for paragraph in "\n".join(node.doc.splitlines()[1:]).strip().split("\n\n"):
        if paragraph:
            head += ["", *wrapped(" ".join(paragraph.split()), "  ")]
    examples = ["", "  examples", *(line for e in node.examples for line in _folded(e))] if node.examples else []
    told = {name: list(_help_param(p)) for name, p in node.params.items()}
    room = most - len(head) - 1 - len(examples) if most is not None else sum(map(len, told.values()))
    return [*head, "", *_parameters(node, told, room), *examples]


def _parameters(node: Node[Any, Any], told: Mapping[str, list[str]], room: int) -> list[str]:
    """Parameters with what they are; where there is no room for all, those typed most, and names of the rest."""
    if sum(map(len, told.values())) <= room:
        return [line for lines in told.values() for line in lines]
    chosen: set[str] = set()
    page: list[str] = []
    for name in sorted(told, key=lambda name: not _usual(node.params[name])):
        chosen.add(name)
        rest = [node.params[other].flag for other in told if other not in chosen]
        named = wrapped(f"{', '.join(rest)}: help {node.name} --all", "  and ", "      ") if rest else []
        lines = [line for other in told if other in chosen for line in told[other]] + named
        if len(lines) > room and page:
            break
        page = lines
    return page


def _usual(p: Param) -> bool:
    """Whether a parameter is typed often: it has a short form, or is what draws."""
    return p.positional or bool(p.arg.short) or p.kind.model in ("checkpoint", "lora")


def _folded(example: str) -> list[str]:
    """An example in lines of 80 columns, broken before a pipe or a flag; pasted it is one line again."""
    rows = ["   "]
    for part in re.split(r" (?=\||--)", example):
        if len(rows[-1]) + 1 + len(part) + 2 > COLUMNS and rows[-1].strip():
            rows[-1] += " \\"
            rows.append("     ")
        rows[-1] += f" {part}"
    return rows


def _help_param(p: Param) -> Iterator[str]:
    name = p.name.upper() if p.positional else p.flag + (f", -{p.arg.short}" if p.arg.short else "")
    notes = [kind_text(p)]
    if default_text(p):
        notes.append(f"default {default_text(p)}")
    if p.kind.many:
        notes.append("repeat it for more")
    if p.arg.follows:
        notes.append("follows down the line")
    first, told = f"  {name:<18} ", "; ".join(notes)
    if len(one := f"{first}{p.arg.help} ({told})") <= COLUMNS:
        yield one
        return
    yield from wrapped(p.arg.help, first, " " * 21)
    yield from wrapped(told, " " * 21)


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """A text in lines of at most 80 columns."""
    from textwrap import wrap  # only help pays for it

    # A flag is one word, hyphens and all.
    return wrap(text, COLUMNS, initial_indent=first, subsequent_indent=rest or first, break_on_hyphens=False)


# -- JSON Schema -----------------------------------------------------------------------------------------------------


def json_schema(node: Node[Any, Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a node's parameters as plain JSON, and what it takes and gives."""
    properties = {p.name: _param_schema(p) for p in node.params.values()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": node.name,
        "description": node.summary,
        "type": "object",
        "properties": properties,
        "required": [p.name for p in node.params.values() if p.required],
        "additionalProperties": False,
        "x-version": node.version,
        "x-takes": node.takes,
        "x-gives": list(node.gives),
    }


def _param_schema(p: Param) -> dict[str, Any]:
    one = p.kind.schema()
    for key, bound in (("minimum", p.arg.ge), ("maximum", p.arg.le), ("multipleOf", p.arg.multiple_of)):
        if bound is not None and one.get("type") in ("integer", "number"):
            one[key] = bound
    if p.kind.optional or (p.kind.is_seed and p.default is None):
        one = {"anyOf": [one, {"type": "null"}]}
    schema = {"type": "array", "items": one} if p.kind.many else one
    schema["description"] = p.arg.help
    if p.arg.unit:
        schema["x-unit"] = p.arg.unit
    if not p.required:
        many = [p.kind.plain(v) for v in p.default or ()] if p.kind.many else []
        schema["default"] = many if p.kind.many else p.kind.plain(p.default)
    return schema


# -- completion ------------------------------------------------------------------------------------------------------

PROMPT_NAME = re.compile(r"(?<!\\)<(lora|embedding):([^<>:]*)\Z|(?<![\w\\])__[\w./-]*\Z", re.I)
Lister = Callable[[Param, str], Iterable[tuple[str, str]]]


def complete(pending: Pending, registry: Registry, text: str, values: Lister) -> list[Item]:
    """What may stand at the end of a text, best first. values: lists models, files, handles by parameter."""
    if pending.kind == "command":
        return _commands(pending, registry)
    if pending.kind == "text" and (within := _within_prompt(pending, values)) is not None:
        return within
    if pending.kind in ("flag", "text") and pending.node is not None:
        items = _flags(pending)
        p = pending.param
        if p is not None and not p.arg.text and not pending.prefix.startswith("-"):
            items = _values(pending, values) + items
        return items if pending.kind == "flag" or pending.prefix.endswith(" ") else []
    if pending.kind == "value" and pending.param is not None:
        return _values(pending, values)
    return []


def _within_prompt(pending: Pending, values: Lister) -> list[Item] | None:
    """Names of LoRAs, embeddings and wildcards that a prompt has begun to name; None where it names none."""
    p, node = pending.param, pending.node
    if p is None or node is None or not p.arg.prompt or not (begun := PROMPT_NAME.search(pending.prefix)):
        return None
    typed = begun[2] if begun[1] else begun[0]
    start = pending.start + len(pending.prefix) - len(typed)
    listed = next((q for q in node.params.values() if q.kind.model == begun[1].lower()), p) if begun[1] else p
    items = _ranked(Pending("value", typed, start), list(values(listed, typed)))
    return [replace(item, space=False) for item in items]


def _commands(pending: Pending, registry: Registry) -> list[Item]:
    """After a pipe only commands that take pictures, at a line's start only those that need none and the shell's."""
    piped = bool(pending.used)
    fitting = [n for n in registry.values() if (n.takes != "none" and not n.builtin) == piped]
    return _ranked(pending, [(n.name, n.summary) for n in fitting])


def _flags(pending: Pending) -> list[Item]:
    assert pending.node is not None
    free = [p for p in pending.node.params.values() if p.kind.many or p.name not in pending.used]
    flags = [(p.flag, _flag_note(p)) for p in free if not (p.positional and p.required)]
    prefix = pending.prefix.rsplit(" ", 1)[-1]
    if prefix and not prefix.startswith("-"):
        return []
    start = pending.start + len(pending.prefix) - len(prefix)
    items = _ranked(Pending("flag", prefix, start), flags)
    return items


def _flag_note(p: Param) -> str:
    default = default_text(p)
    return f"{p.arg.help}  [{kind_text(p)}{', ' + default if default else ''}]"


def _values(pending: Pending, values: Lister) -> list[Item]:
    p = pending.param
    assert p is not None
    head, comma, last = pending.prefix.rpartition(",")
    found: list[tuple[str, str]] = []
    if p.kind.choices:
        found = [(c, "default" if c == p.default else "") for c in p.kind.choices]
    else:
        found = list(values(p, last))
    start = pending.start + len(head) + len(comma)
    return _ranked(Pending("value", last, start), found)


def _ranked(pending: Pending, options: list[tuple[str, str]]) -> list[Item]:
    """Those that begin with the prefix; only when there are none, those that hold its letters in order."""
    prefix = pending.prefix.lower()
    hits = [(w, note) for w, note in options if w.lower().startswith(prefix)]
    if not hits and prefix:
        scored = [(s, w, note) for w, note in options if (s := _fuzzy(prefix, w.lower())) is not None]
        hits = [(w, note) for _, w, note in sorted(scored, key=lambda x: x[0])]
    return [Item(w, pending.start, note, space=not w.endswith("/")) for w, note in hits]


def _fuzzy(letters: str, word: str) -> int | None:
    """How far apart the letters stand in the word, in order, at the starts of its parts by preference; else None."""
    at, spread = -1, 0
    for c in letters.lstrip("-"):
        found = word.find(c, at + 1)
        if found < 0:
            return None
        spread += found - at - 1 + (found not in (0, at + 1) and word[found - 1] not in "_-")
        at = found
    return spread


def settable(registry: Registry) -> Mapping[str, Param]:
    """Parameters that `set` may give a value: the first of each name."""
    found: dict[str, Param] = {}
    for node in registry.values():
        for p in node.params.values():
            if not p.positional and not p.kind.picture and not node.builtin:
                found.setdefault(p.name, p)
                found[f"{node.name}.{p.name}"] = p
    return found
