"""A keeper's own files on chains that it shares with other tests: its configuration, store and journal."""

from pathlib import Path

from tests.support.chains import Chains


def keeper_config(chains: Chains, folder: Path, *replacements: tuple[str, str]) -> Path:
    """Write the devnet's configuration to `folder`, with a store and a journal there, and changes to it."""
    text = chains.deployment.config.read_text()
    signer = (
        ('"signer.json"', f'"{chains.deployment.keystore}"'),
        ('"signer.password"', f'"{chains.deployment.password_file}"'),
    )
    for old, new in (*signer, *replacements):
        assert old in text, f"the devnet's configuration has no {old}"
        text = text.replace(old, new)
    path = folder / "keeper.toml"
    path.write_text(text)
    return path
