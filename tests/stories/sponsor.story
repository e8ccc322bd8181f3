# story: who holds the sponsor's title signs the gate; an admin stands in only while nobody holds it
thing  pump-7 from pump.tm.json
send   pump-7 vibration_mm_s 2.3 2.5 2.4, running 1 every 10s for 30min
user   kim as viewer
user   lee as engineer
person kim signs bearing-wear as plant-manager
expect answer 403 "gives somebody the title"
person lee signs bearing-wear as plant-manager
expect answer 403
admin  gives kim "Plant manager"
expect answer 400 "no title"
person lee gives lee plant-manager
expect answer 403 "admin"
expect audit gate.sign times 0
expect audit user.titles times 0

admin  signs bearing-wear as plant-manager
expect audit gate.sign by token:admin times 1
edit   usecases/bearing.yaml "labels: 1" to "labels: 2"
expect gate bearing-wear check 1.1 blocked "earlier version"

admin  gives kim plant-manager, shift-lead
expect audit user.titles by token:admin times 1
admin  signs bearing-wear as plant-manager
expect answer 403 "kim signs as plant-manager"
admin  signs bearing-wear as admin
expect answer 403 "kim signs as plant-manager"
person kim signs bearing-wear as admin
expect answer 403
person kim signs bearing-wear as plant-manager
expect gate bearing-wear check 1.1 ok "signed by kim as plant-manager"
expect audit gate.sign by kim times 1
