"""Which signer the settings name. Called in live mode only: a dry-run loads nothing that signs."""

from keeper.config.settings import Settings
from keeper.config.tables import UrgentSignerTable
from keeper.execution.signer import KeystoreSigner, Signer


def load_signer(settings: Settings) -> Signer:
    """Return the signer of the settings, after it has shown that it signs for its address.

    Raises `KeystoreError`, `SignerUnfit`, `SignerUnreachable`, `SignerRefused`.
    """
    assert settings.signer is not None, "the settings' own checks demand a signer in live mode"
    return _load(settings.signer)


def load_urgent_signer(settings: Settings) -> Signer | None:
    """Return the signer of urgent work; None where one signer does all. Raises as `load_signer` does."""
    if settings.signer is None or settings.signer.urgent is None:
        return None
    return _load(settings.signer.urgent)


def _load(table: UrgentSignerTable) -> Signer:
    if table.kind == "keystore":
        assert table.keystore is not None
        assert table.password_file is not None
        return KeystoreSigner.load(table.keystore, table.password_file)
    assert table.address is not None
    if table.kind == "remote":
        from keeper.execution.signer.remote import RemoteSigner

        return RemoteSigner.load(table.url, table.address, method=table.method, timeout_s=table.timeout_s)
    from keeper.execution.signer.kms import KmsSigner

    return KmsSigner.load(
        table.key_id,
        table.address,
        region=table.region,
        endpoint=table.kms_endpoint,
        timeout_s=table.timeout_s,
    )
