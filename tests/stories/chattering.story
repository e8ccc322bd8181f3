# story: a condition that comes and goes every few minutes raises one alarm, not twenty
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 30s for 10min
technician acknowledges bearing_wear
# Three minutes worn, six and a half as ever: less than the five of the window and the four that an alarm waits to clear.
send   pump-7 vibration_mm_s 7.9 8.3 8.1 7.8 8.2 8.0 2.4 2.5 2.3 2.4 2.5 2.3 2.4 2.5 2.3 2.4 2.5 2.3 2.4, running 1 every 30s for 3h
expect alarms 1 bearing_wear
expect alarm bearing_wear active acknowledged
