"""What the README and the docs say is true: their lines run, their links lead somewhere, every command is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from invoke_shell.commands import registry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PACKAGES = ("pipeline", "metadata", "models", "runtime", "shell")
LINKS = [
    (page.relative_to(ROOT), link)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
]


def test_the_lines_of_the_readmes_session_run(invoke):
    session = README.split("```")[1]
    lines = re.findall(r"^invoke> (.+)$", session, re.M)

    ran = invoke(*[word for line in lines for word in ("-c", line)])

    assert len(lines) == 5
    assert ran.status == 0, ran.err
    shown = re.findall(r"^@(\d+)  (\d+x\d+)", session, re.M)
    made = dict(re.findall(r"^@(\d+)  (\d+x\d+)", ran.out, re.M))
    assert all(made[n] == size for n, size in shown)
    names = re.findall(r"/(0000\S+)", session)
    made_files = list(dict.fromkeys(re.findall(r"/(0000\S+)", ran.out)))
    assert [name for name in made_files if name in names] == names
    assert "img2img: 12 of 20 steps (strength 0.6, from sigma" in ran.err


def test_the_readmes_mistake_is_answered_as_it_says(invoke):
    block = next(b for b in README.split("```") if "stpes" in b)
    line, *answer = block.strip("\n").splitlines()

    ran = invoke("-c", line.removeprefix("invoke> "))

    assert ran.err.splitlines()[2:] == answer[1:]


def test_the_readme_names_every_node():
    missing = [name for name in registry() if f"`{name}`" not in README]

    assert missing == []


@pytest.mark.parametrize(("page", "link"), LINKS, ids=str)
def test_links_lead_to_files(page, link):
    assert (ROOT / page).parent.joinpath(link).exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_a_page(package):
    assert (ROOT / "docs" / f"{package}.md").exists()


def test_the_example_plugin_is_a_node_as_docs_promise():
    from importlib.util import module_from_spec, spec_from_file_location

    path = ROOT / "examples/plugin/invoke_shell_frame.py"
    spec = spec_from_file_location("invoke_shell_frame", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    code = [line for line in path.read_text().splitlines() if line.strip()]

    assert module.frame.takes == "each"
    assert len(code) <= 25
    entry = tomllib.loads((ROOT / "examples/plugin/pyproject.toml").read_text())
    assert entry["project"]["entry-points"]["invoke_shell.nodes"] == {"frame": "invoke_shell_frame"}


def test_notice_names_what_is_shipped_and_nothing_else():
    notice = (ROOT / "NOTICE").read_text()
    shipped = {p.name for p in (ROOT / "invoke_shell/assets").iterdir() if not p.name.startswith((".", "_"))}

    assert {name for name in shipped if f"invoke_shell/assets/{name}/" not in notice} == set()
