"""What is served over HTTP: to whom, with which headers, and in which words something is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import starwire
from starwire.errors import ConfigurationError
from starwire.gateway.http import build_http
from starwire.limits import Limits
from tests.support.asgi import Answer, request
from tests.support.doors import Doors, open_doors
from tests.support.serving import serving

HOSTS = ("game.example",)
AUTH = ("guest", "register", "login", "refresh", "logout")


def is_ready() -> tuple[bool, dict[str, Any]]:
    return True, {}


class Plant(starwire.Command, frozen=True):
    """Plant a tree."""

    seconds: int = 60


class Ripen(starwire.Process, frozen=True):
    public = ("apples",)

    apples: int
    secret: int


class Ripe(starwire.Event, frozen=True):
    """A tree is ripe."""

    apples: int


def plant(tx: starwire.Transaction, player: str, order: Plant) -> dict[str, int]:
    """Plant, and wait."""
    return {}


def ripen(tx: starwire.Transaction, job: Ripen) -> None:
    """Harvest."""


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("of the app's own", headers={"Content-Security-Policy": "default-src *"})


async def fails(_: Request) -> PlainTextResponse:
    raise RuntimeError("a secret")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "vendor").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Orchard</title>")
    (folder / "tree.js").write_text("export const apples = 3;")
    (folder / "vendor" / "page.css").write_text("a {}")
    (folder / ".hidden.js").write_text("no")
    (folder / "notes.py").write_text("no")
    (tmp_path / "outside.js").write_text("no")
    return folder


@pytest.fixture
def orchard(site: Path) -> starwire.App:
    app = starwire.App(
        "orchard", static=site, routes=[Route("/api/hello", hello), Route("/api/fails", fails)]
    )
    app.command(plant)
    app.process(ripen)
    app.event(Ripe)
    return app


@pytest.fixture
async def doors(tmp_path: Path, orchard: starwire.App) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path, app=orchard, origins=("https://play.example.com",)) as opened:
        yield opened


@pytest.fixture
async def dev(tmp_path: Path, orchard: starwire.App) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path, app=orchard, dev=True, journeys=lambda: [{"id": "a-1"}]) as opened:
        yield opened


async def get(doors: Doors, path: str, **options: Any) -> Answer:
    return await request(doors.http, "GET", path, **options)


# Who may sign in, and how


@pytest.mark.parametrize("origin", [None, "http://game.example:8000", "https://play.example.com"])
async def test_our_own_pages_and_those_allowed_may_sign_in(doors: Doors, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert (await doors.post("/auth/guest", headers=headers)).status == 200


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "https://game.example:8000", "http://game.example"]
)
async def test_a_foreign_page_gets_in_by_no_door(doors: Doors, origin: str) -> None:
    for door in AUTH:
        answer = await doors.post(f"/auth/{door}", headers={"origin": origin})
        assert (answer.status, answer.json()["error"]["code"]) == (403, "foreign_origin")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_a_form_can_send_is_refused(doors: Doors, kind: str) -> None:
    for door in AUTH:
        answer = await doors.post(f"/auth/{door}", headers={"content-type": kind})
        assert (answer.status, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
        assert "application/json" in answer.json()["error"]["message"]


async def test_a_content_type_may_name_its_charset(doors: Doors) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await doors.post("/auth/guest", headers=headers)).status == 200


async def test_a_body_that_is_too_large_is_not_read(doors: Doors) -> None:
    for door in AUTH:
        headers = {"content-type": "application/json"}
        answer = await request(
            doors.http, "POST", f"/auth/{door}", body=b'{"name":"' + b"a" * 20_000, headers=headers
        )
        assert (answer.status, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 5_000, b'{"name": "\\ud800", "password": "12345678"}']
)
async def test_a_body_that_is_no_json_is_refused_and_never_an_error_of_ours(
    doors: Doors, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    answer = await request(doors.http, "POST", "/auth/register", body=body, headers=headers)
    assert answer.status == 400
    assert answer.json()["error"]["code"] in {"malformed", "invalid_args"}


async def test_an_app_with_its_own_authentication_has_no_accounts(tmp_path: Path) -> None:
    async def authenticate(token: str) -> starwire.Identity:
        return starwire.Identity(token)

    async with open_doors(tmp_path, app=starwire.App("own", auth=authenticate)) as doors:
        answer = await doors.post("/auth/login", {"name": "a", "password": "b"})
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")
    assert "App(auth=" in answer.json()["error"]["message"]


# Pages


async def test_the_apps_page_is_at_the_root_and_its_files_under_static(doors: Doors) -> None:
    page = await get(doors, "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"Orchard" in page.body
    script = await get(doors, "/static/tree.js")
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert (await get(doors, "/static/vendor/page.css")).status == 200


async def test_a_file_is_asked_for_each_time_and_sent_when_it_changed(doors: Doors, site: Path) -> None:
    first = await get(doors, "/static/tree.js")
    assert first.headers["cache-control"] == "no-cache"
    same = {"if-none-match": first.headers["etag"]}
    again = await get(doors, "/static/tree.js", headers=same)
    assert (again.status, again.body) == (304, b"")
    (site / "tree.js").write_text("export const apples = 30;")
    assert (await get(doors, "/static/tree.js", headers=same)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/vendor",
        "/static/.hidden.js",
        "/static/notes.py",
        "/static/../outside.js",
        "/static/%2e%2e/outside.js",
        "/static//etc/passwd",
        "/static/tree.js\x00",
        "/static/" + "a" * 5_000 + ".js",
        "/starwire/../server.py",
        "/starwire/dev/dev.js",
        "/dev",
        "/dev/schema",
        "/dev/dev.js",
    ],
)
async def test_nothing_else_is_served(doors: Doors, path: str) -> None:
    assert (await get(doors, path)).status == 404


async def test_the_frameworks_client_is_served_with_its_types(doors: Doors) -> None:
    assert (await get(doors, "/starwire/starwire.js")).headers["content-type"].startswith("text/javascript")
    assert (await get(doors, "/starwire/starwire.d.ts")).status == 200


async def test_the_apps_own_routes_come_first_and_may_have_another_policy(doors: Doors) -> None:
    answer = await get(doors, "/api/hello")
    assert answer.body == b"of the app's own"
    assert answer.headers["content-security-policy"] == "default-src *"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_static_folder_without_a_page_is_refused_at_start(tmp_path: Path) -> None:
    app = starwire.App("orchard", static=tmp_path)
    with pytest.raises(ConfigurationError, match=r"App\('orchard', static=…\): .* has no index.html"):
        build_http(app, app.registry(), None, ready=lambda: (True, {}))


# Headers and errors


@pytest.mark.parametrize("path", ["/", "/static/tree.js", "/healthz", "/nothing", "/auth/guest"])
async def test_every_answer_protects_its_page(doors: Doors, path: str) -> None:
    headers = (await get(doors, path)).headers
    policy = headers["content-security-policy"]
    assert "connect-src 'self' ws://game.example:8000 wss://game.example:8000;" in policy
    for rule in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"):
        assert rule in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/auth/guest", "/starwire/starwire.js", "/api/hello"])
@pytest.mark.parametrize("host", ["evil.example:8000", "game.example.evil.example", "localhost.evil.example"])
async def test_nothing_is_served_under_a_name_that_is_not_ours(doors: Doors, host: str, path: str) -> None:
    answer = await get(doors, path, headers={"host": host})
    assert answer.status == 421
    assert host.partition(":")[0] in answer.body.decode()
    assert "STARWIRE_HOSTS" in answer.body.decode()


@pytest.mark.parametrize(
    "host", ["game.example", "Game.Example.:80", "localhost:8000", "192.0.2.7", "[::1]:8000", ""]
)
async def test_our_names_and_addresses_are_served_whatever_the_port(doors: Doors, host: str) -> None:
    assert (await get(doors, "/healthz", headers={"host": host})).status == 200


async def test_a_rebound_page_signs_nobody_in_though_its_origin_is_its_host(doors: Doors) -> None:
    headers = {"host": "evil.example:8000", "origin": "http://evil.example:8000"}
    assert (await doors.post("/auth/guest", headers=headers)).json()["error"]["code"] == "unknown_host"


async def test_a_host_header_cannot_write_the_policy(doors: Doors) -> None:
    headers = (await get(doors, "/", headers={"host": "x; script-src *"})).headers
    assert "script-src" not in headers["content-security-policy"]


@pytest.mark.parametrize(("path", "accept"), [("/auth/nothing", "*/*"), ("/nothing", "application/json")])
async def test_a_program_gets_its_404_as_json(doors: Doors, path: str, accept: str) -> None:
    answer = await get(doors, path, headers={"accept": accept})
    assert answer.status == 404
    assert answer.json()["error"] == {"code": "not_found", "message": f"There is nothing at {path}."}


async def test_a_person_gets_a_page_that_repeats_nothing_dangerous(doors: Doors) -> None:
    answer = await get(doors, "/<script>", headers={"accept": "text/html"})
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"<script>" not in answer.body


async def test_a_wrong_method_says_which_is_right(doors: Doors) -> None:
    answer = await get(doors, "/auth/guest")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["message"] == "/auth/guest takes POST, not GET."


async def test_a_failure_tells_the_client_nothing_of_its_reason(doors: Doors) -> None:
    answer = Answer()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
        answer.body += message.get("body", b"")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/api/fails", "query_string": b"", "headers": []}
    with pytest.raises(RuntimeError):  # handed on, for the server's log
        await doors.http(
            {**scope, "raw_path": b"/api/fails", "root_path": "", "scheme": "http"}, receive, send
        )
    assert answer.status == 500
    assert b"secret" not in answer.body


# Health, metrics, /dev


async def test_health_and_metrics_are_told(doors: Doors) -> None:
    assert (await get(doors, "/healthz")).json() == {"ok": True}
    assert b"starwire_connections" in (await get(doors, "/metrics", client="127.0.0.1")).body


SHOWN = {"authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.1", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 401),
        ("127.0.0.1", {"forwarded": "for=192.0.2.1"}, 401),
        ("192.0.2.1", SHOWN, 200),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1", **SHOWN}, 200),
        ("192.0.2.1", {"authorization": "Bearer s3creT"}, 401),
        ("192.0.2.1", {"authorization": "Bearer "}, 401),
    ],
)
async def test_metrics_are_told_to_this_machine_and_to_who_shows_the_token(
    orchard: starwire.App, client: str, headers: dict[str, str], status: int
) -> None:
    http = build_http(orchard, orchard.registry(), None, ready=is_ready, hosts=HOSTS, metrics_token="s3cret")
    answer = await request(http, "GET", "/metrics", client=client, headers=headers)
    assert answer.status == status
    assert (b"starwire_connections" in answer.body) is (status == 200)


async def test_without_a_token_metrics_are_for_this_machine_only(doors: Doors) -> None:
    answer = await get(doors, "/metrics", headers={"authorization": "Bearer None"})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_what_the_server_says(orchard: starwire.App, ready: bool, status: int) -> None:
    told = {"beat_age": 1.5}
    http = build_http(orchard, orchard.registry(), None, ready=lambda: (ready, told), hosts=HOSTS)
    answer = await request(http, "GET", "/readyz")
    assert (answer.status, answer.json()) == (status, {"ok": ready, "beat_age": 1.5})


async def test_the_schema_describes_everything_the_app_declares(dev: Doors) -> None:
    schema = (await get(dev, "/dev/schema")).json()
    plant_schema = schema["commands"]["plant"]
    assert plant_schema["doc"] == "Plant, and wait."
    assert plant_schema["schema"]["$defs"]["Plant"]["properties"]["seconds"] == {
        "type": "integer",
        "default": 60,
    }
    assert plant_schema["result"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert schema["processes"]["ripen"]["public"] == ["apples"]
    assert schema["events"]["ripe"]["doc"] == "A tree is ripe."
    assert "announce" in schema["commands"]
    assert "revoke_session" not in schema["commands"]


async def test_under_dev_there_is_a_page_with_journeys(dev: Doors) -> None:
    assert (await get(dev, "/dev")).headers["content-type"] == "text/html; charset=utf-8"
    assert (await get(dev, "/dev/dev.js")).status == 200
    assert (await get(dev, "/dev/journeys")).json() == {"journeys": [{"id": "a-1"}]}


# Over a real socket


async def ask(port: int, request_line: str, **headers: str) -> tuple[int, str, bytes]:
    """One request, byte by byte as written here: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = {"Host": f"127.0.0.1:{port}", "Connection": "close", **headers}
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{request_line} HTTP/1.1\r\n{text}\r\n".encode())
    raw = await reader.read()
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body


GUEST = {"Content_Type": "application/json", "Content_Length": "0"}


async def test_a_server_answers_with_its_page_and_is_soon_ready(
    tmp_path: Path, orchard: starwire.App
) -> None:
    async with serving(orchard, tmp_path) as server:
        status, head, body = await ask(server.port, "GET /")
        assert (status, b"Orchard" in body) == (200, True)
        assert f"connect-src 'self' ws://127.0.0.1:{server.port} " in head
        assert "\r\nserver:" not in head  # nobody need know what serves
        while (await ask(server.port, "GET /readyz"))[0] != 200:
            pass
        assert (await ask(server.port, "GET /ws"))[0] == 404


@pytest.mark.parametrize(("trusted", "second"), [((), 429), (("127.0.0.1/32",), 200), (("10.0.0.0/8",), 429)])
async def test_an_address_is_believed_of_trusted_proxies_only(
    tmp_path: Path, orchard: starwire.App, trusted: tuple[str, ...], second: int
) -> None:
    limits = Limits(guests_per_minute=1)
    async with serving(orchard, tmp_path, limits=limits, trusted_proxies=trusted) as server:
        first = await ask(server.port, "POST /auth/guest", **GUEST, X_Forwarded_For="192.0.2.1")
        again = await ask(server.port, "POST /auth/guest", **GUEST, X_Forwarded_For="192.0.2.2")
        assert (first[0], again[0]) == (200, second)
