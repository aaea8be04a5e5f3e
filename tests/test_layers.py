"""The arrows of the house, read from the imports.

errors, records <- pipeline <- {commands, metadata, models} <- {runtime, pinning} <- shell <- compose <- cli
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import invoke_shell
from invoke_shell import commands

ROOT = Path(invoke_shell.__file__).parent
LEVELS = {
    "collector": 0,
    "errors": 0,
    "records": 0,
    "database": 1,
    "pipeline": 1,
    "commands": 2,
    "metadata": 2,
    "models": 2,
    "runtime": 3,
    "pinning": 3,
    "shell": 4,
    "compose": 5,
    "cli": 6,
    "__main__": 7,
}
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "peft"}
HEAVY_HOMES = {"runtime", "pinning"}
TERMINAL = {"rich", "prompt_toolkit"}
TERMINAL_HOMES = {"shell", "compose", "cli", "__main__"}
APART = [("commands", "metadata"), ("metadata", "commands"), ("models", "commands"), ("commands", "models")]
# The rooms of the shell by floor, the basement first. What runs chains (session.py, running.py ...) stands between.
FLOORS = {"archive": 0, "display": 0, "replay": 1, "answers": 2, "command_files": 3, "builtins": 3, "edit_line": 3}
GROUND = {"home", "posix", "settings"}  # all of the shell that the basement may import
FILES = sorted(ROOT.rglob("*.py"))


def part(name):
    """The package or top module of `invoke_shell.x.y`."""
    return name.split(".")[1] if "." in name else ""


def imports(path):
    """Every module a file imports, at its top or inside a function, with the line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from ((alias.name, found.lineno) for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and found.module:
            names = [found.module, *(f"{found.module}.{alias.name}" for alias in found.names)]
            yield from ((name, found.lineno) for name in names)
        elif isinstance(found, ast.ImportFrom):
            yield ".", found.lineno


def home(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


EDGES = [(path, name, line) for path in FILES for name, line in imports(path)]


def broken(rule):
    """Places where a rule is broken, as file:line: what."""
    return [f"{path.relative_to(ROOT)}:{line}: {name}" for path, name, line in EDGES if rule(home(path), name)]


def test_there_is_something_to_read():
    assert len(EDGES) > 200
    assert {home(p) for p in FILES} - {"__init__", "assets"} <= LEVELS.keys()


def test_no_relative_imports():
    assert broken(lambda here, name: name == ".") == []


def test_arrows_point_one_way():
    def upward(here, name):
        there = part(name) if name.startswith("invoke_shell.") else ""
        return there in LEVELS and here in LEVELS and here != there and LEVELS[there] >= LEVELS[here]

    # pinning is reached from runtime, and computes with it.
    allowed = {("runtime", "pinning"), ("pinning", "runtime")}
    assert broken(lambda here, name: upward(here, name) and (here, part(name)) not in allowed) == []


@pytest.mark.parametrize(("here", "there"), APART)
def test_neighbours_never_import_each_other(here, there):
    assert broken(lambda at, name: at == here and name.startswith(f"invoke_shell.{there}")) == []


def run_time_imports(path):
    """Every module a file imports when it runs, not only for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    unseen = {inner for check in checks for inner in ast.walk(check)}
    for found in ast.walk(tree):
        if isinstance(found, ast.ImportFrom) and found.module and found not in unseen:
            below = found.module == "invoke_shell.shell"
            yield from [f"{found.module}.{alias.name}" for alias in found.names] if below else [found.module]


@pytest.mark.parametrize("room", FLOORS)
def test_no_room_of_the_shell_knows_the_rooms_above_it(room):
    found = []
    for path in sorted((ROOT / "shell" / room).glob("*.py")):
        names = (name.split(".")[2:] for name in run_time_imports(path) if name.startswith("invoke_shell.shell."))
        for there in {name[0] for name in names} - {room}:
            allowed = there in GROUND if FLOORS[room] == 0 else FLOORS.get(there, 0) <= FLOORS[room]
            found += [] if allowed else [f"{path.name}: {there}"]
    assert found == []


def test_every_room_of_the_shell_has_its_floor():
    assert {path.parent.name for path in (ROOT / "shell").glob("*/__init__.py")} == set(FLOORS)


def test_no_two_files_need_each_other():
    """Not around any number of others either, and not for the type checker alone: each can be read by itself."""
    names = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in FILES}
    left = {name: {there for there, _ in imports(path)} & names.keys() - {name} for name, path in names.items()}
    while free := [n for n, needed in left.items() if not needed & left.keys() or n not in set().union(*left.values())]:
        for name in free:
            left.pop(name)
    assert sorted(left) == []


def test_torch_has_one_home():
    assert broken(lambda here, name: name.split(".")[0] in HEAVY and here not in HEAVY_HOMES) == []


def test_the_terminal_belongs_to_the_shell():
    assert broken(lambda here, name: name.split(".")[0] in TERMINAL and here not in TERMINAL_HOMES) == []


REQUESTS = {"context.py": {"save"}}  # what a node may ask of the shell; the command of that name is only one that asks


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").glob("*.py")), ids=lambda p: p.name)
def test_pipeline_never_names_a_command(path):
    names = set(commands.registry())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
            and n.body and isinstance(n.body[0], ast.Expr)}  # fmt: skip

    # In code: as a text, a name or an attribute. Docstrings and hints to people may give examples.
    words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs]
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {w for w in words if isinstance(w, str)}
    assert found & names - REQUESTS.get(path.name, set()) == set()


LOADS = """
import sys
import {module}
heavy = [m for m in ("torch", "diffusers", "transformers", "numpy") if m in sys.modules]
print(",".join(heavy))
"""


def loaded(module):
    done = subprocess.run(
        [sys.executable, "-c", LOADS.format(module=module)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["shell.session", "cli", "metadata.replay", "runtime.fake"])
def test_importing_the_shell_loads_no_torch(module):
    if not (ROOT / (module.replace(".", "/") + ".py")).exists():
        pytest.skip(f"{module} is not there yet")

    assert loaded(f"invoke_shell.{module}") == ""


def test_importing_the_commands_loads_no_pillow():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, invoke_shell.commands; print('PIL' in sys.modules, 'rich' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]
