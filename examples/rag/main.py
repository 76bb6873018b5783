"""Starts the service on ``PORT`` (default 8000) of ``HOST`` (default 127.0.0.1)."""

from __future__ import annotations

import os

import uvicorn

from rag.app import app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000")))


if __name__ == "__main__":
    main()
