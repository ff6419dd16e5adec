"""An HTTP server in its own thread: uvicorn with guarded connections on a socket that is bound here."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.api.http import listener
from edge.api.http.connections import BACKLOG, Connections, most_connections, protocol_of
from edge.core.errors import TransientError
from edge.core.system.heartbeat import Heartbeat

if TYPE_CHECKING:
    from starlette.types import ASGIApp

START_SECONDS = 30.0
TICKS_PER_SECOND = 10
"""of uvicorn's loop"""


class HttpServer:
    """Serves ``application`` from ``start`` to ``stop``.

    ``name``: of the server, for messages; ``setting``: the name of the port's setting.
    """

    def __init__(
        self, application: ASGIApp, host: str, port: int, proxies: Sequence[str], *, name: str, setting: str
    ) -> None:
        self.host, self.port = host, port
        """``port``: the bound one once it is started"""
        self.pulse = Heartbeat()
        """used on the server's event loop"""
        self._application, self._proxies, self._name, self._setting = application, list(proxies), name, setting
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def bind(self) -> None:
        """Start listening; connections wait until ``run``. Raises SettingsError where the address cannot be bound."""
        import uvicorn

        connections = Connections(most_connections())
        config = uvicorn.Config(
            self._application,
            host=self.host,
            port=self.port,
            http=protocol_of(connections),
            ws="none",
            backlog=BACKLOG,
            proxy_headers=bool(self._proxies),
            forwarded_allow_ips=self._proxies,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        pulse = self.pulse

        class Server(uvicorn.Server):
            async def on_tick(self, counter: int) -> bool:
                pulse.beat()
                if counter % TICKS_PER_SECOND == 0:
                    connections.sweep()
                return await super().on_tick(counter)

        self._server = Server(config)
        opened = listener.listening(self.host, self.port, config.backlog, self._setting)
        self.port = opened.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [opened]}, name=self._name, daemon=True
        )

    def run(self) -> None:
        """Serve, in the server's thread. Raises TransientError where it does not start."""
        assert self._thread is not None  # noqa: S101 - bound before
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            raise TransientError(f"the {self._name} did not start", "see the log above, and start it again")

    def stop(self) -> None:
        """Finish running requests, then close; also after a failed start."""
        if self._server is not None and self._thread is not None and self._thread.ident is not None:
            self._server.should_exit = True
            self._thread.join()
            self.pulse.rest()
