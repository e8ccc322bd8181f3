# story: the sponsor's signature is for the use case as signed; another role or a changed file does not count
thing  pump-7 from pump.tm.json
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 30min
expect gate bearing-wear check 1.1 blocked "no signature by plant-manager"
technician signs bearing-wear as plant-manager
expect answer 403
admin  signs bearing-wear as shift-lead
expect answer 403
expect gate bearing-wear check 1.1 blocked
admin  signs bearing-wear as plant-manager
expect gate bearing-wear check 1.1 ok "as plant-manager"
expect audit gate.sign by token:admin
expect gate bearing-wear check 1.4 ok
expect gate bearing-wear check 1.5 ok
expect gate bearing-wear check 1.10 blocked "bearing"

# A changed file is taken over while running, a torn one is not.
edit   usecases/bearing.yaml "labels: 1" to "labels: 30"
expect gate bearing-wear check 1.9 blocked "0 of 30 labels"
expect gate bearing-wear check 1.1 blocked "earlier version"
tear   usecases/bearing.yaml
expect gate bearing-wear check 1.9 blocked "0 of 30 labels"
expect log "bearing.yaml"
