"""Why nothing can be proposed to a Safe.

* ConfigError
  * NotASafeError            what is at the address is no Safe
  * UnsupportedVersionError  it is one of a version that is not known here
  * UnknownChainError        the chain is not configured, or was not named where there are several
  * NonceUsedError           the nonce that was asked for has been used
  * NoMultiSendError         several steps need a contract that is not on this chain
  * NotAnOwnerError          the signer's signature would be worth nothing
  * NoHashSignerError        the signer signs transactions only
  * SigningNotLiveError      a signature was asked for, and the file does not say live
* DataError
  * SafeUnreadError          a part of its state cannot be read
  * HashMismatchError        the contract hashes the transaction to something else than we do
  * BatchFailsError          the steps succeed one by one, and not together
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from keeper.model.errors import ConfigError, DataError
from keeper.model.reads import Address


class NotASafeError(ConfigError):
    """What is at the address does not answer as a Safe does."""

    address: Address
    chain_id: int

    def __init__(self, address: Address, chain: str, chain_id: int, problem: str) -> None:
        super().__init__(
            f"{address} on {chain} ({chain_id}) is no Safe: {problem}; expected the address of one: "
            "correct --safe or --chain"
        )
        self.address = address
        self.chain_id = chain_id


class UnsupportedVersionError(ConfigError):
    """The contract is of a version whose transactions are not built here."""

    version: str

    def __init__(self, address: Address, version: str, supported: Iterable[str]) -> None:
        super().__init__(
            f"{address} says that it is version {version[:40]!r}, expected a Safe of {', '.join(supported)}: "
            "have its owners update it, or propose by hand from the plan's call data (keeper plan --json)"
        )
        self.version = version


class UnknownChainError(ConfigError):
    """`--chain` names no configured chain, or is needed and was not given."""

    def __init__(self, asked: str | None, chains: Mapping[int, str]) -> None:
        listed = ", ".join(f"{name} ({chain_id})" for chain_id, name in sorted(chains.items()))
        found = "several chains are configured" if asked is None else f"--chain {asked} is not configured"
        super().__init__(f"{found}: name one of {listed} with --chain")
        self.asked = asked


class NonceUsedError(ConfigError):
    """A Safe executes each nonce once, in order."""

    def __init__(self, asked: int, present: int) -> None:
        super().__init__(
            f"--nonce {asked} was used: the Safe's next nonce is {present}, expected that or a later one"
        )
        self.asked = asked
        self.present = present


class NoMultiSendError(ConfigError):
    """The contract that carries out several calls as one is not on this chain."""

    def __init__(self, version: str, chain: str, looked_at: Sequence[Address]) -> None:
        super().__init__(
            f"several steps in one transaction need MultiSendCallOnly of Safe {version}, and there is no "
            f"code on {chain} at {' or '.join(looked_at)}: propose one action at a time with --only, "
            "or have it deployed there"
        )
        self.looked_at = tuple(looked_at)


class NotAnOwnerError(ConfigError):
    """The configured signer is none of the Safe's owners."""

    def __init__(self, signer: Address, safe: Address, owners: Sequence[Address]) -> None:
        super().__init__(
            f"the signer {signer} is no owner of {safe}, its signature would count for nothing: the owners "
            f"are {', '.join(owners)}; leave --sign out, or configure the key of one. Nothing was signed"
        )
        self.signer = signer
        self.owners = tuple(owners)


class NoHashSignerError(ConfigError):
    """The configured signer can sign transactions, and nothing else."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f'signer.kind = "{kind}" signs transactions only, the hash needs "keystore" or "kms": '
            "leave --sign out and sign in the wallet. Nothing was signed"
        )
        self.kind = kind


class SigningNotLiveError(ConfigError):
    """A signature was asked for on the command line, and not in the file."""

    def __init__(self, source: Path) -> None:
        super().__init__(
            f'--sign needs mode = "live" and [signer] in {source}: keys are used only where the file says so'
        )
        self.source = source


class SafeUnreadError(DataError):
    """A part of the Safe's state was not answered, or cannot be right."""

    def __init__(self, address: Address, problem: str) -> None:
        super().__init__(f"Safe {address}: {problem}; nothing is proposed on what was not read")
        self.address = address


class HashMismatchError(DataError):
    """The Safe would have its owners sign another hash than the one computed here."""

    ours: str
    contracts: str

    def __init__(self, address: Address, *, ours: str, contracts: str) -> None:
        super().__init__(
            f"Safe {address} hashes the transaction to {contracts}, we to {ours}: it is another kind of "
            "contract, or the node lies. Sign neither"
        )
        self.ours = ours
        self.contracts = contracts


class BatchFailsError(DataError):
    """Steps that succeed alone do not succeed one after the other, in one transaction of the Safe."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the steps do not go through together: {problem}. Propose fewer with --only")
