"""Our numbers over partitions in the layouts of the paper's tables, beside its own."""
