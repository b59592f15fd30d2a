"""Whisper models fetched from a store on loopback, a plain address and folders; whole and right, or not at all."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from antiphon.commands.ears import command
from antiphon.ear_files import SUMS, fetch, here
from base.errors import BadRequest, Internal, NotFound, Unavailable

pytestmark = pytest.mark.integration


def model_bin(numbers: bytes, kind: bytes = b"WhisperSpec", version: int = 6) -> bytes:
    """Weights of one variable, in CTranslate2's format."""
    name, alias = b"a/weight\0", b"b/weight\0"
    head = struct.pack(f"<IH{len(kind) + 1}sII", version, len(kind) + 1, kind, 3, 1)
    head += struct.pack(f"<H{len(name)}sBIIBI", len(name), name, 2, 1, len(numbers), 1, len(numbers))
    tail = struct.pack(f"<IH{len(alias)}sH{len(name)}s", 1, len(alias), alias, len(name), name)
    return head + numbers + tail


FILES = {
    "config.json": b'{"alignment_heads": [[0, 0]]}',
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n<|startoftranscript|>\n",
    "model.bin": model_bin(bytes(range(256)) * 4096),
    "README.md": b"---\nlicense: mit\n---\n# Whisper base\n",
}
WEIGHTS = FILES["model.bin"]


class Served:
    """What a server has, by path; `asked` are the paths that were."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""

    def as_store(self, repository: str = "Systran/faster-whisper-base") -> None:
        self.files.update({f"/{repository}/resolve/main/{name}": data for name, data in FILES.items()})
        self.tell(repository, WEIGHTS)

    def tell(self, repository: str, weights: bytes) -> None:
        entries = [{"type": "file", "path": name, "size": len(data)} for name, data in FILES.items()]
        for entry in entries:
            if entry["path"] == "model.bin":
                entry["size"] = len(weights)
                entry["lfs"] = {"oid": hashlib.sha256(weights).hexdigest(), "size": len(weights)}  # type: ignore[assignment]
        entries.append({"type": "directory", "path": "../../evil"})
        self.files[f"/api/models/{repository}/tree/main"] = json.dumps(entries).encode()


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            data = found.files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "share" / "base"
    place.mkdir(parents=True)
    for name, data in FILES.items():
        (place / name).write_bytes(data)
    return place.parent


def test_from_a_store_with_size_hash_and_licence(served: Served, tmp_path: Path) -> None:
    served.as_store()
    steps: list[tuple[str, int, int]] = []
    found = fetch("base", tmp_path / "ears", mirror=served.url, progress=lambda *step: steps.append(step))
    assert found.path == tmp_path / "ears" / "base"
    assert {p.name: p.read_bytes() for p in found.path.iterdir()} == FILES
    assert found.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (found.licence, found.checked, found.size) == ("mit", True, sum(map(len, FILES.values())))
    assert steps[-1] == ("model.bin", len(WEIGHTS), len(WEIGHTS))
    assert [p.name for p in (tmp_path / "ears").iterdir()] == ["base"]


def test_what_is_there_and_right_is_not_fetched_again(served: Served, tmp_path: Path) -> None:
    served.as_store()
    fetch("base", tmp_path, mirror=served.url)
    served.asked.clear()
    fetch("base", tmp_path, mirror=served.url)
    assert not any(path.endswith("model.bin") for path in served.asked)
    assert (tmp_path / "base" / "model.bin").read_bytes() == WEIGHTS


def test_another_repository_by_its_name(served: Served, tmp_path: Path) -> None:
    served.as_store("somebody/whisper-nice")
    assert fetch("somebody/whisper-nice", tmp_path, mirror=served.url).path == tmp_path / "whisper-nice"


def test_weights_that_are_not_those_that_were_told_are_not_kept(served: Served, tmp_path: Path) -> None:
    served.as_store()
    fetch("base", tmp_path, mirror=served.url)
    served.tell("Systran/faster-whisper-base", WEIGHTS[:-1] + b"x")
    with pytest.raises(Internal, match=r"model.bin is damaged: its SHA256"):
        fetch("base", tmp_path, mirror=served.url)
    served.tell("Systran/faster-whisper-base", WEIGHTS + b"x")
    with pytest.raises(Internal, match=rf"model.bin has {len(WEIGHTS)} bytes, not the {len(WEIGHTS) + 1}"):
        fetch("base", tmp_path, mirror=served.url)
    assert (tmp_path / "base" / "model.bin").read_bytes() == WEIGHTS
    assert [p.name for p in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize("below", ["", "/base"])
def test_from_a_plain_address(served: Served, tmp_path: Path, below: str) -> None:
    served.files.update({f"{below}/{name}": data for name, data in FILES.items()})
    found = fetch("base", tmp_path, mirror=served.url)
    assert not found.checked
    assert (found.path / "model.bin").read_bytes() == WEIGHTS


def test_from_a_folder_with_sums(folder: Path, tmp_path: Path) -> None:
    sums = folder / "base" / SUMS
    sums.write_text("".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in FILES.items()))
    assert fetch("base", tmp_path / "ears", mirror=str(folder)).checked
    assert fetch("base", tmp_path / "two", mirror=str(folder / "base")).checked
    sums.write_text(f"{'0' * 64} *model.bin\n")
    with pytest.raises(Internal, match="damaged"):
        fetch("base", tmp_path / "three", mirror=str(folder))


@pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "vocabulary.txt", "model.bin"])
def test_a_mirror_that_lacks_a_part_is_told(folder: Path, tmp_path: Path, part: str) -> None:
    (folder / "base" / part).unlink()
    with pytest.raises(NotFound, match=part.replace(".", r"\.") if part != "config.json" else "config"):
        fetch("base", tmp_path / "ears", mirror=str(folder))
    assert not list((tmp_path / "ears").glob("*"))


@pytest.mark.parametrize(
    ("part", "data", "why"),
    [
        ("model.bin", WEIGHTS[:-1], "truncated"),
        ("model.bin", WEIGHTS[: len(WEIGHTS) // 2], f"breaks off after {len(WEIGHTS) // 2} bytes"),
        ("model.bin", WEIGHTS[:7], "truncated"),
        ("model.bin", b"", "after 0 bytes"),
        ("model.bin", b"version https://git-lfs.github.com/spec/v1\n", "no model of CTranslate2"),
        ("model.bin", bytes(4096), "no model of CTranslate2"),
        ("model.bin", model_bin(b"1234", b"TransformerSpec"), "no Whisper model, but a TransformerSpec"),
        ("config.json", b'{"alig', "config.json cannot be read"),
        ("config.json", b"{}", "alignment_heads"),
        ("tokenizer.json", b'{"a', "tokenizer.json cannot be read"),
        ("preprocessor_config.json", b"{", "preprocessor_config.json cannot be read"),
        ("vocabulary.txt", b"a\nb\n", "no <|startoftranscript|>"),
        ("vocabulary.txt", b"\xff", "vocabulary.txt cannot be read"),
    ],
)
def test_what_is_truncated_or_damaged_is_refused_and_nothing_is_left_of_it(
    folder: Path, tmp_path: Path, part: str, data: bytes, why: str
) -> None:
    whole = fetch("base", tmp_path / "ears", mirror=str(folder))
    (folder / "base" / part).write_bytes(data)
    for place in (tmp_path / "ears", tmp_path / "others"):
        with pytest.raises(Internal, match=why.replace("|", r"\|")):
            fetch("base", place, mirror=str(folder))
    assert {p.name: p.read_bytes() for p in whole.path.iterdir()} == FILES, "what was there stays"
    assert [p.name for p in (tmp_path / "ears").iterdir()] == ["base"]
    assert not list((tmp_path / "others").iterdir())


def test_weights_in_a_format_that_is_newer_are_left_to_ctranslate2(folder: Path, tmp_path: Path) -> None:
    (folder / "base" / "model.bin").write_bytes(struct.pack("<I", 7) + b"whatever")
    assert fetch("base", tmp_path / "ears", mirror=str(folder)).path.is_dir()


@pytest.mark.parametrize("name", ["", "..", "../base", "a/b/c", "/etc", "a b", ".hidden", "a/.."])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="no name of a model"):
        fetch(name, tmp_path, mirror=str(tmp_path))


def test_no_such_model_folder_or_server(served: Served, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="neither"):
        fetch("base", tmp_path, mirror=served.url)
    with pytest.raises(NotFound, match="no address and no folder"):
        fetch("base", tmp_path, mirror=str(tmp_path / "nowhere"))
    with pytest.raises(Unavailable, match="cannot be reached"):
        fetch("base", tmp_path, mirror="http://127.0.0.1:9")


def test_get_and_list_say_what_to_do_next(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_VAR", str(tmp_path / "var"))
    runner = CliRunner()
    empty = runner.invoke(command, ["list", "--registry", "127.0.0.1:9"], standalone_mode=False)
    assert "./antiphon ears get base" in empty.output
    assert "./antiphon install moonshine" in empty.output or "moonshine-tiny-en" in empty.output
    got = runner.invoke(command, ["get", "base", "--from", str(folder)], standalone_mode=False)
    assert got.exception is None, got.exception
    place = tmp_path / "var" / "ears" / "base"
    for text in ("licence: mit", "sha256 ", "./antiphon install whisper", 'engine = "whisper"', f'model = "{place}"'):
        assert text in got.output
    (place / "tokenizer.json").unlink()
    listed = runner.invoke(command, ["list", "--registry", "127.0.0.1:9"], standalone_mode=False)
    assert "base" in listed.output
    assert "tokenizer.json missing" in listed.output
    assert [h.missing for h in here(tmp_path / "var" / "ears")] == [("tokenizer.json",)]
    as_json = runner.invoke(command, ["get", "base", "--from", str(folder), "--json"], standalone_mode=False)
    assert json.loads(as_json.stdout)["licence"] == "mit"
