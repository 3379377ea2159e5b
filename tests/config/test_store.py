"""`[store]`: a file or a database, and no password in either."""

from pathlib import Path

import pytest

from keeper.config.errors import SettingsError
from keeper.config.load import load
from keeper.config.settings import Settings
from tests.config.conftest import TEXT

PATH = 'path = "keeper.sqlite"'
URL = 'url = ""'


def settings(folder: Path, path: str, url: str, **environment: str) -> Settings:
    assert TEXT.count(PATH) == TEXT.count(URL + "\n") == 1
    file = folder / "keeper.toml"
    file.write_text(TEXT.replace(PATH, path).replace(f"{URL}\n", f"{url}\n"))
    return load(file, environment)


def test_a_file_by_default(tmp_path: Path) -> None:
    found = settings(tmp_path, PATH, URL).store
    assert found.place == tmp_path / "keeper.sqlite"
    assert not found.standby


def test_a_database_instead(tmp_path: Path) -> None:
    url = 'url = "postgresql://keeper@db.example/keeper?passfile=${CREDENTIALS}/pgpass"'
    found = settings(tmp_path, "", url, CREDENTIALS="/run/c").store
    assert found.place == "postgresql://keeper@db.example/keeper?passfile=/run/c/pgpass"
    assert "db.example" not in repr(found)


@pytest.mark.parametrize(
    ("path", "url", "told"),
    [
        ("", URL, "store.path: missing"),
        (PATH, 'url = "postgresql://keeper@db.example/keeper"', "found both"),
        ("", 'url = "mysql://keeper@db.example/keeper"', "expected postgresql://user@host/database"),
        ("", 'url = "postgresql://keeper@db.example"', "expected postgresql://user@host/database"),
        ("", 'url = "postgresql://keeper:s3cret@db.example/keeper"', "expected no password"),
        ("", 'url = "postgresql://keeper@db.example/keeper?password=s3cret"', "expected no password"),
    ],
)
def test_what_is_refused(tmp_path: Path, path: str, url: str, told: str) -> None:
    with pytest.raises(SettingsError) as info:
        settings(tmp_path, path, url)
    assert told in str(info.value)
    assert "s3cret" not in str(info.value)
