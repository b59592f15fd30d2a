"""Voices fetched from a mirror on loopback and from folders; nothing damaged is kept."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from antiphon import fetching
from antiphon.commands.voices import command
from antiphon.voice_files import fetch
from base.errors import BadRequest, Internal, NotFound, Unavailable

pytestmark = pytest.mark.integration

NAME = "en_US-anna-low"
GRAPH = bytes(range(256)) * 4096
CONFIG = b'{"audio": {"sample_rate": 16000}}'
CARD = b"# Model card for anna\n\n* License: CC0-1.0\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder like the voices' store."""
    place = tmp_path / "store" / "en" / "anna"
    place.mkdir(parents=True)
    files = {f"{NAME}.onnx": GRAPH, f"{NAME}.onnx.json": CONFIG, "MODEL_CARD": CARD}
    for name, data in files.items():
        (place / name).write_bytes(data)
    told = {
        f"en/anna/{name}": {"size_bytes": len(data), "md5_digest": hashlib.md5(data).hexdigest()}
        for name, data in files.items()
    }
    root = tmp_path / "store"
    (root / "voices.json").write_text(json.dumps({NAME: {"files": told}, "en_US-bert-low": {"files": {}}}))
    return root


@pytest.fixture
def mirror(store: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(store)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("remote", [True, False])
def test_a_voice_is_fetched_checked_and_told_of(store: Path, mirror: str, tmp_path: Path, remote: bool) -> None:
    seen: list[tuple[str, int, int]] = []
    found = fetch(NAME, tmp_path / "into", mirror=mirror if remote else str(store), progress=lambda *x: seen.append(x))
    assert found.path == tmp_path / "into" / f"{NAME}.onnx"
    assert found.path.read_bytes() == GRAPH
    assert found.path.with_name(f"{NAME}.onnx.json").read_bytes() == CONFIG
    assert found.licence == "CC0-1.0"
    assert found.checked
    assert found.sha256 == hashlib.sha256(GRAPH).hexdigest()
    assert (f"{NAME}.onnx", len(GRAPH), len(GRAPH)) in seen
    assert sorted(p.name for p in (tmp_path / "into").iterdir()) == [
        f"{NAME}.MODEL_CARD",
        f"{NAME}.onnx",
        f"{NAME}.onnx.json",
    ]


TOLD = json.dumps({NAME: {"files": {f"a/{NAME}{ending}": {} for ending in (".onnx", ".onnx.json")}}}).encode()
"""A catalogue that tells no sizes."""


def length(size: object, body: bytes, *more: str) -> bytes:
    head = "\r\n".join(("HTTP/1.1 200 OK", f"Content-Length: {size}", "Connection: close", *more))
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A mirror that tells no sizes and gives this for every file."""

    class Rough(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.wfile.write(length(len(TOLD), TOLD) if self.path == "/voices.json" else answer)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rough)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [length(len(GRAPH), GRAPH[:1000]), CHUNKED + b"400\r\nhalf of it", b"so much for that\r\n\r\n"],
    ids=["too little", "a chunk that breaks off", "no HTTP"],
)
def test_a_mirror_that_breaks_off_leaves_nothing(answer: bytes, tmp_path: Path) -> None:
    with answering(answer) as mirror, pytest.raises((Internal, Unavailable), match=NAME):
        fetch(NAME, tmp_path, mirror=mirror)
    assert not list(tmp_path.iterdir())


def test_a_length_that_is_none_is_no_reason_to_refuse(tmp_path: Path) -> None:
    with answering(length("abc", GRAPH)) as mirror:
        assert not fetch(NAME, tmp_path, mirror=mirror).checked


def test_a_file_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 100_000)
    with answering(length("", GRAPH)) as mirror, pytest.raises(Internal, match="more than 100000 bytes"):
        fetch(NAME, tmp_path, mirror=mirror)
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_none_and_a_place_that_is_none(store: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is no address"):
        fetch(NAME, tmp_path / "into", mirror="http://127.0.0.1:abc")
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be kept in"):
        fetch(NAME, tmp_path / "file", mirror=str(store))
    (tmp_path / f"{NAME}.onnx").mkdir()
    with pytest.raises(NotFound, match=f"no {NAME}.onnx"):
        fetch(NAME, tmp_path / "into", mirror=str(tmp_path))


def test_a_voice_whose_second_file_fails_keeps_what_there_was(store: Path, tmp_path: Path) -> None:
    fetch(NAME, tmp_path, mirror=str(store))
    place = store / "en" / "anna"
    (place / f"{NAME}.onnx").write_bytes(GRAPH[::-1])
    (place / f"{NAME}.onnx.json").unlink()
    told = json.loads((store / "voices.json").read_text())
    told[NAME]["files"][f"en/anna/{NAME}.onnx"]["md5_digest"] = hashlib.md5(GRAPH[::-1]).hexdigest().upper()
    told[NAME]["files"][f"en/anna/{NAME}.onnx.json"]["md5_digest"] = "0" * 32
    (store / "voices.json").write_text(json.dumps(told))
    with pytest.raises(NotFound):
        fetch(NAME, tmp_path, mirror=str(store))
    assert (tmp_path / f"{NAME}.onnx").read_bytes() == GRAPH
    assert not list(tmp_path.glob(".*"))


def test_what_a_mirror_says_does_not_drive_the_terminal(store: Path, tmp_path: Path) -> None:
    (store / "en" / "anna" / "MODEL_CARD").write_bytes(b"License: CC0\x1b]0;mine\x07\n")
    told = json.loads((store / "voices.json").read_text())
    del told[NAME]["files"]["en/anna/MODEL_CARD"]["md5_digest"], told[NAME]["files"]["en/anna/MODEL_CARD"]["size_bytes"]
    (store / "voices.json").write_text(json.dumps(told))
    assert "\x1b" not in fetch(NAME, tmp_path, mirror=str(store)).licence


def test_what_is_there_whole_is_not_fetched_again(mirror: str, tmp_path: Path) -> None:
    fetch(NAME, tmp_path, mirror=mirror)
    seen: list[object] = []
    fetch(NAME, tmp_path, mirror=mirror, progress=lambda *x: seen.append(x))
    assert seen == []


@pytest.mark.parametrize("damage", ["changed", "short", "long"])
def test_what_is_damaged_is_not_kept(store: Path, tmp_path: Path, damage: str) -> None:
    data = {"changed": b"x" + GRAPH[1:], "short": GRAPH[:-5], "long": GRAPH + b"more"}[damage]
    (store / "en" / "anna" / f"{NAME}.onnx").write_bytes(data)
    with pytest.raises(Internal, match=f"{NAME}.onnx"):
        fetch(NAME, tmp_path / "into", mirror=str(store))
    assert list((tmp_path / "into").iterdir()) == []


def test_a_folder_of_files_will_do(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.onnx").write_bytes(GRAPH)
    (tmp_path / f"{NAME}.onnx.json").write_bytes(CONFIG)
    found = fetch(NAME, tmp_path / "into", mirror=str(tmp_path))
    assert (found.checked, found.licence, found.size) == (False, "", len(GRAPH) + len(CONFIG))
    (tmp_path / "MODEL_CARD").write_bytes(CARD)
    assert fetch(NAME, tmp_path / "into", mirror=str(tmp_path)).licence == "CC0-1.0"


def test_names_that_are_like_it_are_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=NAME):
        fetch("en_US-ana-low", tmp_path, mirror=str(store))


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a/b", ".hidden", "a" * 200, "x\n"])
def test_what_is_no_name_is_refused(name: str, store: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        fetch(name, tmp_path, mirror=str(store))


def test_a_catalogue_that_points_elsewhere_gets_nothing(store: Path, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.onnx").write_bytes(GRAPH)
    (tmp_path / f"{NAME}.onnx.json").write_bytes(CONFIG)
    files = {f"../{NAME}.onnx": {}, f"../{NAME}.onnx.json": {}}
    (store / "voices.json").write_text(json.dumps({NAME: {"files": files}}))
    with pytest.raises(NotFound, match="outside"):
        fetch(NAME, tmp_path / "into", mirror=str(store))


def test_mirrors_that_are_none_say_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--from"):
        fetch(NAME, tmp_path, mirror="http://127.0.0.1:9")
    with pytest.raises(NotFound, match="no folder"):
        fetch(NAME, tmp_path, mirror=str(tmp_path / "nowhere"))
    (tmp_path / "voices.json").write_text("[]")
    with pytest.raises(Internal, match="catalogue"):
        fetch(NAME, tmp_path / "into", mirror=str(tmp_path))


def test_the_command_says_how_to_serve_it(store: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    result = CliRunner().invoke(
        command, ["get", NAME, "--from", str(store), "--into", str(into)], standalone_mode=False
    )
    assert result.exception is None
    assert "licence: CC0-1.0" in result.output
    assert f'options = {{ path = "{into / NAME}.onnx" }}' in result.output
    result = CliRunner().invoke(command, ["get", NAME, "--from", str(store), "--into", str(into), "--json"])
    assert json.loads(result.stdout)["checked"] is True
