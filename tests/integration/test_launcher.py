"""The launcher, on a tiny tree of its own with an empty lock: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LAUNCHER = Path(__file__).parents[2] / "antiphon"
TOOLS = ("sh", "cat", "cksum", "tr", "dirname", "readlink", "mkdir", "rm", "rmdir", "mv", "sleep", "find", "uname")
TOOLS += ("id", "grep", "tail", "ps", "touch")
MAIN = "import os, sys\nprint('ran', os.getcwd(), sys.argv[1:], sys.version_info[1])\nsys.exit(7)\n"


class Tree:
    """A checkout with nothing in it but the launcher, and a PATH on which only what we put is a Python."""

    def __init__(self, place: Path, venv: Path) -> None:
        """`venv`: what a Python here makes others from."""
        self.venv = venv
        self.root = place / "a tree"
        (self.root / "src" / "antiphon").mkdir(parents=True)
        (self.root / "src" / "antiphon" / "__main__.py").write_text(MAIN)
        shutil.copy(LAUNCHER, self.root / "antiphon")
        for lock in ("requirements.lock", "requirements-dev.lock"):
            (self.root / lock).write_text("# empty\n")
        self.bin = place / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)
        self.env = {"PATH": str(self.bin), "HOME": str(place), "LANG": "C.UTF-8"}

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def real_python(self, name: str = "python3") -> None:
        copy = f'[ "$1 $2" != "-m venv" ] || exec {shutil.which("cp")} -Rp "{self.venv}/." "$3"'
        self.program(name, f'{copy}; exec "{sys.executable}" "$@"')

    def start(self, *args: str, cwd: Path | None = None, script: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(script or self.root / "antiphon"), *args],
            env=self.env,
            cwd=cwd or self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, cwd: Path | None = None, script: Path | None = None) -> tuple[int, str, str]:
        process = self.start(*args, cwd=cwd, script=script)
        out, err = process.communicate(timeout=200)
        return process.returncode, out, err

    def leftovers(self) -> list[str]:
        return [p.name for p in self.root.iterdir() if ".lock" in p.name and p.name.startswith(".venv")]


def slowly(words: str, started: Path) -> str:
    """A Python that takes a minute for what begins with these words; who it is stands in `started` meanwhile."""
    # A shell that forks may miss a SIGINT in between; a Python does not. So: one process.
    wait = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    python = f'exec "{sys.executable}"'
    return f'case "$*" in "{words}"*) {python} -c "{wait}" "$0" "$@";; esac; {python} "$@"'


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


PIP = """import pathlib, sys
lock = pathlib.Path(sys.argv[sys.argv.index("-r") + 1])
missing = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
sys.exit(f"no such thing: {missing}" if missing else 0)
"""
"""It installs nothing. The true one takes a second for that, and seconds to be installed itself."""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python3*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").touch()
    (packages / "pip" / "__main__.py").write_text(PIP)
    return place


@pytest.fixture
def tree(tmp_path: Path, venv: Path) -> Tree:
    return Tree(tmp_path, venv)


def test_makes_the_venv_once_then_runs_in_the_callers_directory(tree: Tree, tmp_path: Path) -> None:
    # A pyenv shim of a newer version that only complains comes first on PATH.
    tree.program("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    tree.program("python3", f'exec "{sys.executable}" "$@"')  # a true one, with a true pip
    link = tmp_path / "my link"
    link.symlink_to(tree.root / "antiphon")
    code, out, err = tree.run("say", "two words", cwd=tmp_path, script=link)
    assert code == 7, err
    assert out == f"ran {tmp_path} ['say', 'two words'] {sys.version_info[1]}\n"
    assert "making" in err
    assert tree.leftovers() == []

    code, out, err = tree.run("again")
    assert (code, err) == (7, ""), "the second start installs nothing and says nothing"

    (tree.root / "requirements.lock").write_text("# changed\n")
    code, out, err = tree.run("again")
    assert code == 7
    assert "ready" in err, "a changed lock is installed"


def test_an_extra_is_installed_and_remembered(tree: Tree) -> None:
    tree.real_python()
    lock = tree.root / "requirements-organ.lock"
    lock.write_text("# pipes\n")
    log = tree.root / ".venv" / "antiphon-install.log"
    state = tree.root / ".venv" / "antiphon-state"

    code, out, err = tree.run("install", "harp")
    assert (code, out) == (69, "")
    assert err.splitlines() == ["antiphon: there is no extra 'harp' to install; there are:", "    organ "]
    assert tree.run("install")[0] == 69
    assert not state.exists(), "nothing was made for nothing"

    code, out, err = tree.run("install", "organ")
    assert (code, out) == (0, "")
    assert err.endswith("antiphon: installed: organ\n")
    assert " organ " in state.read_text()
    for again in (["install", "organ"], ["up"]):
        code, _, err = tree.run(*again)
        assert code == (7 if again == ["up"] else 0)
        assert "ready" not in err, "it is there already"

    for changed in (lock, tree.root / "requirements.lock"):
        changed.write_text("# changed\n")
        log.write_text("")
        code, _, err = tree.run("up")
        assert (code, "ready" in err) == (7, True), err
        assert " organ " in state.read_text(), "what was asked for once is there with the new locks, too"

    lock.unlink()
    code, _, err = tree.run("up")
    assert (code, err) == (7, ""), "an extra that is no more is no reason to install"


@pytest.mark.parametrize("cut", ["making organ\n", None])
def test_extras_come_back_with_a_new_venv(tree: Tree, cut: str | None) -> None:
    tree.real_python()
    (tree.root / "requirements-organ.lock").write_text("# pipes\n")
    assert tree.run("install", "organ")[0] == 0
    state = tree.root / ".venv" / "antiphon-state"
    if cut:
        state.write_text(cut)
    else:
        (tree.root / ".venv" / "bin" / "python").unlink()
    code, _, err = tree.run("up")
    assert code == 7, err
    assert "making" in err
    assert " organ " in state.read_text()


def test_an_extra_that_cannot_be_installed_is_no_burden(tree: Tree) -> None:
    tree.real_python()
    assert tree.run("up")[0] == 7
    (tree.root / "requirements-organ.lock").write_text("./no-such-thing.whl\n")
    assert tree.run("install", "organ")[0] == 69
    code, _, err = tree.run("up")
    assert code == 7, err
    assert "organ" not in (tree.root / ".venv" / "antiphon-state").read_text()


def test_tests_and_extras_keep_each_other(tree: Tree) -> None:
    tree.real_python()
    (tree.root / "requirements-organ.lock").write_text("# pipes\n")
    state = tree.root / ".venv" / "antiphon-state"
    for commands in (["dev", "python", "--version"], ["install", "organ"], ["up"], ["dev", "python", "--version"]):
        tree.run(*commands)
    has = state.read_text().split()
    assert has[::2] == ["base", "dev", "organ"]
    assert tree.run("dev", "python", "--version")[2] == ""


def test_a_moved_tree_is_found_again(tree: Tree, tmp_path: Path) -> None:
    tree.real_python()
    assert tree.run()[0] == 7
    moved = tmp_path / "moved"
    tree.root.rename(moved)
    tree.root = moved
    code, _, err = tree.run(cwd=tmp_path)
    assert code == 7, err


def test_an_interrupted_installation_is_started_afresh(tree: Tree) -> None:
    tree.real_python()
    venv = tree.root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / "antiphon-state").write_text("making\n")
    code, _, err = tree.run()
    assert code == 7, err
    assert "interrupted" in err


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_killed_while_installing_recovers(tree: Tree, sig: signal.Signals) -> None:
    slow = tree.bin / "slow"
    tree.program("python3", slowly("-m venv", slow))
    process = tree.start()
    until(slow.exists)
    os.killpg(process.pid, sig)
    process.communicate(timeout=60)
    tree.real_python()
    code, _, err = tree.run()
    assert code == 7, err
    assert tree.leftovers() == []


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_what_installs_ends_with_the_launcher_or_before_the_next_start_installs(
    tree: Tree, sig: signal.Signals
) -> None:
    tree.real_python()
    assert tree.run()[0] == 7
    (tree.root / "requirements.lock").write_text("# changed\n")
    slow = tree.bin / "slow"
    python = tree.root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f"#!/bin/sh\n{slowly('-m pip', slow)}\n")
    python.chmod(0o755)
    process = tree.start()
    until(lambda: slow.exists() and slow.read_text() != "")
    pip = int(slow.read_text())
    assert is_alive(pip)
    began = time.monotonic()
    process.send_signal(sig)
    assert process.wait(30) == (143 if sig == signal.SIGTERM else -sig)
    if sig == signal.SIGTERM:
        assert time.monotonic() - began < 20, "nobody waits for the end of the installation"
        assert not is_alive(pip)
        assert tree.leftovers() == []
    code, _, err = tree.run()
    assert code == 7, err
    assert not is_alive(pip)
    assert tree.leftovers() == []
    process.communicate(timeout=60)


def test_a_place_that_may_not_be_written_to_is_said_at_once(tree: Tree, tmp_path: Path) -> None:
    # Also root cannot make a folder in /proc.
    place = Path("/proc") if sys.platform == "linux" else tmp_path / "closed"
    place.mkdir(mode=0o555, exist_ok=True)
    tree.real_python()
    tree.env["ANTIPHON_VENV"] = str(place / "venv")
    code, out, err = tree.run("--version")
    assert (code, out) == (69, "")
    assert err == f"antiphon: cannot write to {place}; set ANTIPHON_VENV to a place you may write\n"


def test_the_source_is_the_clones_own_whoever_shares_its_venv(tree: Tree, tmp_path: Path) -> None:
    child = "import sys\nif len(sys.argv) > 1:\n    print(__file__)\n    sys.exit()\nprint('up', flush=True)\ninput()\n"
    child += "import subprocess\nsubprocess.run([sys.executable, '-P', '-m', 'antiphon', 'service'])\n"
    tree.real_python()
    tree.env["ANTIPHON_VENV"] = str(tmp_path / "shared")
    main = tree.root / "src" / "antiphon" / "__main__.py"
    main.write_text(child)
    other = tmp_path / "other"
    shutil.copytree(tree.root, other)
    up = subprocess.Popen(
        [str(tree.root / "antiphon")], env=tree.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert up.stdout is not None
    assert up.stdout.readline() == "up\n"
    _, out, _ = tree.run("service", script=other / "antiphon")
    assert out == f"{other / 'src' / 'antiphon' / '__main__.py'}\n"
    assert up.communicate("\n", timeout=60)[0] == f"{main}\n"


def test_a_dev_set_that_cannot_be_installed_leaves_the_base(tree: Tree) -> None:
    tree.real_python()
    assert tree.run()[0] == 7
    (tree.root / "requirements-dev.lock").write_text("./no-such-thing.whl\n")
    assert tree.run("test")[0] == 69
    code, _, err = tree.run()
    assert (code, err) == (7, ""), "nothing is made afresh"


def test_two_starts_at_once_make_one_venv(tree: Tree) -> None:
    tree.real_python()
    starts = [tree.start(str(i)) for i in range(4)]
    results = [(s.communicate(timeout=200), s.returncode) for s in starts]
    assert [code for _, code in results] == [7] * 4, results
    assert sum("making" in err for (_, err), _ in results) == 1
    assert tree.leftovers() == []


def test_the_lock_of_a_dead_launcher_is_broken(tree: Tree) -> None:
    tree.real_python()
    dead = subprocess.Popen(["true"])
    dead.wait()
    lock = tree.root / ".venv.lock"
    lock.mkdir()
    (lock / "pid").write_text(f"{dead.pid}\n")
    assert tree.run()[0] == 7


@pytest.mark.parametrize(
    ("answer", "packager", "says", "helps"),
    [
        ("old 3.9", "apt-get", "here is 3.9", "apt install python3.13-venv"),
        ("new 3.14", "brew", "here is 3.14", "brew install python@3.13"),
        ("new 3.14", "pacman", "here is 3.14", "pacman -S uv"),
        ("bare 3.11", "apt-get", "Python 3.11 is here but cannot make", "apt install python3.11-venv"),
        ("hole 3.12", "dnf", "pocketsphinx has no wheel", "dnf install python3.13"),
        ("", "", "no Python was found", "uv"),
    ],
)
def test_no_fitting_python_says_the_one_command_that_helps(
    tree: Tree, answer: str, packager: str, says: str, helps: str
) -> None:
    if answer:
        tree.program("python3", f"echo {answer}")
    if packager:
        tree.program(packager, "exit 0")
        tree.program("apt-cache", "exit 0")
    code, out, err = tree.run()
    assert code == 69
    assert out == ""
    assert says in err
    assert helps in err.splitlines()[-1]
    assert len(err.splitlines()) == 2
    assert tree.leftovers() == []


def test_without_a_python_uv_is_used(tree: Tree) -> None:
    tree.program(
        "uv",
        f'[ "$1" = --version ] && exit 0; [ "$1" = venv ] || exit 9; for place; do :; done; '
        f'exec {shutil.which("cp")} -Rp "{tree.venv}/." "$place"',
    )
    code, _, err = tree.run("x")
    assert code == 7, err
    assert "with uv" in err


def test_a_forced_python_is_taken_or_refused(tree: Tree) -> None:
    tree.real_python("mine")
    tree.program("python3", "echo old 3.6")
    tree.env["ANTIPHON_PYTHON"] = "python3"
    code, _, err = tree.run()
    assert code == 69
    assert "3.6" in err
    assert err.splitlines()[1].startswith("    curl "), "what helps"
    tree.real_python("python3.13")
    code, _, err = tree.run()
    assert code == 69
    assert err.splitlines()[1] == f"    export ANTIPHON_PYTHON='{tree.bin}/python3.13'"
    tree.env["ANTIPHON_PYTHON"] = "nowhere"
    assert "does not run" in tree.run()[2]
    tree.env["ANTIPHON_PYTHON"] = "mine"
    tree.env["ANTIPHON_VENV"] = str(tree.root.parent / "else where")
    assert tree.run()[0] == 7
    assert not (tree.root / ".venv").exists()
