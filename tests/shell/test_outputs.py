"""Picture files: names, folders, and an order of writing that loses nothing when any call fails or the process dies."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from PIL import Image as Pillow

from invoke_shell.errors import BlockedError, OutputError, SettingError
from invoke_shell.metadata.record import SPEC
from invoke_shell.records import Image
from invoke_shell.shell.archive import outputs
from invoke_shell.shell.archive.outputs import DISK, TEMPLATE, check_template, file_name, output_folder, slug, write_new
from invoke_shell.shell.archive.results import Results
from invoke_shell.shell.archive.store import Facts, Store

# ---- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "longest", "wanted"),
    [
        ("A red boat, on a green sea", 24, "a-red-boat-on-a-green"),
        ("a lighthouse", 24, "a-lighthouse"),
        ("../../etc/passwd", 24, "etc-passwd"),
        ("  --steps\t|\n ; ", 24, "steps"),
        ("pneumonoultramicroscopicsilicovolcanoconiosis", 24, "pneumonoultramicroscopic"),
        ("Ölgemälde: Übersee", 24, "ölgemälde-übersee"),
        ("e\u0301te\u0301", 24, "été"),
        ("赤い船と緑の海", 4, "赤い船と"),
        ("हिन्दी चित्र", 24, "हिन्दी-चित्र"),
        ("हिन्दी", 4, "हिन्"),
        ("a\u202ebc\u0000d\ud800", 24, "a-bc-d"),
        ("🦊🦊", 24, ""),
        ("", 24, ""),
    ],
)
def test_slug(text, longest, wanted):
    assert slug(text, longest) == wanted
    assert len(slug(text, longest)) <= longest


@pytest.mark.parametrize(
    ("template", "values", "wanted"),
    [
        (TEMPLATE, {"n": 12, "prompt": "a red boat", "seed": 7}, "000012-a-red-boat-7.png"),
        (TEMPLATE, {"n": 12, "prompt": "", "seed": 7}, "000012-7.png"),
        (TEMPLATE, {"n": 12, "prompt": "upscale", "seed": None}, "000012-upscale.png"),
        (TEMPLATE, {"n": 1234567, "prompt": "x", "seed": 2**64 - 1}, "1234567-x-18446744073709551615.png"),
        ("{prompt}", {"prompt": "con"}, "_con.png"),
        ("{prompt}", {"prompt": "COM1"}, "_com1.png"),
        ("{prompt}", {"prompt": "..."}, "picture.png"),
        ("{prompt:3} {seed}.", {"prompt": "fox", "seed": 1}, "fox 1.png"),
        ("{date}_{model}", {"date": "2026-11-21", "model": "pocket"}, "2026-11-21_pocket.png"),
    ],
)
def test_file_name(template, values, wanted):
    assert file_name(template, values) == wanted


def test_file_name_fits_every_file_system():
    name = file_name("{prompt:200}", {"prompt": "船" * 300})

    assert len(name.encode()) <= 184
    assert set(name.removesuffix(".png")) == {"船"}


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{n}-{promt}", "filename has no field {promt}\n  did you mean {prompt}?"),
        ("{user}", "filename has no field {user}\n  the fields are {n}, {prompt}, {seed}, {model}, {date}"),
        ("{n}/{seed}", f"filename cannot have '/', in '{{n}}/{{seed}}'\n  as shipped: {TEMPLATE}"),
        ("{n.__class__}", f"filename cannot have '{{', in '{{n.__class__}}'\n  as shipped: {TEMPLATE}"),
        ("{n:>6}", f"filename cannot have '{{', in '{{n:>6}}'\n  as shipped: {TEMPLATE}"),
    ],
)
def test_bad_template_is_a_sentence(template, sentence):
    with pytest.raises(SettingError) as caught:
        check_template(template)

    assert str(caught.value) == sentence


def test_output_folder_is_the_nearest_wish(tmp_path):
    day = date(2026, 11, 21)
    everything = {"outdir": tmp_path / "a", "setting": "~/b", "home": tmp_path / "c", "day": day}

    assert output_folder(**everything) == tmp_path / "a"
    assert output_folder(**{**everything, "outdir": None}) == Path("~/b").expanduser()
    assert output_folder(outdir=None, home=tmp_path / "c", day=day) == tmp_path / "c" / "outputs"
    assert output_folder(outdir=Path("here"), day=day) == Path.cwd() / "here"
    assert output_folder(outdir=None, day=day).parts[-2:] == ("invoke", "2026-11-21")


# ---- writing -----------------------------------------------------------------------------------------------------


class NoLinks(outputs.Disk):
    """A file system without hard links, as exFAT."""

    def link(self, source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=[DISK, NoLinks()], ids=["links", "no links"])
def disk(request):
    return request.param


def test_a_new_file_has_its_bytes_and_nothing_else_is_left(tmp_path, disk):
    path = write_new(b"png", tmp_path / "new" / "folder" / "a.png", tag="1", files=disk)

    assert path == tmp_path / "new" / "folder" / "a.png"
    assert path.read_bytes() == b"png"
    assert os.listdir(path.parent) == ["a.png"]


def test_nothing_is_overwritten(tmp_path, disk):
    for n in range(3):
        write_new(bytes([n]), tmp_path / "a.png", tag="1", files=disk)

    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.png": b"\0", "a-2.png": b"\1", "a-3.png": b"\2"}


def test_an_exact_name_that_is_taken_is_a_sentence(tmp_path, disk):
    (tmp_path / "a.png").write_bytes(b"mine")

    with pytest.raises(OutputError) as caught:
        write_new(b"new", tmp_path / "a.png", tag="1", exactly=True, files=disk)

    sentence = f"{tmp_path / 'a.png'} is there already, and nothing is overwritten"
    assert (str(caught.value), caught.value.code) == (sentence, "file-exists")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.png": b"mine"}


def test_part_file_of_an_earlier_try_is_no_obstacle(tmp_path):
    outputs.part_name(tmp_path / "a.png", "1").write_bytes(b"half")

    assert write_new(b"whole", tmp_path / "a.png", tag="1").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.png"]


def test_order_of_writing(tmp_path):
    calls = []
    write_new(b"", tmp_path / "new" / "a.png", tag="1", files=Scripted(DISK, calls=calls))

    assert [call for call in calls if call != "remove"] == ["make_folder", "write", "link", "sync_folder"]
    assert calls[-2:] == ["remove", "sync_folder"]


def test_the_bytes_are_on_the_disk_before_the_name_is_there(tmp_path, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(
        outputs.os, "fsync", lambda fd: synced.append((os.fstat(fd).st_size, target.exists())) or sync(fd)
    )
    target = tmp_path / "a.png"

    write_new(b"12345", target, tag="1")

    assert synced[0] == (5, False)


class Scripted:
    """Counts the calls of a file layer and breaks the one of number `at`; after a death nothing works any more."""

    def __init__(self, files, at=None, error=None, calls=None):
        self.files, self.at, self.error, self.calls, self.dead = files, at, error, [] if calls is None else calls, False

    def __getattr__(self, name):
        def call(*arguments):
            if self.dead:
                raise self.error
            self.calls.append(name)
            if len(self.calls) == self.at:
                self.dead = isinstance(self.error, Killed)
                if name == "write" and self.dead:
                    arguments[0].write_bytes(arguments[1][:100])
                raise self.error
            return getattr(self.files, name)(*arguments)

        return call


class Killed(BaseException):
    """The end of the process, as far as the code can tell."""


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk of {folder} is full"),
        (errno.EDQUOT, "the disk of {folder} is full"),
        (errno.EACCES, "the folder {folder} cannot be written to"),
        (errno.EROFS, "the folder {folder} cannot be written to"),
        (errno.EIO, "{folder}/a.png cannot be written: input/output error"),
    ],
)
def test_what_the_disk_says_becomes_a_sentence(tmp_path, number, sentence):
    for at in (3, 4):  # write, link
        files = Scripted(DISK, at, OSError(number, os.strerror(number)))
        with pytest.raises(OutputError) as caught:
            write_new(b"x", tmp_path / "a.png", tag="1", files=files)

        if number != errno.EPERM:
            assert str(caught.value) == sentence.format(folder=tmp_path)
        assert os.listdir(tmp_path) == []


# ---- results -----------------------------------------------------------------------------------------------------


def picture(n=0, size=(20, 10)) -> Image:
    pixels = bytes((n * 7 + i) % 256 for i in range(size[0] * size[1] * 3))
    return Image(mode="RGB", width=size[0], height=size[1], pixels=pixels)


def png(image: Image) -> bytes:
    file = io.BytesIO()
    image.pil().save(file, "PNG")
    return file.getvalue()


def opened(path: Path) -> Image:
    return Image.from_pil(Pillow.open(path))


class Home:
    """A home with its pictures beside it, opened again and again as new processes would."""

    def __init__(self, folder):
        self.folder, self.pictures = folder / "home", folder / "pictures"
        self.stores = []

    def results(self, files=DISK) -> Results:
        self.stores.append(Store.open(self.folder))
        return Results(self.stores[-1], lambda: self.pictures, files=files)

    def kill(self):
        """What the system does with a killed process: its files are closed and its locks end. Nothing is tidied up."""
        for store in self.stores:
            store._db.close()
            if store._signs._held is not None:
                os.close(store._signs._held)
                store._signs._held = None
        self.stores = []

    def files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted(self.pictures.glob("*"))}


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.kill()


def begin(results, pictures=1):
    return results.store.begin_line(results.store.take_up("test").id, "txt2img x", pictures=pictures)


def keep(results, line, n=0, **facts):
    return results.keep_picture(line, picture(n), lambda number: png(picture(n)), Facts(title="a fox", **facts))


def test_a_kept_picture_has_number_file_and_row(home):
    results = home.results()
    line = begin(results)
    given = []

    row = results.keep_picture(
        line, picture(), lambda n: given.append(n) or png(picture()), Facts(title="a fox", seed=5)
    )

    assert given == [1]
    assert (row.n, row.state, row.path) == (1, "done", home.pictures / "000001-a-fox-5.png")
    assert (row.width, row.height, row.pixel_hash) == (20, 10, picture().hash)
    assert opened(row.path) == picture()
    assert results.data(row) == row.path.read_bytes()
    assert results.store.last_results(row.session) == [row]


def test_the_row_is_pending_while_the_file_is_written(home):
    results = home.results()
    states = []

    class Watching(outputs.Disk):
        def link(self, source, target):
            states.append((results.store.result(1).state, results.store.result(1).path == target))
            super().link(source, target)

    results.files = Watching()
    keep(results, begin(results))

    assert states == [("pending", True)]


def test_two_homes_may_share_a_folder(tmp_path):
    homes = [Home(tmp_path / name) for name in "ab"]
    paths = []
    for n, home in enumerate(homes):
        home.pictures = tmp_path / "shared"
        results = home.results()
        paths.append(keep(results, begin(results), n).path.name)
        assert results.data(results.store.result(1)) == png(picture(n))
        home.kill()

    assert paths == ["000001-a-fox.png", "000001-a-fox-2.png"]


def test_a_full_disk_keeps_the_picture_in_memory_and_says_how_to_save_it(home):
    results = home.results(Scripted(DISK, 3, OSError(errno.ENOSPC, "No space left on device")))
    line = begin(results)

    with pytest.raises(OutputError) as caught:
        keep(results, line)

    assert str(caught.value) == (
        f"the disk of {home.pictures} is full\n  @1 is kept in memory; @1 | save PATH writes it elsewhere"
    )
    row = results.store.result(1)
    assert (row.state, results.data(row)) == ("pending", png(picture()))
    saved = results.save_again(1, home.folder / "elsewhere.png")
    assert (saved.state, saved.path, results.unsaved) == ("done", home.folder / "elsewhere.png", {})
    assert opened(saved.path) == picture()


def test_a_file_in_place_of_the_folder_is_a_sentence(home):
    home.pictures.parent.mkdir(exist_ok=True)
    home.pictures.write_text("")
    results = home.results()

    with pytest.raises(OutputError) as caught:
        keep(results, begin(results))

    assert caught.value.message == f"{home.pictures} is not a folder"
    assert list(results.unsaved) == [1]


CALLS = range(1, 9)


@pytest.mark.parametrize("at", CALLS)
def test_each_failing_call_in_turn_loses_nothing(home, disk, at):
    files = Scripted(disk, at, OSError(errno.EIO, "Input/output error"))
    results = home.results(files)
    line = begin(results, 2)
    reported = []
    for n in range(2):
        try:
            reported.append(keep(results, line, n))
        except OutputError:
            number = results.store.last_number()
            assert results.unsaved[number] == png(picture(n))
    unsaved = {n: data for n, data in results.unsaved.items()}

    assert len(reported) + len(unsaved) == 2
    for row in reported:
        assert opened(row.path) == picture(row.n - 1)
    for name, data in home.files().items():
        assert name.startswith(".") or data in (png(picture(0)), png(picture(1)))

    results.files = disk
    rows = [results.save_again(n) for n in unsaved]
    assert [opened(row.path) == picture(row.n - 1) for row in rows] == [True] * len(rows)
    assert results.unsaved == {}


@pytest.mark.parametrize("at", CALLS)
def test_death_at_each_call_leaves_a_whole_picture_or_none(home, disk, at):
    results = home.results(Scripted(disk, at, Killed()))
    line = begin(results, 3)
    reported, died = [], False
    for n in range(2):
        try:
            reported.append(keep(results, line, n).n)
        except Killed:
            died = True
            break
    home.kill()

    after = home.results()
    recovered = after.recover()

    rows = [after.store.result(n) for n in range(1, after.store.last_number() + 1)]
    states = {row.n: row.state for row in rows}
    assert died
    assert {states[n] for n in reported} <= {"done"}
    assert set(states.values()) <= {"done", "lost"}
    assert recovered.completed + recovered.lost == (max(states),)
    for row in rows:
        assert (row.state == "done") == row.path.is_file()
        assert row.state == "lost" or opened(row.path) == picture(row.n - 1)
    assert sorted(home.files()) == sorted(row.path.name for row in rows if row.state == "done")
    assert all(path.parent == after.trash for path in recovered.trashed)
    assert after.store.unfinished()[0].done == len([row for row in rows if row.state == "done"])
    assert home.results().recover().completed == ()


def test_death_between_file_and_row_is_made_good(home):
    results = home.results()
    line = begin(results)
    path = home.pictures / "000001-a-fox.png"
    facts = Facts(width=20, height=10, pixel_hash=picture().hash, seed=9, metadata="{}")
    results.store.reserve(line, [facts], lambda n, facts: path)
    (home.pictures).mkdir()
    path.write_bytes(b"of another home")
    whole = write_new(png(picture()), path, tag="x")
    home.kill()

    after = home.results()

    assert after.recover().completed == (1,)
    row = after.store.result(1)
    assert (row.path, row.state, row.seed, row.metadata) == (whole, "done", 9, "{}")
    assert path.read_bytes() == b"of another home"


def test_a_living_process_keeps_its_half_made_files(home):
    one = home.results()
    line = begin(one)
    one.store.reserve(line, [Facts()], lambda n, facts: home.pictures / "a.png")
    home.pictures.mkdir()
    part = outputs.part_name(home.pictures / "a.png", f"000001-{one.store.owner}")
    part.write_bytes(b"half")

    recovered = home.results().recover()

    assert (recovered.completed, recovered.lost, recovered.trashed) == ((), (), ())
    assert part.exists()
    assert one.store.result(1).state == "pending"


def test_discarded_pictures_come_back_under_a_free_name(home):
    results = home.results()
    line = begin(results, 3)
    rows = [keep(results, line, n) for n in range(3)]

    assert results.discard(rows[:2]) == [1, 2]
    gone = results.store.results(1, 2)
    assert [(row.state, row.path.exists(), row.trashed.parent) for row in gone] == [
        ("discarded", False, results.trash)
    ] * 2
    assert results.data(gone[0]) == png(picture(0))
    rows[0].path.write_bytes(b"a newer file")
    assert results.restore(gone) == [1, 2]
    back = results.store.results(1, 2)
    assert [row.path.name for row in back] == ["000001-a-fox-2.png", "000002-a-fox.png"]
    assert [opened(row.path) for row in back] == [picture(0), picture(1)]
    assert rows[0].path.read_bytes() == b"a newer file"
    assert list(results.trash.iterdir()) == []


def test_keeping_brings_a_discarded_picture_back(home):
    results = home.results()
    row = keep(results, begin(results))
    results.discard([row])

    results.keep(results.store.results(1))

    assert (results.store.result(1).state, results.store.result(1).path.is_file()) == ("kept", True)
    assert [r.n for r in results.store.kept(row.session)] == [1]


def test_a_handle_whose_file_is_gone_offers_replay(home):
    results = home.results()
    row = keep(results, begin(results))
    row.path.unlink()

    with pytest.raises(BlockedError) as caught:
        results.data(row)

    assert str(caught.value) == f"the file of @1 is gone: {row.path}\n  replay @1 makes it again"
    assert results.discard([row]) == [1]


CHILD = """
import json, sys
from pathlib import Path
from invoke_shell.metadata.record import SPEC
from invoke_shell.records import Image
from invoke_shell.shell.archive.results import Results
from invoke_shell.shell.archive.store import Facts, Store

home, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
results = Results(Store.open(home), lambda: home / "outputs")
results.recover()
line = results.store.begin_line(results.store.new_session().id, "txt2img x", pictures=count)
print("ready", flush=True)
sys.stdin.readline()
for place in range(count):
    image = Image(mode="L", width=2, height=1, pixels=bytes([seed, place]))
    row = results.keep_picture(line, image, lambda n: image.pixels, Facts(title="same", seed=1, place=place))
    print(json.dumps([row.n, str(row.path), place]), flush=True)
results.store.end_line(line, "done", 1.0)
results.store.close()
"""


def test_two_shells_on_one_home_200_results_each_at_once(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    shells = [subprocess.Popen([*command, str(seed), "200"], **pipes) for seed in (1, 2)]
    assert [shell.stdout.readline() for shell in shells] == ["ready\n"] * 2
    for shell in shells:
        shell.stdin.write("go\n")
        shell.stdin.flush()

    said = [shell.communicate(timeout=120)[0] for shell in shells]

    rows = [(seed, *json.loads(line)) for seed, text in enumerate(said, 1) for line in text.splitlines()]
    assert sorted(n for _, n, _, _ in rows) == list(range(1, 401))
    assert all(Path(path).read_bytes() == bytes([seed, place]) for seed, _, path, place in rows)
    assert len(os.listdir(tmp_path / "outputs")) == 400
    store = Store.open(tmp_path)
    assert [(line.status, len(store.results_of_line(line.id))) for line in store.history()] == [("done", 200)] * 2
    assert list((tmp_path / "shells").iterdir()) == [tmp_path / "shells" / store.owner]
    store.close()


# -- a picture and the JSON beside it --------------------------------------------------------------------------------


class Kill(BaseException):
    """What ends a process at once."""


class Dying(outputs.Disk):
    """A disk under a process that is killed at the nth name it gives, before it or after."""

    def __init__(self, names: int, *, after: bool):
        self.names, self.after = names, after

    def link(self, source, target):
        self.names -= 1
        if self.names or self.after:
            super().link(source, target)
        if not self.names:
            raise Kill


def as_jpeg(image: Image) -> tuple[bytes, bytes]:
    """A JPEG without a record, and the record beside it."""
    out = io.BytesIO()
    image.pil().save(out, "JPEG", quality=95)
    size = {"width": image.width, "height": image.height}
    made = {"step": "s1", "pixel_hash": image.hash, **size, "mode": "RGB", "format": "jpeg", "quality": 95}
    return out.getvalue(), json.dumps({"spec": SPEC, "spec_version": "1", "result": made}).encode()


def keep_both(results, line):
    data, beside = as_jpeg(picture())
    return results.keep_picture(line, picture(), lambda n: data, Facts(title="fox"), suffix=".jpg", beside=beside)


@pytest.mark.parametrize(
    ("names", "after", "left"),
    [
        (1, False, []),
        (1, True, []),
        (2, False, []),
        (2, True, ["000001-fox.jpg", "000001-fox.jpg.json"]),
    ],
)
def test_a_kill_between_a_jpeg_and_its_record_loses_both_or_neither(home, names, after, left):
    results = home.results(Dying(names, after=after))
    with pytest.raises(Kill):
        keep_both(results, begin(results))
    home.kill()

    recovered = home.results().recover()

    assert list(home.files()) == left
    assert (recovered.completed, recovered.lost) == (((1,), ()) if left else ((), (1,)))


def test_a_name_is_free_when_both_are(home):
    results = home.results()
    home.pictures.mkdir()
    (home.pictures / "000001-fox.jpg.json").write_text("somebody's")

    row = keep_both(results, begin(results))

    assert row.path.name == "000001-fox-2.jpg"
    assert sorted(home.files()) == ["000001-fox-2.jpg", "000001-fox-2.jpg.json", "000001-fox.jpg.json"]


def test_a_picture_that_cannot_be_written_leaves_no_json(home):
    class Full(outputs.Disk):
        def write(self, path, data):
            if data[:2] == b"\xff\xd8":
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(path, data)

    results = home.results(Full())
    with pytest.raises(OutputError):
        keep_both(results, begin(results))

    assert home.files() == {}
