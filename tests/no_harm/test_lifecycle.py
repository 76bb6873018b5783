"""Switching the plugin on and off: the SDK is afterwards what it was, at whatever time it is imported."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import openai
import pytest

from spanloom.openai import OpenAIInstrumentor
from tests._support.spans import Recorder
from tests.no_harm import _answers as answers
from tests.no_harm._stage import http
from tests.no_harm._streams import ASKED


@pytest.fixture
def client():
    """A client that is always answered."""
    body = answers.json.dumps(answers.CHAT).encode()
    transport = http.MockTransport(lambda _: http.Response(200, content=body))
    with openai.OpenAI(
        api_key="k", base_url="http://a.example/v1", http_client=http.Client(transport=transport)
    ) as one:
        yield one


def _modules() -> list[str]:
    """Every module of the SDK that its own clients import."""
    resources = importlib.import_module("openai.resources")
    names = [one.name for one in pkgutil.walk_packages(resources.__path__, "openai.resources.")]
    for name in names:
        importlib.import_module(name)
    return [name for name in sys.modules if name.partition(".")[0] == "openai"]


def _inventory() -> dict[tuple[str, str, str], Any]:
    """Every attribute of every class of the SDK, as it stands in the class."""
    found: dict[tuple[str, str, str], Any] = {}
    for name in _modules():
        for one in vars(sys.modules[name]).values():
            if isinstance(one, type) and one.__module__.partition(".")[0] == "openai":
                found |= {(one.__module__, one.__qualname__, key): value for key, value in vars(one).items()}
    return found


# What Python itself makes anew when something is looked up.
_FLEETING = ("__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__annotations__", "__annotations_cache__")


def _changed(before: dict[Any, Any], after: dict[Any, Any]) -> list[Any]:
    """Where two inventories hold different objects."""
    keys = before.keys() | after.keys()
    return [key for key in keys if before.get(key) is not after.get(key) and key[2] not in _FLEETING]


def test_everything_is_put_back():
    """Switched off, every attribute of every class of the SDK is the same object as before, and none is new."""
    before = _inventory()
    plugin = OpenAIInstrumentor()
    plugin.instrument()
    during = _inventory()
    plugin.uninstrument()
    assert _changed(before, during) != []
    assert _changed(before, _inventory()) == []


def test_twice_is_once(client, caplog):
    """Switched on twice, by two objects, a call is one span; switched off once, it is off."""
    recorder = Recorder()
    OpenAIInstrumentor().instrument(**recorder.providers)
    OpenAIInstrumentor().instrument(**recorder.providers)
    client.chat.completions.create(**ASKED)
    OpenAIInstrumentor().uninstrument()
    client.chat.completions.create(**ASKED)
    assert len(recorder.spans) == 1
    OpenAIInstrumentor().uninstrument()
    recorder.close()


def test_on_and_off_many_times(client):
    """Nothing is stacked: after fifty rounds the SDK is what it was, and a call is one span."""
    before = _inventory()
    recorder = Recorder()
    for _ in range(50):
        plugin = OpenAIInstrumentor()
        plugin.instrument(**recorder.providers)
        plugin.uninstrument()
    assert _changed(before, _inventory()) == []
    plugin.instrument(**recorder.providers)
    client.chat.completions.create(**ASKED)
    plugin.uninstrument()
    assert len(recorder.spans) == 1
    recorder.close()


def test_on_and_off_while_a_stream_is_open():
    """A stream that was begun before ends without a span; one that was begun meanwhile ends with one."""
    events = b"".join(answers.CHAT_EVENTS)
    transport = http.MockTransport(
        lambda _: http.Response(200, headers={"content-type": "text/event-stream"}, content=events)
    )
    options = {"api_key": "k", "base_url": "http://a.example/v1", "http_client": http.Client(transport=transport)}
    recorder, plugin = Recorder(), OpenAIInstrumentor()
    with openai.OpenAI(**options) as client:
        early = client.chat.completions.create(**ASKED, stream=True)
        plugin.instrument(**recorder.providers)
        late = client.chat.completions.create(**ASKED, stream=True)
        assert len(list(early)) == len(answers.CHAT_EVENTS) - 1
        plugin.uninstrument()
        assert recorder.spans == []
        assert len(list(late)) == len(answers.CHAT_EVENTS) - 1
    gc.collect()
    assert len(recorder.spans) == 1
    recorder.close()


_PROGRAM = """
import sys
from spanloom.openai import OpenAIInstrumentor
{before}
import openai
names = ["chat.completions", "responses", "embeddings", "files", "images"]
classes = [type(eval("openai.OpenAI(api_key='k')." + name)) for name in names]
{after}
import openai.resources
found = [f"{{one.__name__}}.{{key}}" for one in classes for key, value in vars(one).items()
         if "spanloom" in getattr(getattr(value, "__code__", None), "co_filename", "")]
from openai._base_client import SyncAPIClient, AsyncAPIClient
found += [f"{{one.__name__}}.{{key}}" for one in (SyncAPIClient, AsyncAPIClient) for key, value in vars(one).items()
          if "spanloom" in getattr(getattr(value, "__code__", None), "co_filename", "")]
print(len(found) > 0)
"""
_ON, _OFF = "OpenAIInstrumentor().instrument()", "OpenAIInstrumentor().uninstrument()"


@pytest.mark.parametrize(
    ("before", "after", "patched"),
    [
        (_ON, "", True),
        ("", _ON, True),
        (f"{_ON}; {_OFF}", "", False),
        (_ON, _OFF, False),
        (f"{_ON};{_OFF};{_ON}", "", True),
    ],
    ids=["on, imported", "imported, on", "on, off, imported", "on, imported, off", "on, off, on, imported"],
)
def test_the_time_of_the_import_does_not_matter(before, after, patched):
    """Also when it was switched off before ``openai`` was imported."""
    code = _PROGRAM.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == (str(patched), "")
