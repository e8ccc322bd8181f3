# story: a sensor that falls silent is marked as stale with its last value, and is good again when it speaks
thing  pump-7 from pump.tm.json
send   pump-7 temperature 55 56, running 1 every 10s for 1min
expect point pump-7/temperature 56 Good
wait   11min
eventually expect point pump-7/temperature 56 Uncertain_LastUsableValue
send   pump-7 temperature 57 every 10s
expect point pump-7/temperature 57 Good
expect ledger gap = 0
