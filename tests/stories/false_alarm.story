# story: an override as false alarm moves the precision, and the same condition stays quiet for a while
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
technician overrides bearing_wear as false_alarm "a truck was unloaded beside it"
expect label normal false_alarm
expect kpi alarm_precision = 0.0
expect kpi false_alarms_per_day >= 1
expect gate bearing-wear check 1.11 blocked
expect step kpi "alarm_precision"

# It goes and comes back within the 45 quiet minutes: nobody is called again.
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 12min
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 1

# Still there when they are over: a new alarm, a new question.
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 40min
expect alarms 2
expect alarm bearing_wear active unacknowledged
technician confirms bearing_wear "it was the bearing after all"
expect kpi alarm_precision = 0.5
expect label bearing_wear true_fault
