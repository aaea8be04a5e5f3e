"""Two pages are made from the nodes. After a change of one: python tests/commands/test_nodes_table.py"""

import json
import runpy
from pathlib import Path

from invoke_shell import commands
from invoke_shell.metadata.schema import whole_schema
from invoke_shell.pipeline.derive import flow
from invoke_shell.shell.answers.pages import GROUPS, groups

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = DOCS / "pictures" / "nodes"
PAGE = DOCS / "nodes-table.md"
SCHEMA = DOCS / "sd-metadata-1.schema.json"
HEAD = """# All nodes

What `help` lists, in one page; `help resize` tells the flags of one. This page is made from the nodes themselves by
`tests/commands/test_nodes_table.py`, which checks it too. How to write one: [nodes.md](nodes.md).

What the nodes over pixels have in common:

- **Alpha is kept.** Nodes that change colours leave it; those that move or mix pixels move it along, weighted, so that
  the colour of what is transparent bleeds nowhere. `contact_sheet` and `compare` show their background through it.
- **A grey picture stays grey** until colour comes to it, from a background, a letter or another picture; sheets and
  pairs are in colour.
- **Another picture** (`blend`, `apply_mask`) may be of another size if its shape is the same: it is scaled, and that is
  said. Another shape is refused. `match_colors` and `paste_image` take any.
- **A mask** is white where to repaint. Every node that wants one takes a picture too: its transparent part if it has
  any, else its light part.
- `--background` is the colour where there is no picture (`#ffffff00` makes it transparent), `--place` where in a
  picture, `--opacity` how much of the other picture is seen, `--to` the size of the result.
- The same input and the same Pillow give the same pixels, so a replay is exact. Letters (`text_label`, `--label`) are
  of the font in the package, as the FreeType in Pillow draws them.

The pictures are of the lines in `docs/make_pictures.py`, most of them of a boat that pocket drew; `instruct` wants a
model that is not in the box.
"""


def page():
    """The page, from the nodes."""
    out = [HEAD]
    for group, nodes in groups(commands.registry()).items():
        out += [f"\n## {GROUPS[group]}\n", "| node | takes → gives | | example | |", "|---|---|---|---|---|"]
        out += [row(n) for n in nodes]
    return "\n".join(out) + "\n"


def row(node):
    example = node.examples[0].replace("|", "\\|")
    picture = PICTURES / f"{node.name}.png"
    shown = f"![{node.name}](pictures/nodes/{picture.name})" if picture.is_file() else ""
    return f"| `{node.name}` | {flow(node)} | {node.summary} | `{example}` | {shown} |"


def test_every_node_is_in_the_table_as_it_is():
    text = PAGE.read_text()

    missing = [row(n) for n in commands.registry().values() if row(n) not in text]
    assert missing == [], "python tests/commands/test_nodes_table.py writes the page anew"
    assert text == page()


def test_a_picture_is_made_of_every_node():
    made = runpy.run_path(str(DOCS / "make_pictures.py"))

    assert {*made["NODES"], *made["BARE"]} == set(commands.registry())
    assert {path.stem for path in PICTURES.glob("*.png")} == set(made["NODES"])


def test_every_node_is_in_a_group_that_has_a_title():
    assert set(groups(commands.registry())) <= set(GROUPS)


def test_every_number_of_a_picture_node_has_a_range():
    nodes = [n for n in commands.registry().values() if n.group in ("change", "combine")]
    params = [p for n in nodes for p in n.params.values() if p.kind.is_ranged and not p.kind.is_seed]

    assert [p.flag for p in params if p.arg.ge is None or p.arg.le is None] == []


def schema():
    """The JSON Schema that is published: without words, so that it changes only when a parameter does."""
    return json.dumps(_wordless(whole_schema(commands.registry())), indent=1) + "\n"


def _wordless(value):
    if isinstance(value, list):
        return [_wordless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _wordless(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}


def test_the_published_schema_is_of_these_nodes():
    same = SCHEMA.read_text() == schema()

    assert same, "python tests/commands/test_nodes_table.py writes docs/sd-metadata-1.schema.json anew"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
