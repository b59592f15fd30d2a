"""`antiphon up` with the real services, on their mock engines: what it says, survives, and leaves (nothing)."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[4]
SRC = ROOT / "src"
LIMIT_S = 60.0
CONFIG = """
[tts_worker]
engine = "sine"
[asr_worker]
engine = "scripted"
"""


class Up:
    """One `antiphon up`, with a terminal of its own or without."""

    def __init__(
        self, place: Path, *flags: str, terminal: bool = False, config: str = CONFIG, line: str = "", **env: str
    ) -> None:
        """`line`: a line of a shell instead, in the root of the clone."""
        (place / "my.toml").write_text(config)
        command = [sys.executable, "-P", "-m", "antiphon", "up", "--config", "my.toml", "--registry-port", "0"]
        command += ["--grpc-port", "0"]
        command += ["--llm", "none", "--log-dir", str(place / "log"), *flags]
        if line:
            command = ["sh", "-c", line]
        self._lead, follow = pty.openpty() if terminal else (-1, -1)
        self.terminal = terminal
        self.process = subprocess.Popen(
            command,
            cwd=ROOT if line else place,
            env=os.environ | {"PYTHONPATH": str(SRC), "TERM": "xterm", "ANTIPHON_VAR": str(place)} | env,
            stdin=follow if terminal else subprocess.DEVNULL,
            stdout=follow if terminal else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_take_terminal if terminal else None,
        )
        if terminal:
            os.close(follow)
        self.output = self._lead if terminal else self.process.stdout.fileno() if self.process.stdout else -1
        self.said = ""
        self.seen: dict[int, psutil.Process] = {}

    def wait_said(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < deadline, self.said
            self._read()
        self.look()
        return found

    def _read(self) -> None:
        if select.select([self.output], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # the terminal's other side is closed
                self.said += os.read(self.output, 65_536).decode(errors="replace")

    def look(self) -> None:
        """Remembers every process of the tree that there is now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.seen[child.pid] = child

    def child(self, name: str) -> psutil.Process:
        self.look()
        return next(p for p in self.seen.values() if p.is_running() and name in _command(p))

    def type(self, text: str) -> None:
        os.write(self._lead, text.encode())

    def hang_up(self) -> None:
        os.close(self._lead)
        self._lead = -1

    def ends(self) -> int:
        """Its exit code; then nothing of it may be left."""
        deadline = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.said}"
            if self._lead >= 0 or not self.terminal:
                self._read()
            else:
                time.sleep(0.05)
        _, left = psutil.wait_procs([p for p in self.seen.values() if _alive(p)], timeout=LIMIT_S)
        assert not left, "processes are left"
        return self.process.returncode

    def close(self) -> None:
        self.look()
        for process in [*self.seen.values()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.wait()
        if self._lead >= 0:
            os.close(self._lead)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _take_terminal() -> None:
    """In the child: standard input becomes its controlling terminal, so that Ctrl-C and a hang-up reach it."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Whoever runs these tests may do so under nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def begin(*flags: str, **more: object) -> Up:
        started.append(Up(tmp_path, *flags, **more))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for up in started:
        up.close()


def test_a_taken_port_is_passed_over_and_a_crash_survived_and_sigterm_leaves_nothing(start: Callable[..., Up]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = start("--port", str(port))
        moved = int(up.wait_said(r"port \d+ on 127\.0\.0\.1 is taken; the page gets (\d+)")[1])
        assert moved > port
        assert up.wait_said(r"Antiphon is at (http://\S+)")[1] == f"http://127.0.0.1:{moved}"
    assert {"registry", "orchestrator", "tts-worker", "asr-worker"} <= {
        name for p in up.seen.values() for name in _command(p).split()
    }
    up.child("tts-worker").send_signal(signal.SIGKILL)
    up.wait_said(r"tts-worker was ended by SIGKILL; starting it again in [\d.]+ s")
    up.wait_said(r"tts-worker is back at 127\.0\.0\.1:\d+")
    up.child("orchestrator").send_signal(signal.SIGKILL)
    assert up.wait_said(r"orchestrator is back at \S+:(\d+)")[1] == str(moved), "it keeps its port"
    up.process.send_signal(signal.SIGTERM)
    assert up.ends() == 0
    assert "\x1b" not in up.said, "plain output where there is no terminal"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    ("sink", "code", "says"),
    [("| head -n 1 > first", 0, ""), ("> /dev/full", 1, "cannot write the output: No space left on device\n")],
)
def test_when_nobody_reads_its_output_it_stops_in_order(tmp_path: Path, sink: str, code: int, says: str) -> None:
    (tmp_path / "my.toml").write_text(CONFIG)
    flags = "--config my.toml --registry-port 0 --port 0 --grpc-port 0 --llm none --json"
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -P -m antiphon up {flags} {sink}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", says)
    logs = list((tmp_path / "log").rglob("registry.log"))
    assert '"service.stopped"' in logs[0].read_text()


def test_where_nothing_can_be_written_it_says_so_and_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = str(tmp_path / "file")
    place = Up(tmp_path, "--port", "0", "--log-dir", f"{file}/log", ANTIPHON_VAR=file)
    try:
        place.wait_said(r"cannot write logs to \S+/file/log: Not a directory; none are kept")
        url = place.wait_said(r"Antiphon is at (http://\S+)")[1]
        place.wait_said(rf"cannot write to \S+/file: File exists; other commands find this system with --url {url}")
        assert "  logs " not in place.said
        place.process.send_signal(signal.SIGTERM)
        assert place.ends() == 0
    finally:
        place.close()


def test_a_folder_that_has_been_deleted_is_no_bad_place_to_start_from(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(CONFIG)
    gone = tmp_path / "gone"
    gone.mkdir()
    flags = f"--config {tmp_path}/my.toml --registry-port 0 --port 0 --llm none"
    up = subprocess.Popen(
        ["sh", "-c", f"rmdir '{gone}'; exec '{sys.executable}' -P -m antiphon up {flags}"],
        cwd=gone,
        env=os.environ | {"PYTHONPATH": str(SRC), "ANTIPHON_VAR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert up.stdout is not None
    said = []
    try:
        for line in up.stdout:
            said.append(line)
            if line.startswith("  or "):
                break
        up.send_signal(signal.SIGTERM)
        assert up.wait(LIMIT_S) == 0, said
    finally:
        up.kill()
        up.stdout.close()
    assert " chat --url " in said[-1]


def test_a_second_ctrl_c_says_that_it_was_stopped(start: Callable[..., Up]) -> None:
    up = start("--port", "0", terminal=True)
    up.wait_said("Antiphon is at")
    up.child("orchestrator").suspend()
    up.type("\x03")
    up.wait_said("once more to insist")
    up.type("\x03")
    assert up.ends() == 130


def test_killed_itself_it_leaves_nothing(start: Callable[..., Up]) -> None:
    up = start("--port", "0", "--json")
    up.wait_said(r'"event": "up"')
    for line in up.said.splitlines():
        json.loads(line)
    assert len(up.seen) >= 4
    up.process.kill()
    assert up.ends() == -9


def test_killed_while_it_starts_it_leaves_nothing(start: Callable[..., Up]) -> None:
    up = start("--port", "0")
    up.wait_said("registry is ready")
    up.process.kill()
    assert up.ends() == -9


def test_a_wrong_setting_ends_it_with_the_reason(start: Callable[..., Up]) -> None:
    up = start("--port", "0", config='[tts_worker]\nengine = "trumpet"\n')
    assert up.ends() == 78
    assert "trumpet" in up.said


def test_packages_in_the_users_folder_do_not_stand_in_for_ours(start: Callable[..., Up], tmp_path: Path) -> None:
    for name in ("antiphon", "asr", "base", "orchestrator", "registry", "tts_workers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n")
    up = start("--port", "0", config='[asr_worker]\nengine = "pocketsphinx"\ndecoders = 1\n')
    up.wait_said("asr-worker is ready")
    up.wait_said("Antiphon is at")
    assert not (tmp_path / "imported").exists()
    up.process.send_signal(signal.SIGTERM)
    assert up.ends() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the opener is xdg-open")
def test_at_a_terminal_enter_opens_the_page_and_ctrl_c_stops(start: Callable[..., Up], tmp_path: Path) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text(
        f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened.new"; mv "{tmp_path}/opened.new" "{tmp_path}/opened"\n'
    )
    opener.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    up = start("--port", "0", terminal=True, PATH=path, DISPLAY=":99")
    url = up.wait_said(r"Antiphon is at (http://\S+)")[1]
    up.wait_said("Enter opens it in your browser; Ctrl-C stops everything")
    up.wait_said(r"\r\x1b\[Kregistry ok · ")
    assert not (tmp_path / "opened").exists(), "it only offers"
    up.type("\n")
    deadline = time.monotonic() + LIMIT_S
    while not (tmp_path / "opened").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (tmp_path / "opened").read_text() == url
    up.type("\x03")
    assert up.ends() == 0
    assert "stopping" in up.said


def test_a_terminal_that_closes_stops_everything(start: Callable[..., Up]) -> None:
    up = start("--port", "0", terminal=True)
    up.wait_said("Antiphon is at")
    up.hang_up()
    assert up.ends() == 0


def test_the_example_of_a_brain_runs_as_it_is_written(start: Callable[..., Up], tmp_path: Path) -> None:
    readme, module = ((ROOT / "examples" / name).read_text() for name in ("README.md", "parrot_responder.py"))
    found = re.search(r"`(PYTHONPATH=examples [^`]+)`", readme)
    assert found
    assert found[1] in module
    settings = {"CONFIG": tmp_path / "my.toml", "UP_LOG_DIR": tmp_path, "UP_REGISTRY_PORT": 0, "ORCHESTRATOR_PORT": 0}
    env = {f"ANTIPHON_{name}": str(value) for name, value in settings.items()}
    up = start(line=found[1], ANTIPHON_VENV=sys.prefix, **env)
    url = up.wait_said(r"Antiphon is at (http://\S+)")[1]
    up.wait_said(r"brain  parrot_responder:Parrot")
    chat = [sys.executable, "-P", "-m", "antiphon", "chat", "--text", "--url", url]
    env = os.environ | {"PYTHONPATH": str(SRC)}
    said = subprocess.run(chat, input="Ahoy\n", env=env, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)
    assert "Ahoy! Ahoy! Polly wants a cracker." in said.stdout, said.stderr
    os.killpg(up.process.pid, signal.SIGTERM)  # the shell and what it runs
    assert up.ends() in (0, -signal.SIGTERM)


def test_who_answers_may_be_a_variable_and_is_checked(start: Callable[..., Up]) -> None:
    up = start("--port", "0", ANTIPHON_UP_RESPONDER="no_such_module:Parrot")
    assert up.ends() == 78
    assert "no_such_module:Parrot" in up.said
