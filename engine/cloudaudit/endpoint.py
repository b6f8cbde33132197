"""Which host is asked: the China or the international site, or any other that is named."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

Site = Literal["cn", "intl"]

# Source: API 3.0 documentation, "Request structure"; the international pages name their own host since 2025-10-30.
ROOTS: Mapping[Site, str] = {"cn": "tencentcloudapi.com", "intl": "intl.tencentcloudapi.com"}

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)


def url(service: str, *, site: Site = "cn", endpoint: str | None = None) -> str:
    """
    The base URL of *service*, without a path: "https://cloudaudit.tencentcloudapi.com".

    *endpoint* takes the place of the site's host: a host ("cloudaudit.ap-shanghai-fsi.tencentcloudapi.com") or a URL
    ("http://127.0.0.1:9999"). Raises ValueError if it is neither.
    """
    if not endpoint:
        return f"https://{service}.{ROOTS[site]}"
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an endpoint is a host, or a URL that begins with https:// or http://")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("an endpoint has no user, path or query: only a host and, if need be, a port")
    if not _is_host(parts.hostname):
        raise ValueError("an endpoint's host is a name or an address")
    if parts.port == 0:  # parts.port itself raises ValueError for what is no port
        raise ValueError("an endpoint's port is 1 to 65535")
    return f"{parts.scheme}://{parts.netloc}"


def _is_host(name: str) -> bool:
    if ":" in name:  # IPv6; urlsplit has taken the brackets off
        return _is_address(name)
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.rstrip(".").split("."))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_clear_text(base: str) -> bool:
    """Whether what is said to *base* can be read on the way: plain http to another machine."""
    parts = urlsplit(base)
    if parts.scheme == "https" or parts.hostname in (None, "localhost"):
        return False
    return not (_is_address(parts.hostname) and ipaddress.ip_address(parts.hostname).is_loopback)
