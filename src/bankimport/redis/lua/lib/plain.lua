-- @include clock
-- The end of a script that tells no event and touches no job.
local function reply(answer) return {answer, {}} end
