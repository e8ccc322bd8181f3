# story: after a clean restart every point shows its last value, and a standstill is remembered
thing  pump-7 from pump.tm.json
send   pump-7 temperature 55, vibration_mm_s 2.3, running 1 every 10s for 2min
expect point pump-7/temperature 55 Good
restart
expect point pump-7/temperature 55 Good
expect point pump-7/vibration_mm_s 2.3 Good
expect samples pump-7/temperature 12
expect ledger gap = 0

# Sent again after the restart: known, not stored twice.
restart
expect point pump-7/temperature 55 Good
