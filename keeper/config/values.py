"""Kinds of value that keys of the configuration have: addresses, endpoints, paths, ranges."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from keeper.model.addresses import ADDRESS, checksummed
from keeper.model.reads import Address


def _checksummed(text: str) -> Address:
    """Return an address in EIP-55; one that carries a wrong checksum was mistyped."""
    if not ADDRESS.fullmatch(text):
        raise PydanticCustomError("address", "expected an address: 0x and 40 hexadecimal digits")
    right = checksummed(text)
    if text not in (right, text.lower()):
        raise PydanticCustomError(
            "checksum", "its checksum is wrong: a mistyped address, or meant {right}", {"right": right}
        )
    return right


def _leads_to_a_host(text: str, schemes: tuple[str, ...]) -> bool:
    """Whether an URL has one of the schemes, a host, and no port that cannot be."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _http(text: str) -> str:
    """Return an endpoint that a JSON-RPC request can be posted to."""
    if not _leads_to_a_host(text, ("http", "https")):
        raise PydanticCustomError("endpoint", "expected an http:// or https:// URL")
    return text


def _http_or_none(text: str) -> str:
    """Return an endpoint, or the empty text that stands for none."""
    return _http(text) if text else ""


def _private_or_none(text: str) -> str:
    """Return an endpoint that nobody can listen in on: https, or a port of this machine."""
    parts = urlsplit(_http_or_none(text))
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise PydanticCustomError("plain_http", "expected https://; http:// goes to 127.0.0.1 only")
    return text


def _postgres_or_none(text: str) -> str:
    """Return the URL of a database without a password, or the empty text that stands for none."""
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme != "postgresql" or len(parts.path) < 2:
        raise PydanticCustomError("database", "expected postgresql://user@host/database")
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise PydanticCustomError(
            "password", "expected no password: put it into a file of mode 0600, and name it as ?passfile="
        )
    return text


def _ws(text: str) -> str:
    """Return an endpoint that can be subscribed to."""
    if not _leads_to_a_host(text, ("ws", "wss")):
        raise PydanticCustomError("ws_endpoint", "expected a ws:// or wss:// URL")
    return text


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    """Return a path relative to the folder of the configuration file."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


def _odd(steps: int) -> int:
    """Return a number of steps that has a middle: the unchanged spot."""
    if steps % 2 == 0:
        raise PydanticCustomError("odd", "expected an odd number, so that one step is the unchanged spot")
    return steps


def _some(endpoints: tuple[str, ...]) -> tuple[str, ...]:
    """Return endpoints, at least one. A length bound would also fire, wrongly, where one is malformed."""
    if not endpoints:
        raise PydanticCustomError("empty", "expected at least one URL")
    return endpoints


EvmAddress = Annotated[Address, AfterValidator(_checksummed)]
Endpoint = Annotated[str, AfterValidator(_http)]
Endpoints = Annotated[tuple[Endpoint, ...], AfterValidator(_some), Field(repr=False)]
EndpointOrNone = Annotated[str, AfterValidator(_http_or_none), Field(repr=False)]
PrivateOrNone = Annotated[str, AfterValidator(_private_or_none), Field(repr=False)]
DatabaseOrNone = Annotated[str, AfterValidator(_postgres_or_none), Field(repr=False)]
WsEndpoint = Annotated[str, AfterValidator(_ws)]
FilePath = Annotated[Path, AfterValidator(_beside_file)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Move = Annotated[float, Field(ge=-1)]
Odd = Annotated[int, AfterValidator(_odd)]
