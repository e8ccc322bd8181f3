# story: a restart in the middle keeps the alarm, the decision and the history
thing  pump-7 from pump.tm.json
model  bearing@2 on pump-7 as production
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 10min
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
expect samples pump-7/vibration_mm_s 132

restart
expect alarm bearing_wear active unacknowledged
expect explain samples features model alarm
expect samples pump-7/vibration_mm_s 132
expect model bearing 2

# It still holds: the same alarm, not a second one.
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 1
technician confirms bearing_wear "seen after the restart"
expect kpi alarm_precision = 1.0
expect proof ok

restart
expect alarm bearing_wear active acknowledged
expect explain samples features model alarm verdict label kpi
expect label bearing_wear true_fault
expect kpi alarm_precision = 1.0
expect proof ok
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 20min
expect alarm bearing_wear normal
expect samples pump-7/vibration_mm_s 324
expect ledger gap = 0
