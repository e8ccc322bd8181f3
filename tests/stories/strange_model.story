# story: a model for other features is refused with its reason, and the node runs on
thing  pump-7 from pump.tm.json
model  bearing@1 from bearing-by-temperature on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, temperature 69 71, running 1 every 10s for 12min
expect model bearing none
expect log "models/bearing.yaml"
expect log "temperature"
expect alarms 0
expect samples pump-7/vibration_mm_s 72
expect ledger gap = 0
