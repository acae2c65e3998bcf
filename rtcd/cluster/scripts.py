"""What Redis does in one step each, in its Lua. The model is ``hub``; tests hold the two together.

``KEYS[1]`` is the prefix of every key. Keys behind it: ``room:NAME`` (``VERSION:value``), ``names`` and ``due`` (sorted
sets of rooms, by name and by deadline), ``seats`` and ``queued`` (hashes by address), ``totals`` (besides, the last beat
of anybody, until when nobody is taken for dead, and the form of all values, see ``codec``), ``nodes`` (sorted set, by the
moment until which one lives; 0: others have begun to look after its rooms), ``seqs`` (how many entries each inbox was
given), ``sizes`` (bytes in each that its node has not said to have read), ``inbox:NODE`` (stream), ``held:NODE`` (set of
rooms), ``mark:NODE`` (see ``strangers``; as long as it lives), ``claim:NODE``. Redis Cluster would put them on several
servers, which one script cannot reach.

Leases go by the clock of Redis, deadlines by that of the asking node. A version is microseconds of Redis's clock, or one
more than the last: so it is not used twice, even if a failover has undone the last commits. A commit that Redis comes to
too late, since it stood still, is not done: its author has been told so long ago.

A Redis that is full refuses the first command of a script that may need more memory, unless it has written before. So what
makes room, or must go on, begins by deleting ``none``.
"""

from __future__ import annotations

_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

COMMIT = _NOW + """
if now > tonumber(ARGV[14]) then return {'late'} end
local p, at = KEYS[1], 16
local name, expected, mode, value, deadline, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = p .. 'room:' .. name
local version = string.match(redis.call('GETRANGE', key, 0, 24), '^(%d+):') or '0'
if version ~= expected then return {'conflict', redis.call('GET', key)} end

local function read()
  local count, found = tonumber(ARGV[at]), {}
  for i = 1, count do found[i] = {ARGV[at + 2 * i - 1], ARGV[at + 2 * i]} end
  at = at + 2 * count + 1
  return found
end
local seats, queued, holding, inbox = read(), read(), read(), read()

local more = version == '0' and mode == 'write'
for _, rows in ipairs({seats, queued}) do
  for _, one in ipairs(rows) do more = more or tonumber(one[2]) > 0 end
end
if mode ~= 'same' and not more then redis.call('DEL', p .. 'none') end

if mode ~= 'same' then
  local opens = version == '0' and mode == 'write'
  if opens and redis.call('ZCARD', p .. 'names') >= tonumber(ARGV[8]) then return {'rooms'} end
  local total = tonumber(redis.call('HGET', p .. 'totals', 'queued') or '0')
  for _, one in ipairs(queued) do
    local more = tonumber(one[2])
    if more > 0 and ((redis.call('HGET', p .. 'queued', one[1]) or 0) + more > tonumber(ARGV[10])
                     or total + more > tonumber(ARGV[11])) then
      return {'queues'}
    end
  end
  for _, one in ipairs(seats) do
    local more = tonumber(one[2])
    if more > 0 and one[1] ~= '' and (redis.call('HGET', p .. 'seats', one[1]) or 0) + more > tonumber(ARGV[9]) then
      return {'seats'}
    end
  end

  local function count(what, rows)
    for _, one in ipairs(rows) do
      if redis.call('HINCRBY', p .. what, one[1], one[2]) == 0 then redis.call('HDEL', p .. what, one[1]) end
      redis.call('HINCRBY', p .. 'totals', what, one[2])
    end
    if #rows > 0 then redis.call('EXPIRE', p .. what, keep) end
  end
  count('seats', seats)
  count('queued', queued)
  if ARGV[7] ~= '0' then redis.call('HINCRBY', p .. 'totals', 'calls', ARGV[7]) end
  for _, one in ipairs(holding) do
    local held = p .. 'held:' .. one[1]
    if tonumber(one[2]) > 0 then
      redis.call('SADD', held, name)
      redis.call('EXPIRE', held, keep)
    else
      redis.call('SREM', held, name)
    end
  end
  if mode == 'write' then
    local next = time[1] * 1000000 + time[2]
    local last = tonumber(redis.call('HGET', p .. 'totals', 'version') or '0')
    if next <= last then next = last + 1 end
    version = string.format('%.0f', next)
    redis.call('HSET', p .. 'totals', 'version', version)
    local stays = tonumber(keep)
    if deadline == '' then
      redis.call('ZREM', p .. 'due', name)
    else
      redis.call('ZADD', p .. 'due', deadline, name)
      stays = math.max(stays, math.ceil(tonumber(deadline) - time[1] + stays))
    end
    redis.call('SET', key, version .. ':' .. value, 'EX', stays)
    if opens then
      redis.call('ZADD', p .. 'names', 0, name)
      for _, one in ipairs({'names', 'due', 'totals'}) do redis.call('EXPIRE', p .. one, stays) end
    end
  else
    redis.call('DEL', key)
    redis.call('ZREM', p .. 'names', name)
    redis.call('ZREM', p .. 'due', name)
  end
end

local function append(node, payload)
  local number = redis.call('HINCRBY', p .. 'seqs', node, 1)
  if redis.call('HINCRBY', p .. 'sizes', node, #payload) > tonumber(ARGV[15]) then
    redis.call('XTRIM', p .. 'inbox:' .. node, 'MAXLEN', 0)
    redis.call('HSET', p .. 'sizes', node, #payload)
  end
  redis.call('XADD', p .. 'inbox:' .. node, 'MAXLEN', '~', ARGV[13], '*', number .. ':' .. version, payload)
  if number == 1 then
    for _, one in ipairs({'inbox:' .. node, 'seqs', 'sizes'}) do redis.call('EXPIRE', p .. one, keep) end
  end
end
local told = {}
for _, one in ipairs(inbox) do
  told[one[1]] = true
  if tonumber(redis.call('ZSCORE', p .. 'nodes', one[1]) or '0') > 0 then append(one[1], one[2]) end
end
if ARGV[12] ~= '' then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', p .. 'nodes', '(0', '+inf')) do
    if not told[node] then append(node, ARGV[12]) end
  end
end
if mode == 'delete' then version = '0' end
return {'done', version}
"""

DUE = """
local p, due = KEYS[1], {}
redis.call('DEL', p .. 'none')
for _, name in ipairs(redis.call('ZRANGEBYSCORE', p .. 'due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  if redis.call('EXISTS', p .. 'room:' .. name) == 1 then
    redis.call('ZADD', p .. 'due', ARGV[3], name)
    due[#due + 1] = name
  else
    redis.call('ZREM', p .. 'due', name)
    redis.call('ZREM', p .. 'names', name)
  end
end
return due
"""

CENSUS = _NOW + """
local p, totals = KEYS[1], redis.call('HMGET', KEYS[1] .. 'totals', 'seats', 'calls', 'queued')
return {redis.call('ZCARD', p .. 'names'),
        tonumber(totals[1] or '0'), tonumber(totals[2] or '0'), tonumber(totals[3] or '0'),
        redis.call('ZCOUNT', p .. 'nodes', now, '+inf'), tonumber(redis.call('HGET', p .. 'seats', ARGV[1]) or '0')}
"""

PAGE = """
local p, found = KEYS[1], {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', p .. 'names', ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
  local value = redis.call('GET', p .. 'room:' .. name)
  if value then
    found[#found + 1] = name
    found[#found + 1] = value
  end
end
return found
"""

BEAT = _NOW + """
local p, node, keep = KEYS[1], ARGV[1], ARGV[3]
redis.call('DEL', p .. 'none')
local form = redis.call('HGET', p .. 'totals', 'form')
if form and form ~= ARGV[6] then
  local others = redis.call('ZCOUNT', p .. 'nodes', '(' .. now, '+inf')
  if tonumber(redis.call('ZSCORE', p .. 'nodes', node) or '0') > now then others = others - 1 end
  if others > 0 then return {-1, form} end
  for _, name in ipairs(redis.call('ZRANGE', p .. 'names', 0, -1)) do redis.call('DEL', p .. 'room:' .. name) end
  for _, one in ipairs({'names', 'due', 'seats', 'queued', 'nodes', 'seqs', 'sizes'}) do redis.call('DEL', p .. one) end
  redis.call('HDEL', p .. 'totals', 'seats', 'queued', 'calls')
end
redis.call('HSET', p .. 'totals', 'form', ARGV[6])
if ARGV[4] ~= '0-0' then redis.call('XTRIM', p .. 'inbox:' .. node, 'MINID', ARGV[4]) end
if ARGV[5] ~= '0' and redis.call('HINCRBY', p .. 'sizes', node, -ARGV[5]) < 0 then
  redis.call('HSET', p .. 'sizes', node, 0)
end
local known = tonumber(redis.call('ZSCORE', p .. 'nodes', node) or '0') > 0
local last = tonumber(redis.call('HGET', p .. 'totals', 'beat') or '0')
redis.call('HSET', p .. 'totals', 'beat', string.format('%.6f', now))
if now - last > ARGV[2] / 2 then
  redis.call('HSET', p .. 'totals', 'spared', string.format('%.6f', now + ARGV[2]))
end
redis.call('ZADD', p .. 'nodes', now + ARGV[2], node)
if not known then
  redis.call('DEL', p .. 'inbox:' .. node)
  for _, one in ipairs({'seqs', 'sizes'}) do redis.call('HDEL', p .. one, node) end
end
for _, one in ipairs({'names', 'due', 'seats', 'queued', 'totals', 'nodes', 'seqs', 'sizes',
                      'inbox:' .. node, 'held:' .. node}) do
  redis.call('EXPIRE', p .. one, keep)
end
if ARGV[7] ~= '' then redis.call('SET', p .. 'mark:' .. node, ARGV[7], 'PX', string.format('%.0f', ARGV[2] * 1000)) end
local marks = {}
for _, one in ipairs(redis.call('ZRANGEBYSCORE', p .. 'nodes', '(' .. now, '+inf')) do
  local mark = one ~= node and redis.call('GET', p .. 'mark:' .. one)
  if mark then marks[#marks + 1] = {one, mark} end
end
return {known and 1 or 0, string.format('%.6f', now), marks}
"""

GONE = _NOW + """
local p, found = KEYS[1], {}
redis.call('DEL', p .. 'none')
local beats = redis.call('HMGET', p .. 'totals', 'beat', 'spared')
if now - tonumber(beats[1] or '0') > ARGV[3] / 2 or now < tonumber(beats[2] or '0') then return found end
for _, node in ipairs(redis.call('ZRANGEBYSCORE', p .. 'nodes', '-inf', now)) do
  if redis.call('SET', p .. 'claim:' .. node, '1', 'NX', 'PX', ARGV[2]) then
    redis.call('ZADD', p .. 'nodes', 0, node)
    local rooms = redis.call('SRANDMEMBER', p .. 'held:' .. node, ARGV[1])
    local there = {}
    for _, name in ipairs(rooms) do
      if redis.call('EXISTS', p .. 'room:' .. name) == 1 then there[#there + 1] = name
      else redis.call('SREM', p .. 'held:' .. node, name) end
    end
    found[#found + 1] = {node, there}
  end
end
return found
"""

LEAVE = _NOW + """
local p, node = KEYS[1], ARGV[1]
redis.call('DEL', p .. 'none')
local until_ = redis.call('ZSCORE', p .. 'nodes', node)
local holds = redis.call('SCARD', p .. 'held:' .. node) > 0
if ARGV[2] == 'dead' and (holds or until_ and tonumber(until_) > now) then return 0 end
if ARGV[2] == 'now' and until_ and holds then
  redis.call('ZADD', p .. 'nodes', now, node)
  return 0
end
redis.call('ZREM', p .. 'nodes', node)
for _, one in ipairs({'seqs', 'sizes'}) do redis.call('HDEL', p .. one, node) end
redis.call('DEL', p .. 'inbox:' .. node, p .. 'held:' .. node, p .. 'claim:' .. node, p .. 'mark:' .. node)
return 1
"""

ALL = (COMMIT, DUE, CENSUS, PAGE, BEAT, GONE, LEAVE)
