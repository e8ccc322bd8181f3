# story: a changed Thing Description is taken over while running, a torn one keeps the old version
thing  pump-7 from pump.tm.json
send   pump-7 temperature 55 56, running 1 every 10s for 1min
expect thing pump-7 title pump-7
expect samples pump-7/temperature 6

# Its title, and a narrower range: the rules of the next sample are the new ones.
edit   things/pump-7.td.json "'title': 'pump-7'" to "'title': 'Feed pump'"
expect thing pump-7 title "Feed pump"
edit   things/pump-7.td.json "'maximum': 150" to "'maximum': 60"
send   pump-7 temperature 71 every 10s
expect point pump-7/temperature 71 Uncertain_EngineeringUnitsExceeded

# Saved half: the old version stays in force, the log says which file and where, samples go on.
tear   things/pump-7.td.json
expect thing pump-7 title "Feed pump"
expect log "pump-7.td.json"
send   pump-7 temperature 58 every 10s
expect point pump-7/temperature 58 Good
expect samples pump-7/temperature 8

# Another thing beside the broken one comes in as ever.
thing  pump-8 from pump.tm.json
send   pump-8 temperature 40 every 10s
expect point pump-8/temperature 40 Good
expect ledger gap = 0
