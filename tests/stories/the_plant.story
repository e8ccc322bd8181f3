# story: the example site learns from the plant's history and explains what it finds
site   bottling
models of the plant
plant  runs 12h seed 4242
expect model pump-faults 1
expect explain samples features model alarm
expect ledger gap = 0
