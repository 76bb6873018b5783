"""`SPANLOOM_TOOLS` with a pattern under the real command: recorded without a changed line."""

from __future__ import annotations

from tests.zero_code.test_base_install import instrumented, our_lines, span_names

APP = """
from shop.tools import lookup_page, Cart
print(lookup_page("a"), list(Cart().add_all(2)))
"""
TOOLS = """
from shop.prices import lookup_price
def lookup_page(x): return lookup_price(x)
class Cart:
    def add_all(self, n): yield from range(n)
"""


def test_functions_by_pattern(base_python, tmp_path):
    """The program's output is its own; one span a call; a malformed entry beside it is one line."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tools.py").write_text(TOOLS)
    (tmp_path / "shop" / "prices.py").write_text("def lookup_price(x): return x")
    settings = {"SPANLOOM_TOOLS": "shop.*:lookup_*,shop.tools:Cart.*,shop.tools.search"}
    done = instrumented(base_python, tmp_path, settings, APP)
    assert (done.returncode, done.stdout) == (0, "a [0, 1]\n"), done.stderr
    (line,) = our_lines(done.stderr)
    assert "SPANLOOM_TOOLS: 'shop.tools.search' is not module:function or module:Class.method" in line
    assert sorted(span_names(tmp_path / ".spanloom")) == [
        "execute_tool add_all", "execute_tool lookup_page", "execute_tool lookup_price",
    ]  # fmt: skip
