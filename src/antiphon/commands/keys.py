"""`keys`: who may talk to a server here from elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antiphon import exits, options
from antiphon.output import is_terminal, print_json, printable, table
from base.errors import BadRequest

if TYPE_CHECKING:
    from orchestrator.keys import KeyRecord

FILE = click.option(
    "--file", default="", help="The file of keys.  [default: the orchestrator's keys_file, else what `up` uses]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="For scripts.")
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


@click.group(help="Access keys of the server here: make one, list them, end one. A running server notices by itself.")
def command() -> None:
    pass


@command.command(help="Make a key called NAME, and print it: this once, as only its hash is kept.")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, help="What it is good for: talk, token, monitor.  [default: talk and token]"
)
@click.option("--expires", default="", metavar="TIME", help="When it ends: 12h, 30d, 1y, or a day, 2027-01-31.")
@click.option("--sessions", type=click.IntRange(1), help="Sessions at once.")
@click.option("--per-minute", type=click.IntRange(1), help="Sessions opened a minute.")
@FILE
@JSON
def add(
    name: str,
    scopes: tuple[str, ...],
    expires: str,
    sessions: int | None,
    per_minute: int | None,
    file: str,
    as_json: bool,
) -> int:
    from orchestrator.key_file import KeyFile
    from orchestrator.keys import USUAL_SCOPES, KeyRecord, checked_scopes, clean_name

    now = time.time()
    called = clean_name(name)
    if not called:
        raise BadRequest(f"name {name!r} has nothing in it that can be printed")
    wanted = checked_scopes(scopes) if scopes else USUAL_SCOPES
    until = expiry(expires, now)

    def make(id: str, digest: str) -> KeyRecord:
        return KeyRecord(
            id, digest, called, now, scopes=wanted, expires=until, sessions=sessions, per_minute=per_minute
        )

    place = keys_path(file)
    first = not KeyFile(place).read().records
    key, record = KeyFile(place).add(make)
    if as_json:
        print_json({"key": key, **plain(record, now)})
        return exits.OK
    click.echo(key)
    click.echo(f"key {record.id} ({printable(record.name)}); it is not shown again. Its hash is in {place}", err=True)
    if first:
        click.echo(
            "from now on every session needs a key, those from this machine too, unless the orchestrator's without_key "
            'is "loopback"',
            err=True,
        )
    return exits.OK


@command.command("list", help="The keys there are, and the devices that were paired.")
@FILE
@JSON
def list_(file: str, as_json: bool) -> int:
    from orchestrator.key_file import KeyFile

    now = time.time()
    place = keys_path(file)
    records = KeyFile(place).read().records
    if as_json:
        print_json([plain(r, now) for r in records])
    elif records:
        headings = ("id", "name", "", "good for", "made", "ends", "limits")
        click.echo(table(headings, [_row(r, now) for r in records]))
    else:
        click.echo(f"there are no keys in {place}; `antiphon keys add NAME` makes one", err=True)
    return exits.OK


@command.command(help="End the key NAME (an id, or a name that only one has), and the sessions that it opened.")
@click.argument("name")
@click.option("--forget", is_flag=True, help="Take it off the list, too: who still uses it is told that it is unknown.")
@FILE
def revoke(name: str, forget: bool, file: str) -> int:
    from orchestrator.key_file import KeyFile

    now = time.time()
    record = KeyFile(keys_path(file)).change(lambda keys: keys.revoked(name, now, forget=forget))
    click.echo(f"{'forgot' if forget else 'revoked'} key {record.id} ({printable(record.name)})", err=True)
    return exits.OK


@command.command(help="Print a pairing code, with which one device gets a key of its own: once, within ten minutes.")
@click.option(
    "--minutes", type=click.FloatRange(0.1, 1440), default=10.0, show_default=True, help="How long it is good."
)
@FILE
@JSON
def pair(minutes: float, file: str, as_json: bool) -> int:
    from antiphon.lan.show import pairing_lines, pairing_url
    from antiphon.places import RunningFile
    from orchestrator.key_file import KeyFile

    now = time.time()
    code = KeyFile(keys_path(file)).offer_pairing(now, minutes * 60)
    running = RunningFile().read()
    url = running.lan if running else ""
    if as_json:
        print_json({"code": code, "expires": _iso(now + minutes * 60), "url": pairing_url(url, code) if url else ""})
        return exits.OK
    for line in pairing_lines(code, url, minutes * 60, picture=is_terminal(sys.stdout)):
        click.echo(line)
    return exits.OK


def keys_path(given: str, config: str | None = None) -> Path:
    """The file of keys: what was named, else the orchestrator's setting, else the one that `up` uses."""
    from antiphon.places import keys_file
    from orchestrator.settings import OrchestratorSettings

    if given:
        return Path(given)
    configured = options.load(OrchestratorSettings, "orchestrator", {}, config=config).keys_file
    return Path(configured) if configured else keys_file()


def expiry(text: str, now: float) -> float | None:
    """ "12h", "30d", "2027-01-31" (the day's end, UTC); empty: never. Raises BadRequest."""
    text = text.strip().lower()
    if not text:
        return None
    number, unit = text[:-1], text[-1]
    if unit in UNITS and number.isascii() and number.isdigit() and 0 < int(number) < 1_000_000:
        return now + int(number) * UNITS[unit]
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(
            f"--expires {text!r} is neither a time from now (12h, 30d, 1y) nor a day (2027-01-31)"
        ) from None
    end = day.timestamp() + UNITS["d"]
    if end <= now:
        raise BadRequest(f"--expires {text!r} is over already")
    return end


def plain(record: KeyRecord, now: float) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state(now),
        "device": record.device,
        "scopes": sorted(record.scopes),
        "created": _iso(record.created),
        "expires": _iso(record.expires),
        "revoked": _iso(record.revoked),
        "sessions": record.sessions,
        "per_minute": record.per_minute,
    }


def _row(record: KeyRecord, now: float) -> tuple[str, ...]:
    limits = [f"{record.sessions} at once"] if record.sessions is not None else []
    limits += [f"{record.per_minute} a minute"] if record.per_minute is not None else []
    state = record.state(now)
    kind = "device" if record.device else "key"
    return (
        record.id,
        record.name,
        kind if state == "good" else f"{kind}, {state}",
        " ".join(sorted(record.scopes)),
        _day(record.created),
        _day(record.expires) if record.expires is not None else "",
        ", ".join(limits),
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
