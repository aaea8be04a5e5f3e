"""The program's own command line.

    invoke-shell                              the shell
    invoke-shell -c LINE [-c LINE ...]        run lines in one session, then leave
    invoke-shell FILE | -                     run a command file, or standard input
    invoke-shell COMMAND ARG...               one command; each argument is one value, never parsed again

Exit status: 0 done, 1 a line failed, 2 not understood, 3 something is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell import __version__
from invoke_shell.collector import collector_paused
from invoke_shell.errors import InvokeShellError, SettingError

if TYPE_CHECKING:
    from invoke_shell.pipeline.registry import Registry
    from invoke_shell.shell.session import Session

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Run the program with these arguments; the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return _run(options, parser)
    except InvokeShellError as error:
        from invoke_shell.metadata.visible import visible_lines
        from invoke_shell.shell.display.wrapping import told_to

        print(told_to(sys.stderr, visible_lines(str(error))), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output is gone; what is left of it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="invoke-shell",
        description="A pipe-style command line for Stable Diffusion. Without arguments: the shell.",
        epilog="Commands: txt2img and the other nodes, explain, recall, replay, info, strip, models, nodes, doctor.",
        allow_abbrev=False,
    )
    p.add_argument("-c", dest="lines", action="append", metavar="LINE", help="run a line, then leave; may be repeated")
    p.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="FILE | COMMAND ARG...", help="a command file, - or a command"
    )
    p.add_argument("--home", metavar="DIR", help="data, settings, cache and models in one folder")
    p.add_argument("--outdir", metavar="DIR", type=Path, help="where pictures go")
    p.add_argument("--model", metavar="X", help="the model of this session: a name, a path or a hash")
    p.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps or auto")
    p.add_argument("--continue", dest="go_on", action="store_true", help="take up the last session")
    p.add_argument("--session", metavar="NAME", help="take up or begin the session of this name")
    p.add_argument("--trust", action="store_true", help="let a file run $ lines and write outside the output folder")
    p.add_argument("--inline", action="store_true", help="run models in this process")
    p.add_argument("--dry-run", action="store_true", help="explain every line, run none")
    p.add_argument("--resume", action="store_true", help="go on with a file where it ended early the last time")
    p.add_argument("--keep-going", action="store_true", help="go on after a line that failed")
    p.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
    p.add_argument("--events", metavar="FILE", type=Path, help="append every event of a run to a file, as JSON lines")
    p.add_argument("--no-color", action="store_true", help="no colours")
    p.add_argument("-q", "--quiet", action="store_true", help="results and errors only")
    p.add_argument("-v", "--verbose", action="store_true", help="log more")
    p.add_argument("--version", action="version", version=f"invoke_shell {__version__}")
    return p


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    words: list[str] = options.words
    if words[:1] == ["--"]:
        words = words[1:]
    if "--json" in words[1:]:  # no command has such a flag, and people write it there
        words = [word for word in words if word != "--json"]
        options.json = True
    if options.lines and words:
        parser.error("-c LINE and a FILE or COMMAND exclude each other")
    if not options.lines and not words and sys.stdin.isatty():
        import signal
        from functools import partial

        with collector_paused():
            from invoke_shell.shell.edit_line.loop import interact

        # What `interact` finds again when the shell has closed: whoever has left cannot stop anything any more.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The prompt is drawn first; the session is made while it is on the screen.
        return interact(partial(_compose, options, interactive=True))
    session = _compose(options, interactive=False)
    try:
        if not _is_builtin(session, words) and _draws(session, options.lines or [" ".join(words)]):
            session.warm()
        if options.lines:
            return _lines(session, options.lines, keep_going=options.keep_going)
        return _words(session, words, options) if words else _standard_input(session)
    except (InvokeShellError, BrokenPipeError):
        raise
    except Exception as error:  # a fault of ours, beside any line
        raise session.unexpected(error) from error
    finally:
        session.close()


def _compose(options: argparse.Namespace, *, interactive: bool) -> Session:
    """A session as the flags say. Imported here: the prompt stands before it."""
    with collector_paused():
        from dataclasses import fields

        from invoke_shell.compose import Options, compose

        known = {field.name: getattr(options, field.name) for field in fields(Options)}
        return compose(Options(**known), interactive=interactive)


def _is_builtin(session: Session, words: list[str]) -> bool:
    return bool(words) and words[0] in session.registry and session.registry[words[0]].builtin


def _draws(session: Session, lines: Sequence[str]) -> bool:
    """Whether a model will be needed: then the worker may start before anything else is done."""
    if session.dry:
        return False
    for reading in map(session.read, lines):
        for bound in [] if reading.faults else reading.bound:
            nodes = [session.registry[s.node] for s in bound.chain.stages if s.node]
            if any(p.kind.model and p.default is not None for n in nodes for p in n.params.values()):
                return True
    return False


def _lines(session: Session, lines: Sequence[str], *, keep_going: bool) -> int:
    from invoke_shell.shell.command_files.scripts import worst
    from invoke_shell.shell.display.view import Where

    statuses = []
    for number, line in enumerate(lines, 1):
        statuses.append(session.run(line, Where(line=number)))
        if session.leaving or statuses[-1] == 130 or (statuses[-1] and not keep_going):
            break
    return worst(*statuses)


def _words(session: Session, words: list[str], options: argparse.Namespace) -> int:
    """One command with its arguments, or a command file."""
    name = words[0]
    if name in session.registry:
        values = _as_values(session.registry, name, words[1:])
        return (
            session.run(_as_line(session.registry, name, words[1:]))
            if values is None
            else session.run_builtin(name, values)
        )
    if name == "-" or Path(name).is_file():
        if len(words) > 1:
            raise SettingError(
                f"{words[1]} stands after a command file", hint="options stand before it", code="bad-usage"
            )
        from invoke_shell.shell.command_files.scripts import Options, run_file

        session.trusted = options.trust
        return run_file(session, Path(name), Options(keep_going=options.keep_going), resume=options.resume)
    from invoke_shell.errors import BlockedError

    if Path(name).is_dir():
        raise BlockedError(f"{name} is a folder, not a command file", code="missing-file")
    looks_like_file = any(c in name for c in "/\\.")
    message = f"there is no {'file' if looks_like_file else 'command or file'} {name or 'without a name'}"
    if looks_like_file:
        raise BlockedError(message, code="missing-file")
    raise SettingError(message, hint=session.registry.suggest(name), code="unknown-command")


def _as_values(registry: Registry, name: str, arguments: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command of the shell that takes words and switches; None where a line has to be read."""
    node = registry[name]
    taking = [p for p in node.params.values() if p.positional]
    if not node.builtin or node.rest or len(taking) != 1 or not taking[0].kind.many or taking[0].kind.choices:
        return None
    flags = [a for a in arguments if a.startswith("-") and a != "-"]
    switches = [node.flags.get(flag) for flag in flags]
    if len(flags) == len(arguments) or not all(
        p is not None and p.kind.is_switch and p.flag in flags for p in switches
    ):
        return None
    values = {p.name: True for p in switches if p is not None}
    return {taking[0].name: [a for a in arguments if a not in flags], **values}


def _as_line(registry: Registry, name: str, arguments: Sequence[str]) -> str:
    """Arguments as words of a line: flags as they are, all else quoted, so that nothing is parsed again."""
    from invoke_shell.pipeline.text import quote

    if registry[name].rest and name not in ("replay", "again"):
        return " ".join([name, *arguments])
    out = [name]
    flags = True
    for argument in arguments:
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            hint = "a file of such a name is taken once it is renamed"
            raise SettingError(f"{argument} is no text in UTF-8", hint=hint, code="bad-usage")
        flag, equals, value = argument.partition("=")
        if (
            flags
            and argument.startswith("-")
            and argument != "-"
            and not argument[1:2].isdigit()
            and argument[1:2] != "."
        ):
            flags = argument != "--"  # behind it all are values
            out.append(f"{flag}={quote(value)}" if equals else argument)
        else:
            out.append(quote(argument))
    return " ".join(out)


def _standard_input(session: Session) -> int:
    """Lines that come through a pipe are a command file, and nobody's to trust."""
    from invoke_shell.shell.command_files.scripts import run_file

    session.trusted = False
    return run_file(session, Path("-"))
