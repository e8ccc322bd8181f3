# story: a worn bearing raises one alarm, the technician confirms it, the KPI counts it
thing  pump-7 from pump.tm.json
model  bearing@3 on pump-7 as production
send   pump-7 vibration_mm_s 2.3 2.5 2.4, temperature 55 56, running 1 every 10s for 30min
expect alarms 0
expect model bearing 3
expect kpi alarm_precision unknown
expect gate bearing-wear check 1.9 blocked "0 of 1 labels"

send   pump-7 vibration_mm_s 7.9 8.3 8.1, temperature 69 71, running 1 every 10s for 12min
expect alarm bearing_wear on pump-7 active unacknowledged
expect alarms 1
expect step samples "vibration_mm_s"
expect step model "bearing@3"

technician confirms bearing_wear "bearing replaced"
expect alarm bearing_wear active acknowledged
expect label bearing_wear true_fault
expect kpi alarm_precision = 1.0
expect gate bearing-wear check 1.9 ok "1 of 1 labels"
expect explain samples features model alarm verdict label kpi
expect step verdict "bearing replaced"
expect step kpi "alarm_precision"
expect proof ok
expect audit alarm.verdict by token:technician

# Repaired: it clears, and nothing of it comes again.
send   pump-7 vibration_mm_s 2.3 2.5 2.4, temperature 55 56, running 1 every 10s for 20min
expect alarm bearing_wear normal
expect alarms 1
expect ledger gap = 0
