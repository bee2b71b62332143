"""A loopback HTTP server for repositories, live or on disk. It logs what was asked for."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from pytuf_repo import Repo

# Looks a path up ("metadata/2.root.json", exactly as it came over the wire).
Lookup = Callable[[str], bytes | None]


class Site:
    """One repository under its own URL, with its request log."""

    def __init__(self, base_url: str, lookup: Lookup) -> None:
        self.metadata_url = f"{base_url}/metadata"
        self.targets_url = f"{base_url}/targets"
        self.requests: list[str] = []
        # Paths that answer with a status instead of a file.
        self.statuses: dict[str, int] = {}
        # Paths whose body never ends; `endless_bytes` counts what a client took.
        self.endless: set[str] = set()
        self.endless_bytes = 0
        self._lookup = lookup

    def find(self, path: str) -> bytes | None:
        return self._lookup(path)

    def metadata_requests(self) -> list[str]:
        """The metadata files asked for so far, in order, as named in the URL."""
        return [r.removeprefix("metadata/") for r in self.requests if r.startswith("metadata/")]

    def target_requests(self) -> list[str]:
        """The target files asked for so far, in order."""
        return [r.removeprefix("targets/") for r in self.requests if r.startswith("targets/")]

    def forget(self) -> None:
        """Starts the request log anew."""
        self.requests.clear()


class Server:
    """Serves any number of sites from one port of 127.0.0.1."""

    def __init__(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.sites = {}
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def live(self, repo: Repo) -> Site:
        """Serves what a repository in memory publishes, as it changes."""

        def lookup(path: str) -> bytes | None:
            # Metadata names must arrive percent-encoded exactly once; targets are decoded.
            return repo.served.get(path if path.startswith("metadata/") else unquote(path))

        return self._add(lookup)

    def static(self, folder: Path) -> Site:
        """Serves a published tree like any static web server."""
        root = folder.resolve()

        def lookup(path: str) -> bytes | None:
            file = (root / unquote(path)).resolve()
            return file.read_bytes() if file.is_relative_to(root) and file.is_file() else None

        return self._add(lookup)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _add(self, lookup: Lookup) -> Site:
        name = f"site{len(self._http.sites)}"
        site = Site(f"http://127.0.0.1:{self._http.server_address[1]}/{name}", lookup)
        self._http.sites[name] = site
        return site


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0, GET only, no ranges: what the simplest static server offers."""

    timeout = 30
    endless_limit = 1 << 30

    def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
        name, _, path = self.path.lstrip("/").partition("/")
        site = self.server.sites.get(name)
        if site is None:
            self.send_error(404)
            return
        site.requests.append(path)
        if path in site.statuses:
            self.send_error(site.statuses[path])
        elif path in site.endless:
            self._send_endless(site, path)
        else:
            self._send(site.find(path))

    def _send(self, body: bytes | None) -> None:
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_endless(self, site: Site, path: str) -> None:
        """The real file and then spaces, without a length, until the client hangs up."""
        self.send_response(200)
        self.end_headers()
        chunk = site.find(path) or b""
        try:
            while site.endless_bytes < self.endless_limit:
                self.wfile.write(chunk)
                site.endless_bytes += len(chunk)
                chunk = b" " * 65536
        except OSError:
            pass

    def log_message(self, *_args: object) -> None:
        """The log that matters is Site.requests."""
