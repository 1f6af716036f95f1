"""A stand-in for W&B's server: as much of its protocol as wandb-core 0.31 needs to upload a run's history."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OWNER = {"id": "p", "name": "drive-rl", "entity": {"id": "e", "name": "me"}}


class _Handler(BaseHTTPRequestHandler):
    lines: dict[int, str]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if "graphql" in self.path:
            operation = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
            self._answer({"data": self._data(operation[1] if operation else "", body.get("variables") or {})})
            return
        history = body.get("files", {}).get("wandb-history.jsonl")
        if history:
            self.lines.update(enumerate(history["content"], history["offset"]))
        self._answer({})

    def _data(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        run = {"id": "b", "name": variables.get("name"), "displayName": "x", "config": "{}", "project": _OWNER}
        if operation == "UpsertBucket":
            return {"upsertBucket": {"bucket": run, "inserted": not self.lines}}
        if operation == "RunResumeStatus":
            tail = json.dumps([self.lines[max(self.lines)]]) if self.lines else "[]"
            known = {"historyLineCount": len(self.lines), "logLineCount": 0, "eventsLineCount": 0, "historyTail": tail}
            rest = {"summaryMetrics": "{}", "eventsTail": "[]", "tags": [], "wandbConfig": '{"t": 1}'}
            return {"model": _OWNER | {"bucket": (run | known | rest) if self.lines else None}}
        if operation == "CreateRunFiles":
            host = f"http://{self.headers['Host']}"
            files = [{"name": name, "uploadUrl": f"{host}/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {}

    def _body(self) -> Any:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        return json.loads(data) if self.command == "POST" else None

    def _answer(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def wandb_server() -> Iterator[tuple[str, dict[int, str]]]:
    """Yield the URL of a server, and the lines of history that it holds, by number."""
    lines: dict[int, str] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"lines": lines}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", lines
    finally:
        server.shutdown()
        server.server_close()
