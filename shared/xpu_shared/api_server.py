"""One request at a time to the Kubernetes API server, as a pod's service account.

A program that writes a few labels or an Event needs no client library of 60 MiB: this is Python's own HTTPS. Requests
block; callers that have an event loop make them in a thread. The token is read for each request, because the kubelet
renews it, and appears in no error.
"""

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpu_shared.node_name import is_node_name as is_node_name  # noqa: PLC0414 - for those who ask and request

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes; a node with many images is some 100 KiB
LARGEST_TOKEN = 64 * 1024
LONGEST_TEXT = 256  # characters of a server's words in an error

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

CONFLICT, TOO_MANY = 409, 429
REDIRECTIONS, SERVER_ERRORS = 300, 500


class NoApiServerError(Exception):
    """There is no API server to ask: the program does not run in a pod with a service account. The text says why."""


class ApiError(Exception):
    """A request that failed.

    Attributes:
        status: of HTTP; None when there was no answer.
        worth_repeating: whether the same request may succeed a little later.
    """

    def __init__(self, request: str, problem: str, *, status: int | None = None) -> None:
        super().__init__(f"{request}: {problem}")
        self.status = status
        # Also when the answer to a request that succeeded cannot be read: a proxy has cut it off.
        self.worth_repeating = (
            status is None or status < REDIRECTIONS or status in (CONFLICT, TOO_MANY) or status >= SERVER_ERRORS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    host: str
    port: int
    service_account: Path = SERVICE_ACCOUNT

    @staticmethod
    def of_this_pod(
        environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
    ) -> "ApiServer":
        """The API server that the kubelet told this pod of.

        Raises:
            NoApiServerError: it told none, or the pod has no service account's token.
        """
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise NoApiServerError("KUBERNETES_SERVICE_HOST is not set: expected to run in a pod")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise NoApiServerError(f"KUBERNETES_SERVICE_PORT={port[:32]!a}: expected a port number")
        for name in ("token", "ca.crt"):
            if not (service_account / name).is_file():
                raise NoApiServerError(f"there is no {service_account / name}: the pod has no service account's token")
        return ApiServer(host=host, port=int(port), service_account=service_account)

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = JSON, timeout: float = 10.0
    ) -> Any:
        """The JSON of the answer. Blocks for up to about `timeout` seconds.

        Raises:
            ApiError: no answer, one that is no JSON or too long, or a status other than 2xx.
        """
        asked = f"{method} {path}"
        try:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self._context())
            try:
                headers = {"Authorization": f"Bearer {self._token()}", "Accept": JSON, "Content-Type": content_type}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = connection.getresponse()
                answer = response.read(LARGEST_ANSWER + 1)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last one: a host that can be none
            raise ApiError(asked, f"no answer from {self.host}:{self.port}: {error or type(error).__name__}") from None
        if len(answer) > LARGEST_ANSWER:
            raise ApiError(asked, f"an answer of more than {LARGEST_ANSWER} bytes", status=response.status)
        if not 200 <= response.status < 300:
            said = _message(answer)
            raise ApiError(asked, f"HTTP status {response.status} {response.reason}: {said}", status=response.status)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise ApiError(asked, "an answer that is no JSON", status=response.status) from None

    def _token(self) -> str:
        with (self.service_account / "token").open(encoding="ascii", errors="replace") as file:
            token = file.read(LARGEST_TOKEN).strip()
        if not token or not all("!" <= character <= "~" for character in token):
            raise OSError(None, f"{self.service_account / 'token'} holds no token")
        return token

    def _context(self) -> ssl.SSLContext:
        """Trusts the cluster's authority only; read again for each request, because it may be replaced."""
        authority = self.service_account / "ca.crt"
        try:
            context = ssl.create_default_context(cafile=str(authority))
        except ssl.SSLError as error:
            raise OSError(None, f"{authority} holds no certificate: {error.reason or error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _message(answer: bytes) -> str:
    """What a Status object says, else the beginning of the text; one line of printable characters."""
    text = answer.decode("utf-8", "replace")
    try:
        status = json.loads(text)
        text = str(status["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return "".join(character if character.isprintable() else " " for character in text[:LONGEST_TEXT]).strip()
