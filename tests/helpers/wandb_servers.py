"""Servers that W&B's own client talks to in the tests: one that is silent, one that answers."""

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes every connection and never says a word."""
    kept = []

    def accept() -> None:
        while True:
            try:
                kept.append(server.accept())
            except OSError:
                return

    with closing(socket.create_server((HOST, 0), backlog=64)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://{HOST}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for connection, _ in kept:
        connection.close()


def closed_port() -> str:
    """An address where nobody listens."""
    with closing(socket.create_server((HOST, 0))) as server:
        return f"http://{HOST}:{server.getsockname()[1]}"


def upload(files: list[Path], server: "Answering") -> None:
    """``wandb sync`` what is on disk."""
    environment = os.environ | {"WANDB_BASE_URL": server.address}
    command = [Path(sys.executable).with_name("wandb"), "sync", "--include-online", *files]
    folder = files[0].parent
    subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, timeout=30
    )


class Answering(ThreadingHTTPServer):
    """As much of a W&B server as beginning, logging, continuing and syncing a run needs.

    Attributes:
        runs: what each run began with, by id, once for every time that it began.
        rows: the history of each run, line by line.
        requests: how many have come.
        falls_silent: once a run has begun, nothing is answered any more.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, falls_silent: bool = False) -> None:
        super().__init__((HOST, 0), _Handler)
        self.address = f"http://{HOST}:{self.server_port}"
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.rows: dict[str, dict[int, dict[str, Any]]] = {}
        self.requests = 0
        self.falls_silent = falls_silent
        self.silence = threading.Event()  # set at the end only

    def __enter__(self) -> "Answering":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.silence.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """W&B hangs up as it likes; nobody needs to read about it."""

    def query(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """The answer to a GraphQL request; artifacts, which tables become, are refused."""
        run = given.get("name", "")
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
        bucket = {"id": f"b{run}", "name": run, "displayName": run, "project": project}
        lines = self.rows.get(run, {})
        bucket |= {"historyLineCount": len(lines), "eventsLineCount": 0, "logLineCount": 0}
        if name == "UpsertBucket":
            if given.get("displayName"):
                self.runs.setdefault(run, []).append(given)
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if name == "RunResumeStatus":
            tail = json.dumps([json.dumps(lines[max(lines)])] if lines else [])
            bucket |= {"historyTail": tail, "eventsTail": "[]", "summaryMetrics": "{}"}
            bucket |= {"config": "{}", "tags": [], "wandbConfig": '{"t": 1}'}
            return {"data": {"model": project | {"bucket": bucket if run in self.runs else None}}}
        if name == "CreateRunFiles":
            urls = [{"name": f, "uploadUrl": f"{self.address}/{f}"} for f in given["files"]]
            files = {"runID": "b", "uploadHeaders": [], "files": urls}
            return {"data": {"createRunFiles": files}}
        if name in ("ServerFeaturesQuery", "Viewer"):
            return {"data": {"serverInfo": {"features": []}, "viewer": {"id": "v", "entity": "e"}}}
        return {"errors": [{"message": f"no {name} here"}]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def log_message(self, *_: Any) -> None:
        """No news is good news."""

    def answer(self) -> None:
        self.server.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.falls_silent and self.server.runs:
            self.server.silence.wait()
        content: dict[str, Any] = {}
        if self.path.endswith("/graphql"):
            asked = json.loads(body)
            given = asked.get("variables") or {}
            content = self.server.query(asked.get("operationName", ""), given)
        elif self.path.endswith("/file_stream"):
            history = json.loads(body).get("files", {}).get("wandb-history.jsonl")
            rows = self.server.rows.setdefault(self.path.split("/")[-2], {})
            for index, line in enumerate(history["content"] if history else []):
                rows[history["offset"] + index] = json.loads(line)
        reply = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_PUT = do_POST = answer  # noqa: N815
