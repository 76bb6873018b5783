"""The comparison with genai-prices needs Python ≥ 3.11, as that library does; the rest of these tests does not."""

from __future__ import annotations

import sys

collect_ignore = ["test_build.py", "test_differential.py"] if sys.version_info < (3, 11) else []
