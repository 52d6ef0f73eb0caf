"""The studio's routes: a door that asks for the token, the page's own files, facts as JSON, pictures as SVG, and what may be done."""

import asyncio
import getpass
import json
import secrets
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from quincunx._version import __version__
from quincunx.errors import QuincunxError, ReadOnlyStudio, UnknownRun, UsageError
from quincunx.lab.book.plain import plain
from quincunx.studio import facts
from quincunx.studio.actions import loop_words, start_words
from quincunx.studio.guard import COOKIE, HEADERS, LARGEST_BODY, Guard, assets_cookie
from quincunx.studio.jobs import Jobs
from quincunx.studio.pictures import comparison, sheets_of
from quincunx.studio.sheet import Drawer, Sheet
from quincunx.studio.shelf import Place, Shelf
from quincunx.studio.stream import changes

__all__ = ["LOOPBACK", "studio_app"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_STREAMS = 24
_NOBODY = 499


def studio_app(
    roots: Sequence[str],
    *,
    token: str | None = None,
    allow_run: bool = False,
    folder: Path | None = None,
    hosts: Collection[str] = LOOPBACK,
) -> Guard:
    """The studio as an ASGI application, guarded; `token` is made anew unless it is given, and found as `.token`.

    With `allow_run` commands can be started, which work in `folder`.

    >>> import tempfile
    >>> studio_app([tempfile.mkdtemp()]).token != studio_app([tempfile.mkdtemp()]).token
    True
    """
    studio = _Studio(Shelf(roots), Jobs(folder or Path.cwd()), Drawer(), allow_run)
    routes = [
        Route("/", studio.page),
        Route("/door.js", studio.door_script),
        Route("/door.css", studio.door_style),
        Route("/door.svg", studio.door_icon),
        Route("/static/{name}", studio.asset),
        Route("/api/session", studio.session, methods=["POST"]),
        Route("/api/places", studio.places),
        Route("/api/places/{id}", studio.about),
        Route("/api/places/{id}/events", studio.events),
        Route("/api/places/{id}/failures", studio.failures),
        Route("/api/places/{id}/artefacts", studio.artefacts),
        Route("/api/places/{id}/artefacts/{sha256}", studio.artefact),
        Route("/api/places/{id}/files/{name}", studio.file),
        Route("/api/places/{id}/pictures/{name}.svg", studio.picture),
        Route("/api/places/{id}/do", studio.act, methods=["POST"]),
        Route("/api/compare", studio.compare),
        Route("/api/compare.svg", studio.compare_picture),
        Route("/api/jobs", studio.jobs_page),
        Route("/api/jobs/{number:int}/interrupt", studio.interrupt, methods=["POST"]),
        Route("/api/start", studio.start, methods=["POST"]),
        Route("/api/changes", studio.stream),
    ]
    app = Starlette(
        routes=routes, lifespan=studio.lifespan, exception_handlers={QuincunxError: _refused, ValueError: _refused}
    )
    guard = Guard(
        app,
        token=token or secrets.token_urlsafe(32),
        hosts=hosts,
        door=("/", "/door.js", "/door.css", "/door.svg"),
        session="/api/session",
    )
    studio.guard = guard
    guard.close = studio.closing.set
    return guard


def _refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UnknownRun) else 400 if isinstance(error, (UsageError, ValueError)) else 409
    return JSONResponse({"error": type(error).__name__, "said": str(error)}, status)


def _json(value: Any) -> Response:
    return Response(json.dumps(plain(value), allow_nan=False), media_type="application/json")


class _Studio:
    """What the routes share."""

    guard: Guard

    def __init__(self, shelf: Shelf, jobs: Jobs, drawer: Drawer, allow_run: bool):
        self.shelf, self.jobs, self.drawer, self.allow_run = shelf, jobs, drawer, allow_run
        self.closing = threading.Event()
        self.turn = asyncio.Lock()
        self.streams = 0

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Whatever is under way is interrupted, and the books are closed, when the studio ends."""
        yield
        self.closing.set()
        await run_in_threadpool(self.jobs.close)
        self.shelf.close()

    def page(self, request: Request) -> Response:
        """The page for who has been let in, and the door for who has not."""
        inside = request.cookies.get(COOKIE) == self.guard.assets
        return _static("index.html" if inside else "door.html")

    def door_script(self, request: Request) -> Response:
        """The few lines that take the token out of the address and ask to be let in."""
        return _static("door.js")

    def door_style(self, request: Request) -> Response:
        """How the door looks."""
        return _static("style.css")

    def door_icon(self, request: Request) -> Response:
        """Five dots."""
        return _static("icon.svg")

    def asset(self, request: Request) -> Response:
        """A file of the page: one of those that are shipped, by its name."""
        name = request.path_params["name"]
        if name not in {path.name for path in _STATIC.iterdir()}:
            return PlainTextResponse("there is no such file", 404)
        return _static(name)

    async def session(self, request: Request) -> Response:
        """The token for a cookie that lets the page's files be loaded."""
        told = await _told(request)
        if not self.guard.knows(told.get("token") if isinstance(told.get("token"), str) else None):
            status, said = self.guard.count_wrong() or (401, "that is not the token; open the address that was printed")
            return JSONResponse({"error": "NotLetIn", "said": said}, status)
        answer = JSONResponse({"let in": True})
        answer.set_cookie(COOKIE, assets_cookie(self.guard.token), httponly=True, samesite="strict", path="/")
        return answer

    def places(self, request: Request) -> Response:
        """All there is, a line each."""
        return _json(
            {
                "places": [facts.line_of(self.shelf, place) for place in self.shelf.places()],
                "roots": self.shelf.roots,
                "allow_run": self.allow_run,
                "by": getpass.getuser(),
                "version": __version__,
            }
        )

    def about(self, request: Request) -> Response:
        """One place, with the pictures that it has."""
        place = self.shelf.place(request.path_params["id"])
        if place.kind == "run":
            found = facts.run_facts(self.shelf.book(place))
        else:
            found = facts.answer_facts(Path(place.where), self.shelf.record(place))
        sheets = [sheet.facts() for sheet in sheets_of(self.shelf, place)]
        return _json({**facts.line_of(self.shelf, place), **found, "pictures": sheets})

    def _book(self, request: Request) -> Any:
        place = self.shelf.place(request.path_params["id"])
        if place.kind != "run":
            raise UsageError("this is an answer, not a run; expected a run with a lab book")
        return self.shelf.book(place)

    def events(self, request: Request) -> Response:
        """Events of a run, a page at a time."""
        asked = request.query_params
        before = int(asked["before"]) if "before" in asked else None
        return _json(
            facts.events_page(
                self._book(request), before=before, kind=asked.get("kind"), most=int(asked.get("most", 200))
            )
        )

    def failures(self, request: Request) -> Response:
        """Failed simulations of a run."""
        return _json(facts.failures_page(self._book(request)))

    def artefacts(self, request: Request) -> Response:
        """What a run keeps, and what it was made from."""
        return _json(facts.made_page(self._book(request)))

    def artefact(self, request: Request) -> Response:
        """An artefact's bytes, found by its hash in the ledger; never shown, always saved."""
        path = self._book(request).artefact_file(request.path_params["sha256"])
        return _download(path)

    def file(self, request: Request) -> Response:
        """A file of an answer, one of a few by name; never shown, always saved."""
        place, name = self.shelf.place(request.path_params["id"]), request.path_params["name"]
        path = Path(place.where) / name
        if place.kind != "answer" or name not in facts.ANSWER_FILES or path.is_symlink() or not path.is_file():
            raise UnknownRun("there is no such file of an answer")
        return _download(path)

    async def picture(self, request: Request) -> Response:
        """A picture as SVG."""
        place, sheet = await run_in_threadpool(self._sheet, request)
        return await self._drawn(request, place.id, sheet)

    def _sheet(self, request: Request) -> tuple[Place, Sheet]:
        place = self.shelf.place(request.path_params["id"])
        for sheet in sheets_of(self.shelf, place):
            if sheet.name == request.path_params["name"]:
                return place, sheet
        raise UnknownRun("there is no such picture of this (yet)")

    async def _drawn(self, request: Request, place: str, sheet: Sheet) -> Response:
        """A picture, drawn when its turn comes if whoever asked for it is still there then."""
        found = self.drawer.kept(place, sheet)
        if found is None:
            async with self.turn:
                if await _gone(request):
                    return Response(status_code=_NOBODY)
                found = await run_in_threadpool(self.drawer.svg, place, sheet)
        return _svg(found)

    def _ids(self, request: Request) -> list[str]:
        ids = list(dict.fromkeys(one for one in request.query_params.get("ids", "").split(",") if one))
        if not 2 <= len(ids) <= 12:
            raise UsageError(f"got {len(ids)} to compare; expected 2 to 12")
        return ids

    def compare(self, request: Request) -> Response:
        """Several places side by side."""
        return _json(facts.compared(self.shelf, self._ids(request)))

    async def compare_picture(self, request: Request) -> Response:
        """Their intervals."""
        ids = self._ids(request)
        return await self._drawn(request, "", await run_in_threadpool(comparison, self.shelf, ids))

    def jobs_page(self, request: Request) -> Response:
        """The commands that were started here."""
        return _json({"jobs": self.jobs.facts()})

    def _may_run(self) -> None:
        if not self.allow_run:
            raise ReadOnlyStudio("this studio only shows; start it with --allow-run to let it do things")

    async def act(self, request: Request) -> Response:
        """Approve, tell, go on, overrule, set aside or stop a loop."""
        self._may_run()
        told = await _told(request)
        return await run_in_threadpool(self._act, request, told)

    def _act(self, request: Request, told: dict[str, Any]) -> Response:
        place = self.shelf.place(request.path_params["id"])
        words, files = loop_words(str(told.get("action")), told, place, self._book(request))
        try:
            job = self.jobs.start(words, place=place.id, leftovers=files)
        except BaseException:
            for path in files:
                path.unlink(missing_ok=True)
            raise
        return _json(job.facts())

    async def start(self, request: Request) -> Response:
        """Begin something new."""
        self._may_run()
        told = await _told(request)
        return _json(self.jobs.start(start_words(told, self.jobs.folder), place=None).facts())

    async def interrupt(self, request: Request) -> Response:
        """Ctrl-C for a command."""
        self._may_run()
        self.jobs.interrupt(request.path_params["number"])
        return _json({"interrupted": request.path_params["number"]})

    async def stream(self, request: Request) -> Response:
        """Server-sent events."""
        if self.streams >= _STREAMS:
            return PlainTextResponse("too many pages watch already; close some", 503)

        async def watched() -> AsyncIterator[str]:
            self.streams += 1
            try:
                async for message in changes(self.shelf, self.jobs, request.is_disconnected, self.closing):
                    yield message
            finally:
                self.streams -= 1

        return StreamingResponse(watched(), media_type="text/event-stream")


async def _gone(request: Request) -> bool:
    """Whether who asked has left: the request's own end may come before that news."""
    return await request.is_disconnected() or await request.is_disconnected()


async def _told(request: Request) -> dict[str, Any]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise UsageError("got more than fits into one request")
    told = json.loads(body)
    if not isinstance(told, dict):
        raise UsageError("got JSON that is no object; expected names and values")
    return told


def _static(name: str) -> Response:
    path = _STATIC / name
    return Response(path.read_bytes(), media_type=_TYPES.get(path.suffix, "application/octet-stream"))


def _svg(text: str) -> Response:
    # A picture styles itself, and may do nothing else, also when it is opened on its own.
    policy = HEADERS["content-security-policy"].replace(
        "default-src 'self'", "default-src 'none'; style-src 'unsafe-inline'"
    )
    return Response(text, media_type="image/svg+xml", headers={"content-security-policy": policy})


def _download(path: Path) -> Response:
    return FileResponse(
        path, media_type="application/octet-stream", filename=path.name, content_disposition_type="attachment"
    )
