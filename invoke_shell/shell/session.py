"""A session: takes lines, runs them, keeps what they made. What they work with is workbench.py, one run running.py."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke_shell.errors import Cancelled, InvokeShellError, LineError, RunError, SettingError
from invoke_shell.metadata.visible import visible
from invoke_shell.pipeline.bind import Bound, Reading, read
from invoke_shell.pipeline.chain import Chain
from invoke_shell.shell.display.view import Result, Where
from invoke_shell.shell.workbench import Workbench

if TYPE_CHECKING:
    from invoke_shell.pipeline.plan import Plan
    from invoke_shell.records import Frame
    from invoke_shell.shell.command_files.foreseen import Count
    from invoke_shell.shell.running import Early, Remark

__all__ = ["ENGINE", "Session", "StatusError"]

ENGINE = (
    "batch",
    "device",
    "deterministic",
    "memory",
    "offload",
    "precision",
    "preview",
    "threads",
    "tiling",
)  # settings of the engine

# Commands that change nothing, and those that lines behind them are explained with.
LOOKING = ("doctor", "exit", "explain", "help", "history", "info", "nodes", "recall", "schema", "set", "settings",
           "source", "unset")  # fmt: skip

log = logging.getLogger("invoke_shell.session")


class StatusError(InvokeShellError):
    """A command told its answer already; only the exit status is left to be passed on."""

    def __init__(self, status: int) -> None:
        super().__init__("")
        self.exit_status = status


class Session(Workbench):
    """One person's session. leaving: after this line. recalled: a text for the next line. dry: explain, run nothing.

    lines: run so far. foreseen: what the lines of a dry run would have made.
    """

    leaving = False
    recalled = ""
    dry = False
    lines = 0
    foreseen: Count | None = None

    def read(self, text: str) -> Reading:
        """What a text means, as far as it goes."""
        return read(text, self.registry, self.settings.values())

    def run(self, text: str, where: Where | None = None) -> int:
        """Run every line of a text; nothing of it runs when one of them is wrong. The exit status."""
        where = where or Where()
        reading = self.read(text)
        for note in reading.parsed.notes:
            self.view.say(note.message)
        if reading.faults:
            self.view.error(LineError(text, reading.faults), where)
            return LineError.exit_status
        status = 0
        for bound in reading.bound:
            at = replace(where, line=where.line + text.count("\n", 0, bound.line.start))
            status = self.run_line(bound, text, at)
            if status or self.leaving:
                break
        return status

    def run_line(self, bound: Bound, text: str, where: Where) -> int:
        """Run one line. Nothing is raised: what goes wrong is told, and is the exit status."""
        self.lines += 1
        return self.attempt(lambda: self._run_bound(bound, where), where)

    def run_builtin(self, name: str, values: Mapping[str, Any]) -> int:
        """As run_line, with values that were never text: ten thousand file names need no parsing."""
        self.lines += 1
        return self.attempt(lambda: self.builtin(name, values), Where())

    def _run_bound(self, bound: Bound, where: Where) -> None:
        if bound.line.kind == "system" and self.dry:
            self.view.text(f"not run: $ {visible(bound.line.text)}")
        elif bound.line.kind == "system":
            self.system(bound.line.text)
        elif bound.line.kind == "help":
            self.builtin("help", {"what": [bound.line.text]})
        elif bound.builtin is not None:
            stage = bound.chain.stages[0]
            self.builtin(stage.node, {name: v.value for name, v in stage.values.items()})
        else:
            self.run_chain(bound.chain, where)

    def attempt(self, work: Callable[[], None], where: Where) -> int:
        """Do what a line asks. Nothing is raised: what goes wrong is told, and is the exit status."""
        try:
            work()
        except StatusError as answered:
            return answered.exit_status
        except InvokeShellError as error:
            self.view.error(error, where)
            return error.exit_status
        except KeyboardInterrupt:  # outside a run, which hears of it otherwise
            self.view.error(Cancelled(), where)
            return Cancelled.exit_status
        except BrokenPipeError:  # whoever read our answers is gone, as head is after its ten lines
            raise
        except Exception as error:  # a fault of ours: one line, and the trace goes to the log
            self.view.error(self.unexpected(error), where)
            return 1
        finally:
            kept = self._keeper.store.notices() if self._keeper is not None else []
            for notice in (*kept, *self.catalogue.notices()):
                self.view.say(notice, warning=True)
            self.view.line_done()
        return 0

    def unexpected(self, error: Exception) -> RunError:
        """One line for what should not have happened; the log has the trace under the id."""
        log_id = secrets.token_hex(3)
        log.error("line failed %s", log_id, exc_info=error)
        hint = f"this is a fault of invoke_shell; the log has the rest: {log_id} in {self.home.log_file}"
        return RunError(f"{type(error).__name__}: {error}", hint=hint)

    def builtin(self, name: str, values: Mapping[str, Any]) -> None:
        """Run a command of the shell with its values, defaults filled in; when all is dry, one that only looks."""
        if self.dry and (name not in LOOKING or values.get("keep") or values.get("write")):
            self.view.text(f"not run: {name}")
            return
        node = self.registry[name]
        filled = {n: p.default for n, p in node.params.items() if not p.required}
        node.func(self, **node.arguments({**filled, **values}))

    def system(self, command: str) -> None:
        """`$ command`: the rest of the line for the system's shell, handles become quoted paths."""
        if not self.trusted:
            raise RunError(
                "a $ line runs a program of the system, which a file may only with --trust", code="not-trusted"
            )
        import subprocess

        with self.view.lent():
            try:
                code = subprocess.run(self.keeper.with_paths(command), shell=True, check=False).returncode
            except KeyboardInterrupt:
                if self.interactive:
                    self.view.text("")  # behind the ^C that the terminal wrote
                raise
        if code:
            raise RunError(f"the command ended with status {code}")

    # -- chains: the work is in running.py, which the first line that needs it loads -----------------------------------

    def planned(self, chain: Chain) -> Plan:
        """Look up what a chain needs and leave nothing open. Raises LineError and BlockedError."""
        from invoke_shell.shell.running import planned

        return planned(self, chain)

    def run_chain(self, chain: Chain, where: Where) -> None:
        """Plan a chain, run it, keep its results. Raises what stopped it."""
        from invoke_shell.shell.shown import is_only_handles, show_again

        if self.dry:
            self.run_dry(chain)
        elif is_only_handles(chain):
            self.planned(chain)  # what is not there is said under its word
            show_again(self, chain, where)
        else:
            self.run_plan(self.planned(chain), where)

    def run_dry(self, chain: Chain) -> None:
        """Explain a chain; the pictures of the lines before it are played."""
        from invoke_shell.runtime.estimate import likely_precision
        from invoke_shell.shell.answers.explain import explain
        from invoke_shell.shell.command_files.foreseen import Count, gathered

        self.foreseen = self.foreseen or Count(self)
        made = self.foreseen.foresee(chain, gathered(self, chain))
        precision = likely_precision(self.settings["precision"], str(self.settings["device"]))
        self.view.text("\n".join(explain(made, self.registry, precision)))

    def run_plan(
        self,
        made: Plan,
        where: Where,
        *,
        cached: bool = True,
        remark: Remark | None = None,
        early: Early | None = None,
        parents: tuple[int, ...] = (),
    ) -> list[tuple[Result, Frame]]:
        """Run a plan to its end and keep its results. Raises the error that ended it.

        remark: of the last result; early: the line that it goes on with; parents: see Run.
        """
        from invoke_shell.shell.running import Run

        return Run(self, made, where, remark, early=early, parents=parents).to_the_end(cached=cached)

    def take_up(self, name: str) -> None:
        """Go on in the session of this name, with its settings; a new one where there is none. Raises OutputError."""
        store = self.keeper.store
        self.keeper.session = store.take_up(name)
        before, self.settings.session = self.settings.session, {}
        self.restore_settings()
        if any(before.get(name) != self.settings.session.get(name) for name in ENGINE):
            self.restart()

    def be_in(self, number: int) -> None:
        """Go on in the session with this id, where what goes on belongs; said when that is another."""
        if number != self.keeper.session.id:
            self.take_up(self.keeper.store.session(number).name)
            self.view.say(f"this is session {self.keeper.session_name} now")

    def restore_settings(self) -> None:
        """The settings that were made in this session; those typed outside (--model) stay."""
        for name, text in self.keeper.store.settings(self.keeper.session.id).items():
            try:
                if name not in self.settings.session:
                    self.settings.set(name, text)
            except SettingError as error:
                self.view.say(f"a setting of the session is left out: {error.message}")
