"""Every example in a docstring of the risk package runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import keeper.risk

MODULES = sorted(module.name for module in pkgutil.walk_packages(keeper.risk.__path__, "keeper.risk."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_examples_are_found() -> None:
    found = doctest.DocTestFinder().find(importlib.import_module("keeper.risk.tail"))
    assert sum(len(test.examples) for test in found) >= 3
