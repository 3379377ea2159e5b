"""Which signer a configuration loads, and what `keeper check` says of it."""

from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.devnet.keystore import write_keystore
from keeper.execution.signer import KeystoreSigner
from keeper.execution.signer.errors import SignerUnfit, SignerUnreachable
from keeper.execution.signer.remote import RemoteSigner
from keeper.service.check.check import check
from keeper.service.keys import load_signer
from tests.execution.signer.samples import ADDRESS, MODERN, serving
from tests.execution.signer.test_remote import StandIn

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "example.toml"


def settings(folder: Path, signer: str) -> Settings:
    text = EXAMPLE.read_text().replace('mode = "dry-run"', 'mode = "live"')
    text = text[: text.index("[signer]")] + "[signer]\n" + signer + "\n" + text[text.index("[limits]") :]
    path = folder / "keeper.toml"
    path.write_text(text)
    return load(path, {})


def remote(url: str) -> str:
    return f'kind = "remote"\naddress = "{ADDRESS}"\nurl = "{url}"\ntimeout_s = 0.5'


def verdict(found: Settings) -> tuple[bool, str]:
    """What `keeper check` says of the signer, which comes before any chain is asked."""

    def no_chain(*_: object) -> None:
        raise AssertionError("no chain is needed to load a signer")

    findings = check(found, connect=no_chain, observe=no_chain)  # type: ignore[arg-type]
    line = next(finding for finding in findings if finding.subject == "signer")
    return line.ok, line.found


def test_a_keystore(tmp_path: Path) -> None:
    address = write_keystore(tmp_path / "a.json", tmp_path / "a.password")
    found = settings(tmp_path, 'keystore = "a.json"\npassword_file = "a.password"')
    signer = load_signer(found)
    assert isinstance(signer, KeystoreSigner)
    assert verdict(found) == (True, address)


@pytest.mark.faults
def test_a_remote_signer(tmp_path: Path) -> None:
    with serving(StandIn()) as url:
        found = settings(tmp_path, remote(url))
        signer = load_signer(found)
        assert isinstance(signer, RemoteSigner)
        assert signer.sign(MODERN).raw[:1] == b"\x02"
        assert verdict(found) == (True, ADDRESS)
    with pytest.raises(SignerUnreachable):
        load_signer(found)
    ok, text = verdict(found)
    assert not ok
    assert "cannot be connected to" in text


@pytest.mark.faults
def test_a_key_in_kms_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    text = f'kind = "kms"\naddress = "{ADDRESS}"\nkey_id = "alias/keeper"\nregion = "eu-west-1"'
    with pytest.raises(SignerUnfit, match=r"no usable credentials|boto3 is not installed"):
        load_signer(settings(tmp_path, text))
    assert verdict(settings(tmp_path, text))[0] is False
