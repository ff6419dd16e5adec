"""What scripts/arm64 runs on both machines: the same pictures, the same release, and how far the answers are apart."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PORTRAITS = ROOT / "edge" / "data" / "portraits"
MODELS = ("edge-face-detector-2", "edge-face-embedder-1")
PORT = 18480
DEVICE = "arm64"
BOX, COSINE, SIMILARITY = 0.01, 0.99, 0.02
"""tolerances: corner of a box as a fraction of the picture, one face embedded on both, a cosine on one and the other"""


def main() -> int:
    task, folder, *rest = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    return TASKS[task](folder, *rest) or 0


def prepare(folder: Path) -> None:
    """Pictures made of the portraits, and a signed release of our models, a collection and probes."""
    random = np.random.default_rng(7)
    (folder / "pictures").mkdir()
    for path in sorted(PORTRAITS.glob("*/*.jpg")):
        for number in range(12):
            name = f"{path.parent.name}-{number:02}.jpg"
            cv2.imwrite(str(folder / "pictures" / name), varied(cv2.imread(str(path)), random))
    os.environ["EDGE_HUB__REPOSITORY"] = str(folder / "hub")
    edge(folder / "hub-state", "hub", "init", "--repository", str(folder / "hub"), "--keys", str(folder / "keys"))
    key = edge(folder / "hub-state", "hub", "sealing", "key", DEVICE, "--json")["key"]
    (folder / "sync-key").write_text(key)
    for model in MODELS:
        edge(folder / "hub-state", "hub", "add", "model", model)
    edge(folder / "hub-state", "hub", "add", "collection", "staff", str(PORTRAITS))
    for path in sorted(PORTRAITS.glob("*/*.jpg")):
        edge(folder / "hub-state", "hub", "add", "probe", str(path))
    release = edge(folder / "hub-state", "hub", "publish", "--keys", str(folder / "keys"), "--json")["id"]
    edge(folder / "hub-state", "hub", "rollout", release)


def varied(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turned, moved, nearer or farther, in another light, less sharp."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-12, 12), random.uniform(0.6, 1.2))
    turn[:, 2] += random.uniform(-0.08, 0.08, 2) * (width, height)
    moved = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(moved * random.uniform(0.6, 1.3) + random.uniform(-20, 20), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(lit, (0, 0), random.uniform(0.3, 1.5))


def look(folder: Path, place: str) -> None:
    """Enroll the portraits and search the pictures, with the commands."""
    state = Path(f"/tmp/edge-arm64-{place}-{os.getpid()}")
    edge(state, "enroll", "faces", str(PORTRAITS))
    found = edge(state, "search", "faces", str(folder / "pictures"), "--json", codes=(0, 3))
    edge(state, "collection", "export", "faces", str(folder / f"{place}.edge"))
    (folder / f"{place}.json").write_text(json.dumps(found))


def serve(folder: Path) -> None:
    """The release, on loopback, until it is ended."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder / "hub" / "public"))
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), handler).serve_forever()


def sync(folder: Path) -> None:
    """Fetch the release, try it with its probes, install it, as a device does."""
    os.environ |= {
        "EDGE_SYNC__URL": f"http://127.0.0.1:{PORT}",
        "EDGE_SYNC__ROOT": str(next((folder / "hub" / "public").rglob("1.root.json"))),
        "EDGE_SYNC__TRUST_CLOCK": "true",
        "EDGE_SYNC__KEY": (folder / "sync-key").read_text(),
        "EDGE_DEVICE__NAME": DEVICE,
    }
    state = Path(f"/tmp/edge-arm64-sync-{os.getpid()}")
    done = edge(state, "sync", "--json")
    print(f"edge sync: {done['outcome']} {done['release']}: models, segments and golden probes passed")
    if done["outcome"] != "installed":
        raise SystemExit(f"expected an installed release, got {done}")


def compare(folder: Path) -> int:
    """Say how far the two machines are apart; 1 where it is too far."""
    if space(folder / "here.edge") != space(folder / "there.edge"):
        raise SystemExit("here and there have other models or runtimes: install this checkout in both")
    here, there = (json.loads((folder / f"{place}.json").read_text())["images"] for place in ("here", "there"))
    boxes, similarities, names = [0.0], [0.0], 0
    problems = []
    for one, other in zip(here, there, strict=True):
        name = Path(one["path"]).name
        if len(one["faces"]) != len(other["faces"]):
            problems.append(f"{name}: {len(one['faces'])} faces here, {len(other['faces'])} there")
            continue
        for a, b in zip(one["faces"], other["faces"], strict=True):
            names += 1
            if (a["state"], a["subject"]) != (b["state"], b["subject"]):
                problems.append(f"{name}: {a['state']} {a['subject']} here, {b['state']} {b['subject']} there")
            boxes.append(max(abs(a["box"][side] - b["box"][side]) for side in a["box"]))
            similarities += [abs(x["cosine"] - y["cosine"]) for x, y in zip(a["matches"], b["matches"], strict=True)]
    cosines = np.einsum("ij,ij->i", vectors(folder / "here.edge"), vectors(folder / "there.edge"))
    print(f"{names} faces in {len(here)} pictures: identities differ in {len(problems)}")
    print(f"boxes apart: {max(boxes):.5f} of the picture at most (tolerance {BOX})")
    print(f"one face, embedded here and there: cosine {cosines.min():.5f} at least (tolerance {COSINE})")
    print(f"similarities apart: {max(similarities):.5f} at most (tolerance {SIMILARITY})")
    if max(boxes) > BOX or cosines.min() < COSINE or max(similarities) > SIMILARITY:
        problems.append("a tolerance is passed")
    print("\n".join(problems))
    return 1 if problems else 0


def space(path: Path) -> str:
    """Model, runtime and preprocessing of an exported collection."""
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("manifest.json"))["space"])


def vectors(path: Path) -> np.ndarray:
    """Embeddings of an exported collection."""
    with zipfile.ZipFile(path) as archive:
        count = json.loads(archive.read("manifest.json"))["count"]
        return np.frombuffer(archive.read("vectors.f32"), "<f4").reshape(count, -1)


def edge(state: Path, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
    """Run a command; what it says, as JSON where it was asked for."""
    environment = {**os.environ, "STATE_DIRECTORY": str(state)}
    done = subprocess.run([sys.executable, "-m", "edge", *words], env=environment, capture_output=True, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"edge {' '.join(words)}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout) if "--json" in words else done.stdout


TASKS = {"prepare": prepare, "look": look, "serve": serve, "sync": sync, "compare": compare}

if __name__ == "__main__":
    sys.exit(main())
