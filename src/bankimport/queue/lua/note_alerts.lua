-- Keep the alerts in force: those of now stand with their first instant, those that are over go.
-- KEYS: prelude. ARGV: JSON array of {code, fields}: fields of bank.queue.alert without `active` and timestamp.
-- Returns 'ok'. Emits bank.queue.alert for each that begins or is over.
local now = {}
for _, alert in ipairs(cjson.decode(ARGV[1])) do
  now[alert.code] = true
  if call('HSETNX', P .. 'alerts', alert.code, int(NOW)) == 1 then
    emit('bank.queue.alert', '', '', alert.fields .. ',"active":true')
  end
end
for _, code in ipairs(call('HKEYS', P .. 'alerts')) do
  if not now[code] then
    call('HDEL', P .. 'alerts', code)
    emit('bank.queue.alert', '', '', '"code":' .. cjson.encode(code)
      .. ',"message":"over","value":0,"threshold":0,"active":false')
  end
end
return reply('ok')
