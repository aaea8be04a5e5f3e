"""The promise on the model in the box: pictures make themselves again, bit for bit, in a new process with no cache."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

LINES = [
    'txt2img "a red boat on a green sea" --seed 7 --steps 6 --scheduler ddim,euler_a,heun,dpmpp_2m_sde,unipc,lcm',
    'txt2img "a blue house" --seed 3 --steps 8 | img2img --strength 0.5 | upscale --scale 1.5 | blur 1',
    'txt2img "a {red|yellow} star at night" --seed 4 --steps 6 | contact_sheet',
    'txt2img "a green tree" --seed 5 --steps 6 --size 96x160 as @tree',
    "@tree | img2img a purple heart --start-step 2 --steps 6 --seed 9 --pure-noise",
]


def program(home, *arguments):
    command = [sys.executable, "-m", "invoke_shell", "--home", str(home), "--json", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True)
    return ran, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twelve_pictures_are_exact_alone_in_another_home_with_the_model_under_another_name(tmp_path):
    made, records = program(tmp_path / "home", *[word for line in LINES for word in ("-c", line)])
    assert made.returncode == 0, made.stderr
    paths = [r["path"] for r in records if r["event"] == "result"]
    alone = tmp_path / "alone"
    alone.mkdir()
    copies = [str(shutil.copy(path, alone)) for path in paths]
    shutil.rmtree(tmp_path / "home")

    again, verdicts = program(tmp_path / "other", "replay", "--exact", *copies)

    assert again.returncode == 0, again.stdout + again.stderr
    assert len(copies) == 12
    assert [r["verdict"] for r in verdicts if r["event"] == "replay"] == ["exact"] * 12


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_under_another_name_and_folder_is_found_by_its_hash(tmp_path):
    from invoke_shell.models.catalogue import ASSETS

    shutil.copytree(ASSETS / "pocket", tmp_path / "one" / "models" / "mine")
    model = tmp_path / "one" / "models" / "mine" / "unet" / "config.json"
    model.write_text(model.read_text() + "\n")  # another model than the one in the box
    made, records = program(tmp_path / "one", "-c", 'txt2img "a cat" --model mine --seed 1 --steps 3 --size 64x64')
    assert made.returncode == 0, made.stderr
    shutil.copytree(tmp_path / "one" / "models" / "mine", tmp_path / "two" / "models" / "renamed")

    again, verdicts = program(tmp_path / "two", "replay", "--exact", records[0]["path"])

    assert again.returncode == 0, again.stdout + again.stderr
    assert [r["verdict"] for r in verdicts if r["event"] == "replay"] == ["exact"]
    assert "--model renamed@" in next(r["command"] for r in verdicts if r["event"] == "result")
