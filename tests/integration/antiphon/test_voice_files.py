"""Voices fetched from a mirror on loopback and from folders; nothing damaged is kept."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

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


class CutShort(BaseHTTPRequestHandler):
    """Promises more than it sends, and tells no sizes beforehand."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        files = {f"a/{NAME}{ending}": {} for ending in (".onnx", ".onnx.json")}
        told = json.dumps({NAME: {"files": files}}).encode()
        body = told if self.path == "/voices.json" else GRAPH
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if body is told else body[:1000])


def test_a_connection_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), CutShort)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises((Internal, Unavailable), match=NAME):
            fetch(NAME, tmp_path, mirror=f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not list(tmp_path.iterdir())


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
