"""The report: figures of `policies.measure` as one self-contained page, or as Markdown."""
