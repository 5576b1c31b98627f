"""A guard that is asked once by each address, for made-up Authorization headers."""

from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from service.auth.guard import AccessLimits, AuthGuard, Identity
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import MemoryRateLimiter
from service.auth.tokens import TokenStore
from service.errors import BannedError, UnauthorizedError
from service.refusal import Refusal

ENVIRONMENT_TOKEN = "open-sesame"


class Unheard:
    def refused(self, refusal: Refusal) -> None: ...

    def banned(self, address: str, left_s: float) -> None: ...


class Door:
    """Bans at the first wrong token, so that a failure which is not counted shows."""

    def __init__(self, folder: Path) -> None:
        tokens = TokenStore(folder / "tokens.json", environment_token=ENVIRONMENT_TOKEN, clock=lambda: 0.0)
        self.right_tokens = (tokens.create("laptop"), ENVIRONMENT_TOKEN)
        self._addresses = count(int(IPv4Address("11.0.0.0")))
        self._guard = AuthGuard(
            tokens=tokens,
            failures=MemoryFailureStore(max_addresses=10_000_000),
            policy=BanPolicy(max_failures=1),
            rates=MemoryRateLimiter(),
            limits=AccessLimits(),
            trusted_proxies=(),
            forwarding_header="Forwarded",
            clock=lambda: 1000.0,
            observer=Unheard(),
        )

    def lets_in(self, authorization: str) -> bool:
        """Ask, then see that exactly the refused are banned."""
        peer = str(IPv4Address(next(self._addresses)))
        try:
            self._ask(authorization, peer)
        except UnauthorizedError:
            assert self._is_banned(peer), "a failure that was not counted"
            return False
        assert not self._is_banned(peer), "a ban of somebody who was let in"
        return True

    def _is_banned(self, peer: str) -> bool:
        try:
            self._ask(f"Bearer {self.right_tokens[0]}", peer)
        except BannedError:
            return True
        return False

    def _ask(self, authorization: str, peer: str) -> Identity:
        # With stores in memory nothing is ever waited for, so that no event loop is needed.
        work = self._guard.check(authorization=authorization, peer=peer, forwarding=())
        try:
            work.send(None)
        except StopIteration as ended:
            identity: Identity = ended.value
            return identity
        raise AssertionError("the guard waited for something")


def check(door: Door, text: str) -> None:
    """Fail where a header opens the door without a right token, or breaks something."""
    is_in = door.lets_in(text)
    assert not is_in or any(token in text for token in door.right_tokens), text
    for token in door.right_tokens:
        assert not door.lets_in(f"{text}{token}") or text.strip().lower() in ("bearer", ""), text
        assert not door.lets_in(f"Bearer {token}{text}") or not text.strip(), text


@contextmanager
def new_door() -> Generator[Door, None, None]:
    with TemporaryDirectory() as folder:
        yield Door(Path(folder))
