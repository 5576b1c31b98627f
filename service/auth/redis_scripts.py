"""What Redis does in one step, in its language.

The keys, all of one database of one Redis (no cluster):

- `tiber:ban:ADDRESS`, a hash: until when, and why.
- `tiber:bans`, a sorted set of the banned addresses by that end: a table of contents.
- `tiber:failures:ADDRESS`, a hash: how many, and until when they count.
- `tiber:failing`, a sorted set of these addresses by that end.
- `tiber:rate:KIND:NAME`, a list of the times that were let in.

Every key goes by itself once nothing in it counts any more. The sorted sets bound how many addresses
are remembered; whoever lets Redis evict keys (volatile-ttl is right) loses those that end first.
Times are the caller's: Redis' own clock only throws away what is over.
"""

import hashlib
from dataclasses import dataclass, field

BAN = "tiber:ban:"
BANS = "tiber:bans"
FAILURES = "tiber:failures:"
FAILING = "tiber:failing"
RATE = "tiber:rate:"

_SHARED = """
-- A second more, since clocks differ: whether something counts is decided by the times themselves.
local function ttl_ms(until_s, now_s)
  return string.format('%.0f', math.max(1, math.ceil((until_s - now_s) * 1000) + 1000))
end

-- Forget what is over, a few at a time, then what ends first, while there are more than `most`.
local function make_room(index, prefix, now, most)
  local over = redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. now, 'LIMIT', 0, 4)
  local excess = redis.call('ZCARD', index) - #over - tonumber(most)
  if excess > 0 then
    for _, address in ipairs(redis.call('ZRANGE', index, #over, #over + math.min(excess, 100) - 1)) do
      over[#over + 1] = address
    end
  end
  for _, address in ipairs(over) do
    redis.call('ZREM', index, address)
    redis.call('DEL', prefix .. address)
  end
end

local function keep_index(index, now_s)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', index, ttl_ms(tonumber(last[2]), now_s)) end
end

local function ban(key, index, address, until_text, reason, now, most)
  redis.call('HSET', key, 'until', until_text, 'reason', reason)
  redis.call('PEXPIRE', key, ttl_ms(tonumber(until_text), tonumber(now)))
  redis.call('ZADD', index, until_text, address)
  make_room(index, 'tiber:ban:', now, most)
  keep_index(index, tonumber(now))
end

local function running_until(key, now)
  local ends = redis.call('HGET', key, 'until')
  if ends and tonumber(now) < tonumber(ends) then return ends end
  return ''
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest of its text that Redis knows it by."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


LOOK = Script(
    _SHARED
    + """
-- KEYS: ban. ARGV: now. Answers the end of the running ban, or nothing.
return running_until(KEYS[1], ARGV[1])
"""
)

FORGIVE = Script(
    _SHARED
    + """
-- KEYS: ban, failures, failing. ARGV: now, address. Answers the end of the running ban, or nothing.
if redis.call('DEL', KEYS[2]) == 1 then redis.call('ZREM', KEYS[3], ARGV[2]) end
return running_until(KEYS[1], ARGV[1])
"""
)

FAIL = Script(
    _SHARED
    + """
-- KEYS: ban, failures, bans, failing.
-- ARGV: now, address, most failures, end of a ban from now, end of a count from now, reason, most addresses.
-- Answers the end of the ban that was running, then that of the one that this failure made.
local running = running_until(KEYS[1], ARGV[1])
if running ~= '' then return {running, ''} end
local count = 1
local past = redis.call('HMGET', KEYS[2], 'count', 'until')
if past[1] and tonumber(ARGV[1]) <= tonumber(past[2]) then count = count + tonumber(past[1]) end
if count >= tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
  ban(KEYS[1], KEYS[3], ARGV[2], ARGV[4], ARGV[6], ARGV[1], ARGV[7])
  return {'', ARGV[4]}
end
redis.call('HSET', KEYS[2], 'count', count, 'until', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ttl_ms(tonumber(ARGV[5]), tonumber(ARGV[1])))
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[2])
make_room(KEYS[4], 'tiber:failures:', ARGV[1], ARGV[7])
keep_index(KEYS[4], tonumber(ARGV[1]))
return {'', ''}
"""
)

BAN_ADDRESS = Script(
    _SHARED
    + """
-- KEYS: ban, failures, bans, failing.
-- ARGV: now, address, end, reason, most addresses, 1 for an operator's ban: it replaces a longer one
-- too, and leaves the count as it is, as in memory.
local running = running_until(KEYS[1], ARGV[1])
if ARGV[6] ~= '1' and running ~= '' and tonumber(running) >= tonumber(ARGV[3]) then return '' end
if ARGV[6] ~= '1' then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
ban(KEYS[1], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[1], ARGV[5])
return ''
"""
)

LIFT = Script(
    _SHARED
    + """
-- KEYS: ban, bans. ARGV: now, address. Answers the end of the ban that was running, or nothing.
local running = running_until(KEYS[1], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return running
"""
)

HIT = Script(
    _SHARED
    + """
-- KEYS: rate. ARGV: now, burst, window. Answers the seconds to wait, or nothing when it is let in.
local now, burst, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count = redis.call('LLEN', KEYS[1])
if count > burst then
  redis.call('LTRIM', KEYS[1], -burst, -1)
end
if count >= burst then
  local passed = now - tonumber(redis.call('LINDEX', KEYS[1], 0))
  if passed >= -window and passed < window then return string.format('%.17g', window - passed) end
  redis.call('LPOP', KEYS[1])
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ttl_ms(window, 0))
return ''
"""
)

SCRIPTS = (LOOK, FORGIVE, FAIL, BAN_ADDRESS, LIFT, HIT)
