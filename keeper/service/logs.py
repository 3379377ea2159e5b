"""Logs go to standard error: JSON lines for a collector, coloured lines for a person."""

import logging
import os
import sys

import structlog


def configure(level: int = logging.INFO) -> None:
    """Set structlog up once, at the start of a command."""
    terminal = sys.stderr.isatty()
    colours = terminal and "NO_COLOR" not in os.environ
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=colours) if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,  # standard error may be another one later
    )
    # The scheduler reports through the standard library; only what is wrong concerns an operator.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
