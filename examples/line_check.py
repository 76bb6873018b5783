"""What must be in Jaeger and Prometheus after the example has run: compared with the model server's ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

from demo import Sent
from deploy.local import check

SERVICE = "rag"
WAIT_S = 60.0
TOKENS = {
    "input_tokens": "gen_ai_client_inference_usage_input_tokens_total",
    "output_tokens": "gen_ai_client_inference_usage_output_tokens_total",
}
MODEL_LABEL = "gen_ai_response_model"
COST = "gen_ai_client_operation_cost_sum"
USD_TOLERANCE = 1e-9
# The chain that a request goes through, from the outside in; more may stand between two of them.
ASK_CHAIN = ("POST /ask", "invoke_workflow HandbookProgram", "invoke_agent", "execute_tool", "GET", "GET /stock/{item}")
ASK_MODEL_CHAIN = ("POST /ask", "invoke_workflow HandbookProgram", "invoke_agent", "Predict", "chat")
ADVISE_CHAIN = ("POST /advise", "execute_tool", "GET", "GET /stock/{item}")
CHAT_CHAIN = ("POST /chat", "chat")


class Pricing(Protocol):
    """The price of one ledger entry in USD, or None where there is none."""

    def __call__(self, entry: Mapping[str, Any]) -> float | None: ...


def own_price(entry: Mapping[str, Any]) -> float | None:
    """The price by spanloom's own table; the end-to-end test uses an independent one."""
    from spanloom.cost import price

    return price(
        entry["model_answered"],
        provider="openai",
        input_tokens=entry["input_tokens"],
        output_tokens=entry["output_tokens"],
        cache_read_tokens=entry["cached_tokens"] or 0,
    ).amount_usd


def answered(ledger: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The ledger's model calls whose tokens were reported to the client."""
    return [entry for entry in ledger["entries"] if entry["input_tokens"] is not None]


def expected_tokens(ledger: Mapping[str, Any], column: str) -> dict[tuple[str, ...], float]:
    """Reported tokens by answered model."""
    sums: dict[tuple[str, ...], float] = {}
    for entry in answered(ledger):
        key = (entry["model_answered"],)
        sums[key] = sums.get(key, 0) + entry[column]
    return sums


def expected_cost(ledger: Mapping[str, Any], pricing: Pricing) -> dict[tuple[str, ...], float]:
    """USD by answered model, summed exactly."""
    sums: dict[tuple[str, ...], Fraction] = {}
    for entry in answered(ledger):
        amount = pricing(entry)
        if amount is not None:
            key = (entry["model_answered"],)
            sums[key] = sums.get(key, Fraction(0)) + Fraction(amount)
    return {key: float(amount) for key, amount in sums.items()}


def metric_problems(
    prometheus_url: str, instance: str, ledger: Mapping[str, Any], pricing: Pricing = own_price
) -> list[str]:
    """Where Prometheus and the ledger differ: tokens exactly, USD to 1e-9."""
    where = f'instance="{instance}"'
    rows = [(metric, expected_tokens(ledger, column), 0.0) for column, metric in TOKENS.items()]
    rows.append((COST, expected_cost(ledger, pricing), USD_TOLERANCE))
    problems: list[str] = []
    for metric, expected, tolerance in rows:
        left = check.wait_for_sums(
            prometheus_url, metric, expected, by=(MODEL_LABEL,), where=where, tolerance=tolerance, timeout_s=WAIT_S
        )
        problems += [f"{metric}: {line}" for line in left]
    return problems


def traces_of(jaeger_url: str, instance: str, count: int) -> list[list[check.Span]]:
    """The traces of one run of the service, oldest first."""

    def ask() -> list[list[check.Span]] | None:
        found = check.search_traces(jaeger_url, SERVICE).values()
        mine = [spans for spans in found if is_of(spans, instance)]
        return sorted(mine, key=lambda spans: spans[0]["start_ns"]) if len(mine) >= count else None

    return check.eventually(ask, WAIT_S, f"{count} traces of {SERVICE} {instance} in Jaeger at {jaeger_url}")


def is_of(spans: Sequence[check.Span], instance: str) -> bool:
    """True for a trace of this run."""
    return spans[0]["resource"].get("service.instance.id") == instance


def trace_problems(traces: Sequence[Sequence[check.Span]], sent: Sequence[Sent]) -> list[str]:
    """What is missing in the traces of these requests, in words; empty: nothing."""
    problems: list[str] = []
    roots = [spans[0]["name"] for spans in traces]
    expected = [f"POST {one.call.path}" for one in sent]
    if sorted(roots) != sorted(expected):
        problems.append(f"expected the traces {expected}, found {roots}")
    paths = [path for spans in traces for path in _paths(check.span_tree(spans))]
    chains = (ASK_CHAIN, ASK_MODEL_CHAIN, ADVISE_CHAIN, CHAT_CHAIN)
    missing = [chain for chain in chains if not any(_goes_through(path, chain) for path in paths)]
    problems += [f"no trace goes {' → '.join(chain)}" for chain in missing]
    failed = sum(spans[0]["status"] == "error" for spans in traces)
    if failed != sum(one.status >= 500 for one in sent):
        problems.append(f"{failed} traces are marked as failed")
    return problems


def _paths(nodes: Sequence[check.Node], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for node in nodes:
        path = (*above, node.span["name"])
        found += [path, *_paths(node.children, path)]
    return found


def _goes_through(path: Sequence[str], chain: Sequence[str]) -> bool:
    names = iter(path)
    return all(any(name == step or name.startswith(f"{step} ") for name in names) for step in chain)
