"""The model runtimes: the only place that imports one."""
