-- Write how far a run is: the last step into the record, each step into the stream of progress.
-- @include moves
-- steps: JSON objects without their braces.
-- Returns 'ok', 'cancelled' (somebody asked for it) or 'lost'. Emits bank.job.progress for each step.
local record = call('HMGET', key.job(id), 'state', 'fence', 'org', 'type', 'cancel')
if record[1] ~= 'active' or record[2] ~= fence then return 'lost' end
local job = {id = id, org = record[3], type = record[4]}
begin()
call('HSET', key.job(id), 'progress', '{' .. steps[#steps] .. '}')
for _, step in ipairs(steps) do emit_progress(job, step) end
return record[5] == '1' and 'cancelled' or 'ok'
