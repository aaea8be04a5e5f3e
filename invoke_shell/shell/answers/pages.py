"""The pages of help: all commands, one group of them, the keys, the language. Lines of 80 columns.

A page of a single command is made by pipeline/derive.py, from its signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from invoke_shell.pipeline import derive
from invoke_shell.pipeline.node import Node, Param
from invoke_shell.pipeline.registry import Registry

__all__ = [
    "GROUPS",
    "LONG",
    "TOPICS",
    "flag_page",
    "groups",
    "overview",
    "setting_page",
    "shortened",
    "summarised",
    "topic",
]

LONG = 60  # lines of help shown at once
NAME = 16  # columns of a command's name
LAST = "help NAME tells more, help WORD searches, explain LINE says what a line would do"

AnyNode = Node[Any, Any]

# word -> title; the order of the page
GROUPS: Mapping[str, str] = {
    "begin": "Begin a line",
    "change": "Draw anew, change",
    "mask": "Masks",
    "combine": "Bring another picture in",
    "sheet": "All pictures together",
    "end": "Save and look",
    "results": "Results and sessions",
    "shell": "The shell",
}
FLOWS = {
    "begin": "nothing → pictures", "change": "each picture → picture", "mask": "each picture → picture",
    "combine": "each picture → picture", "sheet": "all pictures → picture", "end": "each picture → the same",
}  # fmt: skip


def groups(registry: Registry) -> dict[str, list[AnyNode]]:
    """Commands by what they take and give; a plugin's own groups after ours."""
    found: dict[str, list[AnyNode]] = {}
    for node in registry.values():
        found.setdefault(_group(node), []).append(node)
    order = [*GROUPS, *found]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _group(node: AnyNode) -> str:
    if node.builtin:
        return node.group or "shell"
    if node.takes == "none":
        return "begin"
    if node.stage_only:
        return "end"
    if node.takes == "all":
        return "sheet"
    return "change" if node.group in ("generate", "files", "view", "") else node.group


def overview(registry: Registry, *, whole: bool = False) -> list[str]:
    """All commands. Not the whole of it: as many groups with their summaries as LONG lines hold, the rest as names."""
    long = {word: _described(word, nodes) for word, nodes in groups(registry).items()}
    short = {word: _named(word, nodes) for word, nodes in groups(registry).items()}
    pages = long
    if not whole:
        pages = short
        for word in long:
            if sum(map(len, {**pages, word: long[word]}.values())) + 3 <= LONG:
                pages = {**pages, word: long[word]}
    cut = [word for word in pages if pages[word] is short[word]]
    more = f"help {cut[-1]} and help --all describe what is only named" if cut else ""
    return [line for page in pages.values() for line in page] + ["", *([more] if more else []), LAST]


def _title(word: str) -> str:
    flow = FLOWS.get(word, "")
    return f"{GROUPS.get(word, word):<30}{flow}".rstrip()


def _described(word: str, nodes: Sequence[AnyNode]) -> list[str]:
    return [_title(word), *(summarised(node) for node in nodes)]


def _named(word: str, nodes: Sequence[AnyNode]) -> list[str]:
    return [_title(word), *derive.wrapped("  ".join(node.name for node in nodes), "  ")]


def summarised(node: AnyNode) -> str:
    """A command and what it does, in one line of 80 columns."""
    return f"  {node.name:<{NAME}} {cut(node.summary, derive.COLUMNS - NAME - 3)}".rstrip()


def cut(text: str, room: int) -> str:
    """A sentence that is too long for a list ends after a part of it."""
    if len(text) <= room:
        return text
    head = text[: room - 1]
    end = max(head.rfind(mark) for mark in (", ", "; ", ": ", " "))
    return head[:end].rstrip(",;:") + " …"


def topic(word: str, registry: Registry) -> list[str]:
    """The page of a group or a topic; empty where there is none of that name."""
    if word in (found := groups(registry)):
        return _described(word, found[word])
    if word == "schedulers":
        return list(_schedulers())
    return TOPICS[word].splitlines() if word in TOPICS else []


def _schedulers() -> Iterator[str]:
    """Those of their own, each with the other noise levels it knows; then what those are."""
    from invoke_shell.pipeline.schedulers import DEFAULT, LEVELS, SCHEDULERS

    for s in SCHEDULERS.values():
        if not s.base:
            yield from derive.wrapped(s.help, f"  {s.name:<14} ", " " * 17)
            more = [f"_{other.sigmas}" for other in SCHEDULERS.values() if other.base == s.name]
            notes = [f"also with {' '.join(more)}"] if more else []
            notes += [f"takes --{' --'.join(s.takes)}"] if s.takes else []
            notes += [f"needs {s.needs}"] if s.needs else []
            if notes:
                yield from derive.wrapped("; ".join(notes), " " * 17)
    yield ""
    for word, levels in LEVELS.items():
        yield from derive.wrapped(f"{levels.help}.", f"  _{word:<13} ", " " * 17)
    yield ""
    yield from derive.wrapped(f"The default is {DEFAULT}. Other programs' names are read too: Euler a", "  ")


def flag_page(flag: str, registry: Registry) -> list[str]:
    """A flag, and the commands that have it."""
    owners = [(node, p) for node in registry.values() for p in node.params.values() if p.flag == flag]
    lines: list[str] = []
    for (text, kind), nodes in _same(owners).items():
        lines += derive.wrapped(f"{flag} of {', '.join(n.name for n in nodes)}: {text}")
        lines += derive.wrapped(kind, "  ")
    return lines


def _same(owners: Sequence[tuple[AnyNode, Param]]) -> dict[tuple[str, str], list[AnyNode]]:
    found: dict[tuple[str, str], list[AnyNode]] = {}
    for node, p in owners:
        kind = "; default ".join(part for part in (derive.kind_text(p), derive.default_text(p)) if part)
        found.setdefault((p.arg.help, kind), []).append(node)
    return found


def setting_page(p: Param, text: str, source: str) -> list[str]:
    """A setting of the shell: what it is for, what it may be, what it is and why."""
    kind = ", ".join(p.kind.choices) or derive.kind_text(p)
    default = derive.default_text(p) or "none"
    return [
        *derive.wrapped(f"{p.name}: {p.arg.help}"),
        *derive.wrapped(f"a setting; {'on or off' if p.kind.is_switch else kind}; default {default}", "  "),
        f"  now {text or 'none'} ({source})",
        f"  set {p.name} VALUE    set --keep {p.name} VALUE    unset {p.name}",
    ]


def shortened(lines: Sequence[str], what: str, *, whole: bool) -> list[str]:
    """At most LONG lines, the last of them saying where the rest is."""
    if whole or len(lines) <= LONG:
        return list(lines)
    return [*lines[: LONG - 1], f"… {len(lines) - LONG + 1} more lines: help {what} --all"]


TOPICS: Mapping[str, str] = {
    "keys": """\
Keys of the edit line (set keys vi gives those of vi; these are there too)
  Enter            run, or add a line to what is unfinished; accept a completion
  Alt-Enter        a new line
  Tab              what all completions share, then the menu, then its next item
  →   Alt-→        take the grey text, or its first word
  ↑ ↓              lines of the history that have what is typed
  Ctrl-R           search the history
  F1               help on the word at the cursor
  Ctrl-C           clear the line; in a run: stop after this step, again: now
  Ctrl-D           leave
  Ctrl-X Ctrl-E    the line in $EDITOR
  Ctrl-_           undo the last edit
  Ctrl-A Ctrl-E    start and end of the line; Ctrl-W Ctrl-K Ctrl-Y cut and paste
  Ctrl-Z           suspend""",
    "language": """\
A line is commands with pipes between them:
  txt2img "a red boat" --seed 7 | upscale --scale 2 | show_image
A prompt needs no quotes as long as it has no flag or pipe in it:
  txt2img a red boat --seed 7
Results have numbers; a line may begin with one, or with all of the last line:
  @12 | blur          @-1 the last result     @@ all of the last line    @15..22
  | upscale           goes on from the last line's results
  txt2img a fox as @fox                       a name for what a line gives
Several values make several pictures, counted before they start:
  --seed 1..8         --guidance 5,7.5        --scheduler euler,ddim      -n 4
  txt2img a {red|blue} boat                   each of the words
What a command does, and what a line would do:
  txt2img?            help txt2img            @12?   explain txt2img a fox
Again, with changes:  again --steps 30       recall @12       replay a.png
Several lines: ; between them. A comment: # first on a line, or between blanks.
The system's shell:  $ ls outputs""",
}
