"""Run as a program: an inference, an Annoy search and a TLS connection where memory cannot become executable.

``PR_SET_MDWE`` is what systemd's MemoryDenyWriteExecute uses from version 254 on, without its system call filter.
Prints ``no-mdwe`` where the kernel lacks it, else what was done, a word each.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import ssl
import sys
import tempfile
import threading
from pathlib import Path

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
C = ctypes.CDLL(None, use_errno=True)


def lock() -> bool:
    return bool(C.prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0)


def gains_execution() -> bool:
    """Whether written memory can still be made executable."""
    area = mmap.mmap(-1, mmap.PAGESIZE)
    area.write(b"\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return bool(C.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) == 0)


def infer(portrait: Path) -> None:
    from edge.core.imaging import image as pictures
    from edge.core.settings.vision import ModelSettings
    from edge.inference.load import load_detector

    with tempfile.TemporaryDirectory() as state:
        detector = load_detector("edge-face-detector-2", ModelSettings(check=False), Path(state))
        assert detector.detect(pictures.read(portrait)), "no face in a portrait"


def search() -> None:
    from annoy import AnnoyIndex

    with tempfile.TemporaryDirectory() as folder:
        index = AnnoyIndex(16, "dot")
        for number in range(200):
            index.add_item(number, [float(number == other * 12) for other in range(16)])
        index.build(5)
        index.save(f"{folder}/index")
        again = AnnoyIndex(16, "dot")
        again.load(f"{folder}/index")
        assert len(again.get_nns_by_vector([1.0] * 16, 5)) == 5


def converse(certificate: str, key: str, authority: str) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with server.wrap_socket(listener.accept()[0], server_side=True) as channel:
                channel.sendall(channel.recv(4))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        client = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection(listener.getsockname(), 5)
        with client.wrap_socket(plain, server_hostname="localhost") as channel:
            channel.sendall(b"ping")
            assert channel.recv(4) == b"ping"
        thread.join(5)


if __name__ == "__main__":
    if not lock():
        print("no-mdwe")
        sys.exit()
    print("open" if gains_execution() else "locked")
    infer(Path(sys.argv[1]))
    print("inference")
    search()
    print("search")
    converse(*sys.argv[2:5])
    print("tls")
