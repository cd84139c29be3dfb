-- What every script begins with. KEYS: all keys of one queue, in this order, under the tag {namespace:queue}.
--   jobs      hash    id -> record of each live job (parts/record.lua)
--   waiting   zset    places of the jobs that are due; all scores are 0, so that the places themselves are the order
--   due       zset    places of the jobs that wait for their time, by that time
--   alone     zset    places of the jobs that must run alone, by the time when they are due
--   active    hash    id -> "worker token claimed_at"; the worker 0: one of another broker (adopt.lua)
--   asked     hash    id -> reason, of the active jobs that were asked to cancel
--   keys      hash    key -> id of the live job that holds it
--   expiring  zset    ids of the queued jobs that expire, by that time
--   ended     hash    id -> "run state" of what has ended, until the history holds it
--   workers   hash    process -> its lease
--   replies   hash    process -> the number of its last exchange and the reply
--   pace      zset    number of a claim -> until when it had to start: the grants of the rate limit
--   facts     stream  what the history is to be told
--   wake      list    a token for a sleeping worker; only a hint
--   meta      hash    generation, server and lives (parts/life.lua), left (leave.lua), mending (until when claims wait for the keeper),
--                     sequence (of the pushes), claims (a number for each), paused, paused_tags (tag -> true), wait_from, wait_until, latest,
--                     limits (what was set of them at run time: {limit, per, most, concurrency}, false: as the worker says, 0: none),
--                     vanished (how many records a foreign hand has removed);
--                     of the facts: told and heard (bytes), most (how many may wait), read (the last that a keeper was
--                     told), cut, cut_since, cut_until (of how many completed jobs less than all is left, and when);
--                     by the name of the state how many jobs have ended in it; of the queue `_` also layout
--   kept      stream  packets of facts that shrank (parts/shrink.lua), in one order with `facts`
--   aside     list    ids of accepted jobs that a keeper is to be told when it reads again, and from when on
--   leaving   list    ids of ended jobs that are remembered for a minute more: when that began, ids, runs
--   behind    hash    key -> id of the live job that stands in no order, and starts when the holder has ended
--   lanes     zset    places of the jobs with a lane (parts/lanes.lua) that are due; all scores are 0, as in `waiting`
--   held      zset    the active jobs with a lane: lane, a NUL, the id, and behind it the grant of its group, if there is
--                     one; all scores are 0
--   group_pace zset   grants of the groups: group, a NUL, until when the job had to start, its claim; all scores are 0
--   group_over zset   the same grants by the time from which they count no more
--   groups    hash    group -> what holds for it alone (parts/lanes.lua)
--   turns     hash    first byte of a place -> the group that was served last at its priority
-- Beside them, as long as a throttle lasts: throttle:KEY, a string of the id of its first job and until when.
-- An id is its 16 bytes, here and in what is asked for. ARGV[1]: what is asked for, as MessagePack; the last one: the
-- run of the server. All times are microseconds since 1970, by the server's clock.
local jobs, waiting, due, alone, active, asked, keys, expiring, ended, workers, replies, pace, facts, wake, meta, kept,
    aside, leaving, behind, lanes, held, group_pace, group_over, groups, turns = unpack(KEYS)
local ask = cmsgpack.unpack(ARGV[1])
local call = redis.call
