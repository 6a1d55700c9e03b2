-- Put an event of the import itself into the stream.
-- @include moves
-- fields: a JSON object without its braces and timestamp.
-- Returns 'ok'. Emits it.
emit(name, org, id, fields)
return reply('ok')
