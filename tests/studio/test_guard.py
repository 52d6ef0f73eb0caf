"""Every route is closed to whoever has no business there: other hosts, other origins, other sites, no token, odd bodies, odd paths."""

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from quincunx.studio import studio_app
from quincunx.studio.guard import COOKIE, HEADERS, LARGEST_BODY, TOKEN_HEADER

BASE = "http://127.0.0.1:8000"


@pytest.fixture
def app(folder, tmp_path):
    return studio_app([str(folder)], folder=tmp_path)


@pytest.fixture
def client(app):
    return TestClient(app, base_url=BASE)


@pytest.fixture
def key(app):
    return {TOKEN_HEADER: app.token}


def routes(app):
    """Every route with some method and a path that fits it."""
    found = []
    for route in app.app.routes:
        assert isinstance(route, Route)
        path = route.path.replace("{number:int}", "1")
        for name in ("{id}", "{name}", "{sha256}"):
            path = path.replace(name, "0123456789ab")
        found += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    return found


def ask(client, method, path, **headers):
    told = {"origin": BASE, "content-type": "application/json"} if method == "POST" else {}
    return client.request(method, path, headers={**told, **headers}, content=b"{}" if method == "POST" else None)


def test_without_a_token_only_the_door_opens(app, client):
    opened = {(m, p) for m, p in routes(app) if ask(client, m, p).status_code not in (401, 403, 404)}
    assert opened == {("GET", "/"), ("GET", "/door.js"), ("GET", "/door.css"), ("GET", "/door.svg")}
    assert ask(client, "POST", "/api/session").status_code == 401
    assert "<title>Quincunx studio</title>" in client.get("/").text and "main.js" not in client.get("/").text
    assert len(routes(app)) >= 20


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "localhost.evil.com",
        "127.0.0.1.nip.io",
        "",
        "evil.com:8000",
        "127.0.0.1@evil.com",
        "[::1].evil.com",
        "0.0.0.0",
        "2130706433",
    ],
)
def test_another_host_is_refused_on_every_route(app, client, key, host):
    for method, path in routes(app):
        assert ask(client, method, path, host=host, **key).status_code == 400, path


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9", "LOCALHOST", "[::1]:8000"])
def test_this_machine_s_names_are_not(client, key, host):
    assert client.get("/api/places", headers={"host": host, **key}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused_on_every_route(app, client, key, site):
    for method, path in routes(app):
        assert ask(client, method, path, **{"sec-fetch-site": site}, **key).status_code == 403, path


@pytest.mark.parametrize(
    "origin", ["http://evil.com", "null", "http://127.0.0.1:8001", "https://127.0.0.1:8000", "http://localhost:8000"]
)
def test_another_origin_is_refused_on_every_route(app, client, key, origin):
    for method, path in routes(app):
        assert ask(client, method, path, origin=origin, **key).status_code == 403, path


def test_what_changes_something_must_be_json_from_here(client, key):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        told = client.post("/api/start", headers={"origin": BASE, "content-type": kind, **key}, content=b"{}")
        assert told.status_code == 415
    without = client.post("/api/start", headers={"content-type": "application/json", **key}, content=b"{}")
    assert without.status_code == 403
    by_hint = {"content-type": "application/json", "sec-fetch-site": "same-origin", **key}
    assert client.post("/api/start", headers=by_hint, content=b"{}").json()["error"] == "ReadOnlyStudio"


def test_a_studio_that_only_shows_does_nothing(app, client, key):
    for method, path in routes(app):
        if method == "POST" and path != "/api/session":
            answer = ask(client, method, path, **key)
            assert answer.status_code == 409 and "--allow-run" in answer.json()["said"], path


def test_the_cookie_of_the_page_s_files_opens_nothing_else(app, client, key):
    let_in = client.post("/api/session", headers={"origin": BASE}, json={"token": app.token})
    set_cookie = let_in.headers["set-cookie"]
    assert let_in.status_code == 200 and "HttpOnly" in set_cookie and "SameSite=strict" in set_cookie
    assert app.token not in set_cookie
    assert "main.js" in client.get("/").text and client.get("/static/main.js").status_code == 200
    assert client.get("/api/places").status_code == 401
    assert client.get("/api/places", headers={TOKEN_HEADER: client.cookies[COOKIE]}).status_code == 401


def test_twenty_wrong_tokens_in_a_minute_are_enough_but_the_right_one_is_let_in(app, client, key):
    codes = [client.get("/api/places", headers={TOKEN_HEADER: f"wrong {i}"}).status_code for i in range(25)]
    assert codes == [401] * 20 + [429] * 5
    assert client.post("/api/session", headers={"origin": BASE}, json={"token": "wrong"}).status_code == 429
    assert client.get("/api/places", headers=key).status_code == 200


def test_headers_that_come_twice_are_refused(client, key):
    for name, value in (("host", "127.0.0.1:8000"), ("origin", BASE), (TOKEN_HEADER, key[TOKEN_HEADER])):
        twice = [(name, value), (name, value), *key.items()] if name != TOKEN_HEADER else [(name, value)] * 2
        assert client.get("/api/places", headers=twice).status_code == 400, name


def test_every_answer_forbids_what_a_page_does_not_need(app, client, key):
    seen = [ask(client, method, path, **key) for method, path in routes(app) if path != "/api/changes"]
    seen += [client.get("/"), client.get("/nowhere"), client.get("/", headers={"host": "evil.com"})]
    for answer in seen:
        for name, value in HEADERS.items():
            if name == "content-security-policy":
                assert "frame-ancestors 'none'" in answer.headers[name] and "unsafe-eval" not in answer.headers[name]
            else:
                assert answer.headers[name] == value, (answer.url, name)
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_bodies_and_paths_have_an_end(client, key):
    headers = {"origin": BASE, "content-type": "application/json", **key}
    told = client.post("/api/start", headers={**headers, "content-length": str(LARGEST_BODY + 1)}, content=b"{}")
    assert told.status_code == 413
    assert client.post("/api/start", headers={**headers, "content-length": "-1"}, content=b"{}").status_code == 413
    assert client.get("/api/" + "a" * 4000, headers=key).status_code == 414


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/door.js/../../app.py",
    ],
)
def test_no_path_leads_out_of_the_page_s_files(app, client, key, path):
    client.post("/api/session", headers={"origin": BASE}, json={"token": app.token})
    assert client.get(path, headers=key).status_code in (401, 404)


def test_no_path_leads_out_of_an_answer_or_a_run(folder, client, key):
    places = {place["name"]: place["id"] for place in client.get("/api/places", headers=key).json()["places"]}
    secret = folder / "secret.txt"
    secret.write_text("secret")
    link = folder / "answer" / "simulations.qx"
    link.symlink_to(secret)
    try:
        for name in ("simulations.qx", "../secret.txt", "..%2fsecret.txt", "run.json", "%2e%2e%2fsecret.txt"):
            assert client.get(f"/api/places/{places['answer']}/files/{name}", headers=key).status_code in (401, 404), (
                name
            )
    finally:
        link.unlink()
    for sha in ("..", "..%2fledger.sqlite", "ledger.sqlite", "%25", "_", ""):
        answer = client.get(f"/api/places/{places['loop']}/artefacts/{sha}", headers=key)
        assert answer.status_code in (401, 404, 200) and b"SQLite" not in answer.content
    good = client.get(f"/api/places/{places['answer']}/files/draws.csv", headers=key)
    assert good.status_code == 200 and good.headers["content-disposition"].startswith("attachment")


def test_web_sockets_are_closed(client, key):
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/api/changes", headers=key):
        pass
    assert refused.value.code == 1008
