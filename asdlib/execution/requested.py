"""Print the resources that a run requests from a cluster, from the options of a dry run of Snakemake."""

import logging
import sys

import pandas as pd
from snakemake import cli
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent


class Jobs(logging.Filter):
    """Collect the jobs that Snakemake logs, and let only warnings and errors be printed."""

    def __init__(self):
        super().__init__()
        self.rows: list[tuple[str, int, float, float]] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Note a job's stage and resources."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            hours = record.resources.get("runtime", 0) / 60
            self.rows.append((record.rule_name, 1, hours, hours * record.resources.get("gpu", 0)))
        return record.levelno >= logging.WARNING

    def table(self) -> pd.DataFrame:
        """Sum up the jobs by stage: ``stage``, ``jobs``, ``hours`` (sum of the time limits) and ``gpu_hours``."""
        table = pd.DataFrame(self.rows, columns=["stage", "jobs", "hours", "gpu_hours"])
        return table[table["stage"] != "all"].groupby("stage", sort=False, as_index=False).sum()


def describe(table: pd.DataFrame) -> str:
    """Format the table of :meth:`Jobs.table` as text, with its sum."""
    total = pd.DataFrame([{"stage": "sum", **table.drop(columns="stage").sum()}])
    rows = pd.concat([table, total]).astype({"jobs": int})
    text = rows.rename(columns={"gpu_hours": "GPU hours"}).to_string(
        index=False, float_format=lambda value: f"{value:.0f}"
    )
    return f"{text}\nhours are the summed time limits of the jobs, an upper bound on their run time"


def main(options: list[str]) -> None:
    """Let Snakemake plan a dry run with these command-line options, and print the sums of what its jobs request."""
    jobs = Jobs()
    logger.addFilter(jobs)
    try:
        cli.main(options)
    except SystemExit as end:  # Snakemake always exits
        if end.code:
            raise
    print(describe(jobs.table()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
