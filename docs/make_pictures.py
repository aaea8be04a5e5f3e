"""Makes the pictures of the README and the docs, from the README's own session: python docs/make_pictures.py

They are ordinary results: each can be replayed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
PICTURES = {1: "boat", 2: "yellow-boat", 7: "stars"}


def main() -> None:
    session = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    lines = [line for line in re.findall(r"^invoke> (.+)$", session, re.M) if line.startswith(("txt2img", "@1 |"))]
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory() as home:
        command = [sys.executable, "-m", "invoke_shell", "--home", home, "--json"]
        for line in lines:
            command += ["-c", line]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        for row in map(json.loads, ran.stdout.splitlines()):
            if row["event"] == "result" and row["handle"] in PICTURES:
                shutil.copyfile(row["path"], folder / f"{PICTURES[row['handle']]}.png")


if __name__ == "__main__":
    main()
