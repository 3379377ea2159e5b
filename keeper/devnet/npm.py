"""npm, as far as it is needed: fetch one package's archive, and say why it could not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from keeper.devnet.errors import NpmMissingError, PackageFetchError

_TIMEOUT_S: Final = 600
_UNREACHABLE: Final = frozenset(
    {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"}
)


def npm_command(package: str) -> str:
    """Return npm from the PATH, else the one installed beside this Python. Raises `NpmMissingError`."""
    beside = Path(sys.executable).with_name("npm")
    found = shutil.which("npm") or shutil.which(str(beside))
    if found is None:
        raise NpmMissingError(package)
    return found


def pack(npm: str, package: str, work: Path) -> Path:
    """Fetch `name@version` into the empty folder `work`. Raises `PackageFetchError`."""
    command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error", "--fund=false"]
    command += ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]
    # npm of a Python environment starts the `node` beside it
    path = os.pathsep.join((str(Path(npm).parent), os.environ.get("PATH", os.defpath)))
    try:
        # `npm` is the program just looked up, the rest are constants and lines of the lock
        ran = subprocess.run(  # noqa: S603
            command, cwd=work, env={**os.environ, "PATH": path}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PackageFetchError(
            package, code="timeout", detail=f"no answer in {_TIMEOUT_S} s", remedy="check the network"
        ) from error
    archives = sorted(work.glob("*.tgz"))
    if ran.returncode == 0 and len(archives) == 1:
        return archives[0]
    raise _fetch_error(package, ran.stderr)


def _fetch_error(package: str, stderr: str) -> PackageFetchError:
    """Read the reason from npm's messages: its code, and the first line that says more."""
    lines = [line.split("npm error", 1)[-1].strip() for line in stderr.splitlines() if line.strip()]
    code = next((line.removeprefix("code ") for line in lines if line.startswith("code ")), "no code")
    said = (line.removeprefix(code).strip() for line in lines if not re.match(r"code |errno |syscall ", line))
    detail = next((line for line in said if line), "npm said nothing")
    if code in _UNREACHABLE:
        remedy = "the registry cannot be reached; check the network and npm's proxy settings"
    elif code == "E404":
        remedy = "the registry that npm is set up for does not have it; check npm's registry setting"
    else:
        remedy = f"run `npm pack {package}` by hand to see more"
    return PackageFetchError(package, code=code, detail=detail[:160], remedy=remedy)
