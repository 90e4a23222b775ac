"""The Inspect tasks, their settings and the `sallyport` command."""
