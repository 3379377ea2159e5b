"""One line of a check: what was found, what was expected, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from keeper.protocols.adapter import Finding


class Verdict(StrEnum):
    """Only a failure makes the check fail."""

    OK = "ok"
    WARN = "warn"
    """The keeper works, and the operator should know."""

    FAIL = "fail"
    SKIPPED = "skipped"
    """Not looked at: not configured, or no time left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One thing that was held against the file."""

    section: str
    """What it belongs to: the set-up, a chain, an endpoint by its host, a venue."""

    subject: str
    verdict: Verdict
    found: str
    expected: str
    remedy: str = ""
    """Empty where nothing needs to be done."""

    @property
    def ok(self) -> bool:
        """Whether it lets the check pass."""
        return self.verdict is not Verdict.FAIL


@dataclass(frozen=True, slots=True)
class Section:
    """Words the lines of one section."""

    name: str

    def ok(self, subject: str, found: str, expected: str) -> Checked:
        """Return a line about something that is as it should be."""
        return self._line(subject, Verdict.OK, found, expected, "")

    def warn(self, subject: str, found: str, expected: str, remedy: str) -> Checked:
        """Return a line about something to know."""
        return self._line(subject, Verdict.WARN, found, expected, remedy)

    def fail(self, subject: str, found: str, expected: str, remedy: str) -> Checked:
        """Return a line about something that keeps the keeper from working."""
        return self._line(subject, Verdict.FAIL, found, expected, remedy)

    def skipped(self, subject: str, why: str, expected: str) -> Checked:
        """Return a line about something that was not looked at."""
        return self._line(subject, Verdict.SKIPPED, why, expected, "")

    def holds(self, right: bool, subject: str, found: str, expected: str, remedy: str) -> Checked:
        """Return a line that fails where something does not hold."""
        return self.ok(subject, found, expected) if right else self.fail(subject, found, expected, remedy)

    def taken(self, finding: Finding, prefix: str = "") -> Checked:
        """Return an adapter's finding as a line."""
        return self.holds(
            finding.ok, prefix + finding.subject, finding.found, finding.expected, finding.remedy
        )

    def _line(self, subject: str, verdict: Verdict, found: str, expected: str, remedy: str) -> Checked:
        return Checked(
            section=self.name, subject=subject, verdict=verdict, found=found, expected=expected, remedy=remedy
        )


def failures(lines: Iterable[Checked]) -> tuple[Checked, ...]:
    """Return what makes the check fail."""
    return tuple(line for line in lines if not line.ok)
