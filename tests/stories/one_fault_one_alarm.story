# story: the detector sees a fault first; when the classifier can name it, its alarm takes the other's place
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
detector anomalies on pump-7
send   pump-7 vibration_mm_s 2.3 2.5 2.4 2.6 2.2, temperature 55 56 54 55.5, running 1 every 10s for 2h
expect alarms 0

send   pump-7 vibration_mm_s 4.1 4.3 4.2, temperature 57 58, running 1 every 10s for 12min
expect alarm anomaly active unacknowledged
expect alarms 1
send   pump-7 vibration_mm_s 7.9 8.3 8.1, temperature 69 71, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
expect alarm anomaly superseded
expect alarms 2
expect open alarms 1
expect step supersedes "A-1001"
expect audit alarm.verdict times 0

# One answer for one fault; and while the known one is active the detector says nothing more.
technician confirms bearing_wear "bearing replaced"
send   pump-7 vibration_mm_s 7.9 8.3 8.1, temperature 69 71, running 1 every 10s for 30min
expect alarms 2
expect kpi alarm_precision = 1.0
send   pump-7 vibration_mm_s 2.3 2.5 2.4 2.6 2.2, temperature 55 56 54 55.5, running 1 every 10s for 40min
expect alarms 2
expect open alarms 0
expect ledger gap = 0
