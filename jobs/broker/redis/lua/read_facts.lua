-- Facts for the history.
-- ARGV[1]: generation, after (the position of the last fact that is known of that generation); limit (facts) and size
--   (bytes, at least one fact is told); keep: how many ends of each state retention keeps, of the states that it cuts by
--   their number; calm: how old facts that cost a row must be while facts come in quick succession, or 0; age: for how
--   long an accepted job must have lived to be told of.
-- Result: a MessagePack of {generation, last, more, calm, whether some up to that position are lost here, counters, lives}:
--   calm where only facts are left that are too young; lives: to who asks in another generation, those before this one,
--   each with the position behind its facts. Then one of the facts of jobs that retention drops at once, each with its task, and one of the
--   others with record and said of each. Of accepted jobs each that lives is a fact by itself, with its present
--   record. Counters are of jobs whose facts shrank: see parts/shrink.lua.
-- Guarantees: a job is dropped only if as many as retention keeps have ended later in its state.
--:include queue clock life record end fork position

local QUIET = 100000
begin_life()
local last, has_lost = read_on(ask.generation, ask.after)
local after = last ~= '' and last or false
local dropped, whole, size, counters, heard = {}, {}, 0, {}, 0
local marker = call('HGET', meta, 'read')
-- of what was read before, too, the weight is taken off once only
local is_new = not marker or marker == after or (after and is_behind(after, marker))
local has_read, calm = false, false
local ends = call('HMGET', meta, 'completed', 'cancelled', 'expired')
local counts = {completed = ends[1], cancelled = ends[2], expired = ends[3]}

local function is_dropped(state, rank)
    local keep = rank ~= '' and ask.keep[state]
    return keep and (keep == 0 or counts[state] and counts[state] - rank >= keep)
end

-- Whether a moment is less than that ago; one to come (the clock was set back) is not.
local function is_young(at, age) return at <= now and now - at < age end
local function moment_of(position) return string.match(position, '%d+') * 1000 end
local function list(values) return struct.pack('>BI4', 221, #values) .. table.concat(values) end
local function given(value) return value ~= '' and value or '\192' end

-- The task of a record, packed as it stands there: the first of `told`, whose list begins with one byte.
local function task_of(record)
    if record == '' then return '\160' end
    local told_at = cmsgpack.unpack_one(record, #PAIR) + 1
    return string.sub(record, told_at + 1, (cmsgpack.unpack_one(record, told_at)))
end

local function add(fact, record, said, state, rank)
    if is_dropped(state, rank) then
        dropped[#dropped + 1] = '\146' .. fact .. task_of(record)
        return
    end
    size = size + #fact + #record + #said
    whole[#whole + 1] = '\147' .. fact .. given(record) .. given(said)
end

local function add_accepted(ids, at)
    local raws, young = call('HMGET', jobs, unpack(ids)), {}
    for i, id in ipairs(ids) do
        local job = raws[i] and read(raws[i])
        if job and is_young(job.created, ask.age) then
            young[#young + 1] = id
        elseif job then
            add(cmsgpack.pack({'accepted', 'queued', id, job.run, at, job.ready, '', {}, false, false}), raws[i], '', '', '')
        end
    end
    -- most of them will have ended by then
    if #young > 0 then call('RPUSH', aside, cmsgpack.pack({now + ask.age, young})) end
end

local function add_packet(packet)
    local of_packet, rows, kept_whole = unpack(cmsgpack.unpack(packet))
    for _, one in ipairs(of_packet) do counters[#counters + 1] = one end
    for _, one in ipairs(kept_whole) do add(unpack(one)) end
    for _, row in ipairs(rows) do
        local numbers = {}
        for i = 4, 8 do numbers[i - 3] = row[i] and string.format('%.0f', row[i]) or '' end
        add(cmsgpack.pack({'counted', 'completed', row[1], row[2], row[3], false, '', numbers, false, false}), '', '', '', '')
    end
end

-- What was set aside is told like what is accepted now. The first write frees memory: so a full server is read, too.
call('HDEL', replies, '')
for _ = 1, 4 do
    local first = call('LINDEX', aside, 0)
    if not first then break end
    local due, ids = unpack(cmsgpack.unpack(first))
    if due > now and due - now <= ask.age then break end
    call('LPOP', aside)
    tell_accepted(ids)
end
if told > 0 then call('HINCRBY', meta, 'told', told) end
local is_more = ask.age == 0 and call('LLEN', aside) > 0

local stream, found, is_end = next_facts(after, ask.limit)
local patient = #found > 0 and stream == facts and ask.calm > 0
    and is_young(moment_of(call('XREVRANGE', facts, '+', '-', 'COUNT', 1)[1][1]), QUIET)
for _, entry in ipairs(found) do
    local fields = entry[2]
    if stream == facts then
        calm = patient and fields[7] ~= 'accepted' and is_young(moment_of(entry[1]), ask.calm)
            and not is_dropped(fields[7], fields[8])
    end
    -- one push tells of up to a thousand jobs
    if calm or #whole >= ask.limit or size >= ask.size then
        is_end = false
        break
    end
    last, has_read = entry[1], true
    is_new = is_new or is_behind(last, marker)
    if stream == kept then
        add_packet(fields[2])
        if is_new then heard = heard + #fields[2] end
    else
        if fields[7] == 'accepted' then
            local fact = cmsgpack.unpack(fields[2])
            add_accepted(accepted_ids(fact), fact[5])
        else
            add(fields[2], fields[4], fields[6], fields[7], fields[8])
        end
        if is_new then heard = heard + weight(fields[2], fields[4], fields[6]) end
    end
end
if has_read and is_new then
    call('HSET', meta, 'read', last)
    if is_end then call('HDEL', meta, 'told', 'heard') else call('HINCRBY', meta, 'heard', heard) end
end
local lives = generation ~= ask.generation and call('HGET', meta, 'lives')
local head = {generation, last, is_more or not (is_end or calm), calm, has_lost, counters, lives and cmsgpack.unpack(lives) or {}}
head = cmsgpack.pack(head)
return {head, list(dropped), list(whole)}
