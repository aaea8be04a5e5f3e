"""The edit line: colours, completion, grey text, keys, history. One parse, no terminal."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from datetime import datetime
from itertools import islice
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import DummyOutput
from shell_kit import (
    ALT_ENTER,
    ALT_RIGHT,
    CTRL_C,
    CTRL_R,
    CTRL_U,
    DOWN,
    ENTER,
    F1,
    REGISTRY,
    RIGHT,
    TAB,
    UP,
    FakeSession,
    Typist,
    offers,
    readings,
    stands,
    suggests,
)

from invoke_shell.errors import OutputError
from invoke_shell.models.entry import Entry
from invoke_shell.models.finding import Finding
from invoke_shell.models.rows import Rows
from invoke_shell.shell.archive.lines import LineHistory
from invoke_shell.shell.archive.past import Past
from invoke_shell.shell.edit_line.colours import painted
from invoke_shell.shell.edit_line.completion import Completions, Ghost
from invoke_shell.shell.edit_line.editing import _when, greeting
from invoke_shell.shell.edit_line.keys import recall_of
from invoke_shell.shell.edit_line.listing import Listing
from invoke_shell.shell.edit_line.loop import Shell, interact
from invoke_shell.shell.edit_line.plain import PlainLines
from invoke_shell.shell.edit_line.status import Status, help_lines, hint

pytestmark = pytest.mark.timeout(60)

PASTE, PASTED = "\x1b[200~", "\x1b[201~"


@pytest.fixture
def session(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    made = FakeSession(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def completions(session):
    return Completions(REGISTRY, session.read, Listing(session))


@pytest.fixture
def typist(session):
    return Typist(session)


# -- colours -----------------------------------------------------------------------------------------------------------


def pieces(text: str) -> list[tuple[str, str]]:
    return [piece for line in painted(text, REGISTRY, readings) for piece in line]


def styles_of(text: str, part: str) -> set[str]:
    """The styles of a part of the text, character by character."""
    by_character = [style for style, piece in pieces(text) for _ in piece]
    start = text.replace("\n", "").index(part)
    return set(by_character[start : start + len(part)])


@given(st.text(alphabet=st.sampled_from(list("txt2img a\"'|;#@\\\n{}-=$?“” é日")), max_size=60))
def test_pieces_together_are_the_text(text):
    lines = painted(text, REGISTRY, readings)

    assert ["".join(piece for _, piece in line) for line in lines] == text.split("\n")


@pytest.mark.parametrize(
    ("text", "part", "style"),
    [
        ('txt2img "a | b" --steps 3', "txt2img", "class:command"),
        ('txt2img "a | b" --steps 3', '"a | b"', "class:string"),
        ('txt2img "a | b" --steps 3', "--steps", "class:flag"),
        ('txt2img "a | b" --steps 3', "3", "class:number"),
        ("txt2img a red boat --scheduler ddim", "a red boat", "class:string"),
        ("txt2img a red boat --scheduler ddim", "ddim", "class:value"),
        ("@-1 | upscale # larger", "|", "class:pipe"),
        ("@-1 | upscale # larger", "@-1", "class:handle"),
        ("@-1 | upscale # larger", "# larger", "class:comment"),
        ("$ ls", "$ ls", "class:system"),
        ("explain txt2img x --steps 3", "--steps", "class:flag"),
        ("txt2img x |\nupscale", "upscale", "class:command"),
    ],
)
def test_every_kind_of_word_has_its_colour(text, part, style):
    assert styles_of(text, part) == {style}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('txt2img "a" --stpes 3', "--stpes"),
        ("upscal | show_image", "upscal"),
        ('txt2img "a" --steps 999', "999"),
        ('txt2img "a" --steps 0 --seed 3', "0"),
        ('txt2img "a" --scheduler eulr', "eulr"),
        ("explain txt2img x --stpes 3", "--stpes"),
    ],
)
def test_what_cannot_become_right_is_red(text, part):
    assert "class:error" in styles_of(text, part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('txt2img "a" --scheduler eul', "eul"),
        ('txt2img "a" --size 5', "5"),
        ('txt2img "a" --size 512x', "512x"),
        ('txt2img "a" --steps', "--steps"),
        ('txt2img "a" --steps ', "--steps"),
        ('txt2img "a boat', "a boat"),
        ("txt2img", "txt2img"),
        ("upscale |", "|"),
    ],
)
def test_what_may_still_become_right_is_not_red(text, part):
    assert "class:error" not in styles_of(text, part)


@pytest.mark.parametrize("word", ["txt", "up", "--st", "--scheduler d"])
def test_a_half_typed_word_is_not_red_while_something_begins_so(word):
    text = word if not word.startswith("-") else f'txt2img "a" {word}'

    assert not any(style == "class:error" for style, _ in pieces(text))


# -- completion --------------------------------------------------------------------------------------------------------


def words(completions, text, *, asked=True):
    return [i.text for i in completions.items(text, asked=asked)]


@pytest.mark.parametrize(
    ("text", "some", "none"),
    [
        ("", {"txt2img", "load_image", "help", "explain"}, {"upscale", "save"}),
        ("tx", {"txt2img"}, {"load_image"}),
        ('txt2img "a" | ', {"upscale", "save", "img2img"}, {"txt2img", "load_image", "help"}),
        ("@-1 | up", {"upscale"}, {"save"}),
        ("| ", {"upscale"}, {"txt2img"}),
        ("txt2img a red boat --s", {"--steps", "--seed", "--size", "--scheduler"}, {"--guidance"}),
        ('txt2img "a" --steps 3 --', {"--seed"}, {"--steps"}),
        ('txt2img "a" --scheduler eu', {"euler", "euler_a"}, {"ddim"}),
        ('txt2img "a" --scheduler euler,dd', {"ddim", "ddpm"}, {"euler"}),
        ("txt2img a --model po", {"pocket"}, set()),
        ("txt2img a --seed ", {"random"}, set()),
        ("help tx", {"txt2img"}, set()),
        ("help sched", {"schedulers"}, set()),
        ("set sch", {"scheduler"}, {"steps"}),
        ("set scheduler dd", {"ddim", "ddpm"}, {"euler"}),
        ("set plain ", {"on", "off"}, set()),
        ("set model ", {"pocket"}, set()),
        ("models ", {"list", "show", "scan"}, {"pocket"}),
        ("models s", {"show", "scan"}, {"list"}),
        ("models list ", {"checkpoint", "lora"}, {"pocket"}),
        ("models list lora ", {"vae"}, {"lora"}),
        ("models show ", {"pocket", "pocket-2x", "pocket-4x"}, {"lora"}),
        ("models verify pocket ", {"pocket-2x", "pocket-4x"}, {"pocket"}),
        ("models show --kind upscaler po", {"pocket-2x", "pocket-4x"}, {"pocket"}),
        ("models rename po", {"pocket", "pocket-2x"}, {"lora"}),
        ("models show pocket --hash sha5", {"sha512"}, {"md5"}),
        ("models rename pocket ", set(), {"pocket-2x"}),
        ("explain ", {"txt2img"}, {"upscale"}),
        ('explain txt2img "a" --st', {"--steps"}, {"--seed"}),
        ("explain @-1 | ", {"upscale"}, {"txt2img"}),
    ],
)
def test_completion_knows_the_place(completions, text, some, none):
    found = set(words(completions, text))

    assert some <= found
    assert not none & found


@pytest.mark.parametrize("text", ["@-1 ", "txt2img a red boat --pure", "upscale", "exit "])
def test_nothing_is_offered_where_nothing_fits(completions, text):
    assert words(completions, text) == []


def test_fuzzy_only_when_no_word_begins_so(completions):
    assert words(completions, "txt2img a --scheduler dpm2m")[0] == "dpmpp_2m"
    assert all(w.startswith("eu") for w in words(completions, "txt2img a --scheduler eu"))


def test_a_menu_does_not_open_over_a_prompt_that_is_typed(completions):
    assert words(completions, "txt2img ", asked=False) == []
    assert words(completions, "txt2img a red ", asked=False) == []
    assert words(completions, "txt2img a red --s", asked=False)
    assert words(completions, "", asked=False) == []
    assert words(completions, "txt2img a | ", asked=False)


def test_every_item_carries_a_note(completions):
    notes = {i.text: i.note for i in completions.items('txt2img "a" --')}

    assert notes["--steps"] == "Denoising steps.  [1 to 150, 24]"
    assert all(notes.values())
    assert all(i.note for i in completions.items('txt2img "a" --scheduler '))
    shown = completions.get_completions(Document('txt2img "a" --'), CompleteEvent())
    assert {c.display_text: c.display_meta_text for c in shown} == notes


def test_a_picture_may_be_a_file_a_folder_or_a_handle(completions, session):
    session.made("txt2img a red boat")
    for name in ("a.png", "B.JPG", "notes.txt", ".hidden.png"):
        Path(name).touch()
    Path("more").mkdir()
    Path("more/in it.png").touch()
    Path("round").symlink_to("round")  # leads nowhere, and cannot be asked whether it is a folder

    items = {i.text: i for i in completions.items("load_image ")}

    assert {"a.png", "B.JPG", "more/", "@1", "@-1", "@@"} == set(items)
    assert items["@1"].note == "txt2img a red boat"
    assert not items["more/"].space
    assert words(completions, "load_image more/") == ['"more/in it.png"']
    assert words(completions, 'load_image "more/i') == ['"more/in it.png"']
    assert words(completions, "load_image .h") == [".hidden.png"]


def test_handles_are_offered_where_they_may_stand(completions, session):
    session.made("txt2img a red boat")
    session.made("txt2img a fox", seed=8)

    assert words(completions, "@") == ["@-1", "@@", "@2", "@1"]
    assert "@2" in words(completions, "replay ")
    assert "@2" in words(completions, "recall @")
    assert words(completions, "load_image @2") == ["@2"]
    assert [i.note for i in completions.items("txt2img a --seed ")] == ["a drawn one", "of @2", "of @1"]


def test_a_completion_brings_a_blank_unless_there_is_one(completions):
    def text(before, after=""):
        document = Document(before + after, len(before))
        return next(iter(completions.get_completions(document, CompleteEvent(completion_requested=True)))).text

    assert text("txt2") == "txt2img "
    assert text("txt2", " a cat") == "txt2img"


def test_models_are_offered_with_family_and_trigger_words(completions, session):
    Path("files").mkdir()
    for name in ("fox.safetensors", "old.ckpt", "notes.txt"):
        Path("files", name).touch()
    found = Finding(kind="lora", base="sdxl", variant="kohya", reason="", words=("sks fox", "forest"))
    Rows(session.home.data / "catalogue.db").put(
        [Entry(name="fox", path=Path("files/fox.safetensors"), stamp="", origin="added", finding=found)]
    )

    offered = {i.text: i.note for i in completions.items("txt2img a --lora ")}
    assert offered == {"fox": "sdxl  kohya  sks fox, forest", "pocket-ink": "peft"}
    notes = {i.text: i.note for i in completions.items("models show ")}
    assert notes["fox"] == "lora  sdxl  kohya  sks fox, forest"
    assert words(completions, "models add files/") == ["files/fox.safetensors"]
    assert words(completions, "models convert files/") == ["files/old.ckpt"]
    assert words(completions, "models scan f") == ["files/"]
    assert {i.text: i.note for i in completions.items("models r")} == {
        "remove": "out of the catalogue; its file stays",
        "rename": "another name: models rename OLD NEW",
    }


# -- grey text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "typed", "grey"),
    [
        (["txt2img a fox", "txt2img a boat"], "txt2img a", " boat"),
        (["txt2img a fox", "txt2img a boat --stpes 3"], "txt2img a", " fox"),
        ([], "txt2i", "mg"),
        ([], "txt2img a red boat --ste", "ps"),
        ([], "txt2img a red", ""),
        ([], "", ""),
        (["txt2img a"], "txt2img a", ""),
        (["upscale"], "ups", ""),
    ],
)
def test_grey_text_is_the_last_line_that_parses_then_a_completion(completions, lines, typed, grey):
    past = Past()
    past.load(reversed(lines))

    suggestion = Ghost(completions, past).get_suggestion(None, Document(typed, len(typed)))

    assert (suggestion.text if suggestion else "") == grey


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_line_runs_and_the_worker_is_warmed_meanwhile(typist, session):
    ran = typist.types("txt2img a red boat", ENTER, lambda t: bool(session.ran))

    assert ran == ["txt2img a red boat"]
    assert session.warmed.wait(5)


def test_enter_keeps_a_faulty_line_with_the_cursor_at_the_first_fault(typist, session):
    faulty = 'txt2img "a" --stpes 3 | upscal'

    def kept(t):
        return t.line == faulty and t.buffer.cursor_position == faulty.index(" 3")

    assert typist.types(faulty, ENTER, kept, "\x7f" * 5 + "steps", stands('txt2img "a" --steps 3 | upscal')) == []


def test_a_line_that_lacks_something_stays_too(typist, session):
    session.status = 3

    typist.types(
        "txt2img a --model nowhere", ENTER, stands("txt2img a --model nowhere"), lambda t: len(session.ran) == 1
    )


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (['txt2img "a', ENTER, 'b"', ENTER], 'txt2img "a\nb"'),
        (["txt2img x |", ENTER, "upscale", ENTER], "txt2img x |\nupscale"),
        (["txt2img x \\", ENTER, "--steps 3", ENTER], "txt2img x \\\n--steps 3"),
        (["txt2img x", ALT_ENTER, "txt2img y", ENTER], "txt2img x\ntxt2img y"),
        (["\x1b[200~txt2img a\ntxt2img b\n\x1b[201~", ENTER], "txt2img a\ntxt2img b\n"),
    ],
)
def test_unfinished_input_and_pasted_lines_wait_for_enter(typist, session, keys, line):
    assert typist.types(*keys, lambda t: bool(session.ran)) == [line]


def test_a_wrong_word_is_told_even_when_the_line_is_unfinished(typist):
    assert typist.types("upscal |", ENTER, lambda t: t.line == "upscal |", stands("upscal |")) == []


def test_tab_inserts_what_all_share_then_opens_the_menu_then_goes_on(typist):
    typist.types(
        "tx", TAB, stands("txt2img "), "a --s", offers("--steps", "--seed"),
        "c", offers("--scheduler"), TAB, stands("txt2img a --scheduler "),
        "dp", offers("dpm2", "dpmpp_2m"), TAB, stands("txt2img a --scheduler dpm"), offers("dpm2"),
        TAB, lambda t: t.selected == "dpm2", TAB, lambda t: t.selected == "dpm2_karras",
    )  # fmt: skip


def test_enter_on_a_selected_completion_only_accepts_it(typist, session):
    def offers_for_what_stands(t) -> bool:
        state = t.buffer.complete_state
        return state is not None and state.original_document.text == t.line == "txt2img a --scheduler euler"

    typist.types("txt2img a --scheduler eu", offers("euler"), TAB, offers_for_what_stands, TAB,
                 lambda t: t.selected != "", ENTER,
                 lambda t: t.menu == [] and t.line.startswith("txt2img a --scheduler euler"))  # fmt: skip

    assert session.ran == []


def test_arrow_right_takes_the_grey_text_and_alt_right_a_word(typist, session):
    session.home.history_file.write_text("\n# then\n+txt2img a red fox --seed 7\n")

    typist.types("txt2img a r", suggests("ed fox --seed 7"), ALT_RIGHT, stands("txt2img a red"),
                 suggests(" fox --seed 7"), RIGHT, stands("txt2img a red fox --seed 7"))  # fmt: skip


def test_arrow_up_finds_lines_that_have_what_is_typed_and_down_comes_back(typist, session):
    write_history(session, "txt2img a fox", "txt2img a boat --seed 3", "help", "upscale a")

    typist.types("a fox", UP, stands("txt2img a fox"), UP, stands("txt2img a fox"), DOWN, stands("a fox"), CTRL_C,
                 stands(""), UP, stands("upscale a"), UP, stands("help"), UP, UP, stands("txt2img a fox"), DOWN,
                 stands("txt2img a boat --seed 3"), DOWN, DOWN, DOWN, stands(""))  # fmt: skip


def test_arrow_up_goes_through_the_lines_of_a_text_first(typist, session):
    write_history(session, "help")

    typist.types("help", ALT_ENTER, "exit", UP, "x", stands("helpx\nexit"), UP, stands("helpx\nexit"))


def write_history(session, *lines: str) -> None:
    session.home.history_file.write_text("".join(f"\n# then\n+{line}\n" for line in lines))


def test_the_past_is_searched_newest_first_among_many():
    past = Past()
    past.load(iter([f"txt2img a fox --seed {n}" for n in range(100_000, 0, -1)] + ["help", "txt2img a fox --seed 7"]))
    past.add("txt2img an owl")

    assert list(islice(past.begins("txt2img a"), 2)) == ["txt2img an owl", "txt2img a fox --seed 100000"]
    assert list(past.begins("txt2img a fox --seed 4711")) == [
        f"txt2img a fox --seed {n}" for n in [*range(47119, 47109, -1), 4711]
    ]
    assert list(past.begins("hel")) == ["help"]
    assert list(past.begins("zebra")) == []
    assert list(past.holds("seed 99999")) == ["txt2img a fox --seed 99999"]
    assert len(list(past.holds(""))) == 100_002


def test_grey_text_among_100_000_lines_is_found_in_a_millisecond(completions):
    past = Past()
    past.load(iter([f"txt2img a fox number {n}" for n in range(100_000)]))
    ghost = Ghost(completions, past)
    times = []
    for text in ("t", "txt2img a fox number 99", "txt2img a fox number 98765", "upscale", "zebra"):
        start = time.perf_counter()
        ghost.get_suggestion(None, Document(text, len(text)))
        times.append(time.perf_counter() - start)

    assert median(times) < 0.01  # a look through all of them takes as long; the bound is loose for busy machines


def test_arrow_up_goes_to_the_history_though_a_menu_is_open(typist, session):
    session.home.history_file.write_text("\n# then\n+txt2img a --seed 3\n")

    typist.types("txt2img a --s", offers("--steps"), UP, stands("txt2img a --seed 3"))


def test_ctrl_r_searches(typist, session):
    session.home.history_file.write_text("\n# then\n+txt2img a fox\n\n# then\n+txt2img a boat\n")

    assert typist.types(CTRL_R, "fox", ENTER, stands("txt2img a fox"), ENTER, lambda t: bool(session.ran)) == [
        "txt2img a fox"
    ]


def test_ctrl_c_clears_the_line_and_on_an_empty_one_says_how_to_leave(typist, session):
    typist.types("txt2img a", stands("txt2img a"), CTRL_C, stands(""), CTRL_C,
                 lambda t: "Ctrl-D or exit leaves" in session.view.said)  # fmt: skip

    assert session.ran == []


def test_exit_leaves(typist):
    assert typist.types("exit", ENTER, lambda t: t.session.leaving) == ["exit"]


def test_a_recalled_line_stands_in_the_next_prompt_and_is_not_run(typist, session):
    session.recalled = "txt2img a fox --seed 3"

    assert typist.types("help", ENTER, stands("txt2img a fox --seed 3")) == ["help"]


def test_a_dropped_picture_becomes_the_command_that_recalls_it(typist, session):
    picture = Path("fox in snow.png").absolute()
    picture.touch()

    typist.types(f"\x1b[200~'{picture}'\x1b[201~", stands(f'recall "{picture}"'), CTRL_U,
                 str(picture), ENTER, stands(f'recall "{picture}"'))  # fmt: skip

    assert session.ran == []


def test_f1_helps_with_the_flag_at_the_cursor(typist, session):
    typist.types("txt2img a --steps", stands("txt2img a --steps"), F1,
                 lambda t: any("1 to 150" in text for text in session.view.said))  # fmt: skip


def test_ctrl_c_ends_a_paste_whose_end_was_lost(typist, session):
    typist.types(f"{PASTE}lost in a buffer", CTRL_C, "help", ENTER, lambda t: bool(session.ran))

    assert session.ran == ["help"]


def test_a_line_ends_once(typist, session, caplog):
    """A key that prompt_toolkit has held back until the line was over already: Ctrl-C after Enter."""

    def both(typist) -> bool:
        def ends() -> None:
            app = typist.editor.prompt.app
            app.exit(result="help")
            app.key_processor._process_coroutine.send(KeyPress(Keys.ControlC))

        typist.editor.prompt.app.loop.call_soon_threadsafe(ends)
        return True

    assert typist.types("h", stands("h"), both, lambda t: session.ran) == ["help"]
    assert caplog.text == ""


class Faulty(FakeSession):
    """Fails at a word, wherever it is read: in colours, menu, toolbar, grey text and at Enter."""

    def read(self, text: str):
        if "boom" in text:
            raise RuntimeError("a fault of ours")
        return super().read(text)


def test_a_fault_while_typing_is_one_sentence_and_the_line_goes_on(tmp_path, caplog):
    caplog.set_level("INFO")
    session = Faulty(tmp_path)

    ran = Typist(session).types(
        "txt2img boo", stands("txt2img boo"), "m", stands("txt2img boom"), " x", lambda t: session.view.said[1:],
        ENTER, TAB, F1, stands("txt2img boom x"), CTRL_U, stands(""), "txt2img a", ENTER, lambda t: session.ran,
    )  # fmt: skip

    told = [said for said in session.view.said if said.startswith("RuntimeError")]
    assert len(told) == 1
    assert re.fullmatch(
        r"RuntimeError: a fault of ours\n"
        r"  this is a fault of invoke_shell; the log has the rest: [0-9a-f]{6} in \S+",
        told[0],
    )
    assert ran == ["txt2img a"]
    assert any(record.exc_info for record in caplog.records)
    assert "failed while somebody was typing" in caplog.text


def test_a_task_that_fails_beside_the_line_is_one_sentence(typist, session):
    async def fails() -> None:
        raise RuntimeError("beside")

    def begin(typist) -> bool:
        app = typist.editor.prompt.app
        app.loop.call_soon_threadsafe(lambda: app.create_background_task(fails()))
        return True

    ran = typist.types("txt2img", stands("txt2img"), begin, lambda t: "beside" in str(session.view.said), " a", ENTER)

    assert ran == ["txt2img a"]


def test_reports_of_a_mouse_that_is_none_are_no_keys(typist, session, caplog):
    ran = typist.types(
        "\x1b[<5Mtxt2img", stands("txt2img"), "\x1b[M!!!\x1b[<0;1;1M\x1b[1;2M a", ENTER, lambda t: session.ran
    )

    assert ran == ["txt2img a"]
    assert caplog.text == ""


def test_what_fails_in_a_thread_is_in_the_log_and_not_on_the_screen(session, capsys, caplog):
    def fails() -> None:
        session.warmed.set()
        raise RuntimeError("aside")

    session.warm = fails
    with create_pipe_input() as pipe:

        def leave() -> None:
            session.warmed.wait(10)
            pipe.send_text("exit\r")

        leaving = threading.Thread(target=leave)
        leaving.start()
        interact(lambda: session, input=pipe, output=DummyOutput())
        leaving.join()

    assert "aside" in caplog.text
    assert capsys.readouterr().err == ""


class Worn(DummyOutput):
    """A terminal whose size cannot be told any more, which every drawing asks for."""

    broken = False

    def get_size(self):
        if self.broken:
            raise RuntimeError("no size")
        return super().get_size()


def test_where_no_line_can_be_drawn_lines_come_without_drawing(session, monkeypatch):
    output = Worn()
    monkeypatch.setattr(sys, "stdin", io.StringIO("txt2img b\n"))

    with create_pipe_input() as pipe:
        shell = Shell(lambda: session, input=pipe, output=output)
        session.after = lambda: setattr(output, "broken", True)
        pipe.send_text("txt2img a\r")
        shell.run()

    assert session.ran == ["txt2img a", "txt2img b"]
    assert session.view.said[-2:] == [
        next(said for said in session.view.said if said.startswith("RuntimeError: no size")),
        "the line is edited without colours and completion from here on",
    ]


def test_typographic_quotes_and_dashes_of_a_web_page_are_read(typist, session):
    typist.types(f"{PASTE}txt2img “a red fox” —steps 3{PASTED}", ENTER, lambda t: bool(session.ran))

    assert session.ran == ["txt2img “a red fox” —steps 3"]
    (bound,) = session.read(session.ran[0]).bound
    assert {name: v.value for name, v in bound.chain.stages[0].values.items()} == {"prompt": "a red fox", "steps": 3}


def test_vi_keys_by_a_setting(typist, session):
    session.settings.set("keys", "vi")

    def navigates(t):
        return t.editor.prompt.app.vi_state.input_mode == "vi-navigation"

    typist.types("txt2img a", stands("txt2img a"), "\x1b", navigates, "0", "x", stands("xt2img a"))


def test_recall_of_a_path_however_the_terminal_writes_it(tmp_path):
    picture = tmp_path / "a b.png"
    picture.touch()
    (tmp_path / "text.txt").touch()
    escaped = str(picture).replace(" ", "\\ ")

    for text in (
        str(picture),
        f"'{picture}'",
        f'"{picture}"',
        f"{escaped} ",
        "file://" + str(picture).replace(" ", "%20"),
    ):
        assert recall_of(text) == f'recall "{picture}"'
    other = tmp_path / "it's.png"
    other.touch()
    both = f'recall "{other}" "{picture}"'
    written = f"'{tmp_path}/it'\\''s.png' '{picture}' "
    for text in (
        written,
        f"{tmp_path}/it\\'s.png {escaped}",
        f"file://here{other}\nfile://{str(picture).replace(' ', '%20')}\n",
    ):
        assert recall_of(text) == both
    assert recall_of(f"{other} and {escaped}") == ""
    for text in ("", "nowhere.png", str(tmp_path / "text.txt"), f"{picture}\n{picture}", "txt2img a.png"):
        assert recall_of(text) == ""


# -- history -----------------------------------------------------------------------------------------------------------


def test_history_keeps_lines_of_several_lines_the_newest_first(tmp_path):
    history = LineHistory(tmp_path / "deep" / "history")
    for line in ("txt2img a", 'txt2img "x\n+y\n# z"', "help", "help"):
        history.store_string(line)

    assert list(LineHistory(history.path).load_history_strings()) == ["help", 'txt2img "x\n+y\n# z"', "txt2img a"]
    assert history.path.stat().st_mode & 0o777 == 0o600


def test_two_shells_write_one_history_and_a_kill_loses_nothing(tmp_path):
    path = tmp_path / "history"
    program = f"""
import os, signal
from pathlib import Path
from invoke_shell.shell.archive.lines import LineHistory
history = LineHistory(Path({str(path)!r}))
for i in range(200):
    history.store_string("line %s of {{}}" % i)
os.kill(os.getpid(), signal.SIGKILL)
"""
    both = [subprocess.Popen([sys.executable, "-c", program.replace("{}", str(n))]) for n in range(2)]

    assert [p.wait(60) for p in both] == [-9, -9]
    lines = list(LineHistory(path).load_history_strings())
    assert sorted(lines) == sorted(f"line {i} of {n}" for n in range(2) for i in range(200))


def test_a_long_history_is_read_from_its_end(tmp_path):
    path = tmp_path / "history"
    entry = "\n# 2026-01-01 00:00:00\n+{}\n"
    path.write_text("".join(entry.format(f"txt2img {i} {'x' * 200}") for i in range(20_000)))

    lines = list(LineHistory(path).load_history_strings())

    assert lines[0].startswith("txt2img 19999 ")
    assert 3000 < len(lines) < 6000
    assert all(line.startswith("txt2img ") and line.endswith("xxx") for line in lines)


def test_a_history_that_cannot_be_written_or_read_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    history = LineHistory(tmp_path / "file" / "history")

    history.store_string("txt2img a")

    assert list(history.load_history_strings()) == []
    assert list(LineHistory().load_history_strings()) == []


# -- the line at the bottom, help, greeting ----------------------------------------------------------------------------


def said(text):
    return "".join(piece for _, piece in hint(readings(text).pending))


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ('txt2img "a" --steps 3', "--steps  Denoising steps.  [1 to 150, default 24]"),
        ('txt2img "a" --steps ', "--steps  Denoising steps.  [1 to 150, default 24]"),
        ('txt2img "a" -s', "--steps  Denoising steps.  [1 to 150, default 24]"),
        ("txt2img a red", "PROMPT  What to draw.  [text]"),
        ('txt2img "a" ', "txt2img PROMPT [--flags]  Draw pictures from a text prompt."),
        ("tx", ""),
        ("", ""),
    ],
)
def test_the_toolbar_says_what_the_flag_at_the_cursor_takes(text, about):
    assert said(text) == about


def test_the_toolbar_names_the_model_its_size_and_that_it_is_a_demo(session):
    looked = []
    status = Status(session, lambda: looked.append(status.text))
    status.refresh()
    for _ in range(500):
        if looked:
            break
        os.sched_yield()

    assert status.text.startswith("pocket")
    assert status.text.endswith(": demo model")
    session.settings.set("size", "64x96")
    assert status.text == "pocket 64x96: demo model"


def test_the_toolbar_tells_the_memory_of_a_gpu_and_what_is_at_work(session):
    changes = []
    status = Status(session, lambda: changes.append(session.hashing.reading))
    session.memory = (18 << 30, 24 << 30)
    session.hashing.reading = "sd15 34 %"
    status.refresh()

    bar = "".join(piece for _, piece in status.toolbar(readings("").pending, empty=False))

    assert bar.rstrip().endswith("  18.0 of 24.0 GB free  reading sd15 34 %")
    session.hashing.reading = ""
    status._watching.join(5)
    assert changes[-1] == ""
    assert "reading" not in "".join(piece for _, piece in status.toolbar(readings("").pending, empty=False))


def test_a_home_where_nothing_was_typed_gets_a_hint(session):
    status = Status(session, lambda: None)
    empty = "".join(piece for _, piece in status.toolbar(readings("").pending, empty=True))

    assert "try: txt2img a red boat    Tab completes, F1 helps" in empty
    status.fresh = False
    assert "try:" not in "".join(piece for _, piece in status.toolbar(readings("").pending, empty=True))


def test_help_is_on_the_flag_else_the_command_else_on_all(session):
    def first(text):
        return next(iter(help_lines(session, readings(text).pending)))

    assert first('txt2img "a" --steps') == "--steps: Denoising steps."
    assert first("txt2img a cat") == "txt2img: Draw pictures from a text prompt."
    assert first("txt2img") == "txt2img: Draw pictures from a text prompt."
    assert first("").startswith("Begin a line ")


def test_the_greeting_names_version_model_folder_and_the_last_result(session):
    fresh = greeting(session)
    session.made("txt2img a")

    assert fresh.startswith("invoke_shell ")
    assert f"  pocket  pictures go to {session.home.data / 'outputs'}" in fresh
    assert "\n" not in fresh
    own, last = greeting(session).splitlines()[1:]
    assert own == f"session {session.keeper.session.name}, 1 picture"
    assert last.startswith("last @1, ")
    session.keeper.session = session.store.new_session("boats")
    assert greeting(session).splitlines()[1] == "session boats, no pictures yet"


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (datetime(2026, 3, 4, 9, 5), "09:05"),
        (datetime(2026, 3, 3, 23, 10), "yesterday 23:10"),
        (datetime(2026, 2, 1, 9, 5), "1 February 09:05"),
        (datetime(2025, 12, 31, 23, 59), "31 December 2025 23:59"),
    ],
)
def test_a_time_is_said_as_people_do(then, text):
    assert _when(then, datetime(2026, 3, 4, 12, 0)) == text


# -- the first prompt --------------------------------------------------------------------------------------------------

HEAVY = ("torch", "rich", "PIL", "yaml", "numpy", "sqlite3", "invoke_shell.pipeline.bind")
FIRST = f"""
import os, sys
from invoke_shell.shell.edit_line.prompt import Editor
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
def drawn(editor):
    print(len(sys.modules), *[m for m in {HEAVY} if m in sys.modules], flush=True)
    os._exit(0)
Editor._furnish = drawn
with create_pipe_input() as pipe:
    Editor(None, input=pipe, output=DummyOutput()).ask("", 0)
"""
BARE = """
import sys, prompt_toolkit.input.posix_pipe
from prompt_toolkit import PromptSession
print(len(sys.modules))
"""


def test_the_first_prompt_imports_next_to_nothing_beside_prompt_toolkit():
    ours, bare = (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout.split()
        for program in (FIRST, BARE)
    )

    assert ours[1:] == []
    assert int(ours[0]) <= int(bare[0]) + 30


def test_what_opening_a_session_raises_is_raised_by_the_shell():
    def opening():
        raise OutputError("the folder / cannot be written to")

    with create_pipe_input() as pipe, pytest.raises(OutputError, match="cannot be written to"):
        Shell(opening, input=pipe, output=DummyOutput()).run()


# -- plain lines -------------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch):
    """Lines that `input` gives, and the prompts it was given."""
    lines, prompts = [], []

    def give(prompt):
        prompts.append(prompt)
        return lines.pop(0)

    monkeypatch.setattr("builtins.input", give)
    monkeypatch.setenv("TERM", "dumb")
    return lines, prompts


def test_plain_lines_go_on_while_they_are_unfinished(session, typed):
    lines, prompts = typed
    lines += ['txt2img "a', 'b"']

    assert PlainLines(session).ask("", 0) == 'txt2img "a\nb"'
    assert prompts == ["invoke> ", "    ..> "]


def test_what_was_typed_before_the_plain_prompt_is_not_asked_again(session, typed, capsys):
    lines, prompts = typed
    lines.append("help")
    plain = PlainLines(session)

    assert [plain.ask("txt2img a\rexit\r", 0), plain.ask("", 0), plain.ask("", 0)] == ["txt2img a", "exit", "help"]
    assert capsys.readouterr().out == "invoke> txt2img a\ninvoke> exit\n"
    assert prompts == ["invoke> "]


def test_plain_lines_are_remembered_for_every_shell(session, typed):
    PlainLines(session).remember("txt2img a")

    assert list(LineHistory(session.home.history_file).load_history_strings()) == ["txt2img a"]


def test_a_dumb_terminal_gets_plain_lines_and_the_loop_is_the_same(session, typed, monkeypatch):
    lines, _ = typed
    lines += ["txt2img a", "exit"]
    monkeypatch.setattr(Shell, "close", lambda shell: None)

    assert interact(lambda: session) == 0
    assert session.ran == ["txt2img a", "exit"]
    assert session.view.said[0].startswith("invoke_shell ")


def test_wildcards_of_the_home_are_offered_in_a_prompt(session, completions):
    folder = session.home.wildcards
    (folder / "animals").mkdir(parents=True)
    (folder / "animals" / "birds.txt").write_text("owl\n")
    (folder / "colour.txt").write_text("red\n")

    assert [i.text for i in completions.items("txt2img a __", asked=False)] == ["__animals/birds__", "__colour__"]
