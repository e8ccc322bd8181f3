# story: a model whose file is taken away judges no more, and leaves no alarm behind that nobody would clear
thing  pump-7 from pump.tm.json
model  bearing@1 on pump-7 as production
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarm bearing_wear active unacknowledged
technician acknowledges bearing_wear

# A torn file keeps what it said.
tear   models/bearing.yaml
expect model bearing 1
expect alarm bearing_wear active acknowledged

remove models/bearing.yaml
expect model bearing none
expect alarm bearing_wear normal
expect step retired "bearing is no longer in use"
send   pump-7 vibration_mm_s 7.9 8.3 8.1, running 1 every 10s for 12min
expect alarms 1
technician confirms bearing_wear "bearing replaced"
expect label bearing_wear true_fault
expect ledger gap = 0
