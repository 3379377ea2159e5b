"""Reading the file: where it is looked for, what is wrong with it, what never leaks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.config.errors import ConfigMissingError, ConfigSyntaxError
from keeper.config.load import load, locate
from keeper.config.report import masked
from tests.config.conftest import EXAMPLE, TEXT, Write, problems


def test_the_named_file_wins_over_the_environment(write: Write, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("")
    assert locate(write(""), {"KEEPER_CONFIG": str(other)}) == tmp_path / "keeper.toml"
    assert locate(None, {"KEEPER_CONFIG": str(other)}) == other


def test_the_default_file_is_looked_for_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigMissingError, match=r"config/keeper\.toml \(the default\)"):
        locate(None, {})
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "keeper.toml").write_text("")
    assert locate(None, {}) == Path("config/keeper.toml")


def test_a_missing_file_says_who_named_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissingError, match="named by KEEPER_CONFIG"):
        locate(None, {"KEEPER_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize("text", ["mode = ", "[a]\n[a]\n", "\x00"])
def test_what_is_not_toml_is_one_line(write: Write, text: str) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        load(write(text), {})
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_text_are_a_syntax_error(tmp_path: Path) -> None:
    path = tmp_path / "keeper.toml"
    path.write_bytes(b"mode = '\xff'")
    with pytest.raises(ConfigSyntaxError):
        load(path, {})


def test_relative_paths_start_at_the_folder_of_the_file(write: Write, tmp_path: Path) -> None:
    settings = load(write(TEXT), {})
    assert settings.store.path == tmp_path / "keeper.sqlite"
    assert settings.signer is not None
    assert settings.signer.keystore == tmp_path / "signer.json"
    assert settings.source == tmp_path / "keeper.toml"


def test_absolute_paths_stay(write: Write) -> None:
    settings = load(write(TEXT.replace('"keeper.sqlite"', '"/var/lib/keeper/keeper.sqlite"')), {})
    assert settings.store.path == Path("/var/lib/keeper/keeper.sqlite")


def test_variables_fill_endpoints_and_paths(write: Write) -> None:
    text = TEXT.replace("http://127.0.0.1:8545", "https://node.example/${NODE_KEY}").replace(
        '"signer.password"', '"${CREDENTIALS_DIRECTORY}/signer"'
    )
    settings = load(write(text), {"NODE_KEY": "s3cret", "CREDENTIALS_DIRECTORY": "/run/credentials"})
    assert settings.chains["optimism"].endpoints == ("https://node.example/s3cret",)
    assert settings.signer is not None
    assert settings.signer.password_file == Path("/run/credentials/signer")


def test_an_unset_variable_is_named_and_reported_once(write: Write) -> None:
    found = problems(write(TEXT.replace("http://127.0.0.1:8545", "${NODE}")))
    assert list(found) == ["chains.optimism.endpoints[0]"]
    assert "NODE is not set" in found["chains.optimism.endpoints[0]"]


def test_other_keys_are_not_expanded(write: Write) -> None:
    assert "profiles.desk.owners[0]" in problems(
        write(TEXT.replace('"0x90F79bf6EB2c4f870365E785982E1f101E93b906"', '"${OWNER}"')),
        {"OWNER": "0x90F79bf6EB2c4f870365E785982E1f101E93b906"},
    )


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://user:s3cret@node.example/s3cret?k=s3cret", "ws://node.example/s3cret", "https:///s3cret"],
)
def test_no_secret_of_an_endpoint_is_ever_shown(write: Write, endpoint: str) -> None:
    text = write(TEXT.replace("http://127.0.0.1:8545", endpoint))
    assert "s3cret" not in "".join(problems(text).values())
    through_environment = write(TEXT.replace("http://127.0.0.1:8545", "${NODE}"))
    assert "s3cret" not in "".join(problems(through_environment, {"NODE": endpoint}).values())


def test_no_secret_in_the_printed_settings(write: Write) -> None:
    settings = load(write(TEXT.replace("http://127.0.0.1:8545", "https://node.example/s3cret")), {})
    assert "s3cret" not in repr(settings)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_masked_url_keeps_the_host_alone(user: str, path: str) -> None:
    shown = masked(f"https://k{user.encode().hex()}:p@node.example/k{path.encode().hex()}")
    assert shown == "https://node.example/..."


def test_every_problem_is_reported_at_once(write: Write) -> None:
    text = (
        TEXT.replace('mode = "dry-run"', 'mode = "lif"\ncolour = 1')
        .replace("poll_s = 1.0", "pol_s = 1.0")
        .replace("spot_steps = 9 ", "spot_steps = 8 ")
        .replace("max_usd = 100_000.0", "")
        .replace('chain = "optimism"', 'chain = "optimist"')
    )
    found = problems(write(text))
    assert list(found) == [
        "colour",
        "cycle.pol_s",
        "mode",
        "policy.house.spot_steps",
        "policy.top_up.max_usd",
        "venues.lyra.chain",
    ]
    assert "expected 'dry-run' or 'live'" in found["mode"]
    assert (
        'did you mean "poll_s"? allowed: interval_s, max_age_s, on_new_head, poll_s' in found["cycle.pol_s"]
    )
    assert 'did you mean "optimism"? allowed: arbitrum, optimism' in found["venues.lyra.chain"]


def test_an_empty_file_lists_what_is_required_by_its_full_key(write: Write) -> None:
    found = problems(write(""))
    assert {
        "store.path",
        "journal.path",
        "chains",
        "policy.top_up.max_usd",
        "limits.max_gas_wei_per_tx",
    } <= set(found)
    assert all("missing" in text for text in found.values())


def test_the_parameters_follow_from_the_values_not_from_their_order(write: Write) -> None:
    start, middle, end = (
        TEXT.index(f"[{t}]") for t in ("profiles.desk", "profiles.watched", "policy.ladder")
    )
    swapped = TEXT[:start] + TEXT[middle:end] + TEXT[start:middle] + TEXT[end:]
    assert swapped != TEXT
    assert load(write(swapped), {}).params().digest == load(EXAMPLE, {}).params().digest


def test_websockets_and_private_endpoints_keep_their_secrets(write: Write) -> None:
    text = TEXT.replace("ws_endpoints = []", 'ws_endpoints = ["wss://node.example/${KEY}"]')
    text = text.replace('private_endpoint = ""', 'private_endpoint = "https://relay.example/${KEY}"')
    chain = load(write(text), {"KEY": "s3cretKey"}).chains["optimism"]
    assert chain.ws_endpoints == ("wss://node.example/s3cretKey",)
    assert chain.private_endpoint == "https://relay.example/s3cretKey"
    assert "s3cretKey" not in repr(chain)
    wrong = text.replace("wss://", "https://").replace('"https://relay', '"wss://relay')
    found = problems(write(wrong), {"KEY": "s3cretKey"})
    assert list(found) == ["chains.optimism.private_endpoint", "chains.optimism.ws_endpoints[0]"]
    assert "s3cretKey" not in str(found)


def test_a_quorum_needs_as_many_endpoints(write: Write) -> None:
    found = problems(write(TEXT.replace("quorum = 1", "quorum = 2")))
    assert list(found) == ["chains.optimism"]
    assert "quorum is 2 of 1 endpoints" in found["chains.optimism"]
