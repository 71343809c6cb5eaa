"""An API server in miniature: real HTTPS, nodes in memory, answers that tests choose."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import trustme

from xpu_shared.api_server import ApiServer

TOKEN = "secret-token"
EVENTS = "/api/v1/namespaces/default/events"


class MiniatureApi:
    """Serves GET, merge and JSON PATCH of nodes, POST and PATCH of Events. `answers` come first, one a request."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}  # by name, in the order of their creation
        self.answers: list[tuple[int, bytes]] = []  # status and body
        self.requests: list[tuple[str, str, str | None, Any]] = []  # method, path, content type, body
        self.tokens: list[str | None] = []

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        if self.answers:
            return self.answers.pop(0)
        if path.startswith(EVENTS):
            return self._event(method, path.removeprefix(EVENTS).removeprefix("/"), body)
        node = self.nodes.get(path.removeprefix("/api/v1/nodes/").removesuffix("/status"))
        if node is None:
            return 404, json.dumps({"kind": "Status", "message": f"{path} not found"}).encode()
        if method == "PATCH" and isinstance(body, list):
            for operation in body:
                *parents, key = (part.replace("~1", "/") for part in operation["path"].split("/")[1:])
                place = node
                for parent in parents:
                    place = place[parent]
                if operation["op"] == "add":
                    place[key] = operation["value"]
                else:
                    del place[key]
        elif method == "PATCH":
            labels = node["metadata"].setdefault("labels", {})
            for key, value in body["metadata"]["labels"].items():
                labels.pop(key, None)
                if value is not None:
                    labels[key] = value
        return 200, json.dumps(node).encode()

    def _event(self, method: str, name: str, body: Any) -> tuple[int, bytes]:
        if method == "POST":
            self.events[body["metadata"]["name"]] = body
        elif name not in self.events:
            return 404, json.dumps({"kind": "Status", "message": f'events "{name}" not found'}).encode()
        else:
            self.events[name].update(body)
        return 200, json.dumps(self.events.get(name, body)).encode()


@contextmanager
def serving(directory: Path, *, name: str = "localhost") -> Iterator[tuple[MiniatureApi, ApiServer]]:
    """A server, and the client of a pod whose service account is in `directory`."""
    miniature = MiniatureApi()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            miniature.requests.append((self.command, self.path, self.headers["Content-Type"], body))
            miniature.tokens.append(self.headers["Authorization"])
            status, answer = miniature.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PATCH = do_POST = _serve  # noqa: N815 - http.server's names

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(directory / "ca.crt")
    (directory / "token").write_text(f"{TOKEN}\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield miniature, ApiServer(host="localhost", port=server.server_port, service_account=directory)
        finally:
            server.shutdown()
            thread.join()
