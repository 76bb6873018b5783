"""Who runs a model: servers of one's own, and names that only their owner can read. Pure."""

from __future__ import annotations

import re
from typing import Final

# What a local server is called by itself, its clients and LiteLLM.
SELF_HOSTED: Final = frozenset(
    {
        "custom",
        "custom_openai",
        "docker_model_runner",
        "hosted_vllm",
        "infinity",
        "llama.cpp",
        "llama_cpp",
        "llamacpp",
        "llamafile",
        "lm_studio",
        "lmstudio",
        "local",
        "localai",
        "mlx",
        "oobabooga",
        "ollama",
        "ollama_chat",
        "sglang",
        "tensorrt_llm",
        "tgi",
        "triton",
        "vllm",
        "xinference",
    }
)
PRIVATE_SUFFIXES: Final = (
    ".cluster.local",
    ".corp",
    ".home.arpa",
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
    ".private",
    ".svc",
)
_ADDRESS: Final = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_URL: Final = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?")
_BRACKETS: Final = re.compile(r"^\[([0-9a-f:.]+)\](?::\d+)?$")
_PORT: Final = re.compile(r"^([^:]+):\d+$")
# Bedrock: what an account calls its own copy, share or mixture. Vertex AI: an endpoint is a number.
_OWN_NAMES: Final = re.compile(
    r"^arn:aws[^:]*:(?:bedrock|sagemaker):[^:]*:[^:]*:"
    r"(?:application-inference-profile|provisioned-model|imported-model|custom-model(?:-deployment)?"
    r"|(?:default-)?prompt-router|endpoint|marketplace/model-endpoint)/"
    r"|^projects/[^/]+/locations/[^/]+/endpoints/"
)
# Clouds of governments and of China: their prices are in no table here.
_APART: Final = re.compile(r"(?:^|\.)(?:us-gov|us-iso[a-z]*|cn)-[a-z]+-\d+\.|\.(?:azure\.(?:us|cn)|com\.cn)$")


def bare_host(address: str) -> str:
    """A server's address in lower case, without scheme, path, brackets and port."""
    host = _URL.sub("", address.strip().lower())
    if not host.startswith("/"):
        host = host.partition("/")[0]
    found = _BRACKETS.match(host) or _PORT.match(host)
    return (found.group(1) if found else host).rstrip(".").partition("%")[0]


def is_self_hosted(host: str) -> bool:
    """True for loopback, private and link-local addresses, sockets, and names that the internet does not know."""
    if not host:
        return False
    if host.startswith("/") or host.endswith(PRIVATE_SUFFIXES):
        return True
    if _ADDRESS.fullmatch(host):
        return _is_private_address(host)
    # One label: a container's or a service's name.
    return "." not in host


def _is_private_address(host: str) -> bool:
    """Whatever the internet does not route; what is no address after all is not known there either."""
    import ipaddress  # three milliseconds that nearly nobody needs

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return not (mapped or address).is_global


def is_self_hosted_provider(provider: str) -> bool:
    """True for the names of servers that people run themselves."""
    return provider in SELF_HOSTED


def is_apart(host: str) -> bool:
    """True for hosts of clouds that have prices of their own: GovCloud, China."""
    return _APART.search(host) is not None


def is_own_name(model: str) -> bool:
    """True for names that an account gave itself, which say nothing of the model."""
    return _OWN_NAMES.match(model) is not None
