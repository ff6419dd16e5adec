"""Devices and events of the fleet as JSON documents, and metrics."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge.api.web import prometheus
from edge.api.web.responses import in_thread
from edge.core.errors import InputError, NotFoundError
from edge.hub import queries
from edge.hub.databases import HubDatabase
from edge.hub.page import fleet_metrics
from edge.hub.page.fleet_cache import FleetCache
from edge.hub.queries import EventQuery
from edge.releases.manifest import Deployment

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

EVENTS = 100
"""events per response"""


class FleetRoutes:
    """``database``: a connection of its own.

    ``deployments`` gives the published deployments, for the metrics, ``review`` the size of the review queue.
    """

    def __init__(
        self, name: str, cache: FleetCache, database: HubDatabase, deployments: Callable[[], list[Deployment]],
        review: Callable[[], dict[str, Any]],
    ) -> None:  # fmt: skip
        self._name, self._cache, self._database, self._deployments = name, cache, database, deployments
        self._review = review
        self._lock = threading.Lock()

    async def state(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/state``: what the header of the page shows."""
        return await in_thread(self._state)

    async def devices(self, request: Request) -> Response:
        """``GET /page/devices?started=&since=N``: devices that changed after revision N, as rows of ``columns``."""
        query = request.query_params
        since = query.get("since", "")
        revision = int(since) if since.isdecimal() and len(since) < 16 else 0
        return await in_thread(lambda: self._cache.changes(query.get("started", ""), revision))

    async def device(self, request: Request) -> Response:
        """``GET /page/devices/NAME``: everything that a device has reported."""
        name = request.path_params["name"]
        return await in_thread(lambda: self._device(name))

    async def events(self, request: Request) -> Response:
        """``GET /page/events?device=&label=&subject=&since=&until=&after=``: events, the newest first.

        ``since`` and ``until``: seconds since the epoch. ``after``: the ``next`` of the response before.
        """
        query = request.query_params
        return await in_thread(lambda: self._events(query))

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /metrics``: Prometheus text."""
        from starlette.responses import Response

        return Response(await asyncio.to_thread(self._metrics), headers={"Content-Type": prometheus.TYPE})

    def _state(self) -> dict[str, Any]:
        devices = self._cache.devices()
        return {
            "name": self._name,
            "version": __version__,
            "time": time.time(),
            "devices": len(devices),
            "online": sum(one.online is True for one in devices),
            "troubled": sum(bool(one.troubles) for one in devices),
            "review": self._review(),
        }

    def _device(self, name: str) -> dict[str, Any]:
        found = self._cache.device(name)
        if found is None:
            raise NotFoundError(f"the hub knows no device {name[:64]!r}", "look into the list of devices")
        state, documents = found
        return {**asdict(state), "documents": documents}

    def _events(self, query: QueryParams) -> dict[str, Any]:
        wanted = EventQuery(
            device=query.get("device", ""), label=query.get("label", ""), subject=query.get("subject", ""),
            since=_seconds(query.get("since", "")), until=_seconds(query.get("until", "")),
        )  # fmt: skip
        statement, values = queries.page_query(wanted, _after(query.get("after", "")), EVENTS, latest=True)
        with self._lock, self._database.transaction(reading=True) as transaction:
            rows = [queries.Row(*row) for row in transaction.execute(statement, values)]
        last = rows[-1] if len(rows) == EVENTS else None
        return {
            "events": [asdict(row) for row in rows],
            "next": json.dumps([last.time, last.device, last.epoch, last.seq]) if last else "",
        }

    def _metrics(self) -> str:
        return prometheus.text(fleet_metrics.of_fleet(self._cache.devices(), self._deployments(), time.time()))


def _seconds(text: str) -> float | None:
    """Seconds since the epoch. Raises InputError."""
    try:
        return float(text) if text else None
    except ValueError as error:
        raise InputError(f"time: expected seconds since the epoch, got {text[:40]!r}", "use the page") from error


def _after(text: str) -> tuple[object, ...]:
    """Time, device, epoch and seq of the last event that was shown. Raises InputError."""
    if not text:
        return ()
    try:
        moment, device, epoch, seq = json.loads(text)
        return float(moment), str(device), int(epoch), int(seq)
    except (ValueError, TypeError) as error:
        raise InputError("after: expected the 'next' of a response", "use the page") from error
