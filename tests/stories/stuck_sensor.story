# story: a sensor that stands still is marked as failed and raises no alarm
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 2.3 2.5 2.4, temperature 55 56, running 1 every 10s for 20min
# Stuck at a healthy value; after 10 min the rule of the Thing Model speaks, and what is bad is no feature any more.
send   pump-7 vibration_mm_s 2.9, temperature 55 56, running 1 every 10s for 40min
expect point pump-7/vibration_mm_s 2.9 Bad_SensorFailure
expect samples pump-7/vibration_mm_s 360 bad 180
expect alarms 0
# Mended: the first sample that moves is good again.
send   pump-7 vibration_mm_s 2.4 2.5, temperature 55 56, running 1 every 10s for 10min
expect point pump-7/vibration_mm_s 2.5 Good
expect alarms 0
expect ledger gap = 0
