"""Pictures are drawn one at a time, and not for who has left."""

import asyncio
import threading

import pytest
from matplotlib.figure import Figure

from quincunx.studio import app as studio
from quincunx.studio import studio_app
from quincunx.studio.guard import TOKEN_HEADER
from quincunx.studio.sheet import Sheet


@pytest.fixture
def slow(folder, monkeypatch):
    """A studio whose pictures "first", "second" and "third" wait to be released, and which of them were drawn."""
    drawn, go, begun = [], threading.Event(), threading.Event()

    def draw(name):
        drawn.append(name)
        begun.set()
        assert go.wait(20)
        return Figure(figsize=(1.0, 1.0))

    sheets = [Sheet(name, name, name, name, "1", lambda name=name: draw(name)) for name in ("first", "second", "third")]
    monkeypatch.setattr(studio, "sheets_of", lambda shelf, place: sheets)
    app = studio_app([str(folder)])
    place = app.app.routes[0].endpoint.__self__.shelf.places()[0]
    return app, place.id, drawn, go, begun


async def ask(app, place, name, gone):
    """The status of an answer to a request, whose sender leaves when `gone` is set."""
    path = f"/api/places/{place}/pictures/{name}.svg"
    headers = [(b"host", b"127.0.0.1:8000"), (TOKEN_HEADER.encode(), app.token.encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "root_path": "",
    }  # fmt: skip
    waiting, said = [{"type": "http.request", "body": b"", "more_body": False}], []

    async def receive():
        if waiting:
            return waiting.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        said.append(message)

    await app(scope, receive, send)
    return said[0]["status"]


def test_a_picture_that_nobody_waits_for_is_not_drawn(slow):
    app, place, drawn, go, begun = slow

    async def all_three():
        stays, leaves = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(ask(app, place, "first", stays))
        await asyncio.to_thread(begun.wait, 20)
        second = asyncio.create_task(ask(app, place, "second", leaves))
        third = asyncio.create_task(ask(app, place, "third", stays))
        await asyncio.sleep(0.1)
        leaves.set()
        await asyncio.sleep(0.1)
        go.set()
        answers = await asyncio.gather(first, second, third)
        # what was drawn needs no turn, and who comes back gets what was skipped
        return answers, await ask(app, place, "first", stays), await ask(app, place, "second", stays)

    assert asyncio.run(all_three()) == ([200, 499, 200], 200, 200)
    assert drawn == ["first", "third", "second"]
