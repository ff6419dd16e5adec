"""An RTSP camera: a real server that runs under the system's Python, which has GStreamer's bindings.

    /usr/bin/python3 rtsp_server.py [--port N] [--user NAME --password WORD] [--width W --height H]

Prints ``ready PORT`` when it listens. The picture is GStreamer's ``smpte`` test pattern. It ends with its stdin.
"""

from __future__ import annotations

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def pipeline(width: int, height: int) -> str:
    return (
        f"( videotestsrc is-live=true pattern=smpte ! video/x-raw,width={width},height={height},framerate=25/1 ! "
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 )"
    )


def demand(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str) -> None:
    """Let in this user alone."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    access = GstRtspServer.RTSPAuth()
    access.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(access)
    role = Gst.Structure.new_empty(user)
    role.set_value("media.factory.access", True)
    role.set_value("media.factory.construct", True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role_from_structure(role)
    factory.set_permissions(permissions)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", default="0")
    options.add_argument("--user")
    options.add_argument("--password", default="")
    options.add_argument("--width", type=int, default=320)
    options.add_argument("--height", type=int, default=240)
    chosen = options.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(chosen.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline(chosen.width, chosen.height))
    factory.set_shared(True)
    if chosen.user:
        demand(server, factory, chosen.user, chosen.password)
    server.get_mount_points().add_factory("/camera", factory)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {chosen.port}")
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    GLib.idle_add(lambda: print("ready", server.get_bound_port(), flush=True))
    loop.run()


if __name__ == "__main__":
    main()
