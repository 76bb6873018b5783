"""The HTTP library of the installed SDK: httpx2 since openai 3, httpx before."""

from __future__ import annotations

import importlib

import openai

http = importlib.import_module("httpx2" if int(openai.VERSION.partition(".")[0]) >= 3 else "httpx")
