# story: a shelved alarm is out of the way for an hour and comes back by itself
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
technician shelves bearing_wear for 1h "parts are on their way"
expect alarm bearing_wear shelved
expect step shelved "parts are on their way"
expect audit alarm.shelve by token:technician

send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 30s for 50min
expect alarm bearing_wear shelved
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 30s for 15min
expect alarm bearing_wear active unacknowledged
expect alarms 1

# Longer than a day is not for a shelf; a viewer may not do it at all.
technician shelves bearing_wear for 25h "never again"
expect answer 400 "at most 1d"
viewer shelves bearing_wear for 1h
expect answer 403 "technician"
