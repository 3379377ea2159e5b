"""What keeps a keeper from starting, or a command from reading: mistakes of set-up and use."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from keeper.model.errors import ConfigError
from keeper.model.reads import Address
from keeper.protocols.adapter import Finding


class NotLiveError(ConfigError):
    """`--live` was given, and the file does not say so too."""

    def __init__(self, source: Path) -> None:
        super().__init__(
            f'--live needs mode = "live" in {source}: live is asked for twice, so set it there too'
        )
        self.source = source


class NoCodeError(ConfigError):
    """There is no contract at configured addresses; all of them are listed."""

    def __init__(self, source: Path, missing: Sequence[Finding]) -> None:
        listed = "; ".join(f"{f.remedy}: {f.found}" for f in missing)
        super().__init__(f"{source}: {listed}")
        self.missing = tuple(missing)


class TakerMismatchError(ConfigError):
    """Positions that a liquidation takes over would land in another account than the policy counts on."""

    def __init__(self, taker: Address, *signers: Address) -> None:
        super().__init__(
            f"policy.liquidation.taker is {taker}, the signer is {' or '.join(signers)}: what a liquidation "
            "takes over lands with the signer, so name it there"
        )
        self.taker = taker
        self.signers = signers


class PayerMismatchError(ConfigError):
    """Top-ups would be paid from another wallet than the policy counts on."""

    def __init__(self, payer: Address, *signers: Address) -> None:
        super().__init__(
            f"policy.top_up.payer is {payer}, the signer is {' or '.join(signers)}: what is topped up is "
            "taken from the signer's wallet, so name it there"
        )
        self.payer = payer
        self.signers = signers


class UnknownBlockError(ConfigError):
    """A value of `--at` names no chain or no block."""

    def __init__(self, text: str, chains: Iterable[str]) -> None:
        super().__init__(
            f"--at {text}: expected CHAIN=BLOCK with a chain of {', '.join(chains)} and a block number"
        )
        self.text = text
