-- Put an event of the import itself into the stream.
-- KEYS: prelude. ARGV: name, organisation, job id, fields (JSON object without its braces and timestamp).
-- Returns 'ok'. Emits it.
emit(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return reply('ok')
