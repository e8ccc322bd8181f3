# story: a newly trained version of a model is taken over while running, and says so on its alarms
thing  pump-7 from pump.tm.json
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 5min
expect model bearing none
# The first version ever, then the next one.
model  bearing@1 on pump-7 as production
wait   30s
expect model bearing 1
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 10min
model  bearing@2 on pump-7 as production
wait   30s
expect model bearing 2
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
expect step model "bearing@2"
expect ledger gap = 0
