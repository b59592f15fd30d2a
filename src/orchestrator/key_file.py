"""The file of keys on disk: read whole, changed under a lock, replaced in one step, readable by its owner alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from base.errors import Misconfigured, NotFound
from orchestrator.keys import DEVICE_SCOPES, KeyRecord, Keys, code_text, digest, encode, key_text, parse

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""By which a change is noticed: inode, size, time of change."""


class KeyFile:
    """See the module. One that does not exist holds no keys yet. Blocks; every method may raise Misconfigured."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> Stamp | None:
        """None where there is no file."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self) -> Keys:
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return Keys()
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            return parse(content)
        except Misconfigured as error:
            raise Misconfigured(f"keys_file {str(self.path)!r}: {error.message}", reason=error.reason) from error

    def change(self, how: Callable[[Keys], tuple[Keys, T]]) -> T:
        """What `how` makes of the keys is kept; nobody else changes them meanwhile. Returns what `how` says besides."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                before = self.read()
                after, said = how(before)
                if after != before:
                    self._replace(encode(after))
                return said
        except OSError as error:
            raise Misconfigured(
                f"keys_file {str(self.path)!r} cannot be changed: {error.strerror}", reason="BAD_KEYS_FILE"
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # A file of its own: the keys' is replaced, and a lock on what was replaced holds nobody off.
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _replace(self, content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name + ".")  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "wb") as new:
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
            os.replace(name, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _unreadable(self, error: OSError) -> Misconfigured:
        return Misconfigured(f"keys_file {str(self.path)!r} cannot be read: {error.strerror}", reason="BAD_KEYS_FILE")

    # --- what takes chance ---------------------------------------------------------------------------------------

    def add(self, make: Callable[[str, str], KeyRecord]) -> tuple[str, KeyRecord]:
        """A new key, which is nowhere but in the answer. `make` gets its id and digest."""
        key = key_text(secrets.token_bytes(32))
        record = make(secrets.token_hex(4), digest(key))
        self.change(lambda keys: (keys.with_key(record), None))
        return key, record

    def offer_pairing(self, now: float, good_s: float) -> str:
        """A new pairing code, as it is shown."""
        code = code_text(secrets.token_bytes(5))
        self.change(lambda keys: (keys.with_pairing(code, now + good_s, now), None))
        return code

    def pair(self, code: str, name: str, now: float) -> tuple[str, KeyRecord]:
        """Exchanges a pairing code for a device's own key. Raises NotFound."""
        key = key_text(secrets.token_bytes(32))

        def use(keys: Keys) -> tuple[Keys, KeyRecord]:
            if not keys.is_pairing(code, now):
                raise NotFound(
                    "no such pairing code; it may have been used, or its time is over", reason="PAIRING_UNKNOWN"
                )
            record = KeyRecord(secrets.token_hex(4), digest(key), name, now, scopes=DEVICE_SCOPES, device=True)
            return keys.without_pairing(code).with_key(record), record

        return key, self.change(use)


def access_keys(path: str) -> tuple[str, ...]:
    """Those of an `access_key_file`, as they are, one a line. Raises Misconfigured for a file without any."""
    if not path:
        return ()
    try:
        keys = tuple(line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"access_key_file {path!r} cannot be read: {error}") from error
    if not keys:
        raise Misconfigured(f"access_key_file {path!r} has no key in it; write one a line, or leave the setting empty")
    return keys
