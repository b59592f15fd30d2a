"""A page of another site with Antiphon in it. This is that site: it serves the page and mints a token for each visitor.

The access key stays here; a visitor gets a token that is good for minutes. See docs/web.md.

    ANTIPHON_KEY=antiphon_… python examples/embed/backend.py     # then open http://127.0.0.1:8000/
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

ANTIPHON, KEY = os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8765"), os.environ.get("ANTIPHON_KEY", "")
PAGE = (Path(__file__).parent / "index.html").read_text().replace("http://127.0.0.1:8765", ANTIPHON)


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(PAGE.encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:  # /token: your own check of who asks belongs here
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {KEY}"} if KEY else {})
        with urlopen(Request(f"{ANTIPHON}/v1/token", json.dumps({}).encode(), headers), timeout=10) as token:
            self.answer(token.read(), "application/json")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Site).serve_forever()
