"""Who may ask for what: every request is looked at before any route is, and refused unless all of it is in order."""

import hashlib
import hmac
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

__all__ = ["COOKIE", "HEADERS", "LARGEST_BODY", "TOKEN_HEADER", "Guard", "host_of"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TOKEN_HEADER = "x-quincunx-token"
COOKIE = "quincunx-assets"
LARGEST_BODY = 16 * 2**20
"""Bytes of a request's body; data of an experiment larger than this are told on the command line."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@/\s]+)(?::\d{1,5})?")
_LONGEST_PATH = 2048
_SAFE = ("GET", "HEAD")
_WRONG = 20
_MINUTE = 60.0

POLICY = "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'none'"
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""On every answer, refusals too."""


def host_of(text: str) -> str:
    """The name in a Host header, without its port; nothing for a header of another form.

    >>> host_of("localhost:8000"), host_of("[::1]:8000"), host_of("[::1].evil.com")
    ('localhost', '[::1]', '')
    """
    found = _HOST.fullmatch(text)
    return "" if found is None else found.group(1)


class Guard:
    """ASGI middleware that refuses by default.

    The Host must be one of `hosts` (a page elsewhere whose name was made to lead here is not); the browser must not say that another site
    asks; the token must come with the request: in a header for all under /api, and for the page's own files in a cookie that is good for
    nothing else. What changes anything must besides come from this very origin, as JSON. Only the door, which asks for the token, is open.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        token: str,
        hosts: Collection[str],
        door: Collection[str],
        session: str,
    ):
        self.app, self.token, self.door, self.session = app, token, frozenset(door), session
        self.hosts = frozenset(host.lower() for host in hosts)
        self.assets = assets_cookie(token)
        self.close: Callable[[], None] = lambda: None
        self._wrong: deque[float] = deque(maxlen=_WRONG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Nothing here speaks over web sockets; a handshake is closed before it is accepted.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        await self.app(scope, _limited(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, or None for a request that is in order."""
        headers = _headers(scope)
        if headers is None or "host" not in headers:
            return 400, "got a Host, Origin or token twice, or no Host; expected each once"
        if host_of(headers["host"]).lower() not in self.hosts:
            return 400, "got another Host than this studio's; open the address that was printed"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "another site asked for this; open the address that was printed"
        if len(scope["path"]) > _LONGEST_PATH:
            return 414, "got an address that is too long"
        if (
            headers.get("content-length", "0").isdigit() is False
            or int(headers.get("content-length", "0")) > LARGEST_BODY
        ):
            return (
                413,
                f"got more than {LARGEST_BODY // 2**20} MB; tell it on the command line: quincunx loop ... --tell FILE",
            )
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{headers['host']}":
            return 403, "got another Origin than this studio's; open the address that was printed"
        if scope["method"] not in _SAFE:
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return 415, "got another Content-Type than application/json"
            if origin is None and headers.get("sec-fetch-site") != "same-origin":
                return 403, "got neither an Origin nor Sec-Fetch-Site; expected this studio's own page"
        return self._token(scope, headers)

    def _token(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        path = scope["path"]
        if path in self.door or (path == self.session and scope["method"] == "POST"):
            return None
        if path.startswith("/api/"):
            return None if self.knows(headers.get(TOKEN_HEADER)) else self._wrong_token()
        given = _cookie(headers.get("cookie", ""))
        return (
            None
            if hmac.compare_digest(given, self.assets)
            else (401, "got no token; open the address that was printed")
        )

    def knows(self, token: str | None) -> bool:
        """Whether this is the token; takes as long whatever is wrong with it."""
        return hmac.compare_digest((token or "").encode(), self.token.encode())

    def _wrong_token(self) -> tuple[int, str]:
        return self.count_wrong() or (401, "got another token than this studio's; open the address that was printed")

    def count_wrong(self) -> tuple[int, str] | None:
        """Count a wrong token; a refusal once there were twenty within a minute. Who has the right one is never refused for it."""
        now = time.monotonic()
        crowded = len(self._wrong) == _WRONG and now - self._wrong[0] < _MINUTE
        self._wrong.append(now)
        return (429, "got too many wrong tokens; wait a minute") if crowded else None


def assets_cookie(token: str) -> str:
    """What the cookie for the page's files holds: it follows from the token, and the token does not from it."""
    return hmac.new(token.encode(), b"assets", hashlib.sha256).hexdigest()


def _headers(scope: Scope) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in found and name in ("host", "origin", TOKEN_HEADER, "content-length", "content-type"):
            return None
        found[name] = value.decode("latin-1")
    return found


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    value = "" if found is None else found.value
    return value if value.isascii() else ""


def _limited(receive: Receive) -> Receive:
    """A body that says no length is counted as it comes, and cut off where it grows too large."""
    seen = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > LARGEST_BODY:
                return {"type": "http.disconnect"}
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", [])}
            more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in own]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sent


async def _refuse(send: Send, status: int, said: str) -> None:
    body = said.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in HEADERS.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
