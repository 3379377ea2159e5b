"""Tests of keeper.execution.signer."""
