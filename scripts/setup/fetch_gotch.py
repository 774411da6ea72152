"""Fetches the Go module gotch for a machine without Go: fetch_gotch.py VERSION DIR.

The zip comes from the module proxy that GOPROXY names and must have the hash that go.sum has for it:
SHA-256 over a line "SHA-256 of a file, two spaces, its name" for each file, in the order of the names.
"""
import base64
import hashlib
import io
import os
import pathlib
import sys
import urllib.request
import zipfile

MODULE = "github.com/sugarme/gotch"
MOST = 64 << 20  # bytes of the zip; it has under 1 MB
WANTED = "libtch/", "LICENSE"


def proxy():
    for name in os.environ.get("GOPROXY", "").replace("|", ",").split(","):
        if name.startswith(("http://", "https://", "file://")):
            return name.rstrip("/")
    sys.exit("GOPROXY names no module proxy to fetch gotch from: set it to the address of one")


def expected(version):
    for line in (pathlib.Path(__file__).parents[2] / "go.sum").read_text().splitlines():
        if line.startswith(f"{MODULE} {version} "):
            return line.split()[2]
    sys.exit(f"go.sum has no {MODULE} {version}")


def h1(archive):
    lines = [f"{hashlib.sha256(archive.read(n)).hexdigest()}  {n}\n" for n in sorted(archive.namelist())]
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def main(version, to):
    url = f"{proxy()}/{MODULE}/@v/{version}.zip"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read(MOST)
    except OSError as e:
        sys.exit(f"cannot fetch {url}: {e}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as e:
        sys.exit(f"{url}: {e}")
    if h1(archive) != expected(version):
        sys.exit(f"{url} is not what go.sum says: {h1(archive)}")
    root = f"{MODULE}@{version}/"
    for name in archive.namelist():
        inside = name.removeprefix(root)
        if inside.startswith(WANTED) and not name.endswith("/"):
            target = pathlib.Path(to, inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
