"""Makes room for as many open files as the connections need."""

import resource

import structlog

_log = structlog.get_logger("server")

# Files that are open besides the connections: models, sockets to the engines, the log.
_OTHER_FILES = 256


def raise_file_limit(max_connections: int) -> None:
    """Take all that the system allows; warn when that is too little. Child processes inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = max_connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        _log.warning(
            "file_limit_too_low",
            limit=hard,
            needed=needed,
            mend="raise LimitNOFILE= of the unit or ulimit -Hn, or lower limits.max_connections",
        )
