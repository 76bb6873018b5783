"""Settings that name hosts: ``host``, ``host:port`` or ``*.suffix``, comma separated."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from spanloom import semconv

_log = logging.getLogger("spanloom")


class Hosts:
    """A table of hosts: ``host``, ``host:port`` or ``*.suffix`` -> value. The longest rule that fits wins."""

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        self._exact: dict[str, str] = {}
        self._below: dict[str, str] = {}
        for host, value in rows:
            table, name = (self._below, host[2:]) if host.startswith("*.") else (self._exact, host)
            table[_bare(name.lower())] = value
        self.any = bool(self._exact or self._below)

    def find(self, host: str, port: int | None) -> str | None:
        """What stands for this host."""
        if not self.any:
            return None
        found = self._exact.get(f"{host}:{port}") or self._exact.get(host)
        if found is not None:
            return found
        return next((self._below[one] for one in domains_above(host) if one in self._below), None)


def domains_above(host: str) -> list[str]:
    """The domains above a host, the longest first."""
    labels = host.split(".")
    return [".".join(labels[place:]) for place in range(1, len(labels))]


def hosts_of(setting: str) -> Hosts:
    """A list of hosts; what is found there is ``yes``."""
    rows: list[tuple[str, str]] = []
    for one in semconv.names_of(setting):
        if _names_host(one):
            rows.append((one, "yes"))
        else:
            _refuse(setting, one, "llm.example.com, *.example.com")
    return Hosts(rows)


def providers_of(setting: str) -> Hosts:
    """A list of ``host=provider``."""
    rows: list[tuple[str, str]] = []
    for one in semconv.names_of(setting):
        host, _, provider = (part.strip() for part in one.partition("="))
        if provider and _names_host(host):
            rows.append((host, provider))
        else:
            _refuse(setting, one, "llm.example.com=groq, *.example.com=openai")
    return Hosts(rows)


def _names_host(host: str) -> bool:
    name = host.removeprefix("*.")
    if _V6.fullmatch(host):
        return True
    return bool(name) and name.count(":") <= 1 and not any(letter in name for letter in "*/@= \t[]")


# As it stands in a URL: the colons of an address are not those before a port.
_V6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](:\d+)?")


def _bare(host: str) -> str:
    """An IPv6 address as clients give it, without brackets."""
    found = _V6.fullmatch(host)
    return host if found is None else f"{found[1]}{found[2] or ''}"


_told: set[tuple[str, str]] = set()


def _refuse(setting: str, item: str, wanted: str) -> None:
    """Once, whichever plugins read the setting."""
    if (setting, item) in _told:
        return
    _told.add((setting, item))
    _log.warning("spanloom: %s: %r is no host and is left out; write it like %s", setting, item, wanted)
