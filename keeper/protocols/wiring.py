"""Findings of a wiring check: an answer compared with what the configuration says."""

from typing import Any

from keeper.model.reads import Failed
from keeper.protocols.adapter import Finding
from keeper.protocols.answers import why


def same(subject: str, answer: Any, expected: object, remedy: str) -> Finding:
    """Return a finding that is good where the answer equals what is expected."""
    if isinstance(answer, Failed):
        return Finding(subject=subject, ok=False, found=why(answer), expected=str(expected), remedy=remedy)
    return Finding(
        subject=subject, ok=answer == expected, found=str(answer), expected=str(expected), remedy=remedy
    )


def answered(subject: str, answer: Any, remedy: str) -> Finding:
    """Return a finding that is good where there is any answer."""
    missing = isinstance(answer, Failed)
    return Finding(
        subject=subject,
        ok=not missing,
        found=why(answer) if missing else str(answer),
        expected="an answer",
        remedy=remedy,
    )
