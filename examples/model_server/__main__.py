"""Command line: ``python -m model_server --port 0``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from ._server import ModelServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Returns 2 when the address cannot be bound."""
    parser = argparse.ArgumentParser(prog="model_server", description="A local stand-in for an OpenAI server.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default: 0)")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        server = ModelServer(host=options.host, port=options.port)
    except (OSError, OverflowError) as error:
        print(f"model server: --host {options.host} --port {options.port}: {error}; choose another", file=sys.stderr)
        return 2
    with server:
        print(f"model server: {server.openai_base_url}", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
