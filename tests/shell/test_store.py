"""What the shell remembers, and what it does when its file cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from invoke_shell import database
from invoke_shell.database import open_database
from invoke_shell.errors import BlockedError, OutputError
from invoke_shell.pipeline.types import Handle
from invoke_shell.shell.archive.database import MIGRATIONS, open_sessions
from invoke_shell.shell.archive.handles import resolve
from invoke_shell.shell.archive.store import Facts, Store


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "home")
    yield opened
    opened.close()


def add(store, session, count=1, *, line=None, **facts):
    """Results with their rows done; the numbers."""
    line = line or store.begin_line(session, "txt2img x", pictures=count)
    numbers = store.reserve(line, [Facts(place=place, **facts) for place in range(count)])
    for n in numbers:
        store.finish(n, Path(f"/pictures/{n}.png"))
    return numbers


def numbers_of(rows):
    return [row.n for row in rows]


# ---- rows --------------------------------------------------------------------------------------------------------


def test_sqlite_is_not_imported_with_the_store():
    code = "import sys, invoke_shell.shell.archive.results; print('sqlite3' in sys.modules, 'PIL' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"


def test_every_fact_comes_back(store):
    session = store.new_session().id
    line = store.begin_line(session, "txt2img a", "txt2img a --seed 7", '{"plan": 1}', 1)
    facts = Facts(
        width=512, height=768, pixel_hash="blake3:ab", seed=2**64 - 1, metadata='{"é": "\u2028"}', name="fox",
        place=3, inner=True, parents=(1, 2), seconds=1.5,
    )  # fmt: skip

    (n,) = store.reserve(line, [facts], lambda n, facts: Path(f"/out/{n}-{facts.name}.png"))

    pending = store.result(n)
    assert (pending.state, pending.path) == ("pending", Path("/out/1-fox.png"))
    row = store.finish(n, Path("/out/other.png"))
    assert (row.state, row.path, row.handle) == ("done", Path("/out/other.png"), "@1")
    stored = {name: getattr(row, name) for name in ("width", "height", "pixel_hash", "seed", "metadata", "name")}
    assert stored == {name: getattr(facts, name) for name in stored}
    assert (row.place, row.inner, row.parents, row.seconds) == (3, True, (1, 2), 1.5)
    assert store.plan(line) == '{"plan": 1}'
    assert store.result(99) is None


def test_numbers_are_never_given_twice(store, tmp_path):
    session = store.new_session().id
    first = add(store, session, 3)
    store._db.change("DELETE FROM results")
    store.close()

    again = Store.open(tmp_path / "home")
    second = add(again, again.new_session().id, 2)
    again.close()

    assert (first, second) == ([1, 2, 3], [4, 5])


def test_sessions_are_called_by_time_and_taken_up_by_name(store):
    first, second = store.new_session(), store.new_session()
    fox = store.take_up("fox")

    assert first.name != second.name
    assert store.take_up("fox").id == fox.id
    assert {s.name for s in store.sessions()} == {first.name, second.name, "fox"}
    store.begin_line(second.id, "txt2img x")
    assert store.continue_last().id == second.id
    with pytest.raises(OutputError, match="there is a session fox already"):
        store.new_session("fox")


def test_continue_without_a_last_session_begins_one(store):
    assert store.continue_last().id == store.continue_last().id


def test_history_is_searched_the_newest_first(store):
    one, two = store.new_session("one").id, store.new_session("two").id
    for session, text in ((one, "txt2img Fox"), (two, "txt2img a 100% fox"), (one, "help"), (two, "txt2img cat")):
        store.end_line(store.begin_line(session, text), "done", 0.5)

    assert [line.text for line in store.history(search="fox")] == ["txt2img a 100% fox", "txt2img Fox"]
    assert [line.text for line in store.history(one)] == ["help", "txt2img Fox"]
    assert [line.text for line in store.history(search="0%")] == ["txt2img a 100% fox"]
    assert [line.text for line in store.history(limit=1)] == ["txt2img cat"]
    assert [(line.status, line.seconds) for line in store.history(limit=1)] == [("done", 0.5)]


def test_a_line_that_ended_early_is_unfinished_until_its_pictures_are_there(store):
    session = store.new_session().id
    line = store.begin_line(session, "txt2img x --seed 1..3", pictures=3)
    add(store, session, 2, line=line)
    store.end_line(line, "cancelled", 4.0)
    store.end_line(store.begin_line(session, "help"), "failed", 0.0)

    (unfinished,) = store.unfinished()

    assert (unfinished.line.id, unfinished.done, unfinished.line.pictures) == (line, 2, 3)
    store.begin_again(line)
    assert store.unfinished() == []
    add(store, session, 1, line=line)
    store.end_line(line, "done", 2.0)
    assert (store.line(line).status, store.line(line).seconds, store.unfinished()) == ("done", 6.0, [])


def test_names_move_and_say_from_where(store):
    session = store.new_session().id
    add(store, session, 4)

    assert store.set_name(session, "fox", [1, 2]) == []
    assert store.set_name(session, "fox", [4]) == [1, 2]
    assert store.set_name(session, "cat", [3]) == []
    assert (numbers_of(store.named(session, "fox")), store.names(session)) == ([4], ["fox", "cat"])
    assert store.named(store.new_session().id, "fox") == []


def test_settings_belong_to_a_session(store):
    one, two = store.new_session().id, store.new_session().id
    store.set_setting(one, "steps", "30")
    store.set_setting(one, "steps", "40")
    store.set_setting(one, "guidance", "5")
    store.set_setting(one, "guidance", None)

    assert (store.settings(one), store.settings(two)) == ({"steps": "40"}, {})


def test_results_are_found_by_their_pixels(store):
    session = store.new_session().id
    for pixels in ("blake3:abcd12", "blake3:abff00", "blake3:abcd12"):
        add(store, session, pixel_hash=pixels)

    assert numbers_of(store.with_pixels("blake3:abcd")) == [3, 1]
    assert numbers_of(store.with_pixels("blake3:ab")) == [3, 2, 1]
    assert store.with_pixels("blake3:0") == []


# ---- handles -----------------------------------------------------------------------------------------------------


@pytest.fixture
def played(store):
    """@1-@3 of another session; @4-@7 of a line, @8 an in-between picture of it; @6 discarded; @9 lost, @10 pending."""
    other, session = store.new_session("other").id, store.new_session("mine").id
    add(store, other, 3)
    line = store.begin_line(session, "txt2img x --seed 1..4", pictures=4)
    add(store, session, 4, line=line)
    add(store, session, 1, line=line, inner=True)
    store.mark(6, "discarded")
    store.mark(5, "kept")
    store.mark(7, "kept")
    store.reserve(line, [Facts(), Facts()])
    store.lose(9)
    store.set_name(session, "fox", [4, 5])
    store.set_name(session, "boat", [7])
    return session


@pytest.mark.parametrize(
    ("handle", "numbers"),
    [
        ("@4", [4]),
        ("@2", [2]),
        ("@6", [6]),
        ("@-1", [8]),
        ("@-2", [7]),
        ("@-3", [5]),
        ("@-4..-1", [4, 5, 7, 8]),
        ("@-1..-2", [8, 7]),
        ("@-9..-1", None),
        ("@1..4", [1, 2, 3, 4]),
        ("@4..7", [4, 5, 7]),
        ("@7..4", [7, 5, 4]),
        ("@5..-1", [5, 7, 8]),
        ("@5..99", [5, 7, 8]),
        ("@@", [4, 5, 7]),
        ("@kept", [5, 7]),
        ("@fox", [4, 5]),
        ("@fox[2]", [5]),
        ("@fox[1..2]", [4, 5]),
        ("@fox[2..1]", [5, 4]),
        ("@fox[1..3]", None),
        ("@fox[0..1]", None),
        ("@4.seed", [4]),
    ],
)
def test_handle(store, played, handle, numbers):
    if numbers is None:
        with pytest.raises(BlockedError):
            resolve(store, played, Handle.parse(handle))
    else:
        assert numbers_of(resolve(store, played, Handle.parse(handle))) == numbers


@pytest.mark.parametrize(
    ("handle", "sentence"),
    [
        ("@417", "@417 is no result\n  the last one is @8"),
        ("@10", "@10 is no result\n  the last one is @8"),
        ("@9", "@9 was never finished: its run ended before the file was complete\n  resume goes on with it"),
        ("@11..20", "@11..20 is no result\n  the last one is @8"),
        ("@0", "@0 is no handle\n  @-1 is the last result"),
        ("@-5", "@-5 goes back too far: this session has 4 results"),
        ("@-7..-1", "@-7..-1 goes back too far: this session has 4 results"),
        ("@fix", "@fix is no name of this session\n  did you mean @fox?"),
        ("@zebra", "@zebra is no name of this session\n  a name is given by: txt2img ... as @zebra"),
        ("@fox[3]", "@fox[3] is not there: @fox is 2 pictures, @fox[1] to @fox[2]"),
        ("@boat[0]", "@boat[0] is not there: @boat is one picture"),
    ],
)
def test_unknown_handle_is_a_sentence(store, played, handle, sentence):
    with pytest.raises(BlockedError) as caught:
        resolve(store, played, Handle.parse(handle))

    assert (str(caught.value), caught.value.code) == (sentence, "unknown-handle")


@pytest.mark.parametrize(
    ("handle", "sentence"),
    [
        ("@1", "@1 is no result\n  there are no results yet"),
        ("@-1", "@-1 goes back too far: this session has no results yet"),
        ("@@", "@@ is the results of the last line, and none has made any yet"),
        ("@kept", "nothing is kept in this session yet\n  keep @-1 keeps the last result"),
    ],
)
def test_handles_before_the_first_result(store, handle, sentence):
    with pytest.raises(BlockedError) as caught:
        resolve(store, store.new_session().id, Handle.parse(handle))

    assert str(caught.value) == sentence


def test_last_results_are_those_of_the_last_line_that_made_any(store):
    session = store.new_session().id
    add(store, session, 2)
    store.end_line(store.begin_line(session, "help"), "done", 0)
    empty = store.begin_line(session, "txt2img x", pictures=1)
    store.reserve(empty, [Facts()])

    assert numbers_of(store.last_results(session)) == [1, 2]
    assert numbers_of(store.results_of_line(1)) == [1, 2]


# ---- the file ----------------------------------------------------------------------------------------------------


def test_nobody_else_may_read_the_home(store):
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.home / "sessions.db").stat().st_mode) == 0o600


def test_journal_is_wal_and_every_commit_reaches_the_disk(store):
    assert store._db.read("PRAGMA journal_mode") == [("wal",)]
    assert store._db.read("PRAGMA synchronous") == [(2,)]


def test_journal_stays_where_wal_is_refused():
    opened = database._connect(":memory:")
    database._choose_journal(opened)

    assert opened.execute("PRAGMA journal_mode").fetchone() == ("memory",)


def test_many_may_open_a_new_home_at_once(tmp_path):
    stores, faults = [], []

    def start():
        try:
            stores.append(Store.open(tmp_path / "home"))
            add(stores[-1], stores[-1].new_session().id, 3)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert [s.notices() for s in stores] == [[]] * 8
    assert stores[0].last_number() == 24
    for one in stores:
        one.close()


NEXT = len(MIGRATIONS) + 1
SECOND = (*MIGRATIONS, ("ALTER TABLE lines ADD COLUMN note TEXT NOT NULL DEFAULT ''",))


def test_migration_keeps_a_copy_and_every_row(tmp_path):
    path = tmp_path / "sessions.db"
    old = open_sessions(path)
    old.change("INSERT INTO sessions (name, started, used) VALUES ('fox', 1, 2)")
    old.close()

    opened = open_database(path, SECOND, "this session")

    assert opened.connection.execute("PRAGMA user_version").fetchone() == (NEXT,)
    assert opened.connection.execute("SELECT name FROM sessions").fetchall() == [("fox",)]
    copy = sqlite3.connect(tmp_path / f"sessions.db.v{NEXT - 1}")
    assert copy.execute("PRAGMA user_version").fetchone() == (NEXT - 1,)
    assert copy.execute("SELECT name FROM sessions").fetchall() == [("fox",)]
    assert sorted(p.name for p in tmp_path.glob("*part*")) == []


def test_failed_migration_changes_nothing(tmp_path):
    path = tmp_path / "sessions.db"
    open_sessions(path).close()

    with pytest.raises(sqlite3.OperationalError):
        open_database(path, (*MIGRATIONS, ("CREATE TABLE a (b)", "CREATE TABLE sessions (b)")), "this session")

    after = sqlite3.connect(path)
    assert after.execute("PRAGMA user_version").fetchone() == (NEXT - 1,)
    assert after.execute("SELECT name FROM sqlite_master WHERE name = 'a'").fetchall() == []


def test_newer_file_is_only_read(tmp_path):
    home = tmp_path / "home"
    store = Store.open(home)
    add(store, store.new_session("mine").id, 2)
    store.close()
    with sqlite3.connect(home / "sessions.db") as newer:
        newer.execute("PRAGMA user_version=7")
        newer.execute("ALTER TABLE results ADD COLUMN stars INTEGER NOT NULL DEFAULT 0")
    newer.close()
    before = (home / "sessions.db").read_bytes()

    store = Store.open(home)
    path = home / "sessions.db"
    assert store.notices() == [
        f"{path} was written by a later invoke_shell (version 7, this one knows {len(MIGRATIONS)}); "
        "this session is kept in memory only"
    ]
    assert store.notices() == []
    assert add(store, store.take_up("mine").id, 2) == [3, 4]
    store.close()

    assert (home / "sessions.db").read_bytes() == before


def test_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path):
    path = tmp_path / "sessions.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)

    store = Store.open(tmp_path)

    (notice,) = store.notices()
    (aside,) = tmp_path.glob("sessions.db.damaged-*")
    assert notice == f"{path} is damaged; it was set aside as {aside.name}"
    assert aside.read_bytes().startswith(b"this is no database")
    assert not store.in_memory
    assert add(store, store.new_session().id) == [1]
    store.close()


def test_home_that_cannot_be_made_is_a_session_in_memory(tmp_path):
    (tmp_path / "file").write_text("")

    store = Store.open(tmp_path / "file" / "home")

    (notice,) = store.notices()
    assert notice.endswith("cannot be written (not a directory); this session is kept in memory only")
    assert add(store, store.new_session().id, 2) == [1, 2]
    assert store.bury() == []


def in_a_child(work) -> str:
    """What `work` returns, done by a process without root's rights."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(write, work().encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(sys.platform == "win32", reason="folder modes are POSIX")
def test_read_only_home_is_read_and_goes_on_in_memory():
    def work() -> str:
        store = Store.open(home)
        session = store.take_up("mine").id
        numbers = store.reserve(store.begin_line(session, "new"), [Facts()])
        return f"{numbers} {[line.text for line in store.history()]} {store.notices()}"

    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to other users, and root may write anywhere
        home = Path(folder) / "home"
        store = Store.open(home)
        add(store, store.take_up("mine").id, 2)
        store.close()
        (home / "sessions.db").chmod(0o444)
        for path in (Path(folder), home):
            path.chmod(0o555)
        said = in_a_child(work)
        for path in (Path(folder), home):
            path.chmod(0o755)

    reason = f"{home / 'sessions.db'} cannot be written (permission denied)"
    assert said == f"[3] ['new', 'txt2img x'] ['{reason}; this session is kept in memory only']"


@pytest.mark.parametrize("what", ["the file", "the whole home"])
def test_a_file_deleted_under_a_session_is_written_again_with_all_there_was(store, what):
    session = store.new_session("mine").id
    add(store, session, 2)
    file = store.home / "sessions.db"
    if what == "the file":
        file.unlink()  # what SQLite keeps beside it stays
    else:
        shutil.rmtree(store.home)

    add(store, session, 1)

    assert store.notices() == [f"{file} was deleted, and is written again: nothing of this session is lost"]
    again = Store.open(store.home)
    assert [row.n for row in again.of_session(session)] == [1, 2, 3]
    assert (file.stat().st_mode & 0o777, again.notices()) == (0o600, [])
    again.close()
    add(store, session, 1)
    assert store.notices() == []


def test_full_disk_moves_the_session_to_memory_once(store):
    session = store.new_session().id
    add(store, session, 2)
    pages = store._db.read("PRAGMA page_count")[0][0]
    store._db.read(f"PRAGMA max_page_count={pages}")

    line = store.begin_line(session, "txt2img " + "x" * 10**6)

    (notice,) = store.notices()
    assert "cannot be written (database or disk is full); from here on" in notice
    assert (store.in_memory, store.line(line).text[:9]) == (True, "txt2img x")
    assert add(store, session, 1) == [3]
    assert numbers_of(resolve(store, session, Handle.parse("@1..3"))) == [1, 2, 3]
    assert store.notices() == []


def test_file_held_by_another_program_is_a_sentence(store, monkeypatch):
    store._db.read("PRAGMA busy_timeout=50")
    holder = sqlite3.connect(store.home / "sessions.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(OutputError) as caught:
        store.new_session()

    holder.execute("ROLLBACK")
    path = store.home / "sessions.db"
    assert str(caught.value) == f"another program holds {path} for more than 5 seconds\n  try again in a moment"
    assert not store.in_memory
    assert store.new_session().id


def test_threads_may_share_a_store(store):
    session = store.new_session().id
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(add(store, session, 5))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(n for numbers in found for n in numbers) == list(range(1, 31))


# ---- the living and the dead -------------------------------------------------------------------------------------


def test_lines_of_a_dead_process_are_interrupted_and_those_of_a_living_one_are_not(tmp_path):
    dead, living, third = (Store.open(tmp_path / "home") for _ in range(3))
    session = dead.new_session().id
    lines = [one.begin_line(session, "txt2img x", pictures=1) for one in (dead, living)]
    numbers = [one.reserve(line, [Facts()])[0] for one, line in zip((dead, living), lines, strict=True)]
    dead.close()

    orphans = third.bury()

    assert [(row.n, owner) for row, owner in orphans] == [(numbers[0], dead.owner)]
    assert [third.line(line).status for line in lines] == ["interrupted", "running"]
    assert {path.name for path in (tmp_path / "home" / "shells").iterdir()} == {living.owner, third.owner}
    assert [one.line.id for one in third.unfinished()] == [lines[0]]
    living.close()
    third.close()


def test_sign_of_life_ends_with_a_killed_process(tmp_path):
    code = """
import sys
from pathlib import Path
from invoke_shell.shell.archive.store import Store
store = Store.open(Path(sys.argv[1]))
store.begin_line(store.new_session().id, "txt2img x", pictures=1)
print(store.owner, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    owner = child.stdout.readline().strip()
    store = Store.open(tmp_path)

    assert store.bury() == []
    assert store.history()[0].status == "running"
    child.kill()
    child.wait()
    assert store.bury() == []
    assert store.history()[0].status == "interrupted"
    assert not (tmp_path / "shells" / owner).exists()
    child.stdin.close()
    child.stdout.close()
    store.close()


# ---- Ctrl-C ------------------------------------------------------------------------------------------------------


class Interrupter:
    """Ctrl-C before the k-th instruction that runs in database.py, for k of 0 and up."""

    def __init__(self, k: int) -> None:
        self.left = k
        self.came = False

    def __enter__(self):
        sys.settrace(self._called)
        return self

    def __exit__(self, kind, error, trace):
        sys.settrace(None)
        return kind is KeyboardInterrupt

    def _called(self, frame, event, argument):
        if frame.f_code.co_filename != database.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame, event, argument):
        if event == "opcode" and not self.came:
            if not self.left:
                self.came = True
                raise KeyboardInterrupt
            self.left -= 1
        return self._stepped


def test_ctrl_c_at_any_moment_of_a_write_leaves_a_store_that_can_be_written(store):
    session, moments = store.new_session().id, 0
    while True:
        with Interrupter(moments) as interrupter:
            store.set_setting(session, "steps", str(moments))
        if not interrupter.came:
            break
        moments += 1
        store.set_setting(session, "size", f"{moments}x8")
        assert store.settings(session)["size"] == f"{moments}x8"

    assert moments > 20
    assert store.settings(session)["steps"] == str(moments)
