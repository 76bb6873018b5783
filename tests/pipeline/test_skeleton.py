"""What a skeleton keeps is a list of what is known, not what is left of one."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanContext

from spanloom.sampling import TailRule
from tests._support.pipeline import Service, tail

ASKED = TailRule("asked", "keep")
SAID = "CONTENT"
FOREIGN = (
    "pydantic_ai.all_messages", "tool_arguments", "final_result", "mlflow.spanInputs", "mlflow.spanOutputs",
    "langfuse.observation.input", "langfuse.observation.output", "input", "prompt", "completion", "db.query.text",
    "http.request.body", "gen_ai.input.messages", "gen_ai.prompt.0.content", "spanloom.tag.q",
    "spanloom.embeddings.input",
    "dspy.inputs", "dspy.signature", "logfire.msg", "error.message", "url.full", "url.query",
)  # fmt: skip


@pytest.fixture(name="skeleton")
def _skeleton():
    service = Service(tail(ASKED, skeleton=True))
    known = {"gen_ai.request.model": "m", "gen_ai.response.finish_reasons": ("stop",), "error.type": "E", "n": 1.5,
             "http.route": "/x", "server.address": "h", "user.id": "u", "spanloom.tenant": "t", "flags": (True,),
             "dspy.module": "Predict", "gen_ai.agent.name": "a"}  # fmt: skip
    with service.root("root", attributes={**dict.fromkeys(FOREIGN, SAID), **known}) as root:
        root.add_event("gen_ai.user.message", {"content": SAID, "gen_ai.event.content": SAID})
        root.add_event(f"{SAID} in a name")
        root.record_exception(ValueError(SAID), {"note": SAID})
        root.add_link(SpanContext(1, 2, False), {"note": SAID, "n": 1})
    (one,) = service.out.spans
    return one, known


def test_no_content_of_anybody(skeleton):
    """Not in attributes of other recorders, events, their names or links."""
    assert SAID not in skeleton[0].to_json()


def test_what_is_known_stays(skeleton):
    """Ids, models, routes, states, figures and flags."""
    one, known = skeleton
    assert known.items() <= dict(one.attributes).items()


def test_events_and_links(skeleton):
    """An exception with its type alone, and links without attributes."""
    one, _ = skeleton
    assert [(event.name, dict(event.attributes)) for event in one.events] == [
        ("exception", {"exception.type": "ValueError"})
    ]
    assert [dict(link.attributes) for link in one.links] == [{}]
