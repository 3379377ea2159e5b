"""What can be wrong with a configuration file, one class per reason.

* ConfigError
  * ConfigMissingError   no file where one was named or expected
  * ConfigSyntaxError    not TOML, or not text
  * SettingsError        one or more keys are wrong; holds all of them
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keeper.model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One wrong key."""

    key: str
    """Dotted path, for example `chains.optimism.endpoints[0]`."""

    found: str
    """What the file says, without secrets; empty where the key is missing."""

    expected: str

    def __str__(self) -> str:
        """One line: key, found, expected."""
        return (
            f"{self.key}: found {self.found}; {self.expected}"
            if self.found
            else f"{self.key}: {self.expected}"
        )


class ConfigMissingError(ConfigError):
    """There is no configuration file."""

    def __init__(self, path: Path, *, named_by: str) -> None:
        super().__init__(
            f"no configuration file at {path} ({named_by}): copy config/example.toml there and edit it, "
            "name another with -c or KEEPER_CONFIG, or run `keeper devnet up` to get one for local chains"
        )
        self.path = path
        self.named_by = named_by


class ConfigSyntaxError(ConfigError):
    """The file cannot be read as TOML."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} is not a TOML file: {problem}")
        self.path = path


class SettingsError(ConfigError):
    """Keys of the file are wrong; all of them are listed."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        if len(problems) == 1:
            text = f"{path}: {problems[0]}"
        else:
            text = "\n".join([f"{path}: {len(problems)} problems", *(f"  {problem}" for problem in problems)])
        super().__init__(text)
        self.path = path
        self.problems = tuple(problems)
