"""What the results say: reports with intervals, verdicts, the ratio curve."""
