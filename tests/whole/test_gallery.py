"""The page of a session: in a real browser where there is one, and as text everywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, opened

EVIL = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">' & {style} \\u{2028}"""
LINES = (
    "txt2img fox --seed 1..3 --size 64x64",
    f"txt2img '{EVIL.replace(chr(39), '')}' --size 64x64 --seed 9",
    "keep @2",
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def page(invoke, home) -> Path:
    ran = invoke("--session", '<b>"craft"</b>', *(w for line in LINES for w in ("-c", line)), "-c", "gallery")
    assert ran.status == 0, ran.err
    return Path(ran.out.splitlines()[-1])


class Tags(HTMLParser):
    """Every tag of a page, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_the_page_holds_everything_escaped_and_asks_for_nothing(page, home):
    text = page.read_text()
    found = Tags(text)

    assert page == home / "outputs" / "gallery-b-craft-b.html"
    assert (found.tags.count("script"), found.tags.count("img"), found.tags.count("figure")) == (1, 4, 4)
    assert [a for a in found.addresses if not a.startswith(("data:image/jpeg;base64,", "00000"))] == []
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "&lt;script&gt;window.hacked = 1" in text
    assert '<figure class="kept" id="n2">' in text


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
def test_the_page_in_a_browser(page, tmp_path, invoke):
    line = invoke("recall", "@4").out.rstrip("\n")
    shown = "[...document.querySelectorAll('figure')].filter(f => !f.hidden).map(f => f.id)"
    with opened(page, tmp_path / "chromium") as browser:
        assert browser.run("document.title") == '<b>"craft"</b>, 4 pictures'
        assert browser.run("window.hacked") is None
        assert browser.run(shown) == ["n1", "n2", "n3", "n4"]
        assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert browser.run("document.querySelector('#n4 details pre').textContent") == line
        short = browser.run("document.querySelector('#n3 pre').textContent")
        assert short.startswith('txt2img "fox" --size 64x64 ')
        assert "--seed 3" in short
        assert "--hires" not in short

        def type_words(words: str) -> list[str]:
            browser.run(f"words.value = {words!r}; words.dispatchEvent(new Event('input'))")
            return browser.run(shown)

        assert type_words("FOX seed 3") == ["n3"]
        assert browser.run("document.getElementById('count').textContent") == "1 of 4"
        assert type_words("whale") == []
        assert browser.run("getComputedStyle(document.getElementById('none')).display") == "block"
        assert type_words("") == ["n1", "n2", "n3", "n4"]
        browser.run("kept.click()")
        assert browser.run(shown) == ["n2"]

        browser.run("navigator.clipboard.writeText = async text => { window.copied = text }")
        browser.run("document.querySelector('#n4 button').click()")
        assert browser.run("window.copied") == line
        assert browser.run("document.querySelector('#n4 button').textContent") == "copied"

        assert browser.said == []
        assert [a for a in browser.asked if not a.startswith(("data:", page.as_uri()))] == []
    with opened(page, tmp_path / "chromium-2", "@2") as browser:
        assert browser.run(shown) == ["n2"]


def test_a_picture_whose_file_is_gone_keeps_its_line(invoke, home):
    invoke("-c", "txt2img fox --seed 1..2 --size 64x64")
    next((home / "outputs").glob("000001*")).unlink()

    ran = invoke("-c", "gallery @1..2 --file here")

    assert ran.out == "here.html\n"
    text = Path("here.html").read_text()
    assert text.count("<img ") == 1
    assert "its file is gone: replay @1 makes it again" in text
    assert text.count("txt2img &quot;fox&quot;") >= 2
    assert (home / "outputs").as_uri() in text
    assert "is there already, and nothing is overwritten" in invoke("-c", "gallery @1 --file here.html").err


def test_an_empty_session_has_no_page(invoke):
    ran = invoke("-c", "gallery")

    assert ran.err == "this session has no results yet\n  gallery @1..9 takes any\n"
