"""Downloads, from a hub of our own on this machine: what is fetched and checked, and what is said without a network."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest
from model_files import kohya_lora, mine, write
from test_catalogue import message, opened

from invoke_shell.errors import BlockedError, Cancelled
from invoke_shell.models.hashing import Digests
from invoke_shell.models.sources import Source, chosen, download, read_source

REVISION = "5" * 40


class Hub(ThreadingHTTPServer):
    """As much of huggingface.co as the library asks. files: name -> (content, LFS or not)."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.lie, self.asked, self.status, self.code = files, False, [], 200, ""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        self.server.asked.append((self.command, self.path))
        if self.server.status != 200:
            self.reply(b"{}", {"X-Error-Code": self.server.code}, body, self.server.status)
        elif self.path.startswith("/api/models/"):
            self.reply(json.dumps(self.info()).encode(), {"Content-Type": "application/json"}, body)
        else:
            self.send_file(self.path.split("?")[0].split(f"/{REVISION}/")[1], body)

    def info(self):
        siblings = []
        for name, (content, lfs) in self.server.files.items():
            sha = hashlib.sha256(content).hexdigest()
            row = {"rfilename": name, "size": len(content), "blobId": sha[:40]}
            siblings.append({**row, "lfs": {"size": len(content), "sha256": sha, "pointerSize": 1}} if lfs else row)
        return {"id": "me/fox", "sha": REVISION, "siblings": siblings}

    def send_file(self, name, body):
        content, _ = self.server.files[name]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        start = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        if self.server.lie:
            content = b"\0" * len(content)
        headers = {"ETag": etag, "X-Repo-Commit": REVISION, "X-Linked-Size": str(len(content))}
        self.reply(content[start:], headers, body, 206 if start else 200)

    def reply(self, content, headers, body, status=200):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    weights = write(tmp_path / "made/a.safetensors", kohya_lora("sdxl")).read_bytes()
    made = Hub({"fox.safetensors": (weights, True), "README.md": (b"words", False)})
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield made
    made.shutdown()


@pytest.fixture
def here(tmp_path):
    return opened(tmp_path / "home")


# -- fetching --------------------------------------------------------------------------------------------------------


def test_a_model_is_fetched_checked_and_added(hub, here, tmp_path):
    told = []

    entry = here.fetch(read_source("hf:me/fox"), tick=lambda done, total: told.append((done, total)))

    content = hub.files["fox.safetensors"][0]
    assert (entry.name, entry.kind, entry.finding.base) == ("fox", "lora", "sdxl")
    assert entry.path.read_bytes() == content
    assert entry.path.is_relative_to(tmp_path / "hub/models--me--fox/snapshots" / REVISION)
    assert entry.source == f"hf:me/fox@{REVISION}"
    assert entry.hashes["sha256"] == hashlib.sha256(content).hexdigest()
    assert told[-1] == (len(content), len(content))
    assert not any("README" in path for _, path in hub.asked)


def test_what_is_here_already_is_not_fetched_again(hub, here):
    here.fetch(read_source("hf:me/fox"))
    hub.asked.clear()

    here.fetch(read_source("hf:me/fox:fox.safetensors"), name="fox")

    assert [what for what, path in hub.asked if "safetensors" in path and what == "GET"] == []
    assert len(mine(here, "lora")) == 1


def test_a_download_that_was_stopped_keeps_its_whole_files(hub, here, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.files["config.json"] = (b"{}" + b" " * 5000, False)

    def stop(done, total):
        if done > 20_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        here.fetch(read_source("hf:me/fox"), tick=stop)
    assert mine(here, "lora") == []
    hub.asked.clear()

    with pytest.raises(BlockedError, match="its config names no class"):
        here.fetch(read_source("hf:me/fox"))

    assert [path.rpartition("/")[2] for what, path in hub.asked if what == "GET"][1:] == ["fox.safetensors"]


def test_a_file_with_another_hash_is_deleted(hub, here, tmp_path):
    hub.lie = True

    said = message(here.fetch, read_source("hf:me/fox"))

    assert said == (
        "fox.safetensors of hf:me/fox did not arrive as it was sent, and was deleted\n"
        "  the same command fetches it again"
    )
    assert [p for p in (tmp_path / "hub").rglob("*") if p.is_file() and p.stat().st_size > 1000] == []
    assert mine(here, "lora") == []
    hub.lie = False
    assert here.fetch(read_source("hf:me/fox")).name == "fox"


def test_a_whole_diffusers_model(hub, here, tmp_path):
    from test_probe import pipeline

    folder = pipeline(tmp_path / "made/dream")
    (folder / "unet/diffusion_pytorch_model.fp16.safetensors").write_bytes(b"never fetched")
    files = [p for p in folder.rglob("*") if p.is_file()]
    hub.files = {str(p.relative_to(folder)): (p.read_bytes(), p.suffix == ".safetensors") for p in files}

    entry = here.fetch(read_source("hf:me/dream"))

    assert (entry.kind, entry.finding.base, entry.finding.format, entry.name) == (
        "checkpoint",
        "sd1",
        "folder",
        "dream",
    )
    assert entry.hash.startswith("blake3-tree:")
    assert not any("fp16" in path for what, path in hub.asked)


def test_what_arrives_and_is_no_model_is_not_added(hub, here):
    hub.files = {"x.safetensors": (b"\xff\xd8\xff" + b"x" * 100, False)}

    assert message(here.fetch, read_source("hf:me/fox")).endswith(
        "x.safetensors is a JPEG picture\n  download the model's file, not what its page shows"
    )
    assert mine(here, "lora") == []


# -- which files -----------------------------------------------------------------------------------------------------

WHOLE = ["model_index.json", "unet/config.json", "unet/m.safetensors", "vae/config.json", "vae/m.safetensors"]
CHOICES = [
    (["a.safetensors", "README.md", "a.ckpt"], "", ["a.safetensors"]),
    (["a.gguf"], "", ["a.gguf"]),
    (["config.json", "m.safetensors"], "", ["config.json", "m.safetensors"]),
    (["sub/a.safetensors", "b.safetensors"], "sub/a.safetensors", ["sub/a.safetensors"]),
    ([*WHOLE, "v1-5.safetensors", "safety_checker/m.safetensors", "unet/m.onnx"], "", WHOLE),
    ([*WHOLE, "unet/m.fp16.safetensors", "unet/m.non_ema.safetensors"], "", WHOLE),
    (["model_index.json", "unet/m.fp16.safetensors"], "", ["model_index.json", "unet/m.fp16.safetensors"]),
]


@pytest.mark.parametrize(("names", "file", "wanted"), CHOICES)
def test_only_what_is_loaded_is_fetched(names, file, wanted):
    assert sorted(chosen(Source("me/fox", file), dict.fromkeys(names, 1))) == sorted(wanted)


OTHER = "\n  look for another upload of the model"
REFUSALS = [
    (["a.ckpt"], "", f"hf:me/fox has no safetensors file; a pickle could run any program{OTHER}"),
    (
        ["b.safetensors", "a.safetensors"],
        "",
        "hf:me/fox has several models: a.safetensors, b.safetensors\n  say which: models add hf:me/fox:a.safetensors",
    ),
    (["a.safetensors"], "b.safetensors", "hf:me/fox has no file b.safetensors\n  did you mean a.safetensors?"),
    (
        ["model_index.json", "unet/m.bin"],
        "",
        f"hf:me/fox has only pickled weights in unet, which could run any program{OTHER}",
    ),
]


@pytest.mark.parametrize(("names", "file", "wanted"), REFUSALS)
def test_what_cannot_be_chosen_is_a_sentence(names, file, wanted):
    assert message(chosen, Source("me/fox", file), dict.fromkeys(names, 1)) == wanted


def test_words_that_are_sources():
    assert read_source("hf:me/fox") == Source("me/fox")
    assert read_source("hf:me/fox:a/b.safetensors") == Source("me/fox", "a/b.safetensors")
    assert [read_source(text) for text in ("./fox", "fox", "C:/x")] == [None] * 3
    for text in ("hf:fox", "hf:me/fox/x", "hf:", "hf:me/fox:"):
        assert message(read_source, text).startswith(f"{text} names no repository")


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://huggingface.co/me/fox", Source("me/fox")),
        ("https://huggingface.co/me/fox/tree/main", Source("me/fox")),
        ("https://huggingface.co/me/fox/blob/main/a%20b.safetensors", Source("me/fox", "a b.safetensors")),
        ("https://hf.co/me/fox/resolve/main/x/y.safetensors?download=true", Source("me/fox", "x/y.safetensors")),
    ],
)
def test_the_address_of_a_page_is_a_source(address, wanted):
    assert read_source(address) == wanted


@pytest.mark.parametrize("address", ["https://civitai.com/models/1", "civitai:1", "http://huggingface.co.evil.org/a/b"])
def test_other_addresses_are_a_sentence(address):
    assert message(read_source, address).startswith(f"{address} is not at Hugging Face, the one site asked here")


# -- no network ------------------------------------------------------------------------------------------------------


def timed(work):
    start = time.monotonic()
    with pytest.raises(BlockedError) as caught:
        work()
    return time.monotonic() - start, str(caught.value)


def test_a_site_that_refuses_is_a_sentence_at_once(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    seconds, said = timed(lambda: download(Source("me/fox"), Digests()))

    assert seconds < 1
    assert said == (
        "127.0.0.1 does not answer, so there is no network\n"
        "  download it with another program and then: models add PATH"
    )


@pytest.mark.parametrize("slow", ["getaddrinfo", "create_connection"])
def test_a_network_that_says_nothing_is_not_waited_for(monkeypatch, slow):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)

    def silent(*args, **options):
        time.sleep(1.5)
        raise OSError

    monkeypatch.setattr(f"socket.{slow}", silent)

    seconds, said = timed(lambda: download(Source("me/fox"), Digests()))

    assert seconds < 1
    assert said.startswith("huggingface.co does not answer")


def test_a_proxy_is_asked_in_the_sites_place(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_ENDPOINT", raising=False)

    assert timed(lambda: download(Source("me/fox"), Digests()))[1].startswith("127.0.0.1 does not answer")


def test_a_person_may_forbid_it(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert timed(lambda: download(Source("me/fox"), Digests()))[1] == (
        "HF_HUB_OFFLINE forbids downloads\n  unset it to download"
    )


REFUSED = [
    (404, "RepoNotFound", "there is no model hf:me/fox\n  if it is private: hf auth login"),
    (403, "GatedRepo", "hf:me/fox wants its terms accepted\n  accept them at {url}/me/fox, then run: hf auth login"),
    (418, "", "hf:me/fox cannot be fetched: the site answered 418"),
]


@pytest.mark.parametrize(("status", "code", "said"), REFUSED)
def test_what_the_site_refuses(hub, here, status, code, said):
    hub.status, hub.code = status, code

    assert message(here.fetch, read_source("hf:me/fox")) == said.format(url=hub.url)
    assert mine(here, "lora") == []


# -- as people meet it -----------------------------------------------------------------------------------------------


def test_the_command_downloads_adds_and_hashes(invoke, hub, tmp_path):
    events = tmp_path / "events"

    ran = invoke("--events", str(events), "models", "add", "hf:me/fox", "--name", "reynard")

    assert ran.status == 0, ran.err
    assert ran.out.startswith("reynard is a LoRA for sdxl: ")
    (record,) = invoke("--json", "models", "show", "reynard").records
    assert record["source"] == f"hf:me/fox@{REVISION}"
    assert record["hashes"]["sha256"] == hashlib.sha256(hub.files["fox.safetensors"][0]).hexdigest()
    asked = len(hub.asked)
    assert invoke("models", "add", "hf:me/fox").status == 0
    assert not [path for command, path in hub.asked[asked:] if command == "GET" and "resolve" in path]  # it is here


def test_without_a_network_the_command_ends_at_once_with_status_3(invoke, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    start = time.monotonic()
    ran = invoke("models", "add", "hf:me/fox")

    assert (ran.status, ran.err.splitlines()[0]) == (3, "127.0.0.1 does not answer, so there is no network")
    assert time.monotonic() - start < 5  # with the start of the program, on a busy machine
