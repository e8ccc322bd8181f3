# story: closed alarms go when their time is over, said in the audit log; open ones and labels stay
thing  pump-7 from pump.tm.json
edit   site.yaml "data: data" to "retain: {decisions: 4h}"
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 1 bearing_wear
technician overrides bearing_wear as false_alarm "a loose sensor cable"
expect label normal false_alarm
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 1h
expect alarm bearing_wear normal
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 2 bearing_wear
expect alarm bearing_wear active unacknowledged

wait   2h
expect audit decisions.expire times 0
wait   3h
expect audit decisions.expire by node times 1
expect alarms 1 bearing_wear
expect alarm bearing_wear active unacknowledged
expect label normal
expect explain samples features model alarm
wait   3h
expect audit decisions.expire times 1
