"""A run as one page that opens from disk: pictures over time, curves, scores, settings."""

from ganvas.report.write import write_report

__all__ = ["write_report"]
