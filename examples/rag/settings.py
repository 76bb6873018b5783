"""Settings, from the environment. Both model clients read ``OPENAI_API_KEY`` themselves."""

from __future__ import annotations

import os

BASE_URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
MODEL = os.environ.get("RAG_MODEL", "gpt-4o-mini")
STOCK_URL = os.environ.get("RAG_STOCK_URL", f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/stock")
