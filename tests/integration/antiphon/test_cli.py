"""The command line as a process, and what its settings come to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from antiphon import exits
from antiphon.cli import COMMANDS, antiphon
from base import lifecycle

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "antiphon", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | env,
    )


def check_config(*arguments: str, **env: str) -> Result:
    """The same without a process of its own, which takes a second to start; the first of its tests have one."""
    return CliRunner().invoke(antiphon, ["check-config", *arguments], env=env, standalone_mode=False)


def help_of(command: str) -> str:
    """Without its spaces, which stand where lines break."""
    return re.sub(r"\s+", "", CliRunner().invoke(antiphon, [command, "--help"]).stdout)


def test_help_names_every_command_and_exit_code_and_loads_nothing_heavy() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    for code in exits.TABLE:
        assert re.search(rf"^ +{code}  ", done.stdout, re.MULTILINE)
    code = "import sys; sys.argv[1:] = ['--help']\ntry:\n from antiphon.cli import main; main()\n"
    code += "except SystemExit: print([m for m in ('grpc', 'numpy', 'aiohttp', 'asyncio') if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}
    )
    assert loaded.stdout.endswith("[]\n"), loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: antiphon {command}")


def test_every_setting_is_a_flag_and_a_variable() -> None:
    from antiphon.sections import sections
    from base.settings import describe

    commands = {"up": "up", "chat": "chat", "registry": "registry", "orchestrator": "orchestrator"}
    commands |= {"tts_worker": "tts-worker", "asr_worker": "asr-worker"}
    for section, type_ in sections().items():
        shown = help_of(commands[section])
        for row in describe(type_, section):
            assert row.flag in shown, row
            assert row.env in shown, row


def test_an_unknown_command_or_value_is_a_usage_error() -> None:
    assert run("sing").returncode == exits.USAGE
    assert run("say", "x", "--rate", "99").returncode == exits.USAGE


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "1.2.3", "localhost"])
@pytest.mark.parametrize("arguments", [("voices",), ("workers",), ("say", "x", "-o", "x.wav")], ids=lambda a: a[0])
def test_an_address_that_cannot_be_one_is_a_usage_error(arguments: tuple[str, ...], address: str) -> None:
    # One as a process; how it comes to an exit code is the same for all.
    if arguments[0] == "voices" and address == "1.2.3":
        done = run(*arguments, "--registry", address)
        assert done.returncode == exits.USAGE, done
        assert "is not host:port" in done.stderr
        return
    result = CliRunner().invoke(antiphon, [*arguments, "--registry", address])
    assert result.exit_code == exits.USAGE, result.output
    assert "is not host:port" in result.stderr


def test_ctrl_c_while_it_still_loads_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = run("voices", PYTHONPATH=os.pathsep.join((str(tmp_path), str(ROOT / "src"))))
    assert (done.returncode, done.stdout, done.stderr) == (exits.STOPPED, "", "")


def test_exit_codes_are_the_services_own() -> None:
    assert (exits.OK, exits.FAILURE, exits.USAGE) == (lifecycle.EXIT_OK, lifecycle.EXIT_FAULT, lifecycle.EXIT_USAGE)
    assert exits.UNAVAILABLE == lifecycle.EXIT_UNAVAILABLE
    assert exits.MISCONFIGURED == lifecycle.EXIT_MISCONFIGURED
    assert exits.STOPPED == lifecycle.EXIT_STOPPED
    assert exits.RESTART_ME == lifecycle.EXIT_WEDGED


def test_check_config_says_what_holds_and_from_where(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    file.write_text('[registry]\nport = 6001\n[chat]\nkey = "very secret"\n')
    done = run("check-config", "--json", cwd=tmp_path, ANTIPHON_ORCHESTRATOR_PORT="9999")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    values = {(s["section"], v["name"]): v for s in report["sections"] for v in s["values"]}
    assert values["registry", "port"]["value"] == 6001
    assert str(file.name) in values["registry", "port"]["source"]
    assert values["orchestrator", "port"]["source"] == "ANTIPHON_ORCHESTRATOR_PORT"
    assert values["up", "open"]["source"] == "default"
    assert "very secret" not in done.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[registry]\nprot = 1\n", "did you mean 'port'"),
        ("[regestry]\n", "did you mean 'registry'"),
        ("[up]\ntts_workers = -1\n", "at least 0"),
        ("nonsense", "not TOML"),
        ('[orchestrator]\nresponder = "openai"\nllm_url = "nonsense"\n', "no address, such as http"),
    ],
)
def test_check_config_finds_what_is_wrong(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "my.toml"
    file.write_text(content)
    done = check_config(str(file))
    assert done.return_value == exits.MISCONFIGURED
    assert says in done.stderr


def test_a_missing_config_file_is_said() -> None:
    done = run("check-config", ANTIPHON_CONFIG="/nowhere.toml")
    assert done.returncode == exits.MISCONFIGURED
    assert "ANTIPHON_CONFIG names '/nowhere.toml'" in done.stderr


def test_the_example_configuration_is_current_and_valid_and_every_line_of_it_is_a_setting(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, str(ROOT / "scripts/gen_config_example.py"), "--check"]).returncode == 0
    example = (ROOT / "configs" / "antiphon.toml").read_text()
    file = tmp_path / "all.toml"
    file.write_text(re.sub(r"^# (\w+ = )", r"\1", example, flags=re.MULTILINE))
    done = run("check-config", str(file), "--json")
    assert done.returncode == 0, done.stderr
    from_file = [v for s in json.loads(done.stdout)["sections"] for v in s["values"] if v["source"] != "default"]
    assert len(from_file) > 50


def test_nothing_runs_is_said_in_one_line_and_with_a_code() -> None:
    for arguments in (("voices",), ("workers",), ("say", "x", "-o", "x.wav")):
        done = run(*arguments, "--registry", "127.0.0.1:1")
        assert done.returncode == exits.UNAVAILABLE, done
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_service_announces_itself_and_ends_with_its_parent() -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "antiphon", "registry", "--port", "0", "--announce-ready", "--parent-watch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    said = json.loads(process.stdout.readline())
    assert said["kind"] == "registry"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", said["ready"])
    process.stdin.close()
    process.wait(30)


def in_a_shell(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"'{sys.executable}' -P -m antiphon {words}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )


@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_reader_that_goes_away_is_no_error(reader: str) -> None:
    done = in_a_shell(f"check-config | {reader}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_no_room_for_the_output_is_said_in_one_line() -> None:
    done = in_a_shell("check-config > /dev/full")
    assert done.stderr == "antiphon: cannot write the output: No space left on device\n"
    assert done.returncode == exits.FAILURE


def test_every_flag_is_a_variable_that_its_help_shows() -> None:
    from antiphon.cli import variables

    context = click.Context(antiphon)
    by_programs = {"announce_ready", "parent_watch"}
    for name in COMMANDS:
        command = antiphon.get_command(context, name)
        assert command is not None
        shown = help_of(name)
        for option in command.params:
            if not isinstance(option, click.Option) or option.name in by_programs:
                continue
            known = option.envvar or re.search(r"\[env: (\w+)", option.help or "")
            assert known, (name, option)
            assert (known if isinstance(known, str) else known[1]) in shown, (name, option)
    assert {"ANTIPHON_CHAT_JSON", "ANTIPHON_CHAT_WAV", "ANTIPHON_UP_JSON", "ANTIPHON_SAY_OUT"} <= variables()


def test_a_flags_variable_counts_and_is_no_unknown_setting() -> None:
    assert json.loads(run("check-config", ANTIPHON_CHECK_CONFIG_JSON="1").stdout)["ok"] is True
    done = run("check-config", ANTIPHON_CHAT_TEXT="1", ANTIPHON_UP_JSON="1", ANTIPHON_CHAT_PROT="1")
    assert done.stderr == "warning: ANTIPHON_CHAT_PROT is set, but is not a setting\n"


@pytest.mark.parametrize(
    ("content", "service", "says"),
    [
        ('[orchestrator]\nlog_level = "loud"\n', "orchestrator", "one of debug, info, warning, error"),
        ('[orchestrator]\nresponder = "nobody"\n', "orchestrator", "responder 'nobody' is not here"),
        ('[orchestrator]\nresponder = "json:no_such"\n', "orchestrator", "responder 'json:no_such' cannot be loaded"),
        ('[orchestrator]\nregistry = "1.2.3"\n', "orchestrator", "is not host:port"),
        ('[orchestrator]\naccess_key_file = "nowhere"\n', "orchestrator", "access_key_file 'nowhere' cannot be read"),
        ('[tts_worker]\nengine = "trumpet"\n', "tts-worker", "engine 'trumpet'; there are"),
        ('[tts_worker]\nengine = "json:no_such"\n', "tts-worker", "engine 'json:no_such' of model 'json:no_such'"),
        ('[tts_worker]\nengine = "no_such.module:X"\n', "tts-worker", "No module named 'no_such'"),
        ('[tts_worker]\nengine = "sine"\ndefault_model = "x"\n', "tts-worker", "which is none of the models: sine"),
        ('[tts_worker]\nregistry = "127.0.0.1:99999"\n', "tts-worker", "is not host:port"),
        ('[asr_worker]\nregistry = "1.2.3"\n', "asr-worker", "is not host:port"),
    ],
)
def test_what_a_service_refuses_check_config_finds_as_well(
    tmp_path: Path, content: str, service: str, says: str
) -> None:
    file = tmp_path / "my.toml"
    file.write_text(content)
    checked = check_config(str(file))
    assert checked.return_value == exits.MISCONFIGURED, checked.output
    assert says in checked.stderr
    done = run(service, "--config", str(file), "--port", "0", cwd=tmp_path)
    assert done.returncode == exits.MISCONFIGURED, done
    assert says in done.stderr
    assert "Traceback" not in done.stderr
