"""Proxies and certificate authorities that the environment names, as curl and most HTTP clients read them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
CA_FILES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def proxy_for(url: str, environment: Mapping[str, str] | None = None) -> str:
    """Address of the proxy for ``url``; empty: connect directly.

    ``http_proxy``, ``https_proxy`` and ``all_proxy``, lower case first; ``no_proxy`` holds host names, domains
    (``lan``, ``.lan``, ``*.lan``), addresses, networks (``10.0.0.0/8``, ``10.*``), each with a port or without,
    ``<local>`` for names without a dot, or ``*``.
    """
    variables = os.environ if environment is None else environment
    parts = urlsplit(url)
    proxy = next((found for name in (f"{parts.scheme}_proxy", "all_proxy") if (found := _value(variables, name))), "")
    if not proxy or _is_excluded(parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0), variables):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def ca_file(environment: Mapping[str, str] | None = None) -> str:
    """Certificate authorities that the environment names; empty: those of the system."""
    variables = os.environ if environment is None else environment
    return next((variables[name] for name in CA_FILES if variables.get(name)), "")


def _value(variables: Mapping[str, str], name: str) -> str:
    upper = name.upper()
    if upper == "HTTP_PROXY" and "REQUEST_METHOD" in variables:
        upper = name  # in a CGI process the upper case name is a header of the request
    return (variables.get(name) or variables.get(upper) or "").strip().strip("'\"")


def _is_excluded(host: str, port: int, variables: Mapping[str, str]) -> bool:
    entries = re.split(r"[\s,;|]+", _value(variables, "no_proxy"))
    return any(entry == "*" or _matches(_plain_host(entry), _plain_host(host), port) for entry in entries if entry)


def _plain_host(name: str) -> str:
    """Lower case, without the dot of the root; letters that are not ASCII as name servers write them."""
    name = name.strip().lower().removesuffix(".")
    with suppress(UnicodeError):
        return name if name.isascii() else name.encode("idna").decode()
    return name


def _matches(entry: str, host: str, port: int) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        entry = name
    if entry == "<local>":
        return "." not in host and ":" not in host
    domain = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == domain or host.endswith(f".{domain}") or ("*" in domain and fnmatchcase(host, domain))
