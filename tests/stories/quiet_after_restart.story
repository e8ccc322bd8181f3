# story: an answered fault stays quiet for its 45 minutes, a restart between or not
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
technician overrides bearing_wear as mode_change "a new product"
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 12min
expect alarm bearing_wear normal
restart
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 1
