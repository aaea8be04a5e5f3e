"""What modules promise in __all__ is there, and the package gives node authors what they need."""

import importlib
import pickle
from pathlib import Path

import pytest

import invoke_shell
from invoke_shell import errors

ROOT = Path(invoke_shell.__file__).parent
PURE = ("errors", "records", "pipeline", "commands", "metadata", "models")
MODULES = [
    ".".join(("invoke_shell", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0].removesuffix(".py") in PURE and path.name != "__init__.py"
]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_what_it_promises(name):
    module = importlib.import_module(name)

    assert hasattr(module, "__all__"), f"{name} says nothing of what it gives"
    assert [n for n in module.__all__ if not hasattr(module, n)] == []
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_lives_in_it(name):
    doc = importlib.import_module(name).__doc__

    assert doc
    assert doc.splitlines()[0].endswith((".", ":"))


def test_node_authors_find_everything_in_one_place():
    names = {"node", "Arg", "Frame", "Image", "Made", "Mask", "Context", "__version__"}

    missing = [n for n in names if not hasattr(invoke_shell, n)]
    assert missing == []


KINDS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.InvokeShellError)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_keep_all_they_say_across_a_pipe(kind):
    if kind is errors.LineError:
        error = kind("a b", [errors.Fault(0, 1, "wrong", "hint", "bad-value")])
    else:
        error = kind("wrong", hint="hint")
    error.__dict__["log_id"] = "abc"

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.message, again.hint, again.code) == (error.message, error.hint, error.code)


def test_a_blocked_line_keeps_its_faults_across_a_pipe():
    fault = errors.Fault(2, 3, "b is not there", "", "missing-file")
    error = errors.BlockedError("b is not there", source="a b", faults=[fault])

    again = pickle.loads(pickle.dumps(error))

    assert str(again) == "  a b\n    ^\nb is not there" == str(error)


@pytest.mark.parametrize(
    "make", [lambda: errors.RunError("x", code="nonsense"), lambda: errors.Fault(0, 1, "x", code="no")]
)
def test_a_code_outside_the_list_is_a_mistake_of_ours(make):
    with pytest.raises(ValueError, match=r"is not in errors\.CODES"):
        make()


def test_exit_statuses_are_those_of_the_contract():
    wanted = {
        "InvokeShellError": 1,
        "DeclarationError": 2,
        "LineError": 2,
        "BlockedError": 3,
        "RunError": 1,
        "Cancelled": 130,
        "OutputError": 1,
        "MetadataError": 3,
        "SettingError": 2,
    }

    assert {k.__name__: k.exit_status for k in KINDS} == wanted
