"""The studio's server: on this machine's own address, unless another is asked for in so many words."""

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from quincunx.errors import UsageError
from quincunx.studio.app import LOOPBACK, studio_app

__all__ = ["serve"]

_GRACE = 2


def serve(
    roots: Sequence[str],
    *,
    allow_run: bool = False,
    folder: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    ready: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C; `ready` is told the address with the token, once it answers. Port 0 is any that is free.

    Raises:
        UsageError: for another machine's address without a token of at least 32 letters, or a port that is taken.
    """
    away = not _is_loopback(host)
    if away and (token is None or len(token) < 32):
        raise UsageError(
            f"got --host {host}, which others can reach, without a long token; expected one of at least 32 letters; set "
            "QUINCUNX_STUDIO_TOKEN, or leave --host out and reach it through ssh -L"
        )
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(
            f"got the port {port}, which cannot be had ({error.strerror}); choose another, or leave it out"
        ) from error
    key = token or secrets.token_urlsafe(32)
    hosts = (*LOOPBACK, *((f"[{host}]" if ":" in host else host,) if away else ()))
    app = studio_app(roots, token=key, allow_run=allow_run, folder=folder, hosts=hosts)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
        ws="none",
        lifespan="on",
    )
    server = _Server(config, app.close)
    named = f"[{host}]" if ":" in host else host
    address = f"http://{named}:{listening.getsockname()[1]}/#token={key}"
    # The server ends in good order at Ctrl-C, and then raises it once more, for whoever wants to know.
    with listening, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(server, listening, lambda: ready(address)))


class _Server(uvicorn.Server):
    """A server that says when it is asked to end, so that what is streamed ends too."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]):
        super().__init__(config)
        self.ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At Ctrl-C or SIGTERM."""
        self.ending()
        super().handle_exit(sig, frame)


async def _run(server: uvicorn.Server, listening: socket.socket, ready: Callable[[], None]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving


def _is_loopback(host: str) -> bool:
    """
    >>> _is_loopback("127.0.0.1"), _is_loopback("localhost"), _is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
