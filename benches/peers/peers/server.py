"""A web server on loopback, with a log of what was asked for."""

import socket
import subprocess
import time
from pathlib import Path

CONFIGURATION = """
worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format counted '$status $bytes_sent $request_uri';
  access_log {home}/access.log counted;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  sendfile on;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Server:
    """nginx, for one folder, while the `with` block runs."""

    def __init__(self, root: Path, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        configuration = CONFIGURATION.format(home=home.resolve(), port=self.port, root=root.resolve())
        (home / "nginx.conf").write_text(configuration)

    def __enter__(self) -> "Server":
        command = ["nginx", "-p", self.home, "-c", (self.home / "nginx.conf").resolve(), "-e", self.home / "error.log"]
        self.process = subprocess.Popen(command)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError((self.home / "error.log").read_text())

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()

    def asked(self) -> tuple[int, int]:
        """Requests since the last call, and the bytes of their answers."""
        log = self.home / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return len(lines), sum(int(line.split()[1]) for line in lines)
