"""The table of schedulers: names, aliases, no torch."""

import subprocess
import sys

import pytest

from invoke_shell.pipeline.schedulers import DEFAULT, SCHEDULERS, canonical


def test_there_are_many_and_the_default_is_one():
    assert len(SCHEDULERS) >= 14
    assert DEFAULT in SCHEDULERS


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Euler a", "euler_a"),
        ("k_euler_a", "euler_a"),
        ("DPM++ 2M Karras", "dpmpp_2m_karras"),
        ("dpmpp_2m_k", "dpmpp_2m_karras"),
        ("DPM++ 2M SDE", "dpmpp_2m_sde"),
        ("DPM++ 3M SDE Karras", "dpmpp_3m_sde_karras"),
        ("k_dpm_2_a", "dpm2_a"),
        ("plms", "pndm"),
        ("UniPC", "unipc"),
        ("DDIM", "ddim"),
        ("LCM", "lcm"),
    ],
)
def test_names_of_other_programs_are_known(alias, name):
    assert canonical(alias) == name


def test_aliases_are_not_shared():
    words = [canonical(word) for row in SCHEDULERS.values() for word in (row.name, *row.aliases)]
    rows = [row.name for row in SCHEDULERS.values() for _ in (row.name, *row.aliases)]

    assert words == rows


def test_unknown_name_has_the_nearest():
    with pytest.raises(ValueError, match=r"^no scheduler is called eulr; did you mean euler\?$"):
        canonical("eulr")


def test_every_scheduler_has_one_line_of_help():
    assert all(row.help and "\n" not in row.help and row.help.endswith(".") for row in SCHEDULERS.values())


def test_names_and_fake_engine_load_no_torch():
    code = "import invoke_shell.pipeline.schedulers, invoke_shell.runtime.fake, sys; print('torch' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
