"""Tests of keeper.execution.safe."""
