"""Settings: each is typed and says what it may be; config.yaml with all of them; one value written into it."""

from __future__ import annotations

import pytest
import yaml
from shell_kit import REGISTRY

from invoke_shell.errors import OutputError, SettingError
from invoke_shell.pipeline.chain import Source
from invoke_shell.shell.config_file import commented, keep, write
from invoke_shell.shell.display.terminal import PROTOCOLS
from invoke_shell.shell.settings import SHELL, Settings, read_config

SHOWN = Settings(REGISTRY)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("show", "banana", "show is auto, off or a width of 1 to 1000 columns, not banana"),
        ("show", "0", "show is auto, off or a width of 1 to 1000 columns, not 0"),
        ("device", "gpu", "device is cpu, cuda, cuda:1, mps or auto, not gpu"),
        ("theme", "solarized", "theme is one of auto, dark, light, none, not solarized"),
        ("preview", "yes", "preview is one of auto, on, off, not yes"),
        ("threads", "0", "threads is 1 to 1024, not 0"),
        ("memory", "lots", "memory is a number, not lots"),
        ("filename", "{prompt}/{n}", "filename cannot have '/', in '{prompt}/{n}'"),
        ("filename", "{nn}", "filename has no field {nn}"),
    ],
)
def test_a_wrong_value_is_one_sentence(name, text, sentence):
    with pytest.raises(SettingError) as raised:
        SHOWN.set(name, text)

    assert raised.value.message == sentence


def test_every_setting_says_what_it_is_for_and_its_default_is_one_of_its_values(tmp_path):
    for name, p in SHELL.items():
        assert p.arg.help.endswith(".")
        if p.default is not None:
            text = p.kind.format(p.default)
            assert Settings(REGISTRY).set(name, text).value == p.default


def test_what_doctor_calls_a_protocol_may_be_set():
    assert SHELL["pictures"].kind.choices == ("auto", *PROTOCOLS)


def test_the_shipped_file_has_every_setting_and_changes_nothing(tmp_path):
    path = tmp_path / "config.yaml"
    assert write(path, SHOWN.params)
    settings = Settings(REGISTRY)

    assert read_config(path, tmp_path, settings) == []
    assert settings.config == {}
    names = [line[1:].partition(":")[0] for line in path.read_text("utf-8").splitlines() if line[1:2].isalpha()]
    assert sorted(names) == sorted({*(n for n in SHOWN.params if "." not in n), "img2img.steps"})
    assert max(map(len, path.read_text("utf-8").splitlines())) <= 100
    assert not write(path, SHOWN.params)


def test_every_key_with_its_comment_taken_away_is_read_as_the_default(tmp_path):
    path = tmp_path / "config.yaml"
    lines = commented(SHOWN.params).splitlines()
    path.write_text("\n".join(line[1:] if line[1:2].isalpha() else line for line in lines), "utf-8")
    settings = Settings(REGISTRY)

    complaints = read_config(path, tmp_path, settings)

    assert complaints == []
    assert len(yaml.safe_load(path.read_text("utf-8"))) == len(settings.config)
    for name, value in settings.config.items():
        if name in SHELL:
            assert (value.value, value.source) == (SHELL[name].default, Source.CONFIG)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("steps: 30\nstpes: 3\n", "config.yaml:2:1: there is no setting stpes (did you mean steps?)"),
        ("  steps:   999\n", "config.yaml:1:12: steps is 1 to 150, not 999"),
        ("steps: 3\nsteps: 4\n", "config.yaml:2:1: steps is there twice; this one counts"),
        ("steps: [1, 2]\n", "config.yaml:1:8: steps takes one value"),
        ("img2img:\n  steps: 3\n", "config.yaml:2:3: img2img takes one value (of one command: img2img.steps)"),
        ("steps: 3\nnegative: caf\udce9\n", "config.yaml:2: this is no UTF-8"),
        ("steps: {\n", "config.yaml:2:1: expected the node content, but found '<stream end>'"),
        ("- steps\n", "config.yaml:1:1: settings are written as `name: value`"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(tmp_path, text, complaint):
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8", errors="surrogateescape")

    assert read_config(path, tmp_path, Settings(REGISTRY)) == [complaint]


def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path):
    path = tmp_path / "config.yaml"
    path.mkdir()

    assert read_config(path, tmp_path, Settings(REGISTRY)) == ["config.yaml cannot be read: is a directory"]
    with pytest.raises(OutputError) as raised:
        keep(path, "theme", SHELL["theme"], "light")
    assert raised.value.message == f"{path} cannot be read: is a directory"


def test_a_link_to_a_file_that_is_kept_elsewhere_stays_one(tmp_path):
    there, path = tmp_path / "dotfiles.yaml", tmp_path / "config.yaml"
    there.write_text("# mine\n")
    path.symlink_to(there)

    keep(path, "theme", SHELL["theme"], "light")

    assert path.is_symlink()
    assert there.read_text() == "# mine\ntheme: light\n"


def test_a_kept_value_takes_the_place_of_its_comment_and_all_else_stays(tmp_path):
    path = tmp_path / "config.yaml"
    write(path, SHOWN.params)
    before = path.read_text("utf-8").splitlines()

    keep(path, "theme", SHELL["theme"], "light")
    keep(path, "filename", SHELL["filename"], "{n:06} {prompt}")
    keep(path, "theme", SHELL["theme"], "dark")
    keep(path, "img2img.steps", SHOWN.params["img2img.steps"], "9")

    after = path.read_text("utf-8").splitlines()
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [
        ('#filename: "{n:06}-{prompt:24}-{seed}"', 'filename: "{n:06} {prompt}"'),
        ("#theme: auto", "theme: dark"),
        ("#img2img.steps: 20", "img2img.steps: 9"),
    ]
    settings = Settings(REGISTRY)
    assert read_config(path, tmp_path, settings) == []
    assert settings["filename"] == "{n:06} {prompt}"
