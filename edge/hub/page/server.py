"""The server of the fleet's page: routes, rights, and the thread that takes rollouts to their next step."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edge.api.http import listener
from edge.api.http.server import HttpServer
from edge.api.web import assets
from edge.api.web.access import AccessControl
from edge.core.errors import EdgeError, SettingsError
from edge.core.settings.schema import Settings
from edge.core.storage.files import expanded
from edge.hub import databases
from edge.hub.command_client import read_key
from edge.hub.erasure import FleetErasure
from edge.hub.page.changes import ChangeLog
from edge.hub.page.fleet_cache import FleetCache
from edge.hub.page.fleet_people import FleetPeople
from edge.hub.page.fleet_releases import FleetReleases
from edge.hub.page.fleet_review import FleetReview
from edge.hub.page.fleet_routes import FleetRoutes
from edge.hub.publishing.publisher import ReleasePublisher
from edge.hub.review.exchanger import ReviewExchanger
from edge.hub.review.store import FleetQuestions
from edge.hub.store import EventStore

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute

log = logging.getLogger(__name__)

FOLDER = "hub_page"
OWN = ("hub.js", "devices.js", "events.js", "people.js", "releases.js")
SHARED = (
    "answers.js", "common.js", "dialogs.js", "focus.js", "names.js", "question.js", "review.js", "rows.js", "shell.js",
    "subject_list.js", "words.js",
)  # fmt: skip
"""scripts of the device's page"""
LANGUAGES = ("de", "en", "ja")


class HubServer:
    """The page of one hub. ``advance_seconds``: how often rollouts are looked at; 0: never."""

    def __init__(self, settings: Settings, state: Path, advance_seconds: float = 60.0) -> None:
        refuse_open_page(settings)
        hub = settings.hub
        self._settings, self._folder = settings, expanded(hub.repository or state / "hub")
        address = hub.database.get_secret_value()
        store = EventStore(databases.connect(address, state))
        store.prepare()
        # a connection each: the parts work in different threads
        self._databases = [store.database, *(databases.connect(address, state) for _ in range(3))]
        lock = threading.Lock()
        changes = ChangeLog(self._databases[1])
        self._cache = FleetCache(self._databases[2])
        self.releases = FleetReleases(self._desk, self._cache, settings.mqtt, changes, lock)
        self._questions = FleetQuestions(state, hub)
        self._people = FleetPeople(self._desk, FleetErasure(hub, store), self._questions, changes, lock)
        self._exchanger = self._review_exchanger()
        self.review = FleetReview(self._questions, self._exchanger, changes, self._people.names)
        self._fleet = FleetRoutes(
            settings.device.name, self._cache, self._databases[3], self.releases.deployments, self.review.summary
        )
        self._door = AccessControl(settings.page, settings.device.name)
        self._http = HttpServer(
            self._application(),
            hub.page_host,
            hub.page_port,
            settings.api.proxies,
            name="page of the fleet",
            setting="hub.page_port",
        )
        self._advance_seconds, self._stopping = advance_seconds, threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on, once it is started."""
        return self._http.port

    def start(self) -> None:
        """Start. Raises SettingsError where the address cannot be bound."""
        self._http.bind()
        self._thread.start()
        if self._exchanger is not None:
            self._exchanger.start()
        self._http.run()

    def stop(self) -> None:
        self._stopping.set()
        self._http.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self._exchanger is not None:
            self._exchanger.stop()
        self._questions.close()
        for database in self._databases:
            database.close()

    def _desk(self) -> ReleasePublisher:
        return ReleasePublisher(self._folder, self._settings).opened()

    def _review_exchanger(self) -> ReviewExchanger | None:
        """None without a broker or a key of the hub. Raises InputError where the key cannot be read."""
        settings = self._settings
        if not settings.mqtt.host or settings.hub.key is None:
            return None
        return ReviewExchanger(settings.mqtt, read_key(settings.hub.key), self._questions, self._cache.reviews)

    def _run(self) -> None:
        try:
            self._cache.devices()  # so that the first visitor need not wait
        except EdgeError as error:
            log.warning("page: %s", error)
        while self._advance_seconds and not self._stopping.wait(self._advance_seconds):
            try:
                self.releases.advance()
            except EdgeError as error:
                log.warning("page: rollouts are not advanced: %s", error)

    def _application(self) -> Starlette:
        from starlette.applications import Starlette

        return Starlette(routes=self._routes())

    def _routes(self) -> list[BaseRoute]:
        from starlette.routing import Route

        door, fleet, people, releases = self._door, self._fleet, self._people, self.releases
        review = self.review
        return [
            *_files(door),
            Route("/page/door", door.open(door.asked), methods=["GET"]),
            Route("/page/login", door.login, methods=["POST"]),
            Route("/page/logout", door.logout, methods=["POST"]),
            Route("/page/state", door.private(fleet.state), methods=["GET"]),
            Route("/page/devices", door.private(fleet.devices), methods=["GET"]),
            Route("/page/devices/{name}", door.private(fleet.device), methods=["GET"]),
            Route("/page/events", door.private(fleet.events), methods=["GET"]),
            Route("/page/people", door.private(people.summary), methods=["GET"]),
            Route("/page/people/forget", door.changing(people.forgotten), methods=["POST"]),
            Route("/page/people/{collection}", door.private(people.listed), methods=["GET"]),
            Route("/page/people/{collection}/risk", door.private(people.risk), methods=["GET"]),
            Route("/page/enrollments", door.private(people.pending, "review"), methods=["GET"]),
            Route("/page/enrollments/{action}", door.changing(people.decided), methods=["POST"]),
            Route("/page/review", door.private(review.listed, "review"), methods=["GET"]),
            Route("/page/collections/{name}", door.private(review.names, "review"), methods=["GET"]),
            Route("/page/review/answers", door.changing(review.answered, "review"), methods=["POST"]),
            Route("/page/review/undo", door.changing(review.undone, "review"), methods=["POST"]),
            Route("/page/review/{number:int}/picture.jpg", door.private(review.picture, "review"), methods=["GET"]),
            Route("/page/review/{number:int}/split", door.changing(review.split, "review"), methods=["POST"]),
            Route("/page/releases", door.private(releases.listed), methods=["GET"]),
            Route("/page/releases/dry-run", door.changing(releases.planned), methods=["POST"]),
            Route("/page/releases/to-sign", door.changing(releases.requested), methods=["POST"]),
            Route("/page/releases/to-sign.json", door.private(releases.to_sign, "manage"), methods=["GET"]),
            Route("/page/releases/signed", door.changing(releases.signed), methods=["POST"]),
            Route("/page/rollouts/{action}", door.changing(releases.acted), methods=["POST"]),
            Route("/metrics", door.private(fleet.metrics), methods=["GET"]),
            Route("/{path:path}", door.open(assets.missing), methods=["GET"]),
        ]


def refuse_open_page(settings: Settings) -> None:
    """Raises SettingsError for an address beyond loopback without a token."""
    if listener.is_loopback(settings.hub.page_host) or settings.page.token.get_secret_value():
        return
    raise SettingsError(
        f"hub.page_host is {settings.hub.page_host}, and page.token is empty: nobody there could log in",
        "set page.token, or listen on 127.0.0.1",
    )


def _files(door: AccessControl) -> list[BaseRoute]:
    """The files of this page, and those that it shares with the device's page."""
    scripts = "text/javascript"
    return [
        *assets.routes(door, {"": ("index.html", "text/html"), "hub.css": ("hub.css", "text/css")}, FOLDER),
        *assets.routes(door, {name: (name, scripts) for name in OWN}, FOLDER),
        *assets.routes(door, {name: (name, scripts) for name in SHARED}),
        *assets.routes(door, {"page.css": ("page.css", "text/css"), "icon.svg": ("icon.svg", "image/svg+xml")}),
        *(assets.route(door, f"lang/{code}.json", _texts(code), "application/json") for code in LANGUAGES),
    ]


def _texts(code: str) -> bytes:
    """The texts of the device's page and those of this one."""
    tables = [json.loads(assets.read(f"lang/{code}.json", folder)) for folder in (assets.FOLDER, FOLDER)]
    return json.dumps(tables[0] | tables[1], ensure_ascii=False).encode()
