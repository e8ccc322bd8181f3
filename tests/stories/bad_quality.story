# story: what the sensor itself calls bad is stored, and raises nothing
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 2.3 2.5 2.4, temperature 55 56, running 1 every 10s for 10min
send   pump-7 vibration_mm_s 7.9 8.3 8.1, temperature 69 71 every 10s for 30min as Bad_SensorFailure
expect alarms 0
expect point pump-7/temperature 71 Bad_SensorFailure
expect samples pump-7/vibration_mm_s 240 bad 180

# A value that no pump has is no measurement either: 0 to 45 mm/s, and 500 came.
send   pump-7 vibration_mm_s 500 502 501, temperature 55 56, running 1 every 10s for 10min
expect alarms 0
expect samples pump-7/vibration_mm_s 300 bad 240
expect ledger gap = 0
