-- Makes all changes of a batch or none, in one step: the server runs one script at a time. A script that fails half-way
-- keeps what it wrote, so everything that can fail comes before the first write.
--
-- KEYS: the hash of the flags, that of their meta data, the token of this change.
-- ARGV: the numbers of expectations, of removals and of flags to set; "clear" or ""; then key and text of each
-- expectation (an empty text: no such flag), each key to remove, key and text of each flag to set.
local flags, meta, token = KEYS[1], KEYS[2], KEYS[3]
local call = redis.call

-- The change was made, or forbidden, before.
local outcome = call('GET', token)
if outcome then return {'done', outcome} end

for _, key in ipairs({flags, meta}) do
  local kind = call('TYPE', key)['ok']
  if kind ~= 'hash' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. kind .. ', not a hash')
  end
end
local known = call('HMGET', meta, 'revision', 'id')
local revision, id = known[1] or '0', known[2] or string.sub(token, -32)
if not string.match(revision, '^%d+$') or #revision > 15 then
  return redis.error_reply('WRONGTYPE the revision in ' .. meta .. ' is not a number')
end

local at = 4
local function next_argument()
  at = at + 1
  return ARGV[at]
end

local found, differs = {}, false
for i = 1, tonumber(ARGV[1]) do
  local key, text = next_argument(), next_argument()
  found[i] = call('HGET', flags, key)
  if found[i] ~= (text ~= '' and text) then differs = true end
end
if differs then return {'found', found} end

-- Only what is another afterwards.
local removals, sets, kept = {}, {}, {}
for _ = 1, tonumber(ARGV[2]) do
  local key = next_argument()
  if call('HEXISTS', flags, key) == 1 then removals[#removals + 1] = key end
end
for _ = 1, tonumber(ARGV[3]) do
  local key, text = next_argument(), next_argument()
  kept[key] = true
  if call('HGET', flags, key) ~= text then
    sets[#sets + 1] = key
    sets[#sets + 1] = text
  end
end
if ARGV[4] == 'clear' then
  removals = {}
  for _, key in ipairs(call('HKEYS', flags)) do
    if not kept[key] then removals[#removals + 1] = key end
  end
end
if #removals == 0 and #sets == 0 then return {'done', revision .. ' 0 ' .. id} end

-- Redis 7 can be asked whether the user may do all of it.
if redis.acl_check_cmd then
  for _, command in ipairs({{'HDEL', flags, ''}, {'HSET', flags, '', ''}, {'HLEN', flags}, {'HSET', meta, '', ''},
                            {'SET', token, '', 'PX', '1'}}) do
    if not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user may not run ' .. command[1] .. ' on ' .. command[2])
    end
  end
end

-- Lua hands over fewer than 8000 values at once.
local function in_pieces(command, list)
  for first = 1, #list, 1000 do
    call(command, flags, unpack(list, first, math.min(first + 999, #list)))
  end
end
in_pieces('HSET', sets)
in_pieces('HDEL', removals)
revision = string.format('%.0f', revision + 1)
call('HSET', meta, 'revision', revision, 'count', call('HLEN', flags), 'id', id)
outcome = revision .. ' ' .. #removals .. ' ' .. id
call('SET', token, outcome, 'PX', 60000)
-- A user without the right to announce may still change; then others look in intervals.
redis.pcall('PUBLISH', meta, revision)
return {'done', outcome}
