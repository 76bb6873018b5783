"""``python -m rag`` starts the service."""

from __future__ import annotations

from rag.main import main

if __name__ == "__main__":
    main()
