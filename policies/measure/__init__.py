"""The measures: from what happened in each sample to rates that carry their n and interval."""
