"""Lines once more: explain, recall, replay, again, history."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from invoke_shell.errors import InvokeShellError, LineError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.node import Arg, node
from invoke_shell.shell.archive.handles import numbers_text
from invoke_shell.shell.builtins.words import Age, OptionalRest, PicturesRest, Rest, Words, expanded, fault, seconds_of
from invoke_shell.shell.display.view import Where
from invoke_shell.shell.display.wrapping import in_column
from invoke_shell.shell.session import Session, StatusError

__all__ = ["again", "explain", "history", "recall", "replay"]


@node(builtin=True, rest=True, group="shell", examples=['explain txt2img "a fox" --seed 1..8 | contact_sheet'])
def explain(shell: Session, line: Rest) -> None:
    """Say what a line would do. Runs nothing.

    It tells every value and where it comes from, the pictures and the models.
    """
    from invoke_shell.shell.answers.explain import explain as explained

    reading = shell.read(line)
    if reading.faults:
        raise LineError(line, reading.faults)
    for bound in reading.bound:
        if bound.chain.stages and bound.builtin is None:
            shell.view.text("\n".join(explained(shell.planned(bound.chain), shell.registry)))


@node(builtin=True, group="shell", examples=["recall @1", "recall a.png", "recall @1..3"])
def recall(shell: Session, what: Words) -> None:
    """Put a picture's command, or an old line, into the edit line.

    Outside the shell it is printed. Several are printed as a command file, each below a comment with its name:
    recall *.png > all.invoke
    """
    from invoke_shell.shell.answers.inside import in_a_file, line_of

    words = list(expanded(shell, what))
    if len(words) == 1:
        text = line_of(shell, words[0])
        if shell.interactive:
            shell.recalled = text
        else:
            shell.view.text(text, recalled_record(words[0], text))
        return
    status = 0
    for word in words:
        try:
            text = line_of(shell, word)
        except InvokeShellError as error:
            shell.view.error(error, Where())
            status = status or error.exit_status
            continue
        shell.view.text(in_a_file(word, text), recalled_record(word, text))
    if status:
        raise StatusError(status)


def recalled_record(word: str, text: str) -> dict[str, str]:
    """What recall tells programs."""
    return {"event": "recall", "image": word, "command": text}


@node(builtin=True, rest=True, group="shell", examples=["replay @1", "replay a.png --steps 30"])
def replay(shell: Session, what: PicturesRest) -> None:
    """Make pictures again from what is inside, and compare them.

    The verdict is exact, close, different or blocked, with the reasons. Takes files and handles; flags change a
    value: --steps 30, or so much more: --steps +5, --seed +1. --exact ends with status 1 unless all are exact.
    --yes runs what a picture from elsewhere asks for, however much it is.
    """
    from invoke_shell.shell.replay.changes import options, switches_of
    from invoke_shell.shell.replay.replaying import replay as replayed
    from invoke_shell.shell.replay.replaying import worst

    words, flags = options(what, {"exact", "yes", *switches_of(shell.registry)})
    exact, yes = (flags.pop(name, "") == "on" for name in ("exact", "yes"))
    if not words:
        raise LineError(what, [fault(what, "replay needs a picture", "as in: replay @1", "missing-argument")])
    status = worst(replayed(shell, list(expanded(shell, words)), flags, Where(), yes=yes), exact=exact)
    if status:
        raise StatusError(status)


@node(builtin=True, rest=True, group="shell", examples=["again", "again @1 --steps 30"])
def again(shell: Session, changes: OptionalRest = "") -> None:
    """Run a picture's line again, with changes and a fresh seed.

    Without a handle the last line. A flag that two stages have is written --txt2img.steps or --2.steps. --seed +1
    counts on from the picture's seed, and with --variation it stays.
    """
    from invoke_shell.shell.again import chain_again, changed
    from invoke_shell.shell.replay.changes import options, switches_of

    words, flags = options(changes, switches_of(shell.registry))
    if words[1:]:
        more = f"again takes one handle, and {visible(words[1])} is one too many"
        raise LineError(words[1], [fault(words[1], more, "a line is run once for all of its pictures", "extra-word")])
    chain, step = chain_again(shell, words[0] if words else "@-1")
    shell.run_chain(changed(shell, chain, flags, step), Where())


@node(builtin=True, group="shell", examples=["history", "history fox", "history --kept --since 8w"])
def history(
    shell: Session,
    search: Annotated[str, Arg(help="Words that a line must have.", text=True)] = "",
    *,
    everywhere: Annotated[bool, Arg(help="Of every session, not this one alone.")] = False,
    status: Annotated[
        Literal["done", "failed", "cancelled", "interrupted"] | None, Arg(help="How the lines ended.")
    ] = None,
    kept: Annotated[bool, Arg(help="Lines of which a picture was kept.")] = False,
    since: Age = None,
    limit: Annotated[int, Arg(help="How many lines.", ge=1, le=100_000)] = 20,
) -> None:
    """List the lines of this session and what they made.

    The last one stands below. recall 41 puts line 41 into the edit line; @12? tells how one picture was made.
    """
    store = shell.keeper.store
    session = None if everywhere else shell.keeper.session.id
    begun = time.time() - seconds_of(since) if since else 0.0
    rows = store.history(session, search, limit, status=status or "", since=begun, kept=kept)
    for row in reversed(rows):
        numbers = [r.n for r in store.results_of_line(row.id)]
        made = numbers_text(numbers) if len(numbers) < 4 else f"@{numbers[0]}…@{numbers[-1]}"
        made = made or ("in the trash" if store.made_by_line(row.id) else "-")
        how = "" if row.status == "done" else f"  {row.status}"
        record = {
            "event": "line", "id": row.id, "text": row.text, "status": row.status, "handles": numbers,
            "started": row.started, "seconds": round(row.seconds, 3),
        }  # fmt: skip
        text = in_column(f"{row.id:>5}  {made:<14} ", visible(row.text), f"  {row.seconds:.1f} s{how}")
        shell.view.text(text, record)
    if not rows:
        asked = search or status or kept or since
        shell.view.say("no line is like that" if asked else "no line made anything yet")
