"""Whose request it is: the one line of telemetry in this service, harmless where nobody records it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from spanloom import trace

# The gateway in front of the service knows who is logged in, and sets it; a header of the client's it throws away.
USER = "x-user-id"


class Caller:
    """Everything that a request leads to, whichever library records it, is found again by its user (``user.id``)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = Headers(scope=scope).get(USER) if scope["type"] == "http" else None
        # Around the whole answer, so that a stream is in it to its end. Without a user it says nothing.
        with trace.context(user=user):
            await self.app(scope, receive, send)
