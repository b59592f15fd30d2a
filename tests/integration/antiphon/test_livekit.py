"""livekit-server as a program: found, built, run, and gone with whoever started it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from antiphon import livekit_files
from base.errors import Misconfigured, Unavailable
from tests.support import livekit
from tests.support.system import SRC, antiphon, until

pytestmark = pytest.mark.integration

LIMIT_S = 60.0


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


# --- found ----------------------------------------------------------------------------------------------------------


def test_what_is_named_counts_before_the_path_and_that_before_what_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert livekit_files.find() is None
    built = livekit_files.folder() / livekit_files.BUILT
    built.parent.mkdir(parents=True)
    program(built.parent, built.name, "exit 0\n")
    assert livekit_files.find() == built
    (tmp_path / "bin").mkdir()
    on_path = program(tmp_path / "bin", livekit_files.PROGRAM, "exit 0\n")
    assert livekit_files.find() == on_path
    named = program(tmp_path, "mine", "exit 0\n")
    assert livekit_files.find(str(named)) == named
    with pytest.raises(Misconfigured, match="no-such"):
        livekit_files.find("/no-such/program")


# --- built ----------------------------------------------------------------------------------------------------------


def test_without_go_the_other_ways_are_named(tmp_path: Path) -> None:
    said = antiphon("livekit", "get", cwd=tmp_path, PATH=str(tmp_path))
    assert said.returncode == 69
    assert "Go is not installed" in said.stderr
    assert "livekit/livekit-server" in said.stderr


def test_what_go_says_when_it_cannot_is_passed_on_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "go", "echo 'go: module lookup disabled by GOPROXY=off' >&2; exit 1\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    said = antiphon("livekit", "get", "--into", str(tmp_path / "here"), cwd=tmp_path, PATH=path)
    assert said.returncode == 69
    assert "GOPROXY=off" in said.stderr
    assert list((tmp_path / "here").iterdir()) == []


def test_it_is_asked_of_go_by_version_into_a_folder_of_its_own_and_kept(tmp_path: Path) -> None:
    """A Go that builds nothing but does as Go does: bare names of packages, and a program in GOBIN."""
    (tmp_path / "bin").mkdir()
    version = livekit_files.VERSION
    go = (
        'echo "$@" >>"$OUT"\necho golang.org/x/net >&2\necho github.com/livekit/livekit-server/cmd/server >&2\n'
        f'printf \'#!/bin/sh\\necho livekit-server version {version}\\n\' >"$GOBIN/server"\nchmod +x "$GOBIN/server"\n'
    )
    program(tmp_path / "bin", "go", go)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "OUT": str(tmp_path / "asked")}
    for was_there in (False, True):
        said = antiphon("livekit", "get", "--json", "--into", str(tmp_path / "here"), cwd=tmp_path, **env)
        assert said.returncode == 0, said.stderr
        found = json.loads(said.stdout)
        assert found["was_there"] is was_there
        assert found["version"] == version
        assert Path(found["path"]) == tmp_path / "here" / f"livekit-{version}" / "server"
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked.endswith(f"github.com/livekit/livekit-server/cmd/server@v{version}")


def test_a_program_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not run"):
        livekit_files.version_of(program(tmp_path, "broken", "exit 3\n"))


# --- run ------------------------------------------------------------------------------------------------------------


class Running:
    """`antiphon livekit run` as `up` starts it."""

    def __init__(self, folder: Path, binary: Path | str) -> None:
        self.folder = folder / "private"
        self.folder.mkdir(mode=0o700)
        (self.folder / "livekit-keys.yaml").write_text(f"APItest: {'s' * 40}\n")
        flags = ["--program", str(binary), "--folder", str(self.folder), "--port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "antiphon", "livekit", "run", "--announce-ready", "--parent-watch", *flags],
            env=os.environ | {"PYTHONPATH": str(SRC)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("wb"),
            start_new_session=True,
        )
        self._stderr = folder / "stderr"

    def ready(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.said()
        return str(json.loads(line)["ready"])

    def said(self) -> str:
        return self._stderr.read_text(errors="replace")

    def livekit(self) -> list[psutil.Process]:
        """Whoever was started with this configuration, whatever became of the one between."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.folder / "livekit.yaml") in process.cmdline() and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                pass
        return found

    def close(self) -> None:
        for process in self.livekit():
            process.kill()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def livekit_binary() -> Path:
    livekit.require()
    found = livekit.binary()
    assert found is not None
    return found


def test_it_says_where_it_is_when_it_answers_and_its_files_are_private(tmp_path: Path, livekit_binary: Path) -> None:
    running = Running(tmp_path, livekit_binary)
    try:
        address = running.ready()
        with urllib.request.urlopen(f"http://{address}/", timeout=LIMIT_S) as answer:
            assert answer.read() == b"OK"
        assert stat.S_IMODE((running.folder / "livekit.yaml").stat().st_mode) == 0o600
        (server,) = running.livekit()
        listening = {c.laddr.ip for c in server.net_connections("inet") if c.status in (psutil.CONN_LISTEN, "NONE")}
        assert listening == {"127.0.0.1"}, "of TCP and UDP"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(LIMIT_S) == 0
        assert not running.livekit()
        assert not (running.folder / "livekit.yaml").exists()
    finally:
        running.close()


def _parent_goes(running: Running) -> None:
    assert running.process.stdin is not None
    running.process.stdin.close()


def _is_killed(running: Running) -> None:
    running.process.kill()


@pytest.mark.parametrize(
    "how",
    [
        _parent_goes,
        pytest.param(
            _is_killed, marks=pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel tells")
        ),
    ],
)
def test_whichever_way_it_goes_livekit_goes_along(
    tmp_path: Path, livekit_binary: Path, how: Callable[[Running], None]
) -> None:
    running = Running(tmp_path, livekit_binary)
    try:
        running.ready()
        assert running.livekit()
        how(running)
        running.process.wait(LIMIT_S)
        assert until(lambda: not running.livekit(), LIMIT_S)
    finally:
        running.close()


def test_a_livekit_that_ends_by_itself_is_a_fault(tmp_path: Path, livekit_binary: Path) -> None:
    running = Running(tmp_path, livekit_binary)
    try:
        running.ready()
        (server,) = running.livekit()
        server.kill()
        assert running.process.wait(LIMIT_S) == 1
    finally:
        running.close()


def test_a_program_that_is_no_livekit_is_told_in_words(tmp_path: Path) -> None:
    running = Running(tmp_path, program(tmp_path, "other", "echo no such luck >&2; exit 3\n"))
    try:
        began = time.monotonic()
        assert running.process.wait(LIMIT_S) == 69
        assert time.monotonic() - began < LIMIT_S
        assert "no such luck" in running.said()
        assert "ended with code 3" in running.said()
    finally:
        running.close()
