"""Who runs the untrusted model: agent loops, attack policies and organisms."""
