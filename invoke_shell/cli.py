"""The program's own command line, and the place of composition: registry, store, runtime, view become a session.

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke_shell import __version__
from invoke_shell.errors import InvokeShellError, SettingError

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_shell.pipeline.registry import Registry
    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.display.view import View
    from invoke_shell.shell.home import Home
    from invoke_shell.shell.session import Runtime, Session
    from invoke_shell.shell.settings import Settings

__all__ = ["run"]

ENGINE = "INVOKE_SHELL_ENGINE"  # "fake": no torch, for tests


def run(argv: Sequence[str]) -> int:
    """Run the program with these arguments; the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return _run(options, parser)
    except InvokeShellError as error:
        from invoke_shell.metadata.visible import visible_lines

        print(visible_lines(str(error)), file=sys.stderr)
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
        from functools import partial

        from invoke_shell.shell.edit_line.prompt import interact

        # The prompt is drawn first; the session is made while it is on the screen.
        return interact(partial(compose, options, interactive=True))
    session = compose(options, interactive=False)
    try:
        if not _is_builtin(session, words) and _draws(session, options.lines or [" ".join(words)]):
            session.warm()
        if options.lines:
            return _lines(session, options.lines, keep_going=options.keep_going)
        return _words(session, words, options) if words else _standard_input(session)
    finally:
        session.close()


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
    looks_like_file = any(c in name for c in "/\\.")
    message = f"there is no {'file' if looks_like_file else 'command or file'} {name}"
    from invoke_shell.errors import BlockedError

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
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if argument.startswith("-") and argument != "-" and not argument[1:2].isdigit() and argument[1:2] != ".":
            out.append(f"{flag}={quote(value)}" if equals else argument)
        else:
            out.append(quote(argument))
    return " ".join(out)


def _standard_input(session: Session) -> int:
    """Lines that come through a pipe are a command file, and nobody's to trust."""
    from invoke_shell.shell.command_files.scripts import run_file

    session.trusted = False
    return run_file(session, Path("-"))


# -- composition -----------------------------------------------------------------------------------------------------


def compose(options: argparse.Namespace, *, interactive: bool) -> Session:
    """A session over this home. Raises InvokeShellError."""
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.hashing import Digests
    from invoke_shell.shell.home import Home
    from invoke_shell.shell.session import Session
    from invoke_shell.shell.settings import Settings, read_config

    home = Home.find(options.home)
    registry = everything()
    settings = Settings(registry)
    complaints = read_config(home.config_file, home.cache, settings)
    view = _view(options, settings, interactive=interactive)
    _log(home.log_file, verbose=options.verbose)
    for name in ("model", "device"):
        if getattr(options, name):
            settings.set(name, getattr(options, name))
    catalogue = Catalogue([home.models], Digests(home.cache / "digests.json"), path=home.data / "catalogue.db")
    session = Session(
        home=home,
        registry=registry,
        settings=settings,
        keep=lambda: _keeper(options, home, registry, settings, view),
        catalogue=catalogue,
        view=view,
        start=_starter(home, registry, inline=options.inline, drawn=_redraws(view)),
        interactive=interactive,
        now=_clock(),
    )
    session.dry = options.dry_run
    session.events = _events(options.events)
    for text in (*complaints, *registry.warnings):
        view.say(text, warning=True)
    if options.go_on or options.session:
        session.restore_settings()
    return session


def everything() -> Registry:
    """Nodes, plugins and the shell's own commands."""
    from dataclasses import replace

    from invoke_shell import commands
    from invoke_shell.shell import builtins

    nodes = commands.registry().with_plugins()
    return replace(nodes, nodes={**nodes.nodes, **builtins.registry().nodes})


def _keeper(options: argparse.Namespace, home: Home, registry: Registry, settings: Settings, view: View) -> Keeper:
    """The store, opened; what a killed run left is put in order. Says what is amiss."""
    from datetime import date

    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.archive.outputs import output_folder
    from invoke_shell.shell.archive.results import Results
    from invoke_shell.shell.archive.store import Store

    store = Store.open(home.data)

    def folder() -> Path:
        setting = settings["outdir"]
        return output_folder(
            outdir=options.outdir, setting=str(setting or ""), home=home.data if home.own else None, day=date.today()
        )

    results = Results(store, folder, lambda: str(settings["filename"]))
    recovered = results.recover()
    if recovered.completed or recovered.lost:
        kept = f"{len(recovered.completed)} picture(s) of an interrupted run were whole and are kept"
        view.say(f"{kept}; {len(recovered.lost)} were not finished", warning=True)
    if options.session:
        session = store.take_up(options.session)
    else:
        session = store.continue_last() if options.go_on else store.new_session()
    for notice in store.notices():
        view.say(notice, warning=True)
    return Keeper(home, registry, store, session, results, view.say)


def _view(options: argparse.Namespace, settings: Settings, *, interactive: bool) -> View:
    from invoke_shell.shell.display.view import JsonView, PlainView

    if options.json:
        return JsonView(quiet=options.quiet)
    if not sys.stdout.isatty() or settings["plain"] or os.environ.get("TERM") == "dumb":
        return PlainView(quiet=options.quiet)
    from invoke_shell.shell.display.screen import TerminalView

    color = not options.no_color and "NO_COLOR" not in os.environ
    return TerminalView(settings, color=color, quiet=options.quiet)


def _redraws(view: View) -> bool:
    """Whether it is the view that draws; asked by its name, because importing it costs what others need not pay."""
    return type(view).__name__ == "TerminalView"


def _starter(home: Any, registry: Registry, *, inline: bool, drawn: bool) -> Callable[[Settings], Runtime]:
    """How the runtime is started: a worker process, or this one. drawn: somebody looks at pictures in progress."""

    def start(settings: Settings) -> Runtime:
        from invoke_shell.runtime.policy import Policy, Setup

        memory = settings["memory"]
        policy = Policy(
            device=str(settings["device"]),
            deterministic=bool(settings["deterministic"]),
            precision=settings["precision"],
            memory=None if memory is None else int(memory * 1e9),
            threads=settings["threads"],
            offload=settings["offload"],
            tiling=settings["tiling"],
            batch=None if settings["batch"] == "auto" else int(settings["batch"]),
            previews=drawn and settings["preview"] != "off",
        )
        engine: Any = "fake" if os.environ.get(ENGINE) == "fake" else "diffusers"
        setup = Setup(policy=policy, engine=engine, cache=home.cache / "steps")
        if inline:
            from invoke_shell.runtime.inline import InlineRuntime

            return InlineRuntime(setup, registry)
        from invoke_shell.runtime.worker import WorkerRuntime

        return WorkerRuntime(setup, log=home.log_file)

    return start


def _clock() -> Callable[[], datetime]:
    """The time written into pictures; SOURCE_DATE_EPOCH (seconds since 1970) stops it, for builds that must repeat."""
    from datetime import UTC, datetime

    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    if fixed.isdigit():
        return lambda: datetime.fromtimestamp(int(fixed), UTC)
    return lambda: datetime.now(UTC)


def _events(path: Path | None) -> Callable[[Any], None]:
    if path is None:
        return lambda event: None
    import json

    from invoke_shell.pipeline.events import to_plain

    file = path.open("a", encoding="utf-8")

    def write(event: Any) -> None:
        file.write(json.dumps(to_plain(event)) + "\n")
        file.flush()

    return write


def _log(path: Path, *, verbose: bool) -> None:
    """A rotating log in the home; it holds no prompts at the default level. Opened at the first entry."""
    import logging

    class Lazy(logging.Handler):
        """Becomes the rotating file at its first record: importing that takes as long as parsing a hundred lines."""

        def emit(self, record: logging.LogRecord) -> None:
            from logging.handlers import RotatingFileHandler

            logger.removeHandler(self)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=3, encoding="utf-8")
            except OSError:
                logger.addHandler(logging.NullHandler())  # nowhere to write; the session goes on
                return
            file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
            logger.addHandler(file)
            file.handle(record)

    logger = logging.getLogger("invoke_shell")
    for old in list(logger.handlers):
        logger.removeHandler(old)  # of an earlier session in this process
    logger.addHandler(Lazy())
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
