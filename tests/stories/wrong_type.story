# story: a value of the wrong type goes to quarantine with its reason, the good ones beside it are stored
thing  pump-7 from pump.tm.json
write  "pump-7 temperature=55.5,vibration_mm_s='high',running=true", "pump-7 flow=3", "pump-7 temperature=", "pump-7 vibration_mm_s=2.5"
expect answer 400 "partial write"
expect quarantine type 1 "high"
expect quarantine unknown_point 1 "flow"
expect quarantine syntax 1
expect point pump-7/temperature 55.5 Good
expect point pump-7/running 1 Good
expect point pump-7/vibration_mm_s 2.5 Good
# A clock that runs a month ahead would push all windows there.
write  "pump-7 temperature=56 1785542400000000000"
expect quarantine clock_skew 1
expect point pump-7/temperature 55.5 Good
expect ledger gap = 0
