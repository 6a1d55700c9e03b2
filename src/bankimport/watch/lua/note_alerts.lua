-- Keep the alerts in force: those of now stand with their first instant, those that are over go.
-- @include queue/moves
-- alerts: a list of {code, fields}: fields of bank.queue.alert without `active` and timestamp.
-- Returns 'ok'. Emits bank.queue.alert for each that begins or is over.
local now = {}
for _, alert in ipairs(alerts) do
  now[alert.code] = true
  if call('HSETNX', key.alerts, alert.code, int(NOW)) == 1 then
    emit('bank.queue.alert', '', '', alert.fields .. ',"active":true')
  end
end
for _, code in ipairs(call('HKEYS', key.alerts)) do
  if not now[code] then
    call('HDEL', key.alerts, code)
    emit('bank.queue.alert', '', '', '"code":' .. cjson.encode(code)
      .. ',"message":"over","value":0,"threshold":0,"active":false')
  end
end
-- the streams end by age as well as by length, and by the server's clock: a worker's may be ahead
call('XTRIM', key.events, 'MINID', '~', int(NOW - EVENTS_KEEP))
return reply('ok')
