"""Addresses of NATS, as in NATS_URL: ``nats://user:password@a:4222,nats://user:password@b:4222``."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from .errors import NotConnected


def read(servers: str | list[str]) -> tuple[list[str], dict[str, str]]:
    """The addresses without user and password, and these as options of ``nats.connect``, which would take a ``%40`` in
    a password for that. The first that are given go for all."""
    listed = servers.split(",") if isinstance(servers, str) else servers
    addresses: list[str] = []
    options: dict[str, str] = {}
    for address in (text.strip() for text in listed):
        if not address:
            continue
        try:
            parts = urlsplit(address if "://" in address else f"nats://{address}")
            readable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            readable = False
        if not readable:
            raise NotConnected(  # what is wrong with it may be a password: none of it is shown
                "an address of NATS cannot be read: write nats://user:password@host:4222, in user and password all but "
                "letters and digits as %XX, and commas between several"
            )
        addresses.append(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
        if not options and parts.password is not None:
            options = {"user": unquote(parts.username or ""), "password": unquote(parts.password)}
        elif not options and parts.username:
            options = {"token": unquote(parts.username)}
    if not addresses:
        raise NotConnected("no address of NATS: name your NATS by NATS_URL, such as nats://127.0.0.1:4222")
    return addresses, options


def shown(addresses: list[str]) -> str:
    """For errors: where, without a query, which may have a token."""
    return ",".join(address.partition("?")[0] for address in addresses)
