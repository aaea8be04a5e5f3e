"""Commands from modules and from plugins; one broken plugin is one warning."""

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pipeline_kit import REGISTRY

from invoke_shell import commands
from invoke_shell.errors import DeclarationError
from invoke_shell.pipeline import registry as registry_module
from invoke_shell.pipeline.registry import Registry, load_plugins

IMPORTS = "from invoke_shell.pipeline.node import node\nfrom invoke_shell.records import Frame, Image\n"


@dataclass
class Entry:
    """An entry point, as importlib.metadata gives it."""

    name: str
    load: Any
    dist: Any = None


def entry(package, source, *, version="1.2"):
    """An entry point whose module is this text."""

    def load():
        module = ModuleType(package.replace("-", "_"))
        sys.modules[module.__name__] = module
        try:
            exec(f"{IMPORTS}{source}", module.__dict__)
        finally:
            del sys.modules[module.__name__]
        return module

    return Entry(package, load, SimpleNamespace(name=package, version=version))


def node_text(name):
    return f'@node\ndef {name}(frame: Frame) -> Image:\n    """Do {name}."""\n    return frame.image\n'


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("INVOKE_SHELL_PLUGINS", raising=False)


def with_plugins(monkeypatch, *entries):
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: entries if group == registry_module.GROUP else ()
    )
    return commands.registry().with_plugins()


def test_the_built_in_nodes():
    assert {"txt2img", "img2img", "upscale", "contact_sheet", "load_image", "save"} <= set(commands.registry())


def test_a_plugin_s_nodes_carry_its_package():
    nodes, warnings = load_plugins([entry("sparkle", node_text("glitter"))])

    assert [(n.name, n.package) for n in nodes] == [("glitter", "sparkle 1.2")]
    assert warnings == []


def test_a_plugin_may_name_one_node_instead_of_a_module():
    one = REGISTRY["blur"]

    nodes, _ = load_plugins([Entry("one", lambda: one, SimpleNamespace(name="one", version="3"))])

    assert [(n.name, n.package) for n in nodes] == [("blur", "one 3")]


def test_a_node_that_a_plugin_only_imports_is_not_its_own():
    nodes, _ = load_plugins([entry("user", "from invoke_shell.commands.adjust import blur\n" + node_text("mine"))])

    assert [n.name for n in nodes] == ["mine"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        (
            "@node\ndef bad(x) -> Image:\n    'Bad.'",
            "DeclarationError: <string>:3: bad parameter x needs an annotation",
        ),
    ],
)
def test_a_broken_plugin_is_one_warning_and_the_others_work(source, said):
    nodes, warnings = load_plugins([entry("broken", source), entry("sound", node_text("fine"))])

    assert warnings == [f"plugin broken 1.2 cannot be loaded: {said}"]
    assert [n.name for n in nodes] == ["fine"]


def test_plugins_join_the_built_in_nodes(monkeypatch):
    joined = with_plugins(monkeypatch, entry("sparkle", node_text("glitter")), entry("broken", "1/0"))

    assert "glitter" in joined
    assert "txt2img" in joined
    assert joined.warnings == ("plugin broken 1.2 cannot be loaded: ZeroDivisionError: division by zero",)


@pytest.mark.parametrize(
    ("entries", "both"),
    [
        ((("one", "shine"), ("two", "shine")), "two nodes are called shine: one of one 1.2, one of two 1.2"),
        ((("one", "blur"),), "two nodes are called blur: one of invoke_shell, one of one 1.2"),
    ],
)
def test_two_nodes_of_one_name_are_an_error_that_names_both(monkeypatch, entries, both):
    with pytest.raises(DeclarationError) as caught:
        with_plugins(monkeypatch, *(entry(package, node_text(name)) for package, name in entries))

    assert caught.value.message == both


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("", []), (" ", []), ("one", ["a"]), ("two", ["b"]), ("one, two", ["a", "b"]), ("three", [])],
)
def test_the_environment_chooses_plugins(monkeypatch, chosen, names):
    monkeypatch.setenv("INVOKE_SHELL_PLUGINS", chosen)

    nodes, _ = load_plugins([entry("one", node_text("a")), entry("two", node_text("b"))])

    assert [n.name for n in nodes] == names


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("txtimg", "did you mean txt2img?"),
        ("UPSCALE", "did you mean upscale?"),
        ("!fetch", "today's word is recall"),
        ("q", "today's word is exit"),
        ("zzzz", ""),
    ],
)
def test_a_word_that_is_no_command_has_a_hint(word, hint):
    assert commands.registry().suggest(word) == hint


def test_one_node_in_two_places_is_one_node():
    assert len(Registry.of(REGISTRY["blur"], REGISTRY["blur"])) == 1
