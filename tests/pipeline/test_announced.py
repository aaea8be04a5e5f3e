"""Plugins are found without importlib.metadata, which is only asked when there is one."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from invoke_shell.pipeline.registry import GROUP, announced

LIST = f"[console_scripts]\nx = y:z\n\n[{GROUP}]\nfox = fox.nodes\n"


def package(folder, name, text):
    place = folder / name
    place.mkdir(parents=True)
    (place / "entry_points.txt").write_text(text)


@pytest.mark.parametrize("name", ["fox-1.0.dist-info", "fox.egg-info", "fox-1.0-py3.11.egg/EGG-INFO"])
def test_a_package_that_names_nodes_is_seen(tmp_path, name):
    package(tmp_path, name, LIST)

    assert announced([str(tmp_path / "nowhere"), str(tmp_path)])


def test_other_packages_are_not(tmp_path):
    package(tmp_path, "hen-1.0.dist-info", "[console_scripts]\nx = y:z\n")
    (tmp_path / "cow-1.0.dist-info").mkdir()
    (tmp_path / "old.egg-info").write_text("Metadata-Version: 1.0\n")
    package(tmp_path, "source", LIST)

    assert not announced([str(tmp_path), ""])


def test_what_is_zipped_is_left_to_importlib(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w"):
        pass
    (tmp_path / "fox.egg").touch()

    assert announced([str(tmp_path / "all.zip")])
    assert announced([str(tmp_path)])


def test_without_plugins_importlib_metadata_is_not_imported(tmp_path):
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "from invoke_shell.pipeline.registry import load_plugins\n"
        "print(load_plugins(), 'importlib.metadata' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "([], []) False\n"
