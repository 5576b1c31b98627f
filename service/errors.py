"""The whole error tree; it knows nothing of HTTP.

TiberError
├── ValidationError       the request breaks a documented rule; `param` names the field
├── TooLargeError         the request is bigger than the service reads
├── UnauthorizedError     no valid token came with the request
├── ForbiddenError        this token may not do that
├── SlowClientError       the request took too long to arrive
├── NotFoundError         no such path or model
├── RetryableError        something that passes; `retry_after_s` says when to try again
│   ├── BannedError       this client is banned for a while
│   ├── OverloadedError   as many requests as allowed are running, waiting, or came from this client
│   └── UnavailableError  the engine is starting, restarting or draining
├── DeadlineError         the request's time is up
├── EngineError           the engine refused or failed on this one request
├── ConfigError           a setting, a flag or a configuration file is wrong
└── ModelFolderError      a model folder is missing, incomplete or of another version
"""


class TiberError(Exception):
    """Root of every error that this project raises on purpose; its text is fit for a client to read."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ValidationError(TiberError):
    """The request breaks a documented rule."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class TooLargeError(TiberError):
    """The request is bigger than the service reads."""


class UnauthorizedError(TiberError):
    """No valid token came with the request."""


class ForbiddenError(TiberError):
    """This token may not do that."""


class SlowClientError(TiberError):
    """The request took too long to arrive."""


class RetryableError(TiberError):
    """Something that passes: the caller may try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BannedError(RetryableError):
    """This client is banned for a while."""


class NotFoundError(TiberError):
    """No such path or model."""


class OverloadedError(RetryableError):
    """As many requests as allowed are running or waiting."""


class UnavailableError(RetryableError):
    """The engine is starting, restarting or draining."""


class DeadlineError(TiberError):
    """The request's time is up; its work was cancelled."""


class EngineError(TiberError):
    """The engine refused or failed on this one request: a fault of ours, not the client's."""


class ConfigError(TiberError):
    """A setting, a flag or a configuration file is wrong."""


class ModelFolderError(TiberError):
    """A model folder is missing, incomplete or of another version."""
