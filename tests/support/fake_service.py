"""A service as `up` sees one: says that it is ready, serves until SIGTERM, dies with its parent. Run as a script.

    fake_service.py KIND [--needs ADDRESS] [--exit CODE] [--crash-after-ready] [--deaf] [--grandchild FILE] [--silent]

It needs nothing of ours, so it starts at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("--exit", type=int, help="end with this code before being ready")
    parser.add_argument(
        "--crash-once", help="a file; if it is not there, it is made and this process crashes once ready"
    )
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM and the end of standard input")
    parser.add_argument("--grandchild", help="start a process that heeds nothing, and write its id to this file")
    parser.add_argument("--started", help="append our process id to this file")
    parser.add_argument("--silent", action="store_true", help="never say that it is ready")
    arguments = parser.parse_args()
    if arguments.started:
        with open(arguments.started, "a") as file:
            file.write(f"{os.getpid()}\n")
    print(f"{arguments.kind} says hello", file=sys.stderr, flush=True)
    if arguments.exit is not None:
        print(f"{arguments.kind} cannot go on", file=sys.stderr, flush=True)
        sys.exit(arguments.exit)
    if arguments.grandchild:
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", deaf])
        with open(arguments.grandchild, "w") as file:
            file.write(f"{child.pid}\n")
    if arguments.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if not arguments.silent:
        print(json.dumps({"ready": "127.0.0.1:1", "kind": arguments.kind}), flush=True)
    if arguments.crash_once and not os.path.exists(arguments.crash_once):
        open(arguments.crash_once, "w").close()
        print(f"{arguments.kind} has an accident", file=sys.stderr, flush=True)
        os._exit(3)
    while True:
        time.sleep(600)


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
