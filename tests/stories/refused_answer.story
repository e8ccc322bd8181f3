# story: the audit log says what was done to an alarm, and nothing of what was refused
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged

technician unshelves bearing_wear
expect answer 409 "this changes nothing"
technician shelves bearing_wear for 25h "never again"
expect answer 400 "at most 1d"
technician overrides bearing_wear as nonsense
expect answer 400 "no such verdict"
viewer acknowledges bearing_wear
expect answer 403 "technician"
expect audit alarm.acknowledge times 0
expect audit alarm.shelve times 0
expect audit alarm.unshelve times 0
expect audit alarm.verdict times 0

technician acknowledges bearing_wear
technician acknowledges bearing_wear
expect answer 409 "active_acknowledged"
expect audit alarm.acknowledge by token:technician times 1
technician confirms bearing_wear "bearing replaced"
expect audit alarm.verdict times 1
expect proof ok
