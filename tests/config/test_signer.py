"""The kinds of signer: what each needs, and what is never shown."""

from pathlib import Path
from typing import Any

import pytest

from keeper.config.errors import SettingsError
from keeper.config.load import load
from tests.config.conftest import EXAMPLE, Write

ADDRESS = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def with_signer(text: str) -> str:
    whole = EXAMPLE.read_text()
    return whole[: whole.index("[signer]")] + "[signer]\n" + text + "\n" + whole[whole.index("[limits]") :]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "keystore and password_file"),
        ('keystore = "a"', "password_file"),
        ('kind = "remote"', "address and url"),
        (f'kind = "remote"\naddress = "{ADDRESS}"', "url"),
        ('kind = "kms"\nkey_id = "alias/keeper"', "address"),
        (f'kind = "kms"\naddress = "{ADDRESS}"', "key_id"),
    ],
)
def test_what_a_kind_needs(write: Write, text: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"needs {missing}"):
        load(write(with_signer(text)), {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'kind = "remote"\naddress = "{ADDRESS}"\nurl = "https://${{WHO}}@sign.example/x"', "https://me@sign.example/x"),
        (f'kind = "remote"\naddress = "{ADDRESS}"\nurl = "http://127.0.0.1:9000"', "http://127.0.0.1:9000"),
        (f'kind = "remote"\naddress = "{ADDRESS}"\nurl = "http://[::1]:9000"', "http://[::1]:9000"),
    ],
)  # fmt: skip
def test_a_remote_signer(write: Write, text: str, expected: str) -> None:
    signer = load(write(with_signer(text)), {"WHO": "me"}).signer
    assert signer is not None
    assert (signer.kind, signer.url, signer.address) == ("remote", expected, ADDRESS)
    assert "sign.example" not in repr(signer)


@pytest.mark.parametrize(
    "url", ["http://sign.example", "http://10.0.0.7:9000", "ws://127.0.0.1", "sign.example"]
)
def test_a_remote_signer_that_others_could_listen_to(write: Write, url: str) -> None:
    with pytest.raises(SettingsError, match=r"signer\.url"):
        load(write(with_signer(f'kind = "remote"\naddress = "{ADDRESS}"\nurl = "{url}"')), {})


def test_a_key_in_kms(write: Write, tmp_path: Path) -> None:
    text = f'kind = "kms"\naddress = "{ADDRESS}"\nkey_id = "${{KEY}}"\nregion = "eu-west-1"'
    signer: Any = load(write(with_signer(text)), {"KEY": "alias/keeper"}).signer
    assert (signer.key_id, signer.region, signer.kms_endpoint, signer.timeout_s) == (
        "alias/keeper",
        "eu-west-1",
        "",
        5.0,
    )


def test_an_unknown_kind(write: Write) -> None:
    with pytest.raises(SettingsError, match=r"signer\.kind"):
        load(write(with_signer('kind = "paper"')), {})


@pytest.mark.parametrize("change", ["emergency_max_fee_gwei = 50.0", "max_fee_gwei = 2500.0"])
def test_the_emergency_cap_is_above_the_other(write: Write, change: str) -> None:
    key = change.partition(" ")[0]
    lines = [change if line.startswith(f"{key} ") else line for line in EXAMPLE.read_text().splitlines()]
    with pytest.raises(SettingsError, match="expected max_fee_gwei <= emergency_max_fee_gwei"):
        load(write("\n".join(lines)), {})
    off = [line.replace('["move_collateral", "liquidate"]', "[]") for line in lines]
    assert load(write("\n".join(off)), {}).limits.emergency_kinds == ()


def test_an_emergency_kind_that_is_none(write: Write) -> None:
    text = EXAMPLE.read_text().replace('emergency_kinds = ["move_collateral"', 'emergency_kinds = ["rescue"')
    with pytest.raises(SettingsError, match=r"limits\.emergency_kinds"):
        load(write(text), {})
